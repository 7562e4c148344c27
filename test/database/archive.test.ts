import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { archiveViolations, beginArchive, discardArchive, dropArchived } from '../../src/changes/archive.ts';
import { runArchive } from '../../src/database/archive-rows.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { expectDone, fullName, quarantined, type DrivenChange } from '../support/database-change.ts';

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

const rows = 2_000;

const begin = async (): Promise<DrivenChange> => {
  await sandbox.script(`
    CREATE ROLE curious;
    CREATE TABLE customers ("Land" text COLLATE "C", no numeric(9,2), first_name varchar(20) NOT NULL, last_name text, PRIMARY KEY ("Land", no));
    INSERT INTO customers SELECT 'L' || n % 7, n + 0.25, 'f' || n, NULLIF('l' || n % 5, 'l3') FROM generate_series(1, ${rows}) n`);
  const change = await quarantined(db, fullName());
  await sandbox.script('ALTER DEFAULT PRIVILEGES IN SCHEMA segue GRANT SELECT ON TABLES TO curious');
  return change;
};

const start = (change: DrivenChange) =>
  change.steps((id, table) => [beginArchive(id, change.change, table, 'shop/change')]);

const stretch = async (change: DrivenChange, firstBatchRows = 100, budgetMs = 2_000) =>
  runArchive(await change.ref(), {
    change: change.change,
    table: await change.table(),
    targetBatchMs: 50,
    budgetMs,
    firstBatchRows,
  });

const drop = (change: DrivenChange) =>
  change.steps((id, table) =>
    change.change.contract(id, table).map((step) => dropArchived(id, change.change, table, step)),
  );

const old = `SELECT "Land", no, first_name, last_name FROM`;

test('an archive is what the columns were when they went, whatever was written meanwhile; the documented statement brings it back', async () => {
  const change = await begin();
  const archive = `segue.archive_${change.id}`;
  expectDone(await start(change));
  expect(await start(change)).toEqual({ kind: 'done', message: 'nothing to do' });
  // One batch; then rows are changed on both sides of it, moved, deleted, and given other keys.
  expectDone(await stretch(change, 100, 0.001));
  expect((await change.ledger()).archive).toMatchObject({ rows: 100, copied: false });
  const late = await sandbox.connect('late');
  await late.query('BEGIN');
  await late.query(`UPDATE customers SET full_name = 'late one' WHERE no = 1.25`);
  const churn = `
    UPDATE customers SET full_name = 'new ' || no WHERE no::int % 3 = 0;
    UPDATE customers SET no = no + 100000 WHERE no::int % 11 = 0;
    DELETE FROM customers WHERE no::int % 13 = 0 AND no > 2;
    INSERT INTO customers ("Land", no, full_name) SELECT 'A', n, 'added row' FROM generate_series(500000, 500050) n`;
  await sandbox.script(churn);
  for (let n = 0; n < 20 && (await change.ledger()).archive?.copied !== true; n += 1)
    expectDone(await stretch(change, 300, 20));
  await sandbox.script(churn.replaceAll('500000, 500050', '500051, 500060'));
  await late.query('COMMIT');
  const before = await sandbox.query(`${old} customers ORDER BY 1, 2`);

  expectDone(await drop(change));
  expect(await sandbox.query(`${old} ${archive} ORDER BY 1, 2`)).toEqual(before);
  expect(await sandbox.query(`SELECT to_regclass('${archive}_changed') AS list`)).toEqual([{ list: null }]);
  expect(
    await sandbox.query(`SELECT has_table_privilege('curious', '${archive}', 'SELECT') AS readable`),
  ).toEqual([{ readable: false }]);
  const [comment] = await sandbox.query<{ text: string }>(
    `SELECT obj_description('${archive}'::regclass) AS text`,
  );
  expect(comment?.text).toContain('SchemaChange shop/change');
  const { triggers, marks } = await change.table();
  expect({ triggers, marks }).toEqual({ triggers: [], marks: {} });

  const docs = await readFile(path.join(import.meta.dirname, '..', '..', 'docs', 'safety.md'), 'utf8');
  const statement = /```sql\n(DO \$restore\$[\s\S]*?)```/.exec(docs)?.[1];
  if (statement === undefined) throw new Error('The documentation has no such statement.');
  await sandbox.query(statement.replace('bigint := 1;', `bigint := ${change.id};`));
  expect(await sandbox.query(`${old} customers ORDER BY 1, 2`)).toEqual(before);
  const { columns } = await change.table();
  expect(columns['first_name']?.type).toBe('character varying(20)');
  await sandbox.script('DROP OWNED BY curious; DROP ROLE curious');
});

test('an archive goes with a change that is walked back, and leaves nothing', async () => {
  await sandbox.script(`
    CREATE TABLE customers (id int PRIMARY KEY, first_name text, last_name text);
    INSERT INTO customers SELECT n, 'f', 'l' FROM generate_series(1, 50) n`);
  const change = await quarantined(db, fullName());
  expectDone(await start(change));
  expectDone(await stretch(change));
  expectDone(await change.steps((id, table) => [discardArchive(id, table)]));
  expect(
    await sandbox.query(`SELECT relname FROM pg_class WHERE relname LIKE 'archive\\_%' AND relkind = 'r'`),
  ).toEqual([]);
  expect((await change.ledger()).archive).toBeUndefined();
});

test('without a primary key, or with one that goes itself, there can be none', async () => {
  await sandbox.script('CREATE TABLE customers (id int, first_name text, last_name text)');
  const change = await quarantined(db, fullName());
  const violations = async () => archiveViolations(change.change, await change.table());
  expect(await violations()).toEqual([
    { reason: 'UnsupportedTable', message: expect.stringContaining('has none') },
  ]);
  await sandbox.script('ALTER TABLE customers ADD PRIMARY KEY (id)');
  expect(await violations()).toEqual([]);
  await sandbox.script('ALTER TABLE customers DROP CONSTRAINT customers_pkey, ADD PRIMARY KEY (first_name)');
  expect(await violations()).toEqual([
    { reason: 'UnsupportedColumn', message: expect.stringContaining('first_name') },
  ]);
});
