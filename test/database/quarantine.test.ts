import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { runStep } from '../../src/database/steps.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  quarantined,
  type DrivenChange,
} from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer({ shared_preload_libraries: 'pg_stat_statements' });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(`
    CREATE EXTENSION pg_stat_statements;
    CREATE TABLE customers (id int PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 100) n`);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

/** Runs statements as somebody who is not looked at again. */
const run = async (...statements: readonly string[]): Promise<void> => {
  const client = await sandbox.connect('');
  for (const statement of statements) await client.query(statement);
  await client.query('SELECT 1');
};

/** What a look brings to light, newest first. */
const seen = async (change: DrivenChange) => {
  const { lastUse, uses } = await change.ledger();
  return { lastUse, uses };
};

describe('a look at pg_stat_statements', () => {
  test('finds a read of an old column since the last look, once, with role and statement', async () => {
    await run('SELECT first_name FROM customers WHERE id = 1');
    const change = await quarantined(db, fullName());
    expectDone(await change.look());
    expect(await seen(change)).toEqual({ lastUse: undefined, uses: [] });

    await run(`SELECT first_name /* trace 4711 */ FROM customers WHERE last_name = 'secret'`);
    expectDone(await change.look());
    expect((await seen(change)).lastUse).toEqual({
      at: expect.any(Number),
      by: 'postgres',
      kind: 'Read',
      statement: expect.stringMatching(/^-?\d+: SELECT first_name FROM customers WHERE last_name = \$1$/),
    });

    const [use] = (await seen(change)).uses;
    if (use === undefined) throw new Error('There is no use.');
    expectDone(await change.mutate({ kind: 'restartQuarantine', use }));
    expectDone(await change.look());
    expect((await change.ledger()).lastUse?.at).toBe(use.at);
    expect((await change.ledger()).quarantineStartedAt).toBeGreaterThan(use.at);
    await run('SELECT first_name FROM customers WHERE last_name = $$again$$');
    expectDone(await change.look());
    expect((await change.ledger()).lastUse?.at).toBeGreaterThan(use.at);
  });

  test('lists each user and statement, and tells writes from reads', async () => {
    await sandbox.script(
      `CREATE ROLE report LOGIN; GRANT ALL ON customers TO report; GRANT pg_monitor TO report`,
    );
    const change = await quarantined(db, fullName());
    await run('SET ROLE report', 'SELECT last_name FROM customers');
    await run(`UPDATE customers SET first_name = 'x' WHERE id = 1`);
    expectDone(await change.look());
    const { uses } = await seen(change);
    expect(uses.map(({ by, kind }) => `${by} ${kind}`).toSorted()).toEqual([
      'postgres Write',
      'postgres Write',
      'report Read',
    ]);
    await sandbox.script('DROP OWNED BY report; DROP ROLE report');
  });

  test('passes over new code, our own work, dumps and tables of other schemas', async () => {
    await sandbox.script(`CREATE SCHEMA other; CREATE TABLE other.customers (first_name text)`);
    const change = await quarantined(db, fullName());
    await run(
      'SELECT full_name FROM customers',
      `INSERT INTO customers (id, full_name) VALUES (500, 'a b')`,
      'SELECT first_name FROM other.customers',
      'SELECT count(*) FROM customers',
      'VACUUM customers',
      'COPY (SELECT 1) TO stdout',
    );
    expectDone(await change.verify());
    expectDone(await change.prove());
    expectDone(await change.look());
    expect((await seen(change)).uses).toEqual([]);
  });

  test('counts what takes every column, unless told that it does not matter', async () => {
    const change = await quarantined(db, fullName());
    await run('SELECT * FROM customers WHERE id = 3');
    expectDone(await change.look({ wildcards: 'Ignore' }));
    expect((await seen(change)).uses).toEqual([]);
    await run('SELECT * FROM customers WHERE id = 4');
    expectDone(await change.look());
    const [use] = (await seen(change)).uses;
    expect(use).toMatchObject({
      kind: 'Read',
      statement: expect.stringContaining('SELECT * FROM customers'),
    });
    const queryid = use?.statement?.split(':')[0] ?? '';
    await run('SELECT * FROM customers WHERE id = 5');
    expectDone(await change.look({ ignoreStatements: [queryid] }));
    expect((await seen(change)).uses).toHaveLength(1);
  });

  test('finds statements in other spellings and on partitions', async () => {
    await sandbox.script(`
      CREATE SCHEMA "My ""Shop";
      CREATE TABLE "My ""Shop"."T ""x" (id int, first_name text, last_name text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
      CREATE TABLE "part one" PARTITION OF "My ""Shop"."T ""x" FOR VALUES FROM (0) TO (10)`);
    const change = await quarantined(db, {
      dropColumn: { table: 'My "Shop.T "x', column: 'first_name' },
    });
    await run('SELECT first_name FROM "part one"');
    expectDone(await change.look());
    expect((await seen(change)).uses).toHaveLength(1);
  });

  test('takes a reset for a use: nobody can tell what was lost', async () => {
    const change = await quarantined(db, fullName());
    await run('SELECT first_name FROM customers', 'SELECT pg_stat_statements_reset()');
    expectDone(await change.look());
    expect((await seen(change)).lastUse).toMatchObject({
      kind: 'Lost',
      by: expect.stringContaining('pg_stat_statements was reset'),
    });
    const { lastUse } = await change.ledger();
    expectDone(await change.look());
    expect((await change.ledger()).lastUse?.at).toBe(lastUse?.at);
  });

  test('says what it cannot see, and how it could', async () => {
    const change = await quarantined(db, fullName());
    expect((await change.ledger()).look).toMatchObject({
      sees: ['Statements', 'Activity'],
      blindSpots: [
        expect.stringMatching(/inside functions.*track is top/),
        expect.stringContaining('server’s log'),
      ],
    });
    await sandbox.script('DROP EXTENSION pg_stat_statements');
    expectDone(await change.look());
    const { look, lastUse } = await change.ledger();
    expect(look?.blindSpots[0]).toMatch(/not installed.*CREATE EXTENSION/);
    expect(lastUse).toMatchObject({ kind: 'Lost', by: expect.stringContaining('no longer be read') });
    expectDone(await change.look());
    expect((await change.ledger()).lastUse?.at).toBe(lastUse?.at);
  });

  test('of a replica as well', async () => {
    const change = await quarantined(db, fullName());
    const replica = [{ name: 'reader', db }];
    expectDone(await change.look({}, replica));
    await run('SELECT last_name FROM customers WHERE id = 9');
    expectDone(await change.look({}, replica));
    expect((await seen(change)).uses.map(({ by }) => by).toSorted()).toEqual([
      'postgres',
      'postgres on replica reader',
    ]);
    expectDone(await change.look({}, [{ name: 'gone', db: undefined }]));
    expect((await change.ledger()).look?.blindSpots.join(' ')).toContain('replica gone could not be opened');
  });

  test('shows the last statement of a session, without its values, where nothing is counted', async () => {
    await sandbox.script('DROP EXTENSION pg_stat_statements');
    const change = await quarantined(db, fullName());
    const report = await sandbox.connect('report');
    await report.query(`SELECT last_name FROM customers WHERE first_name = 'secret'`);
    expectDone(await change.look());
    expect((await seen(change)).uses).toEqual([
      { at: expect.any(Number), by: 'postgres (report)', kind: 'Read' },
    ]);
  });
});

describe('dropping', () => {
  test('stops for a read since the last look', async () => {
    const change = await quarantined(db, fullName());
    await run('SELECT first_name FROM customers');
    const [step] = change.change.contract(change.id, await change.table());
    if (step === undefined) throw new Error('There is no step.');
    const options = { table: change.change.table, lockTimeoutMs: 500, watch: await change.watch() };
    expect(await runStep(await change.ref(), step, options)).toMatchObject({
      kind: 'deferred',
      reason: 'ColumnInUse',
    });
    expectDone(await change.look());
    expectDone(await change.mutate({ kind: 'startQuarantine' }));
    expectDone(await runStep(await change.ref(), step, options));
  });
});

describe('a write to an old column', () => {
  test('is noted once a second and application, whoever shares the session', async () => {
    const change = await quarantined(db, fullName());
    const client = await sandbox.connect('one');
    for (let n = 0; n < 20; n += 1)
      await client.query(`UPDATE customers SET first_name = 'n${n}' WHERE id = 1`);
    await client.query(`SET application_name = 'two'`);
    await client.query(`UPDATE customers SET first_name = 'again' WHERE id = 1`);
    const rows = await sandbox.query<{ app: string; n: string }>(
      `SELECT application_name AS app, count(*) AS n FROM segue.column_use WHERE kind = 'Write' GROUP BY 1 ORDER BY 1`,
    );
    expect(rows.map(({ app }) => app)).toEqual(['one', 'two']);
    expect(Number(rows[0]?.n)).toBeLessThanOrEqual(2);
    expect((await change.ledger()).uses.map(({ by }) => by).toSorted()).toEqual([
      'postgres (one)',
      'postgres (two)',
    ]);
  });
});

test('a change without a quarantine is never looked for', async () => {
  const change = await dualWriting(db, fullName());
  expect((await change.ledger()).look).toBeUndefined();
});
