import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { runStep } from '../../src/database/steps.ts';
import { sql } from '../../src/sql/sql.ts';
import type { Step } from '../../src/changes/change.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, takeOver } from '../support/database-change.ts';

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
    CREATE TABLE customers (id int PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 100) n`);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const columns = async (): Promise<string[]> =>
  (
    await sandbox.query<{ attname: string }>(
      `SELECT attname FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    )
  ).map(({ attname }) => attname);

const table = { schema: 'public', name: 'customers' };

describe('a step', () => {
  test('and its line in the history are one transaction, expand and contract apart', async () => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.steps(change.change.contract));
    const histories = await sandbox.query(
      `SELECT 'expand' AS history, step, epoch::int, direction FROM segue.expand_step
       UNION ALL SELECT 'contract', step, epoch::int, direction FROM segue.contract_step ORDER BY 1, 2`,
    );
    expect(histories).toEqual([
      { history: 'contract', step: expect.stringContaining('drop'), epoch: 1, direction: 'forward' },
      { history: 'expand', step: 'add-columns', epoch: 1, direction: 'forward' },
      { history: 'expand', step: 'triggers-wide', epoch: 1, direction: 'forward' },
    ]);
    expect(await columns()).toEqual(['id', 'full_name']);
    expect(
      await sandbox.query(
        `SELECT proname FROM pg_proc WHERE pronamespace = 'segue'::regnamespace ORDER BY 1`,
      ),
    ).toEqual([{ proname: 'note_conflict' }, { proname: 'note_use' }]);
  });

  test('that is done already does nothing, however often it is asked for', async () => {
    const change = await takeOver(db, fullName());
    const [step] = change.change.expand(change.id, await change.table());
    if (!step) throw new Error('no step');
    for (let n = 0; n < 3; n++)
      expectDone(await runStep(await change.ref(), step, { table, lockTimeoutMs: 500 }));
    expect(await columns()).toEqual(['id', 'first_name', 'last_name', 'full_name']);
    expect(await sandbox.query('SELECT step FROM segue.expand_step')).toEqual([{ step: 'add-columns' }]);
  });

  test('that fails leaves nothing of itself, and says what the server said', async () => {
    const change = await takeOver(db, fullName());
    const step: Step = {
      id: 'half',
      purpose: 'add and fail',
      lock: 'AccessExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [
        sql`ALTER TABLE public.customers ADD half int`,
        sql`ALTER TABLE public.customers ADD half int`,
      ],
      done: () => false,
    };
    const before = await change.ref();
    expect(await runStep(before, step, { table, lockTimeoutMs: 500 })).toMatchObject({
      kind: 'refused',
      reason: 'StepFailed',
      message: expect.stringMatching(/Could not add and fail: column "half".*already exists.*42701/),
    });
    expect(await columns()).toEqual(['id', 'first_name', 'last_name']);
    expect((await change.ref()).revision).toBe(before.revision);
  });

  test('that PostgreSQL wants outside a transaction runs there', async () => {
    const change = await takeOver(db, fullName());
    const step: Step = {
      id: 'index',
      purpose: 'make an index',
      lock: 'ShareUpdateExclusiveLock',
      transactional: false,
      destructive: false,
      statements: [sql`CREATE INDEX CONCURRENTLY by_name ON public.customers (last_name)`],
      done: (facts) => facts.dependents.some(({ name }) => name === 'by_name'),
    };
    expectDone(await runStep(await change.ref(), step, { table, lockTimeoutMs: 500 }));
    expectDone(await runStep(await change.ref(), step, { table, lockTimeoutMs: 500 }));
    expect(
      await sandbox.query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass`),
    ).toEqual([{ indisvalid: true }]);
  });
});

describe('a lock that others hold', () => {
  test('is given up after the timeout, its holder named; the application waits no longer than that', async () => {
    const change = await takeOver(db, fullName());
    const report = await sandbox.connect('report');
    await report.query('BEGIN');
    await report.query('SELECT count(*) FROM customers');
    const application = await sandbox.connect('application');
    let slowest = 0;
    const end = new AbortController();
    const serving = (async () => {
      while (!end.signal.aborted) {
        const began = performance.now();
        await application.query(`UPDATE customers SET last_name = 'x' WHERE id = 1`);
        slowest = Math.max(slowest, performance.now() - began);
      }
    })();
    const began = performance.now();
    const outcome = await change.steps(change.change.expand, 300);
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(outcome).toMatchObject({
      kind: 'deferred',
      reason: 'LockNotAvailable',
      blockedBy: {
        kind: 'Lock',
        message: expect.stringMatching(
          /^pid \d+ \(app=report, idle in transaction \d+s\) holds AccessShareLock on customers$/,
        ),
      },
      message: expect.stringContaining('add column full_name'),
    });
    if (outcome.kind === 'deferred') {
      expect(outcome.afterMs).toBeGreaterThanOrEqual(1_000);
      expect(outcome.afterMs).toBeLessThanOrEqual(5_000);
    }
    const since = (await change.ledger()).lockWaitSince;
    expect(since).toBeGreaterThan(0);
    expect(await change.steps(change.change.expand, 300)).toMatchObject({ kind: 'deferred' });
    expect((await change.ledger()).lockWaitSince).toBe(since);
    end.abort();
    await serving;
    expect(slowest).toBeLessThan(700);
    await report.query('COMMIT');
    expectDone(await change.steps(change.change.expand, 300));
    expect((await change.ledger()).lockWaitSince).toBeUndefined();
  });

  test('against everybody, catalog readers included, is given up too', async () => {
    const change = await takeOver(db, fullName());
    const [step] = change.change.expand(change.id, await change.table());
    if (!step) throw new Error('no step');
    const ref = await change.ref();
    const holder = await sandbox.connect('holder');
    await holder.query('BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE');
    expect(await runStep(ref, step, { table, lockTimeoutMs: 200 })).toMatchObject({
      kind: 'deferred',
      reason: 'LockNotAvailable',
    });
    await holder.query('ROLLBACK');
  });
});

describe('triggers', () => {
  test('reach a transaction that began before they were made', async () => {
    const early = await sandbox.connect('early');
    await early.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await early.query('SELECT 1 FROM pg_class LIMIT 1');
    const change = await dualWriting(db, fullName());
    await early.query(`UPDATE customers SET first_name = 'early' WHERE id = 1`);
    await early.query('COMMIT');
    expect(await sandbox.query('SELECT full_name FROM customers WHERE id = 1')).toEqual([
      { full_name: 'early last1' },
    ]);
    expectDone(await change.fillAll());
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
  });

  test('wait for a transaction that has already written, so that none of its rows escapes', async () => {
    const change = await takeOver(db, fullName());
    expectDone(await change.steps(change.change.expand));
    const writer = await sandbox.connect('writer');
    await writer.query('BEGIN');
    await writer.query(`INSERT INTO customers VALUES (200, 'w', 'r')`);
    expect(await change.steps((id, facts) => change.change.triggers(id, facts, 'wide'), 200)).toMatchObject({
      kind: 'deferred',
      blockedBy: { message: expect.stringContaining('app=writer') },
    });
    await writer.query('COMMIT');
    expectDone(await change.triggers('wide'));
    expectDone(await change.fillAll());
    expect(await sandbox.query('SELECT full_name FROM customers WHERE id = 200')).toEqual([
      { full_name: 'w r' },
    ]);
  });
});

describe('the proof of the triggers', () => {
  const proven = async (change: Awaited<ReturnType<typeof dualWriting>>) => ({
    outcome: await change.prove(),
    recorded: (await change.ledger()).triggersProven,
  });

  test('is a row that they fill, and leaves no trace', async () => {
    const change = await dualWriting(db, fullName());
    const before = await sandbox.query('SELECT xmin, ctid, * FROM customers ORDER BY id');
    expect(await proven(change)).toEqual({
      outcome: { kind: 'done', message: expect.stringContaining('seen on a row') },
      recorded: true,
    });
    expect(await sandbox.query('SELECT xmin, ctid, * FROM customers ORDER BY id')).toEqual(before);
  });

  test.each(['narrow', 'watch'] as const)('holds for %s triggers too', async (mode) => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    expectDone(await change.triggers(mode));
    expect(await proven(change)).toMatchObject({
      outcome: { message: expect.stringContaining('seen on a row') },
      recorded: true,
    });
    expect(await sandbox.query('SELECT FROM segue.column_use')).toEqual([]);
  });

  test('fails where another trigger undoes their work', async () => {
    await sandbox.script(`
      CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.full_name := NULL; RETURN NEW; END';`);
    const change = await dualWriting(db, fullName());
    // '~~' sorts after ours.
    await sandbox.script(
      'CREATE TRIGGER "~~spoil" BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION spoil()',
    );
    expect(await proven(change)).toMatchObject({
      outcome: { kind: 'refused', reason: 'StepFailed' },
      recorded: false,
    });
  });

  test('is the catalog’s word where there is no row, and says so', async () => {
    await sandbox.script('TRUNCATE customers');
    const change = await dualWriting(db, fullName());
    expect(await proven(change)).toMatchObject({
      outcome: { kind: 'done', message: expect.stringContaining('no row free') },
      recorded: true,
    });
  });

  test('is the catalog’s word where another trigger would fail the probe, and fails with a disabled trigger', async () => {
    await sandbox.script(`
      CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';`);
    const change = await dualWriting(db, fullName());
    await sandbox.script(
      'CREATE TRIGGER forbid AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION forbid()',
    );
    expect(await proven(change)).toMatchObject({
      outcome: { kind: 'done', message: expect.stringContaining('not tried on a row') },
    });
    await sandbox.script(`ALTER TABLE customers DISABLE TRIGGER "~segue_${change.id}_update"`);
    expect(await change.prove()).toMatchObject({ kind: 'refused' });
  });

  test('does not wait for rows that are held', async () => {
    const change = await dualWriting(db, fullName());
    const holder = await sandbox.connect('holder');
    await holder.query('BEGIN; SELECT FROM customers FOR UPDATE');
    const began = performance.now();
    expect(await proven(change)).toMatchObject({ outcome: { kind: 'done' }, recorded: true });
    expect(performance.now() - began).toBeLessThan(2_000);
    await holder.query('ROLLBACK');
  });
});

describe('dropping', () => {
  const ready = async () => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    expectDone(await change.triggers('watch'));
    expectDone(await change.steps(change.change.relax));
    expectDone(await change.mutate({ kind: 'startQuarantine' }));
    return change;
  };

  test('is refused where the table was made anew under the same name', async () => {
    const change = await ready();
    await sandbox.script(`
      ALTER TABLE customers RENAME TO customers_before;
      CREATE TABLE customers (id int, first_name text, last_name text, full_name text);
      INSERT INTO customers VALUES (1, 'precious', 'data')`);
    expect(await change.steps(change.change.contract)).toMatchObject({
      kind: 'refused',
      reason: 'TableChanged',
      message: expect.stringContaining('made anew'),
    });
    expect(await columns()).toEqual(['id', 'first_name', 'last_name', 'full_name']);
  });

  test('is refused where a column was made anew under the same name', async () => {
    const change = await ready();
    await sandbox.script(`
      ALTER TABLE customers RENAME first_name TO kept;
      ALTER TABLE customers ADD first_name text`);
    expect(await change.steps(change.change.contract)).toMatchObject({
      kind: 'refused',
      reason: 'TableChanged',
      message: expect.stringContaining('"first_name"'),
    });
    expect(await columns()).toContain('first_name');
  });

  test('of new columns, on the way back, is held to the same', async () => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.mutate({ kind: 'turnBack' }));
    await sandbox.script(`
      ALTER TABLE customers RENAME full_name TO kept;
      ALTER TABLE customers ADD full_name text`);
    expect(await change.steps(change.change.undo.expand)).toMatchObject({
      kind: 'refused',
      reason: 'TableChanged',
    });
    expect(await columns()).toContain('full_name');
  });

  test('stops for a write that was under way when the gate was judged', async () => {
    const change = await ready();
    const straggler = await sandbox.connect('straggler');
    await straggler.query('BEGIN');
    await straggler.query(`UPDATE customers SET first_name = 'late' WHERE id = 1`);
    expect((await change.ledger()).lastUse).toBeUndefined();
    const dropping = change.steps(change.change.contract, 2_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await straggler.query('COMMIT');
    expect(await dropping).toMatchObject({
      kind: 'deferred',
      reason: 'ColumnInUse',
      message: expect.stringContaining('straggler'),
    });
    expect(await columns()).toContain('first_name');
    expect((await change.ledger()).lastUse).toMatchObject({ kind: 'Write' });
  });

  test('takes columns, triggers and functions away in one transaction', async () => {
    const change = await ready();
    expectDone(await change.steps(change.change.contract));
    expect(await columns()).toEqual(['id', 'full_name']);
    const { triggers, marks } = await change.table();
    expect({ triggers, marks }).toEqual({ triggers: [], marks: {} });
    await sandbox.query(`INSERT INTO customers (id, full_name) VALUES (500, 'a b')`);
    expectDone(await change.steps(change.change.contract));
  });
});
