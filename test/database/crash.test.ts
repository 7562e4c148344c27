import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startChild, type Child } from '../support/child.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, takeOver } from '../support/database-change.ts';
import { eventually } from '../support/eventually.ts';
import { filledRows } from '../support/filled-rows.ts';
import { slowRows } from '../support/slow-rows.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;
let children: Child[];

beforeAll(async () => {
  server = await startServer({ synchronous_commit: 'on' });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  children = [];
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 60000) n;`);
});
afterEach(async () => {
  for (const child of children) await child.kill9();
  await databases.close();
  await sandbox.close();
});

const startBackfill = async (targetBatchMs: number): Promise<Child> => {
  const child = startChild('backfill-process.ts', [
    sandbox.uri,
    JSON.stringify(fullName()),
    String(targetBatchMs),
  ]);
  children.push(child);
  expect(await child.line()).toBe('ready');
  return child;
};

const counts = () => filledRows(sandbox);

const settled = async (): Promise<void> => {
  await eventually(async () => {
    const [row] = await sandbox.query<{ count: string }>(
      `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' AND state <> 'idle' AND pid <> pg_backend_pid()`,
    );
    expect(Number(row?.count)).toBe(0);
  });
};

describe('kill -9 of the operator', () => {
  test('between batches: the next goes on where it was, and does nothing twice', async () => {
    await dualWriting(db, fullName());
    const child = await startBackfill(5);
    await child.line();
    await child.kill9();
    await settled();
    const before = await counts();
    expect(before.filled).toBeGreaterThan(0);
    expect(before.filled).toBeLessThan(60_000);
    expect(before.filled).toBe(before.recorded);
    const change = await takeOver(db, fullName(), 'successor');
    expectDone(await change.fillAll());
    expect(await counts()).toEqual({ filled: 60_000, recorded: 60_000 });
  });

  test('in the middle of a batch, again and again: that batch is undone and repeated, no other', async () => {
    await dualWriting(db, fullName());
    for (let round = 0; round < 3; round++) {
      const child = await startBackfill(100_000);
      // Its batches grow without bound, so that it is nearly always inside one.
      await eventually(async () => {
        const rows = await sandbox.query(
          `SELECT FROM pg_stat_activity WHERE application_name = 'segue' AND query LIKE 'UPDATE ONLY%' AND state = 'active'`,
        );
        expect(rows).toHaveLength(1);
      });
      await child.kill9();
      await settled();
      const { filled, recorded } = await counts();
      expect(filled).toBe(recorded);
      const [done] = await sandbox.query(
        'SELECT FROM segue.backfill WHERE next_page >= end_page AND NOT EXISTS (SELECT FROM segue.backfill_range)',
      );
      if (done) break;
    }
    const change = await takeOver(db, fullName(), 'successor');
    expectDone(await change.fillAll());
    expect(await counts()).toEqual({ filled: 60_000, recorded: 60_000 });
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 60_000, mismatches: 0 });
  });
});

test('a former operator that wakes up is refused between two of its batches', async () => {
  await dualWriting(db, fullName());
  const child = await startBackfill(5);
  await child.line();
  child.process.kill('SIGSTOP');
  // Frozen within a batch it holds the fence until the server ends its session.
  const change = await eventually(() => takeOver(db, fullName(), 'successor'), 20_000);
  const before = await counts();
  child.process.kill('SIGCONT');
  await new Promise((resolve) => child.process.once('exit', resolve));
  expect(child.process.exitCode).toBe(3);
  // What it had in flight was undone or had been committed before; nothing came after.
  expect(await counts()).toEqual(before);
  expectDone(await change.fillAll());
  expect(await counts()).toEqual({ filled: 60_000, recorded: 60_000 });
}, 90_000);

test('kill -9 of PostgreSQL: the operator waits, and goes on by itself', async () => {
  const change = await dualWriting(db, fullName());
  expectDone(await change.stretch({ targetBatchMs: 5 }, 100));
  const begun = (await counts()).recorded;
  const endSlowness = await slowRows(sandbox);
  const during = change.stretch({ targetBatchMs: 5 }, 30_000);
  await eventually(async () => expect((await counts()).recorded).toBeGreaterThan(begun), 20_000);
  await server.crash();
  expect(await during).toEqual(expect.objectContaining({ kind: 'deferred', reason: 'DatabaseUnreachable' }));
  const { filled, recorded } = await counts();
  expect(filled).toBe(recorded);
  await endSlowness();
  expectDone(await change.fillAll());
  expect(await counts()).toEqual({ filled: 60_000, recorded: 60_000 });
}, 90_000);

/** What no commit waits for stays in memory from now on, until the server is started anew. */
const stopWalWriter = async (): Promise<void> => {
  const [writer] = await sandbox.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'`,
  );
  expect(writer).toBeDefined();
  if (writer !== undefined) process.kill(writer.pid, 'SIGSTOP');
};

test('a crash of PostgreSQL undoes one batch at most, and it is done again', async () => {
  const change = await dualWriting(db, fullName());
  let lost = 0;
  for (let round = 0; round < 4; round++) {
    await stopWalWriter();
    // A stretch is one batch at least, and with this budget no more. The first after a crash waits for nothing.
    const seen = [(await counts()).recorded];
    for (let batch = 0; batch < 1 + (round % 3); batch++) {
      expectDone(await change.stretch({ targetBatchMs: 10, maxRowsPerSecond: 400_000 }, 1));
      seen.push((await counts()).recorded);
    }
    await server.crash();
    const { filled, recorded } = await eventually(counts);
    expect(filled).toBe(recorded);
    const [before = 0, last = 0] = seen.slice(-2);
    expect(last).toBeGreaterThan(before);
    expect(recorded).toBeGreaterThanOrEqual(before);
    if (recorded < last) lost += 1;
  }
  // Else this test has shown nothing.
  expect(lost).toBeGreaterThan(0);
  expectDone(await change.fillAll());
  expect(await counts()).toEqual({ filled: 60_000, recorded: 60_000 });
}, 90_000);
