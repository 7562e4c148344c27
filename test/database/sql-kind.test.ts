/** Scripts on a real server: each statement once, whatever stops them half-way. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SqlChange } from '../../src/api/schema-change.ts';
import { changeOf } from '../../src/changes/registry.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { begin } from '../../src/database/ledger.ts';
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
  await sandbox.script(
    'CREATE TABLE people (id int PRIMARY KEY, mail text); INSERT INTO people VALUES (1, $$a$$)',
  );
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const scripts = (over: Partial<SqlChange>): Promise<DrivenChange> =>
  takeOver(db, { sql: { table: 'people', allowUnsafe: false, ...over } });

const expand = (driven: DrivenChange) => driven.steps(driven.change.expand);

const records = () =>
  sandbox.query<{ step: string; finished: boolean }>(
    'SELECT step, finished_at IS NOT NULL AS finished FROM segue.expand_step ORDER BY number',
  );

describe('a script', () => {
  test('that fails half-way keeps what is done, and goes on with the statement that failed', async () => {
    const driven = await scripts({
      expand: `CREATE TABLE one (); ALTER TABLE people ADD COLUMN two int; INSERT INTO missing VALUES (1); CREATE TABLE four ()`,
    });
    expect(await expand(driven)).toMatchObject({
      kind: 'refused',
      reason: 'StepFailed',
      message: expect.stringContaining('statement 3 of expand, line 1 (INSERT INTO)'),
    });
    expect(await records()).toEqual([
      { step: 'expand-1', finished: true },
      { step: 'expand-2', finished: true },
    ]);
    await sandbox.script('CREATE TABLE missing (id int)');
    expectDone(await expand(driven));
    expectDone(await expand(driven));
    expect(await sandbox.query('SELECT id FROM missing')).toEqual([{ id: 1 }]);
    expect((await records()).map(({ step }) => step)).toEqual([
      'expand-1',
      'expand-2',
      'expand-3',
      'expand-4',
    ]);
  });

  test('a statement that fails leaves no half of itself and no record', async () => {
    const driven = await scripts({
      expand: 'WITH added AS (INSERT INTO people VALUES (2) RETURNING id) SELECT 1 / (id - 2) FROM added',
    });
    expect(await expand(driven)).toMatchObject({ kind: 'refused' });
    expect(await sandbox.query('SELECT id FROM people')).toEqual([{ id: 1 }]);
    expect(await records()).toEqual([]);
  });

  test('whoever decided from an older state runs nothing a second time', async () => {
    const driven = await scripts({ expand: 'CREATE TABLE log (id serial); INSERT INTO log DEFAULT VALUES' });
    const [first, second] = driven.change.expand(driven.id, await driven.table());
    if (!first || !second) throw new Error('There are two steps.');
    const options = { table: driven.change.table, lockTimeoutMs: 500 };
    expectDone(await runStep(await driven.ref(), first, options));
    const early = await driven.ref();
    expectDone(await runStep(early, second, options));
    expect(await runStep(early, second, options)).toMatchObject({ kind: 'stale' });
    expectDone(await runStep(await driven.ref(), second, options));
    expect(await sandbox.query('SELECT id FROM log')).toEqual([{ id: 1 }]);
  });

  test('a statement that writes another table does not lock the one that is named', async () => {
    const driven = await scripts({ expand: 'CREATE TABLE copy AS SELECT * FROM people' });
    const other = await sandbox.connect('app');
    await other.query('BEGIN');
    await other.query('UPDATE people SET mail = $$b$$');
    expectDone(await expand(driven));
    await other.query('COMMIT');
    await other.end();
  });

  test('a lock that does not come is given up in time, and nothing is recorded', async () => {
    const driven = await scripts({ expand: 'ALTER TABLE people ADD COLUMN two int' });
    const other = await sandbox.connect('report');
    await other.query('BEGIN');
    await other.query('SELECT FROM people');
    expect(await expand(driven)).toMatchObject({ kind: 'deferred', reason: 'LockNotAvailable' });
    expect(await records()).toEqual([]);
    await other.query('COMMIT');
    await other.end();
    expectDone(await expand(driven));
  });
});

describe('outside a transaction', () => {
  const cutOff = async (driven: DrivenChange, step: string): Promise<void> => {
    await sandbox.query(
      `INSERT INTO segue.expand_step (change_id, step, purpose, direction, epoch, started_at, finished_at)
       VALUES ($1, $2, 'x', 'forward', 1, now(), NULL)`,
      [driven.id, step],
    );
  };

  test('a statement is on record before it begins, and the record is completed after it', async () => {
    const driven = await scripts({ expand: 'CREATE INDEX CONCURRENTLY i ON people (mail); VACUUM people' });
    const other = await sandbox.connect('report');
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await other.query('SELECT FROM people');
    const running = expand(driven);
    const waiting = `SELECT FROM pg_stat_activity WHERE application_name = 'segue' AND wait_event = 'virtualxid'`;
    for (let n = 0; n < 400 && (await sandbox.query(waiting)).length === 0; n++)
      await new Promise((resolve) => setTimeout(resolve, 25));
    expect(await records()).toEqual([{ step: 'expand-1', finished: false }]);
    expect((await driven.table()).steps).toEqual({ [`${driven.id}/expand-1`]: 'begun' });
    await other.query('COMMIT');
    await other.end();
    expectDone(await running);
    expect(await records()).toEqual([
      { step: 'expand-1', finished: true },
      { step: 'expand-2', finished: true },
    ]);
  });

  test('a build that was cut off is begun anew, one that came to its end is not', async () => {
    const driven = await scripts({ expand: 'CREATE INDEX CONCURRENTLY i ON people (mail)' });
    await cutOff(driven, 'expand-1');
    await sandbox.script('CREATE INDEX i ON people (id)');
    const ids = (): Promise<readonly string[]> =>
      driven.table().then((table) =>
        driven.change
          .expand(driven.id, table)
          .filter((step) => !step.done(table))
          .map(({ id }) => id),
      );
    expect(await ids()).toEqual([]);
    await sandbox.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass`);
    expect(await ids()).toEqual(['expand-1-clear', 'expand-1']);
    expectDone(await expand(driven));
    expect(await sandbox.query(`SELECT pg_get_indexdef('i'::regclass) AS index`)).toEqual([
      { index: 'CREATE INDEX i ON public.people USING btree (mail)' },
    ]);
  });

  test('an index of that name that nobody of ours began is not taken for ours', async () => {
    await sandbox.script('CREATE INDEX i ON people (id)');
    const driven = await scripts({ expand: 'CREATE INDEX CONCURRENTLY i ON people (mail)' });
    expect(await expand(driven)).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('already has an index "i"'),
    });
  });

  test('what nobody can tell waits for a person, and goes on with either statement of the message', async () => {
    const driven = await scripts({ expand: 'REINDEX TABLE CONCURRENTLY people' });
    await cutOff(driven, 'expand-1');
    const stuck = async (): Promise<string | undefined> => {
      const table = await driven.table();
      return driven.change.expand(driven.id, table)[0]?.stuck?.(table);
    };
    const [, update = ''] = /If it is done now: (UPDATE [^.]*\.[^.]*)\./.exec((await stuck()) ?? '') ?? [];
    await sandbox.query(update);
    expect(await stuck()).toBeUndefined();
    expectDone(await expand(driven));
    expect(await records()).toEqual([{ step: 'expand-1', finished: true }]);
    await sandbox.query('DELETE FROM segue.expand_step');
    expectDone(await expand(driven));
    expect(await records()).toEqual([{ step: 'expand-1', finished: true }]);
  });
});

test('no other change is at work on the table meanwhile, whatever its columns are', async () => {
  const driven = await scripts({ expand: 'SELECT 1' });
  const spec = { dropColumn: { table: 'people', column: 'mail' } };
  const other = changeOf(spec);
  const beginning = {
    uid: 'uid-2',
    namespace: 'shop',
    name: 'other',
    change: spec,
    table: await driven.table(),
    oldColumns: other.oldColumns,
    newColumns: other.newColumns,
  };
  // takeOver begins without what a change rests on.
  await sandbox.query(`UPDATE segue.change SET old_columns = '{*}'`);
  expect(await begin(db, driven.fence, beginning)).toMatchObject({
    kind: 'deferred',
    reason: 'ConflictingChange',
    message: expect.stringContaining('shop/change'),
  });
  await sandbox.query(`UPDATE segue.change SET state = 'Completed'`);
  expectDone(await begin(db, driven.fence, beginning));
});
