/** VACUUM beside the backfill: that it bounds the table's growth, waits for old snapshots, and is in nobody's way. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { endVacuum } from '../../src/database/vacuum.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, type DrivenChange } from '../support/database-change.ts';
import { eventually } from '../support/eventually.ts';

const rows = 24_000;

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
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n;`);
  await sandbox.query('VACUUM ANALYZE customers');
});
afterEach(async () => {
  await databases.close();
  await sandbox.query(`ALTER SYSTEM RESET ALL`);
  await sandbox.query('SELECT pg_reload_conf()');
  await sandbox.close();
});

// So slow that it is looked at some times before it is over.
const stretch = async (
  change: DrivenChange,
  maxRowsPerSecond = 3_000,
  vacuum = { share: 0.1, fromBytes: 0 },
): Promise<boolean> => {
  const settings = { targetBatchMs: 20, maxRowsPerSecond };
  expectDone(await change.stretch(settings, 2_000, undefined, { vacuum }));
  return (await change.ledger()).backfill.done;
};

/** So slow that it lasts for minutes, with a VACUUM from the first seconds on. */
const creep = (change: DrivenChange): Promise<boolean> => stretch(change, 200, { share: 0.01, fromBytes: 0 });

/** VACUUMs of the table that came to their end, the one of the start included. */
const vacuums = async (): Promise<number> => {
  const [row] = await sandbox.query<{ n: string }>(
    `SELECT pg_stat_get_vacuum_count('customers'::regclass) AS n`,
  );
  return Number(row?.n);
};

const running = (): Promise<readonly unknown[]> =>
  sandbox.query(
    `SELECT FROM pg_stat_activity WHERE application_name = 'segue' AND query LIKE 'VACUUM%' AND state = 'active'`,
  );

/** Has a VACUUM take for ever. */
const crawl = async (): Promise<void> => {
  await sandbox.query(`ALTER SYSTEM SET autovacuum_vacuum_cost_delay = '100ms'`);
  await sandbox.query(`ALTER SYSTEM SET autovacuum_vacuum_cost_limit = 1`);
  await sandbox.query('SELECT pg_reload_conf()');
};

const crawling = async (change: DrivenChange): Promise<void> => {
  await crawl();
  await eventually(async () => {
    await creep(change);
    expect(await running()).toHaveLength(1);
  }, 60_000);
};

test('what is dead is reused: the table grows less, and every row is filled', async () => {
  const change = await dualWriting(db, fullName());
  while (!(await stretch(change)));
  await endVacuum(await change.ref());
  expect(await vacuums()).toBeGreaterThan(1);
  expect(await sandbox.query('SELECT count(full_name)::int AS n FROM customers')).toEqual([{ n: rows }]);
  const [size] = await sandbox.query<{ grown: number }>(
    `SELECT pg_relation_size('customers')::float / (SELECT sum(end_page) * 8192 FROM segue.backfill) AS grown`,
  );
  // Without it 2.4.
  expect(size?.grown).toBeLessThan(2.2);
}, 300_000);

test('not while a snapshot from before would have it read the table for nothing', async () => {
  const change = await dualWriting(db, fullName());
  const report = await sandbox.connect('report');
  await report.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await report.query('SELECT count(*) FROM customers');
  const before = await vacuums();
  while (!(await stretch(change)));
  expect(await vacuums()).toBe(before);
  await report.query('COMMIT');
}, 300_000);

test('a session that wants the table has it at once: the VACUUM gives way', async () => {
  const change = await dualWriting(db, fullName());
  await crawling(change);
  const other = await sandbox.connect('migration');
  await other.query(`SET lock_timeout = '20s'`);
  const stretching = creep(change);
  await other.query('BEGIN; LOCK TABLE customers IN SHARE UPDATE EXCLUSIVE MODE; COMMIT');
  await stretching;
  await eventually(async () => expect(await running()).toEqual([]));
});

test('it ends when nobody goes on with the backfill', async () => {
  await crawling(await dualWriting(db, fullName()));
  await eventually(async () => expect(await running()).toEqual([]), 20_000);
});

test('it ends before anything else is done to the table, and before the sessions are closed', async () => {
  const change = await dualWriting(db, fullName());
  await crawling(change);
  await endVacuum(await change.ref());
  expect(await running()).toEqual([]);
  await crawling(change);
  await databases.close();
  expect(await running()).toEqual([]);
});
