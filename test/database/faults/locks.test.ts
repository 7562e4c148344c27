/** A session that holds the table: nobody queues for long behind us, it is named, and the change goes on after it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { ChangeSpec, SchemaChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { eventually } from '../../support/eventually.ts';
import { LockProbe, type Waits } from '../../support/lock-probe.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer({
    deadlock_timeout: '1s',
    max_prepared_transactions: 5,
    autovacuum: 'on',
    autovacuum_naptime: '1s',
  });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text) WITH (autovacuum_enabled = off);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'c1' FROM generate_series(1, 200) n`);
});
afterEach(async () => {
  await loop.close();
  for (const { gid } of await sandbox.query<{ gid: string }>(
    `SELECT gid FROM pg_prepared_xacts WHERE database = current_database()`,
  ))
    await sandbox.script(`ROLLBACK PREPARED '${gid.replaceAll("'", "''")}'`);
  await sandbox.close();
});

const lockTimeoutMs = 300;
const begun = (change: ChangeSpec = fullName(), spec: Partial<SchemaChangeSpec> = {}): OperatorLoop => {
  loop = new OperatorLoop(sandbox.uri, change, {
    spec: { locks: { timeout: `${lockTimeoutMs}ms`, giveUpAfter: '1h' }, ...spec },
  });
  return loop;
};

const withinBounds = (
  { p999Ms, slowestMs, noiseMs, samples, errors }: Waits,
  boundMs = lockTimeoutMs,
): void => {
  expect(errors).toEqual([]);
  expect(samples).toBeGreaterThan(20);
  expect(p999Ms).toBeLessThan(boundMs + 50 + noiseMs);
  expect(slowestMs).toBeLessThan(boundMs + 50 + noiseMs);
};

const waitsForLock = ({ reason }: { readonly reason: string }): boolean => reason === 'LockNotAvailable';

interface Holder {
  readonly name: string;
  readonly hold: (client: pg.Client) => Promise<unknown>;
  readonly says: RegExp;
  readonly release: (client: pg.Client) => Promise<unknown>;
  /** How long others may have to wait. */
  readonly boundMs?: number;
}

const commit = (client: pg.Client): Promise<unknown> => client.query('COMMIT');

const holders: readonly Holder[] = [
  {
    name: 'idle in a transaction that has read',
    hold: (client) => client.query('BEGIN; SELECT count(*) FROM customers'),
    says: /^pid \d+ \(app=report, idle in transaction \d+s\) holds AccessShareLock on customers$/,
    release: commit,
  },
  {
    name: 'idle in a transaction that has written',
    hold: (client) => client.query(`BEGIN; UPDATE customers SET city = 'held' WHERE id = 77`),
    says: /^pid \d+ \(app=report, idle in transaction \d+s\) holds RowExclusiveLock on customers$/,
    release: commit,
  },
  {
    name: 'in a long report',
    hold: async (client) => {
      void client.query('SELECT pg_sleep(600) FROM customers LIMIT 1').catch(() => undefined);
      await eventually(async () => {
        const [found] = await sandbox.query(
          `SELECT FROM pg_locks WHERE relation = 'customers'::regclass AND granted`,
        );
        expect(found).toBeDefined();
      });
    },
    says: /^pid \d+ \(app=report, active \d+s\) holds AccessShareLock on customers$/,
    release: () =>
      sandbox.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'report'`),
  },
  {
    name: 'vacuuming by hand: nobody waits at all',
    hold: (client) => client.query('BEGIN; LOCK TABLE customers IN SHARE UPDATE EXCLUSIVE MODE'),
    says: /holds ShareUpdateExclusiveLock on customers$/,
    release: commit,
    boundMs: 0,
  },
  {
    name: 'gone, and has left a prepared transaction',
    hold: (client) =>
      client.query(
        `BEGIN; UPDATE customers SET city = 'held' WHERE id = 77; PREPARE TRANSACTION 'it''s ${sandbox.name}'`,
      ),
    says: /^prepared transaction 'it''s t_\w+' \(role=postgres, \d+s\) holds RowExclusiveLock on customers; no session holds it: COMMIT PREPARED 'it''s t_\w+' or ROLLBACK PREPARED 'it''s t_\w+' ends it$/,
    release: (client) => client.query(`COMMIT PREPARED 'it''s ${sandbox.name}'`),
  },
];

describe('while a session is', () => {
  test.each(holders)('$name', async ({ hold, says, release, boundMs }) => {
    begun();
    await loop.until(({ did }) => did === 'begin');
    const report = await sandbox.connect('report');
    await hold(report);
    const probe = await LockProbe.start(sandbox);
    for (let tries = 0; tries < 3; tries += 1) {
      const look = await loop.until(({ did }) => did !== undefined);
      expect(look).toMatchObject({ reason: 'LockNotAvailable', blockedBy: expect.stringMatching(says) });
      // Between one and five seconds, at random.
      expect(look.afterMs).toBeGreaterThanOrEqual(1_000);
      expect(look.afterMs).toBeLessThanOrEqual(5_000);
    }
    withinBounds(await probe.stop(), boundMs);
    const delays = new Set(loop.told.map(({ afterMs }) => afterMs));
    expect(delays.size).toBeGreaterThan(1);
    expect(loop.resource.status?.blockedBy).toMatchObject({ kind: 'Lock' });
    expect(await loop.metric('segue_lock_wait_seconds')).toBeGreaterThan(0);
    expect(await loop.metric('segue_blocked')).toBe(1);
    await release(report);
    await loop.complete();
    expect(loop.resource.status?.blockedBy).toBeUndefined();
  });

  test('truncating the table, so that it can’t even be looked at', async () => {
    begun();
    await loop.until(({ did }) => did === 'begin');
    const other = await sandbox.connect('importer');
    await other.query('BEGIN; TRUNCATE customers');
    expect(await loop.look()).toMatchObject({
      reason: 'LockNotAvailable',
      blockedBy: expect.stringMatching(
        /pid \d+ \(app=importer, idle in transaction \d+s\) holds AccessExclusiveLock/,
      ),
    });
    await other.query('ROLLBACK');
    await loop.complete();
  });

  test('there for longer than giveUpAfter: given up, and taken up again when asked', async () => {
    begun(fullName(), { locks: { timeout: '100ms', giveUpAfter: '1s' } });
    await loop.until(({ did }) => did === 'begin');
    const report = await sandbox.connect('report');
    await report.query('BEGIN; SELECT count(*) FROM customers');
    const given = await loop.until(({ reason }) => reason === 'LockGivenUp');
    expect(given.message).toContain('segue.dev/retry');
    expect(await loop.metric('segue_lock_wait_seconds')).toBeGreaterThanOrEqual(1);
    expect(await loop.metric('segue_stalled')).toBe(1);
    expect(loop.resource.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True' }),
    );
    await report.query('COMMIT');
    loop.retry();
    await loop.complete();
  });
});

describe('autovacuum', () => {
  const slow = `ALTER TABLE customers SET (autovacuum_enabled = on, autovacuum_vacuum_cost_delay = 100,
    autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0`;
  const running = (query: string): Promise<void> =>
    eventually(async () => {
      const found = await sandbox.query(
        `SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE $1`,
        [query],
      );
      expect(found).toHaveLength(1);
    }, 20_000);

  test('gives way, though locks.timeout is shorter than deadlock_timeout', async () => {
    await sandbox.script(`INSERT INTO customers SELECT n, 'f', 'l', 'c' FROM generate_series(201, 20000) n;
      ANALYZE customers; ${slow}); UPDATE customers SET city = 'd'`);
    begun();
    await loop.until(({ did }) => did === 'begin');
    await running('autovacuum: VACUUM%customers');
    await loop.until(({ did }) => did === 'step add-columns');
    await loop.to('AddColumn', 10_000);
    await sandbox.script('ALTER TABLE customers SET (autovacuum_enabled = off)');
  }, 90_000);

  test('to prevent wraparound does not: it is named, and nobody waits behind us', async () => {
    await sandbox.script(`INSERT INTO customers SELECT n, 'f', 'l', 'c' FROM generate_series(201, 20000) n;
      ANALYZE customers; ${slow}, autovacuum_freeze_max_age = 100000)`);
    // Each exception handler is a subtransaction, and each that writes takes a transaction number.
    await sandbox.script(`CREATE TABLE burnt (n int);
      DO $$ BEGIN FOR n IN 1..110000 LOOP BEGIN INSERT INTO burnt VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`);
    begun();
    await loop.until(({ did }) => did === 'begin');
    await running('autovacuum: VACUUM%customers (to prevent wraparound)');
    const probe = await LockProbe.start(sandbox);
    const look = await loop.until(waitsForLock);
    expect(look.blockedBy).toMatch(
      /^autovacuum to prevent wraparound \(pid \d+, \d+s\) holds ShareUpdateExclusiveLock on customers; it ends by itself, and must not be stopped$/,
    );
    withinBounds(await probe.stop(), 0);
    // No other one is to begin while the table goes away.
    await sandbox.query('ALTER SYSTEM SET autovacuum = off');
    await sandbox.query('SELECT pg_reload_conf()');
    await sandbox.query(
      `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'`,
    );
  }, 60_000);
});

describe('a foreign key', () => {
  const reference: ChangeSpec = {
    addConstraint: {
      table: 'public.customers',
      foreignKey: {
        name: 'customers_city',
        columns: ['city'],
        references: { table: 'public.cities', columns: ['code'] },
        onDelete: 'NoAction',
      },
    },
  };
  beforeEach(() =>
    sandbox.script(`CREATE TABLE cities (id int, code text PRIMARY KEY, city text);
      INSERT INTO cities VALUES (1, 'c1', ''), (2, 'probe', '')`),
  );

  test('whose referenced table is held: nobody waits twice, and the holder is named', async () => {
    begun(reference);
    await loop.until(({ did }) => did === 'begin');
    const [one, two] = [await sandbox.connect('one'), await sandbox.connect('two')];
    await two.query(`BEGIN; UPDATE cities SET city = 'held' WHERE id = 2`);
    // The first lock comes late, so that the two waits would add up.
    await one.query(`BEGIN; UPDATE customers SET city = 'c1' WHERE id = 77`);
    const probe = await LockProbe.start(sandbox);
    const looking = loop.until(waitsForLock);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await one.query('COMMIT');
    const look = await looking;
    expect(look.blockedBy).toMatch(/app=two.* holds RowExclusiveLock on cities/);
    withinBounds(await probe.stop());
    await two.query('COMMIT');
    await loop.complete();
  });

  test('withdrawn while its referenced table is read: its readers wait no longer than the timeout', async () => {
    begun(reference);
    await loop.to('AddColumn');
    loop.patch({ rollback: true });
    const report = await sandbox.connect('report');
    await report.query('BEGIN; SELECT FROM cities');
    const probe = await LockProbe.start(sandbox, 'cities');
    const look = await loop.until(waitsForLock);
    expect(look.blockedBy).toMatch(/app=report.* holds AccessShareLock on cities/);
    withinBounds(await probe.stop());
    await report.query('COMMIT');
    await loop.until(({ phase }) => phase === 'RolledBack');
  });
});

test('a partitioned table: the waits for its partitions do not add up', async () => {
  await sandbox.script(`DROP TABLE customers;
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text) PARTITION BY RANGE (id);
    ${[0, 1, 2, 3].map((n) => `CREATE TABLE customers_${n} PARTITION OF customers FOR VALUES FROM (${n * 100}) TO (${n * 100 + 100});`).join('\n')}
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'c1' FROM generate_series(1, 399) n`);
  begun();
  await loop.until(({ did }) => did === 'begin');
  const clients: pg.Client[] = [];
  for (const n of [0, 1, 2, 3]) {
    const client = await sandbox.connect(`holder ${n}`);
    await client.query(`BEGIN; SELECT FROM customers_${n}`);
    clients.push(client);
  }
  const probe = await LockProbe.start(sandbox);
  const looking = loop.until(waitsForLock);
  for (const [n, client] of clients.entries())
    if (n < 3) setTimeout(() => void client.query('COMMIT'), 250 + n * 250);
  await looking;
  withinBounds(await probe.stop());
  for (const client of clients) await client.query('COMMIT');
  await loop.complete();
});

describe('rows that a session holds', () => {
  test('hold up the backfill alone, which names the session, gives up and goes on when asked', async () => {
    begun(fullName(), { locks: { timeout: '300ms', giveUpAfter: '2s' } });
    await loop.to('DualWrite');
    const editor = await sandbox.connect('editor');
    await editor.query('BEGIN; SELECT FROM customers WHERE id = 150 FOR UPDATE');
    loop.patch({ targetPhase: 'Drop' });
    const probe = await LockProbe.start(sandbox);
    const look = await loop.until(waitsForLock, 40_000);
    expect(look.blockedBy).toMatch(
      /pid \d+ \(app=editor, idle in transaction \d+s\) may hold rows of customers/,
    );
    await loop.until(({ reason }) => reason === 'LockGivenUp', 40_000);
    withinBounds(await probe.stop());
    await editor.query('COMMIT');
    loop.retry();
    await loop.complete();
  });
});

test('an index is built beside an older transaction: nobody waits, and it ends when that does', async () => {
  const index: ChangeSpec = {
    createIndex: {
      table: 'public.customers',
      name: 'by_city',
      keys: [{ column: 'city' }],
      unique: false,
      method: 'btree',
    },
  };
  begun(index);
  await loop.to('DualWrite');
  const older = await sandbox.connect('older');
  await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM customers');
  const probe = await LockProbe.start(sandbox);
  loop.patch({ targetPhase: 'Drop' });
  const building = loop.complete();
  await eventually(async () => {
    const found = await sandbox.query(
      `SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'`,
    );
    expect(found).toHaveLength(1);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  withinBounds(await probe.stop(), 0);
  await older.query('COMMIT');
  await building;
});
