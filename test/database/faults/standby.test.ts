/** A streaming standby: read from while it lags, promoted after a fail-over that lost the last commits; and an archive that fails. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { startServer, type TestDatabase, type TestServer, type TestStandby } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { eventually } from '../../support/eventually.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

const rows = 6_000;
// Two servers on a busy machine.
const patienceMs = 60_000;

let server: TestServer;
let sandbox: TestDatabase;
let standby: TestStandby;
let loop: OperatorLoop;

const begin = async (settings: Parameters<typeof startServer>[0] = {}): Promise<void> => {
  server = await startServer({ synchronous_commit: 'on', ...settings });
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n`);
};

afterEach(async () => {
  await loop.close();
  await sandbox.close();
  await server.stop();
});

const backfill = {
  targetBatchTime: '1s',
  maxWorkers: 2,
  maxReplicaLag: '1s',
  maxRowsPerSecond: 1_500,
  onBadRow: 'Hold',
} as const;

const right = `SELECT count(*)::int AS n FROM customers WHERE full_name = 'first' || id || ' last' || id`;

interface Counts {
  readonly filled: number;
  readonly recorded: number;
}

/** Rows that are filled, and rows of which the ledger says so. */
const counts = async (): Promise<Counts> => {
  const [row] = await sandbox.query<Counts>(
    `SELECT (SELECT count(full_name)::int FROM customers) AS filled, (SELECT coalesce(sum(rows_done), 0)::int FROM (
      SELECT rows_done FROM segue.backfill UNION ALL SELECT rows_done FROM segue.backfill_range) r) AS recorded`,
  );
  return row ?? { filled: -1, recorded: -2 };
};

describe('with a standby', () => {
  let replica: pg.Client;

  beforeEach(async () => {
    await begin();
    standby = await server.standby();
    loop = new OperatorLoop(sandbox.uri, fullName(), {
      spec: { backfill },
      replicas: [standby.uriOf(sandbox)],
    });
    replica = await standby.connect(sandbox);
  }, 60_000);
  afterEach(() => replica.end().catch(() => undefined));

  test('one that replays nothing stops the backfill; reads switch once it has replayed the last row', async () => {
    await loop.to('DualWrite', patienceMs);
    await eventually(async () => {
      const { rows: found } = await replica.query(`SELECT FROM pg_attribute WHERE attname = 'full_name'`);
      expect(found).toHaveLength(1);
    });
    await replica.query('SELECT pg_wal_replay_pause()');
    loop.patch({ targetPhase: 'Quarantine' });
    const lagging = await loop.until(({ reason }) => reason === 'ReplicaLagging', patienceMs);
    expect(lagging.message).toMatch(/lags \d+ ms behind \(limit 1000 ms\)/);
    expect(await loop.metric('segue_replication_lag_seconds')).toBeGreaterThan(1);
    expect((await counts()).filled).toBeLessThan(rows);
    await loop.until(
      () => loop.resource.status?.backfill?.throttledBy?.includes('lags') === true,
      patienceMs,
    );
    // A limit that it keeps within lets the backfill go on, not the reads.
    loop.patch({ backfill: { ...backfill, maxReplicaLag: '1h', maxRowsPerSecond: 0 } });
    await loop.until(({ message }) => message.includes('has replayed WAL'), patienceMs);
    for (let looks = 0; looks < 3; looks += 1)
      expect(await loop.look()).toMatchObject({ phase: 'Backfill', reason: 'ReplicaLagging' });
    expect(await loop.metric('segue_replication_lag_seconds')).toBeUndefined();
    expect(await counts()).toEqual({ filled: rows, recorded: rows });
    await replica.query('SELECT pg_wal_replay_resume()');
    await loop.until(({ phase }) => phase === 'SwitchReads', patienceMs);
    const { rows: found } = await replica.query(right);
    expect(found).toEqual([{ n: rows }]);
  }, 180_000);

  test('promoted after the last commits were lost: ledger and rows have gone back together, and it goes on', async () => {
    loop.patch({ database: { ...loop.resource.spec.database, replicas: [] } });
    await loop.until(({ did }) => did === 'backfill', patienceMs);
    await replica.end();
    await standby.end();
    const received = (await counts()).recorded;
    expect(received).toBeLessThan(rows);
    await loop.until(({ did }) => did === 'backfill', patienceMs);
    const acknowledged = (await counts()).recorded;
    expect(acknowledged).toBeGreaterThan(received);
    await standby.takeOver();
    await loop.until(({ message }) => message.includes('takes no writes'), patienceMs);
    await sandbox.query('SELECT pg_promote()');
    const { filled, recorded } = await counts();
    expect(filled).toBe(recorded);
    expect(recorded).toBeLessThan(acknowledged);
    expect(recorded).toBeGreaterThan(0);
    loop.patch({ backfill: { ...backfill, maxRowsPerSecond: 0 } });
    await loop.complete(patienceMs);
    expect(await sandbox.query(right)).toEqual([{ n: rows }]);
    // It was refused once at most: the claim on a database that has gone back is made anew.
    expect(
      loop.told.filter(({ message }) => message.includes('claims the database anew')).length,
    ).toBeLessThan(2);
  }, 180_000);
});

test('WAL that can not be archived: the backfill waits, says how much, and goes on once it is', async () => {
  // Files of 16 MB that nobody writes to take no space.
  await begin({ archive_mode: 'on', archive_command: 'false', wal_init_zero: 'off', max_wal_size: '4GB' });
  for (let n = 0; n < 44; n += 1) {
    await sandbox.query(`SELECT pg_logical_emit_message(true, 'test', 'x')`);
    await sandbox.query('SELECT pg_switch_wal()');
  }
  loop = new OperatorLoop(sandbox.uri, fullName());
  const waits = await loop.until(({ reason }) => reason === 'Throttled', patienceMs);
  expect(waits.message).toMatch(/\d+ WAL segments wait to be archived \(limit 42\)/);
  expect(await counts()).toEqual({ filled: 0, recorded: 0 });
  await sandbox.query(`ALTER SYSTEM SET archive_command = 'true'`);
  await sandbox.query('SELECT pg_reload_conf()');
  await sandbox.query('SELECT pg_switch_wal()');
  await loop.complete(patienceMs);
  expect(await sandbox.query(right)).toEqual([{ n: rows }]);
});
