import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { replayed } from '../../src/database/replicas.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, toNumber } from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const customers = async (rows: number): Promise<void> =>
  sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n;`);

/** As a person with the wrong tools would: past the triggers. */
const inject = (statement: string): Promise<void> =>
  sandbox.script(`SET session_replication_role = replica; ${statement}; RESET session_replication_role`);

test('compares every row and records it with a position in the WAL', async () => {
  await customers(20_000);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  const { verification } = await change.ledger();
  expect(verification).toEqual({
    at: expect.any(Number),
    rowsCompared: 20_000,
    mismatches: 0,
    sampleKeys: [],
    lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
  });
  expect(await replayed(db, verification?.lsn ?? '')).toBe(true);
});

test('finds rows that differ, counts all, shows keys of ten and no values', async () => {
  await customers(20_000);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  await inject(`UPDATE customers SET full_name = 'mallory' WHERE id % 1000 = 0`);
  const outcome = await change.verify();
  const { verification } = await change.ledger();
  expect(verification).toMatchObject({ rowsCompared: 20_000, mismatches: 20 });
  expect(verification?.sampleKeys).toHaveLength(10);
  for (const key of verification?.sampleKeys ?? [])
    expect((JSON.parse(key) as { id: number }).id % 1000).toBe(0);
  expect(JSON.stringify([outcome, verification])).not.toContain('mallory');
});

test('finds a row whose new value is missing though it should have one, and one that should not', async () => {
  await customers(10);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  await inject(
    `UPDATE customers SET full_name = NULL WHERE id = 3; UPDATE customers SET last_name = NULL WHERE id = 5`,
  );
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({
    mismatches: 2,
    sampleKeys: ['{"id": 3}', '{"id": 5}'],
  });
});

test('a row that cannot even be converted differs; the others are compared all the same', async () => {
  await sandbox.script(`
    CREATE TABLE items (id int PRIMARY KEY, amount text);
    INSERT INTO items SELECT n, n::text FROM generate_series(1, 5000) n;
    UPDATE items SET amount = 'x' WHERE id IN (77, 4000)`);
  const change = await dualWriting(db, toNumber());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({
    rowsCompared: 5_000,
    mismatches: 2,
  });
  expect(new Set((await change.ledger()).verification?.sampleKeys)).toEqual(
    new Set(['{"id": 77}', '{"id": 4000}']),
  );
  // With onBadRow: Skip they are known, and only what is not known counts.
  await inject('UPDATE items SET amount_int = -1 WHERE id = 9');
  expectDone(await change.verify(true));
  expect((await change.ledger()).verification).toMatchObject({
    rowsCompared: 5_000,
    mismatches: 1,
    sampleKeys: ['{"id": 9}'],
  });
});

test('an expression that fails on every row ends soon, with mismatches', async () => {
  await sandbox.script(`
    CREATE TABLE items (id int PRIMARY KEY, amount text);
    INSERT INTO items SELECT n, 'x' FROM generate_series(1, 20000) n`);
  const change = await dualWriting(db, toNumber());
  const outcome = await change.verify();
  if (outcome.kind === 'done')
    expect((await change.ledger()).verification?.mismatches).toBeGreaterThanOrEqual(1_000);
  else expect(outcome).toMatchObject({ kind: 'refused' });
}, 30_000);

test('sees one snapshot: rows that writers move meanwhile are neither missed nor counted twice', async () => {
  await customers(30_000);
  await sandbox.script('ALTER TABLE customers ADD visits int NOT NULL DEFAULT 0');
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  const writer = await sandbox.connect('writer');
  const end = new AbortController();
  const moving = (async () => {
    for (let n = 0; !end.signal.aborted; n++)
      await writer.query('UPDATE customers SET visits = visits + 1 WHERE id % 50 = $1', [n % 50]);
  })();
  expectDone(await change.verify());
  end.abort();
  await moving;
  expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 30_000, mismatches: 0 });
});

test('a new pass of the backfill takes the result back', async () => {
  await customers(100);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toBeDefined();
  expectDone(await change.mutate({ kind: 'handleRetry', value: '1' }));
  expect((await change.ledger()).verification).toBeUndefined();
});

test('is interrupted at once when asked', async () => {
  await customers(100);
  await sandbox.script(`
    CREATE FUNCTION slowly(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'`);
  const change = await dualWriting(db, {
    replaceColumns: {
      table: 'customers',
      from: ['last_name'],
      to: [{ name: 'surname', type: 'text', nullable: true }],
      forward: { surname: 'slowly(last_name)' },
      backward: { last_name: 'surname' },
    },
  });
  const table = await change.table();
  const ref = await change.ref();
  const { verify } = await import('../../src/database/verify.ts');
  const interruption = new AbortController();
  setTimeout(() => interruption.abort(), 300);
  const began = performance.now();
  const outcome = await verify(
    ref,
    { table, rows: change.change.rows!(change.id, table) },
    interruption.signal,
  );
  expect(outcome).toMatchObject({ kind: 'deferred' });
  expect(performance.now() - began).toBeLessThan(2_000);
  expect((await change.ledger()).verification).toBeUndefined();
});
