import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { FencedError } from '../../src/api/outcome.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { claim } from '../../src/database/fence.ts';
import { activeChanges, applyMutation, begin, held } from '../../src/database/ledger.ts';
import { readLedger } from '../../src/database/read-ledger.ts';
import { ensureSchema } from '../../src/database/schema.ts';
import { sql } from '../../src/sql/sql.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, fullName, takeOver } from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;
const resource = { namespace: 'shop', name: 'change' };

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(
    'CREATE TABLE customers (id int PRIMARY KEY, first_name text NOT NULL, last_name text)',
  );
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

describe('schema segue', () => {
  test('is made once, whoever comes at the same time', async () => {
    const others = Array.from({ length: 4 }, () => new Databases());
    const outcomes = await Promise.all(others.map((other) => ensureSchema(other.open(sandbox.uri))));
    expect(outcomes).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ kind: 'done' })));
    expect(await sandbox.query('SELECT version, breaking FROM segue.version')).toEqual([
      { version: 1, breaking: 1 },
    ]);
    await Promise.all(others.map((other) => other.close()));
  });

  test('of somebody else is not touched', async () => {
    await sandbox.script('CREATE SCHEMA segue; CREATE TABLE segue.theirs ()');
    expect(await ensureSchema(db)).toMatchObject({ kind: 'refused', reason: 'ForeignLedger' });
    expect(await readLedger(db, resource)).toBeUndefined();
    expect(
      await sandbox.query(`SELECT relname FROM pg_class WHERE relnamespace = 'segue'::regnamespace`),
    ).toEqual([{ relname: 'theirs' }]);
  });

  test('of a newer Segue is refused if that says so, and read if not', async () => {
    await takeOver(db, fullName());
    await sandbox.query('UPDATE segue.version SET version = 7, breaking = 1');
    expect(await readLedger(db, resource)).toBeDefined();
    await sandbox.query('UPDATE segue.version SET version = 7, breaking = 2');
    expect(await ensureSchema(db)).toMatchObject({ kind: 'refused', reason: 'ForeignLedger' });
    await expect(readLedger(db, resource)).rejects.toThrow(/newer Segue/);
  });

  test('needs a role that may make it, and says so', async () => {
    await sandbox.script(`DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'pw'`);
    const guest = databases.open(server.uriFor(sandbox, 'guest', 'pw'));
    expect(await ensureSchema(guest)).toMatchObject({
      kind: 'refused',
      reason: 'InsufficientPrivilege',
      message: expect.stringContaining('permission denied'),
    });
  });

  test('shows others its functions, never its tables', async () => {
    await takeOver(db, fullName());
    await sandbox.script(`DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'pw'`);
    const guest = databases.open(server.uriFor(sandbox, 'guest', 'pw'));
    const read = (table: string) =>
      guest.transaction({ mode: 'read' }, (session) =>
        session.rows(table === 'change' ? sql`SELECT FROM segue.change` : sql`SELECT FROM segue.column_use`),
      );
    await expect(read('change')).rejects.toMatchObject({ kind: 'privilege' });
    await expect(read('column_use')).rejects.toMatchObject({ kind: 'privilege' });
    // Callable, so that triggers can; without effect, where no trigger calls.
    await guest.transaction({ mode: 'write' }, (session) => session.run(sql`SELECT segue.note_use(1)`));
    expect(await sandbox.query('SELECT FROM segue.column_use')).toEqual([]);
  });
});

describe('the beginning of a change', () => {
  test('is remembered with what the table was', async () => {
    expect(await readLedger(db, resource)).toBeUndefined();
    const change = await takeOver(db, fullName());
    const ledger = await change.ledger();
    expect(ledger).toMatchObject({
      uid: 'uid-1',
      state: 'Active',
      phase: 'AddColumn',
      direction: 'forward',
      revision: 1,
      change: fullName(),
      tableOid: (await change.table()).oid,
      attnums: { first_name: 2, last_name: 3 },
      oldNotNull: ['first_name'],
      triggersProven: false,
      approvals: [],
      conflicts: 0,
      handledRetry: '',
    });
    expect(ledger.history).toEqual([{ phase: 'AddColumn', startedAt: expect.any(Number) }]);
    expect(Math.abs((ledger.history[0]?.startedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test('is made once', async () => {
    const change = await takeOver(db, fullName());
    const { oldColumns, newColumns } = change.change;
    const again = {
      ...resource,
      uid: 'uid-2',
      change: fullName(),
      table: await change.table(),
      oldColumns,
      newColumns,
    };
    expect(await begin(db, change.fence, again)).toMatchObject({ kind: 'stale' });
  });

  test('waits while another change has one of its columns, and not while it has others', async () => {
    const change = await takeOver(db, fullName());
    const table = await change.table();
    const beginning = { namespace: 'shop', name: 'second', uid: 'uid-2', change: {}, table };
    const clash = { ...beginning, oldColumns: ['last_name'], newColumns: ['surname'] };
    expect(await begin(db, change.fence, clash)).toMatchObject({
      kind: 'deferred',
      reason: 'ConflictingChange',
      message: expect.stringContaining('shop/change'),
    });
    expectDone(await begin(db, change.fence, { ...beginning, oldColumns: ['id'], newColumns: ['key'] }));
    expect((await activeChanges(db, table.oid)).map(({ name }) => name)).toEqual(['change', 'second']);
    expectDone(await change.mutate({ kind: 'finish', state: 'RolledBack' }));
    expectDone(await begin(db, change.fence, { ...clash, name: 'third' }));
  });

  test('after an end makes a new row, and the newest is read', async () => {
    const first = await takeOver(db, fullName());
    expectDone(await first.mutate({ kind: 'finish', state: 'RolledBack' }));
    expect(await first.ledger()).toMatchObject({ state: 'RolledBack', id: first.id });
    const { oldColumns, newColumns } = first.change;
    expectDone(
      await begin(db, first.fence, {
        ...resource,
        uid: 'uid-2',
        change: {},
        table: await first.table(),
        oldColumns,
        newColumns,
      }),
    );
    const second = await first.ledger();
    expect(second).toMatchObject({ state: 'Active', uid: 'uid-2' });
    expect(second.id).toBeGreaterThan(first.id);
  });
});

describe('every write', () => {
  test('names the revision that it was decided from; a second one from the same is stale', async () => {
    const change = await takeOver(db, fullName());
    const ref = await change.ref();
    expectDone(await applyMutation(ref, { kind: 'enterPhase', to: 'DualWrite' }));
    expect(await applyMutation(ref, { kind: 'enterPhase', to: 'Backfill' })).toMatchObject({ kind: 'stale' });
    expect(await change.ledger()).toMatchObject({ phase: 'DualWrite', revision: ref.revision + 1 });
  });

  test('of twenty at once from one revision exactly one wins', async () => {
    const change = await takeOver(db, fullName());
    const ref = await change.ref();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => applyMutation(ref, { kind: 'handleRetry', value: String(n) })),
    );
    const kinds = outcomes.map(({ kind }) => kind).sort();
    expect(kinds.filter((kind) => kind === 'done')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'stale')).toHaveLength(19);
  });

  test('of an operator whose epoch is over is refused', async () => {
    const change = await dualWriting(db, fullName());
    const stalled = await change.ref();
    const claimed = await claim(db, 'successor');
    expect(claimed).toMatchObject({
      kind: 'claimed',
      fence: { epoch: change.fence.epoch + 1, holder: 'successor' },
    });
    await expect(applyMutation(stalled, { kind: 'turnBack' })).rejects.toThrow(FencedError);
    await expect(applyMutation(stalled, { kind: 'turnBack' })).rejects.toThrow(/successor.*epoch/);
    // Rows of the table are out of its reach as well.
    await sandbox.query(`INSERT INTO customers (id, first_name, last_name) VALUES (1, 'a', 'b')`);
    await sandbox.query(`ALTER TABLE customers DISABLE TRIGGER USER`);
    await sandbox.query(`UPDATE customers SET full_name = NULL`);
    await expect(change.stretch()).rejects.toThrow(FencedError);
    await expect(change.steps(change.change.contract)).rejects.toThrow(FencedError);
    expect(await sandbox.query('SELECT full_name FROM customers')).toEqual([{ full_name: null }]);
    expect((await change.ledger()).direction).toBe('forward');
  });

  test('of the old epoch that has begun ends before a successor has the database', async () => {
    const change = await takeOver(db, fullName());
    const ref = await change.ref();
    const events: string[] = [];
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const writing = held(ref, { doing: 'write slowly' }, async () => {
      await gate;
      events.push('committed');
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const claiming = claim(databases.open(`${sandbox.uri}?x=1`), 'successor').then(() =>
      events.push('claimed'),
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    release();
    await Promise.all([writing, claiming]);
    expect(events).toEqual(['committed', 'claimed']);
  });
});

describe('what is remembered', () => {
  test('phases with their times, approvals, the quarantine and its restarts', async () => {
    const change = await takeOver(db, fullName());
    expectDone(await change.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
    expectDone(await change.mutate({ kind: 'enterPhase', to: 'Backfill', skipped: 'no triggers' }));
    expectDone(await change.mutate({ kind: 'approve', phase: 'Drop', by: 'ada' }));
    expectDone(await change.mutate({ kind: 'approve', phase: 'Drop', by: 'bob' }));
    expectDone(await change.mutate({ kind: 'startQuarantine' }));
    const started = await change.ledger();
    expect(started.history).toEqual([
      { phase: 'AddColumn', startedAt: expect.any(Number), completedAt: expect.any(Number) },
      {
        phase: 'DualWrite',
        startedAt: expect.any(Number),
        completedAt: expect.any(Number),
        skipped: 'no triggers',
      },
      { phase: 'Backfill', startedAt: expect.any(Number) },
    ]);
    expect(started.approvals).toEqual([{ phase: 'Drop', by: 'bob', at: expect.any(Number) }]);
    const use = { at: Date.now(), by: 'pod shop-1', kind: 'Pod' } as const;
    expectDone(await change.mutate({ kind: 'restartQuarantine', use }));
    const restarted = await change.ledger();
    expect(restarted.quarantineStartedAt).toBeGreaterThan(started.quarantineStartedAt ?? Infinity);
    expect(restarted.lastUse).toEqual(use);
    expectDone(await change.mutate({ kind: 'adopt', uid: 'uid-9' }));
    expectDone(await change.mutate({ kind: 'turnBack' }));
    expect(await change.ledger()).toMatchObject({ uid: 'uid-9', direction: 'back', state: 'Active' });
  });

  test('since when a lock is waited for: the first time, until it is had or the phase ends', async () => {
    const change = await takeOver(db, fullName());
    expectDone(await change.mutate({ kind: 'noteLockWait' }));
    const { lockWaitSince } = await change.ledger();
    expectDone(await change.mutate({ kind: 'noteLockWait' }));
    expect((await change.ledger()).lockWaitSince).toBe(lockWaitSince);
    expectDone(await change.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
    expect((await change.ledger()).lockWaitSince).toBeUndefined();
  });

  test('that triggers were proven: of those that stand, not of those that replaced them', async () => {
    const change = await dualWriting(db, fullName());
    await sandbox.query(`INSERT INTO customers VALUES (1, 'a', 'b')`);
    expectDone(await change.prove());
    expect((await change.ledger()).triggersProven).toBe(true);
    expectDone(await change.triggers('narrow'));
    expect((await change.ledger()).triggersProven).toBe(false);
  });

  test('writes to old columns in the quarantine, with who made them', async () => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    expectDone(await change.triggers('watch'));
    expectDone(await change.mutate({ kind: 'startQuarantine' }));
    expect((await change.ledger()).lastUse).toBeUndefined();
    const old = await sandbox.connect('legacy-report');
    await old.query(`INSERT INTO customers (id, first_name, last_name) VALUES (1, 'a', 'b')`);
    const { lastUse, quarantineStartedAt } = await change.ledger();
    expect(lastUse).toMatchObject({ by: 'postgres (legacy-report)', kind: 'Write' });
    expect(lastUse?.at).toBeGreaterThan(quarantineStartedAt ?? Infinity);
    // Without end, but on record only once a second.
    for (let n = 0; n < 50; n++) await old.query(`UPDATE customers SET first_name = 'x' || $1`, [n]);
    const [noted] = await sandbox.query<{ count: string }>('SELECT count(*) FROM segue.column_use');
    expect(Number(noted?.count)).toBeLessThan(5);
    // New code is no use of the old columns.
    expectDone(await change.mutate({ kind: 'startQuarantine' }));
    await sandbox.query(`UPDATE customers SET full_name = 'c d'`);
    expect((await change.ledger()).lastUse).toBeUndefined();
  });

  test('rows that the triggers could not keep in step, each once', async () => {
    await sandbox.script(
      `CREATE TABLE items (id int PRIMARY KEY, amount text); INSERT INTO items VALUES (1, '1')`,
    );
    const change = await dualWriting(db, {
      replaceColumns: {
        table: 'items',
        from: ['amount'],
        to: [{ name: 'amount_int', type: 'integer', nullable: true }],
        forward: { amount_int: 'amount::integer' },
        backward: { amount: 'amount_int::text' },
      },
    });
    for (const value of ['one', 'two', 'three']) await sandbox.query('UPDATE items SET amount = $1', [value]);
    expect((await change.ledger()).conflicts).toBe(1);
    expect(await sandbox.query('SELECT side, key, sqlstate, usr FROM segue.conflict')).toEqual([
      { side: 'forward', key: { id: 1 }, sqlstate: '22P02', usr: 'postgres' },
    ]);
    expect(await sandbox.query('SELECT amount, amount_int FROM items')).toEqual([
      { amount: 'three', amount_int: null },
    ]);
  });

  test('the application’s write goes through even where our book-keeping cannot', async () => {
    const change = await dualWriting(db, fullName());
    expectDone(await change.triggers('watch'));
    await sandbox.script(
      'ALTER TABLE segue.column_use RENAME TO lost; ALTER TABLE segue.conflict RENAME TO lost_too',
    );
    await sandbox.query(`INSERT INTO customers (id, first_name, last_name) VALUES (1, 'a', 'b')`);
    expect(await sandbox.query('SELECT full_name FROM customers')).toEqual([{ full_name: 'a b' }]);
  });
});
