/** The backfill with several workers, what slows it down, rows that are skipped, tables of every shape, a restored backup. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { FencedError } from '../../src/api/outcome.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { retryDeadLetters } from '../../src/database/dead-letters.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  takeOver,
  toNumber,
  type DrivenChange,
} from '../support/database-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { filledRows } from '../support/filled-rows.ts';
import { slowRows } from '../support/slow-rows.ts';

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

const customers = (rows: number): string => `
  CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
  INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n;`;

const counts = () => filledRows(sandbox);

/** Has the ledger say that so many workers proved useful. */
const withWorkers = async (change: DrivenChange, workers: number): Promise<void> => {
  await sandbox.query(
    `INSERT INTO segue.backfill_pace (change_id, scaling, samples, throttled_by) VALUES ($1, $2, '[]', '')
      ON CONFLICT (change_id) DO UPDATE SET scaling = excluded.scaling`,
    [change.id, JSON.stringify({ workers, best: 0, holdMs: 60_000 })],
  );
};

describe('several workers', () => {
  test('fill each row once, in ranges of their own', async () => {
    await sandbox.script(customers(20_000));
    const change = await dualWriting(db, fullName());
    await withWorkers(change, 4);
    expectDone(await change.stretch({ targetBatchMs: 5, maxWorkers: 4 }, 1));
    const ranges = await sandbox.query('SELECT FROM segue.backfill_range');
    expect(ranges.length).toBeGreaterThan(1);
    expect((await change.ledger()).backfill.workers).toBe(4);
    expectDone(await change.fillAll({ targetBatchMs: 5, maxWorkers: 4 }));
    expect(await counts()).toEqual({ filled: 20_000, recorded: 20_000 });
    expect(await sandbox.query('SELECT FROM segue.backfill_range')).toEqual([]);
  });

  test('are interrupted by a crash of the server, and repeat one batch each at most', async () => {
    await sandbox.script(customers(20_000));
    const change = await dualWriting(db, fullName());
    await withWorkers(change, 3);
    const endSlowness = await slowRows(sandbox);
    const during = change.stretch({ targetBatchMs: 5, maxWorkers: 3 }, 30_000);
    await eventually(async () => expect((await counts()).recorded).toBeGreaterThan(0), 20_000);
    await server.crash();
    expect(await during).toMatchObject({ kind: 'deferred', reason: 'DatabaseUnreachable' });
    const { filled, recorded } = await counts();
    expect(filled).toBe(recorded);
    await endSlowness();
    expectDone(await change.fillAll({ maxWorkers: 3 }));
    expect(await counts()).toEqual({ filled: 20_000, recorded: 20_000 });
  });

  test('are fewer where the server has no more sessions, which is no error', async () => {
    await sandbox.script(customers(20_000));
    await sandbox.script(`DROP ROLE IF EXISTS two; CREATE ROLE two LOGIN PASSWORD 'pw' CONNECTION LIMIT 2;
      GRANT CREATE ON DATABASE ${sandbox.name} TO two; GRANT ALL ON SCHEMA public TO two; ALTER TABLE customers OWNER TO two;`);
    const change = await dualWriting(databases.open(server.uriFor(sandbox, 'two', 'pw')), fullName());
    await withWorkers(change, 8);
    const fill = () => change.fillAll({ targetBatchMs: 5, maxWorkers: 8 });
    let outcome = await fill();
    // Where not even the operator's own look gets a session, it is put off; the next stretch goes on.
    for (let tries = 0; outcome.kind === 'deferred' && tries < 20; tries += 1) outcome = await fill();
    expectDone(outcome);
    expect(await counts()).toEqual({ filled: 20_000, recorded: 20_000 });
    expect((await change.ledger()).backfill.workers).toBeLessThan(8);
    await databases.close();
    await sandbox.script('REASSIGN OWNED BY two TO postgres; DROP OWNED BY two; DROP ROLE two;');
  });

  test('come by themselves where they are of use, and stay within maxWorkers', async () => {
    await sandbox.script(customers(1_000));
    const change = await dualWriting(db, fullName());
    await withWorkers(change, 6);
    expectDone(await change.fillAll({ maxWorkers: 2 }));
    expect((await change.ledger()).backfill.workers).toBeLessThanOrEqual(2);
  });
});

test('writers that wait for a batch are seen, and batches shrink', async () => {
  await sandbox.script(customers(20_000));
  // A conversion slow enough that a batch of many rows is one to wait for.
  await sandbox.script(`CREATE FUNCTION slow(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM pg_sleep(0.0005); RETURN t; END $$`);
  const change = await dualWriting(db, {
    replaceColumns: {
      table: 'public.customers',
      from: ['first_name'],
      to: [{ name: 'full_name', type: 'text', nullable: true }],
      forward: { full_name: 'public.slow(first_name)' },
      backward: { first_name: 'full_name' },
    },
  });
  const writer = await sandbox.connect('app');
  const end = new AbortController();
  const writing = (async () => {
    for (let id = 1; !end.signal.aborted; id = (id % 300) + 1)
      await writer.query('UPDATE customers SET visits = visits + 1 WHERE id = $1', [id]);
  })();
  expectDone(await change.stretch({ targetBatchMs: 100 }, 3_000));
  end.abort();
  await writing;
  expect((await change.ledger()).backfill.throttledBy).toMatch(/sessions waited for rows of a batch/);
}, 90_000);

describe('rows that are skipped', () => {
  const items = `
    CREATE TABLE items (id bigint PRIMARY KEY, amount text);
    INSERT INTO items SELECT n, n::text FROM generate_series(1, 2000) n;
    UPDATE items SET amount = 'many' WHERE id <= 1200;`;

  const due = (): Promise<unknown> =>
    sandbox.query(`UPDATE segue.dead_letter SET tried_at = clock_timestamp() - interval '2 minutes'`);

  const retry = async (change: DrivenChange) => {
    const table = await change.table();
    const rows = change.change.rows?.(change.id, table);
    if (rows === undefined) throw new Error('The change has rows.');
    return retryDeadLetters(await change.ref(), { table, rows });
  };

  test('are no limit, are left out by the verification, and leave once they are mended or gone', async () => {
    await sandbox.script(items.replace('1200', '1100'));
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll({ onBadRow: 'Skip' }));
    expect((await change.ledger()).backfill).toMatchObject({ done: true, badRows: 1_100, rowsDone: 900 });
    expectDone(await change.verify({ skipBadRows: true }));
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
    // By the application, whose write the trigger converts; by a DELETE; and by nobody.
    await sandbox.query(`UPDATE items SET amount = '7' WHERE id <= 100`);
    await sandbox.query(`DELETE FROM items WHERE id > 100 AND id <= 1099`);
    expect((await change.ledger()).backfill.badRowsDue).toBe(false);
    await due();
    for (let n = 0; n < 6; n++) expectDone(await retry(change));
    expect((await change.ledger()).backfill).toMatchObject({
      badRows: 1,
      sampleBadKeys: ['{"id": 1100}'],
      badRowsDue: false,
    });
  });

  test('without a primary key stay until the backfill starts over', async () => {
    await sandbox.script(items.replace('PRIMARY KEY', '').replace('1200', '3'));
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll({ onBadRow: 'Skip' }));
    await sandbox.query(`UPDATE items SET amount = '7' WHERE id <= 3`);
    await due();
    expectDone(await retry(change));
    expect((await change.ledger()).backfill.badRows).toBe(3);
  });
});

describe('tables of every shape', () => {
  const filledBy = async (script: string): Promise<DrivenChange> => {
    await sandbox.script(script);
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    const wrong = await sandbox.query(
      `SELECT FROM customers WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name LIMIT 1`,
    );
    expect(wrong).toEqual([]);
    return change;
  };

  test('no primary key', () => filledBy(customers(3_000).replace('PRIMARY KEY', '')));

  test('keys with gaps of billions', () =>
    filledBy(customers(3_000).replace('SELECT n,', 'SELECT n * 3000000000000,')));

  test('uuid keys', () =>
    filledBy(
      customers(3_000).replace('id bigint', 'id uuid').replace('SELECT n,', 'SELECT gen_random_uuid(),'),
    ));

  test('values of a megabyte out of line: a batch is less than a page', async () => {
    await sandbox.script(`
      CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
      ALTER TABLE customers ALTER first_name SET STORAGE EXTERNAL;
      INSERT INTO customers SELECT n, repeat('x', 1000000), 'last' || n FROM generate_series(1, 60) n;`);
    const change = await dualWriting(db, fullName());
    for (let n = 0; n < 3; n++) expectDone(await change.stretch({ targetBatchMs: 20 }, 1));
    const { backfill } = await change.ledger();
    // Sixty rows lie on one page, and all at once would be far too much.
    expect(backfill.pagesTotal).toBeLessThanOrEqual(2);
    expectDone(await change.fillAll({ targetBatchMs: 20 }));
    expect((await change.ledger()).backfill.rowsDone).toBe(60);
    const [wrong] = await sandbox.query(
      `SELECT count(*)::int AS n FROM customers WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`,
    );
    expect(wrong).toEqual({ n: 0 });
  });

  test('hundreds of partitions, in stretches that are short', async () => {
    await sandbox.script(`
      CREATE TABLE customers (id bigint, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0) PARTITION BY LIST (id);
      DO $$ BEGIN FOR n IN 1..150 LOOP
        EXECUTE format('CREATE TABLE customers_%s PARTITION OF customers FOR VALUES IN (%s)', n, n);
      END LOOP; END $$;
      INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 150) n;`);
    const change = await dualWriting(db, fullName());
    for (let n = 0; n < 200; n++) {
      expectDone(await change.stretch({}, 50));
      if ((await change.ledger()).backfill.done) break;
    }
    expect((await change.ledger()).backfill).toMatchObject({ done: true, rowsDone: 150 });
  }, 60_000);
});

describe('throttles', () => {
  test('a replica that cannot be asked stops it, and says which', async () => {
    await sandbox.script(customers(1_000));
    const change = await dualWriting(db, fullName());
    const replicas = [{ name: 'shop-db-ro', db: databases.open('postgresql://nobody@127.0.0.1:1/none') }];
    const outcome = await change.stretch({}, 1_000, undefined, { replicas });
    expect(outcome).toMatchObject({
      kind: 'deferred',
      reason: 'ReplicaLagging',
      message: expect.stringContaining('shop-db-ro cannot be asked'),
    });
    expect((await change.ledger()).backfill).toMatchObject({
      rowsDone: 0,
      throttledBy: expect.stringContaining('shop-db-ro'),
    });
    // A URI that leads to the primary, or to a replica that was promoted, lags behind nobody.
    expectDone(await change.stretch({}, 1_000, undefined, { replicas: [{ name: 'shop-db-ro', db }] }));
    expect((await change.ledger()).backfill).toMatchObject({ rowsDone: 1_000, throttledBy: '' });
  });
});

test('a restored backup: the backfill goes on where the backup had it', async () => {
  await sandbox.script(customers(10_000));
  const change = await dualWriting(db, fullName());
  expectDone(await change.stretch({ targetBatchMs: 5, maxRowsPerSecond: 10_000 }, 200));
  const before = await counts();
  expect(before.filled).toBeGreaterThan(0);
  const restore = await server.backup();
  const onward = await takeOver(db, fullName(), 'later');
  expectDone(await onward.fillAll());
  expect(await counts()).toEqual({ filled: 10_000, recorded: 10_000 });
  await restore();
  expect(await counts()).toEqual(before);
  // The operator that went on after the backup is nobody to this database: its epoch was never given.
  await expect(onward.stretch()).rejects.toThrow(FencedError);
  const restored = await takeOver(db, fullName(), 'successor');
  expectDone(await restored.fillAll());
  expect(await counts()).toEqual({ filled: 10_000, recorded: 10_000 });
}, 60_000);
