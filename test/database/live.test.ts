import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import type { ApplicationReport } from '../support/application.ts';
import { startChild, type Child } from '../support/child.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, takeOver } from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;
let applications: Child[];

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  applications = [];
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 20000) n;`);
});
afterEach(async () => {
  for (const application of applications) await application.kill9();
  await databases.close();
  await sandbox.close();
});

const run = async (kind: 'old' | 'new' | 'unrelated', seed: string): Promise<Child> => {
  const application = startChild('application.ts', [sandbox.uri, kind, 'customers', seed]);
  applications.push(application);
  await application.line();
  return application;
};

const end = async (application: Child): Promise<ApplicationReport> => {
  const report = JSON.parse(await application.finish()) as ApplicationReport;
  applications.splice(applications.indexOf(application), 1);
  expect(report.failures).toEqual([]);
  expect(report.statements).toBeGreaterThan(50);
  return report;
};

/** Every row that the applications wrote last is there, under the column given, as they wrote it. */
const compare = async (reports: readonly ApplicationReport[], expression: string): Promise<void> => {
  const rows = await sandbox.query<{ id: string; name: string }>(
    `SELECT id, ${expression} AS name FROM customers WHERE id > 20000`,
  );
  const stored = Object.fromEntries(rows.map(({ id, name }) => [id, name]));
  expect(stored).toEqual(Object.assign({}, ...reports.map(({ wrote }) => wrote)));
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('both kinds of code write the whole way from AddColumn to Drop, and every row is as they left it', async () => {
  const old = await run('old', '1');
  const unrelated = await run('unrelated', '2');
  const change = await dualWriting(db, fullName());
  expectDone(await change.prove());
  expectDone(await change.fillAll({ maxRowsPerSecond: 20_000 }));
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
  expectDone(await change.triggers('narrow'));
  expectDone(await change.steps(change.change.constrain));
  expectDone(await change.mutate({ kind: 'enterPhase', to: 'SwitchReads' }));
  const fresh = await run('new', '3');
  await pause(500);
  const oldReport = await end(old);
  expectDone(await change.steps(change.change.relax));
  expectDone(await change.triggers('watch'));
  expectDone(await change.mutate({ kind: 'enterPhase', to: 'Quarantine' }));
  expectDone(await change.mutate({ kind: 'startQuarantine' }));
  await pause(300);
  expect((await change.ledger()).lastUse).toBeUndefined();
  // Until now each side says the same of every row.
  expect(
    await sandbox.query(
      `SELECT id FROM customers WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`,
    ),
  ).toEqual([]);
  expectDone(await change.mutate({ kind: 'enterPhase', to: 'Drop' }));
  expectDone(await change.steps(change.change.contract));
  await pause(200);
  const reports = [oldReport, await end(fresh)];
  await end(unrelated);
  await compare(reports, 'full_name');
  const [rest] = await sandbox.query<{ count: string }>(
    `SELECT count(*) FROM customers WHERE id <= 20000 AND full_name IS DISTINCT FROM 'first' || id || ' last' || id`,
  );
  expect(rest).toEqual({ count: '0' });
  for (const { slowestMs } of reports) expect(slowestMs).toBeLessThan(1_500);
}, 60_000);

test('walking back from the quarantine keeps what either kind of code wrote', async () => {
  const old = await run('old', '4');
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expectDone(await change.triggers('narrow'));
  expectDone(await change.steps(change.change.constrain));
  const fresh = await run('new', '5');
  expectDone(await change.steps(change.change.relax));
  expectDone(await change.triggers('watch'));
  await pause(300);
  expectDone(await change.mutate({ kind: 'turnBack' }));
  const { oldNotNull } = await change.ledger();
  const { undo } = change.change;
  expectDone(await change.triggers('narrow'));
  expectDone(await change.steps((id, table) => undo.relax(id, table, oldNotNull)));
  expectDone(await change.steps(undo.constrain));
  const freshReport = await end(fresh);
  expectDone(await change.steps(undo.triggers));
  expectDone(await change.steps(undo.expand));
  expectDone(await change.mutate({ kind: 'finish', state: 'RolledBack' }));
  const reports = [await end(old), freshReport];
  await compare(reports, `first_name || ' ' || last_name`);
  expect(Object.keys((await change.table()).columns)).toEqual(['id', 'first_name', 'last_name', 'visits']);
  expect((await change.table()).marks).toEqual({});
  // The same change may be begun anew.
  const again = await takeOver(db, fullName());
  expect((await again.ledger()).state).toBe('RolledBack');
}, 60_000);
