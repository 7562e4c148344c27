import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName } from '../support/database-change.ts';

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

const unconverted = async (table = 'customers'): Promise<number> => {
  const [row] = await sandbox.query<{ count: string }>(
    `SELECT count(*) FROM ${table} WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`,
  );
  return Number(row?.count);
};

test('fills every row and reports how far it is', async () => {
  await sandbox.script(customers(30_000));
  await sandbox.script('ANALYZE customers');
  const change = await dualWriting(db, fullName());
  const before = (await change.ledger()).backfill;
  expect(before).toMatchObject({ pagesDone: 0, rowsDone: 0, done: false });
  expectDone(await change.fillAll());
  expect(await unconverted()).toBe(0);
  const { backfill } = await change.ledger();
  expect(backfill).toMatchObject({
    rowsDone: 30_000,
    rowsTotal: 30_000,
    badRows: 0,
    done: true,
    throttledBy: '',
  });
  expect(backfill.pagesDone).toBe(backfill.pagesTotal);
  expect(backfill.rowsPerSecond).toBeGreaterThan(0);
});

test('speed against one UPDATE of the whole table', async () => {
  const rows = 500_000;
  await sandbox.script(customers(rows));
  await sandbox.script(
    `CREATE TABLE plain AS TABLE customers; ALTER TABLE plain ADD PRIMARY KEY (id); ALTER TABLE plain ADD full_name text`,
  );
  await sandbox.script('VACUUM ANALYZE');
  await sandbox.script('CHECKPOINT');
  const t0 = performance.now();
  await sandbox.script(`UPDATE plain SET full_name = first_name || ' ' || last_name`);
  const single = performance.now() - t0;
  const change = await dualWriting(db, fullName());
  const t1 = performance.now();
  expectDone(await change.fillAll({ targetBatchMs: 100 }));
  const batched = performance.now() - t1;
  console.log({ single, batched, ratio: batched / single, rowsPerSecond: rows / (batched / 1000) });
  expect(await unconverted()).toBe(0);
}, 60_000);
