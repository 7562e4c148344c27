/** Indexes of partitioned tables while partitions come, go and fail half-way. The lifecycle has the orderly course. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { changeOf } from '../../src/changes/registry.ts';
import { readTable } from '../../src/database/catalog.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { runStep } from '../../src/database/steps.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { expectDone, takeOver, type DrivenChange } from '../support/database-change.ts';

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
    CREATE TABLE event (id bigint, day int, kind text) PARTITION BY LIST (day);
    CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1);
    CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2) PARTITION BY RANGE (id);
    CREATE TABLE event_2_low PARTITION OF event_2 FOR VALUES FROM (0) TO (100);
    INSERT INTO event SELECT n, 1 + n % 2, 'k' || n FROM generate_series(0, 99) n`);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const index = (over: object = {}): ChangeSpec => ({
  createIndex: {
    table: 'event',
    name: 'event_kind',
    keys: [{ column: 'kind' }],
    unique: false,
    method: 'btree',
    ...over,
  },
});
const unique: ChangeSpec = {
  addConstraint: { table: 'event', unique: { name: 'event_key', columns: ['id', 'day'] } },
};

/** Steps one by one, each decided from the catalog as it is then; `meanwhile` runs once before the n-th. */
const drive = async (
  driven: DrivenChange,
  way: 'constrain' | 'undo',
  meanwhile?: { readonly before: number; readonly run: () => Promise<unknown> },
): Promise<readonly string[]> => {
  const did: string[] = [];
  for (let n = 1; n < 60; n++) {
    if (meanwhile?.before === n) await meanwhile.run();
    const table = await driven.table();
    const steps =
      way === 'constrain'
        ? driven.change.constrain(driven.id, table)
        : driven.change.undo.constrain(driven.id, table, []);
    const step = steps.find((candidate) => !candidate.done(table));
    if (step === undefined) return did;
    const outcome = await runStep(await driven.ref(), step, {
      table: driven.change.table,
      lockTimeoutMs: 500,
    });
    expectDone(outcome);
    did.push(step.id);
  }
  throw new Error(`No end in sight: ${did.join(', ')}`);
};

/** Indexes of each table of the tree, as "table: valid attached". */
const tree = async (): Promise<readonly string[]> =>
  (
    await sandbox.query<{ line: string }>(
      `SELECT format('%s: %s %s', p.relid, CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END,
         CASE WHEN h.inhparent IS NULL THEN '-' ELSE 'attached' END) AS line
       FROM pg_partition_tree('event') p JOIN pg_index i ON i.indrelid = p.relid
       LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid ORDER BY p.relid::text`,
    )
  ).map(({ line }) => line);

const whole = [
  'event: valid -',
  'event_1: valid attached',
  'event_2: valid attached',
  'event_2_low: valid attached',
];

test.each([
  ['an index', index()],
  ['a unique constraint', unique],
])(
  '%s comes whole, whenever a partition is added, attached or dropped meanwhile, and goes without a trace',
  async (_, spec) => {
    const before: readonly string[] = await tree();
    let steps = 0;
    for (const n of [1, 3, 5, 8]) {
      const driven = await takeOver(db, spec);
      const run = (): Promise<void> =>
        sandbox.script(`
        CREATE TABLE event_2_high PARTITION OF event_2 FOR VALUES FROM (100) TO (200);
        CREATE TABLE event_3 (LIKE event); INSERT INTO event_3 VALUES (1, 3, 'x');
        ALTER TABLE event ATTACH PARTITION event_3 FOR VALUES IN (3)`);
      steps = (await drive(driven, 'constrain', { before: n, run })).length;
      expect(await tree()).toEqual([
        ...whole.slice(0, 3),
        'event_2_high: valid attached',
        'event_2_low: valid attached',
        'event_3: valid attached',
      ]);
      await sandbox.script('DROP TABLE event_2_high; DROP TABLE event_3');
      await drive(driven, 'undo');
      expect(await tree()).toEqual(before);
      await sandbox.query(`UPDATE segue.change SET state = 'RolledBack'`);
      await sandbox.query('DELETE FROM segue.change');
    }
    expect(steps).toBeGreaterThan(4);
  },
  120_000,
);

test.each([
  ['an index', index()],
  ['a unique constraint', unique],
])(
  '%s is walked back from any step',
  async (_, spec) => {
    for (const n of [2, 3, 4, 5, 7, 20]) {
      const driven = await takeOver(db, spec);
      const stop = new Error('stop');
      const done = await drive(driven, 'constrain', { before: n, run: () => Promise.reject(stop) }).then(
        () => true,
        (error: unknown) => {
          if (error !== stop) throw error;
          return false;
        },
      );
      await drive(driven, 'undo');
      expect(await tree()).toEqual([]);
      await sandbox.query('DELETE FROM segue.change');
      if (done) return;
    }
  },
  60_000,
);

test('a partition whose build failed is named with its rows, and built once they are mended', async () => {
  await sandbox.script(`INSERT INTO event VALUES (5, 1, 'twice'), (5, 1, 'twice')`);
  const driven = await takeOver(db, unique);
  const outcome = await driven.steps(driven.change.constrain);
  expect(outcome).toMatchObject({
    kind: 'deferred',
    reason: 'BadRows',
    message: expect.stringContaining('ctid'),
  });
  await sandbox.script(`DELETE FROM event WHERE kind = 'twice'`);
  await drive(driven, 'constrain');
  expect(await tree()).toEqual(whole);
});

test('a unique index without the partition key is refused with the way out', async () => {
  const change = changeOf(index({ unique: true }));
  const table = await readTable(db, change.table);
  if (table === undefined) throw new Error('The table is gone.');
  expect(change.preflight(table)).toEqual([
    { reason: 'UnsupportedTable', message: expect.stringContaining('Add "day", "id" to the columns') },
  ]);
});
