/**
 * The spec edited, the change suspended, its target lowered, the resource deleted, in each phase: by the operator's own
 * loop on a real database. Whatever is done, both sides stay in step for the application, and no row is lost.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { phases, type Phase } from '../../../src/api/phase.ts';
import type { SchemaChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';
import { aSpec } from '../../support/world.ts';

const rows = 500;
let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text, last_name text);
    INSERT INTO customers (first_name, last_name) SELECT 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n`);
  loop = new OperatorLoop(sandbox.uri, fullName(), { spec: { quarantine: quarantine('1h') } });
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const quarantine = (duration: string): SchemaChangeSpec['quarantine'] => ({
  ...aSpec().quarantine,
  duration,
});

const columns = async (): Promise<readonly string[]> => {
  const found = await sandbox.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  );
  return found.map(({ attname }) => attname);
};

const triggers = async (): Promise<number> => {
  const [found] = await sandbox.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_trigger WHERE NOT tgisinternal`,
  );
  return found?.n ?? -1;
};

/** A name written as the old code writes it, and read as the new code reads it; undefined without a new column. */
const roundTrip = async (): Promise<string | undefined> => {
  const [written] = await sandbox.query<{ id: number }>(
    `INSERT INTO customers (first_name, last_name) VALUES ('Ann', 'Lee') RETURNING id`,
  );
  const [read] = await sandbox.query<{ row: { full_name?: string } }>(
    `SELECT to_json(c) AS row FROM customers c WHERE id = ${written?.id ?? 0}`,
  );
  return read?.row.full_name;
};

/**
 * Brings the change into a phase and has it stand there, the phase's own work not all done: rows wait for a window that
 * never opens, the quarantine has an hour to go, a view keeps the old columns from being dropped.
 */
const into = async (phase: Phase): Promise<void> => {
  const hour = String((new Date().getUTCHours() + 12) % 24).padStart(2, '0');
  const closed = {
    from: `${hour}:00`,
    to: `${hour}:01`,
    timeZone: 'UTC',
    days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const,
  };
  switch (phase) {
    case 'AddColumn':
    case 'DualWrite':
    case 'SwitchReads':
      await loop.to(phase);
      return;
    case 'Backfill':
      loop.patch({ targetPhase: 'Drop', backfill: { ...aSpec().backfill, window: closed } });
      await loop.until(({ reason }) => reason === 'OutsideWindow');
      return;
    case 'Quarantine':
      loop.patch({ targetPhase: 'Drop' });
      await loop.until(({ reason }) => reason === 'InQuarantine');
      return;
    case 'Drop':
      loop.patch({ targetPhase: 'Drop', approvals: [], quarantine: quarantine('1s') });
      await loop.until((look) => look.phase === 'Quarantine');
      await sandbox.script('CREATE VIEW report AS SELECT last_name FROM customers');
      await loop.until(({ reason }) => reason === 'DependentObjects');
  }
};

/** Takes away what `into` put in the way, and goes to the end; every row must be right. */
const completes = async (): Promise<void> => {
  await sandbox.script('DROP VIEW IF EXISTS report');
  const { window: _, ...backfill } = aSpec().backfill;
  loop.patch({
    targetPhase: 'Drop',
    suspend: false,
    approvals: [],
    backfill,
    quarantine: quarantine('100ms'),
  });
  await loop.complete();
  expect(await columns()).toEqual(['id', 'full_name']);
  const [found] = await sandbox.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM customers WHERE full_name = 'first' || id || ' last' || id OR full_name = 'Ann Lee'`,
  );
  expect(found?.n).toBeGreaterThanOrEqual(rows);
};

interface Edit {
  readonly name: string;
  readonly spec: Partial<SchemaChangeSpec>;
  /** What the change says then; without it whatever it said before, or how it goes on. */
  readonly says?: (phase: Phase) => string | undefined;
}

const index = (phase: Phase): number => phases.indexOf(phase);

const edits: readonly Edit[] = [
  { name: 'locks', spec: { locks: { timeout: '100ms', giveUpAfter: '10m' } } },
  {
    name: 'the pace of the backfill',
    spec: {
      backfill: { ...aSpec().backfill, maxWorkers: 1, maxRowsPerSecond: 100_000, targetBatchTime: '50ms' },
    },
  },
  { name: 'the quarantine', spec: { quarantine: { ...quarantine('2h'), onUse: 'Hold' } } },
  { name: 'approvals', spec: { approvals: ['SwitchReads', 'Drop'] } },
  { name: 'suspend', spec: { suspend: true }, says: () => 'Suspended' },
  {
    name: 'a lower target',
    spec: { targetPhase: 'AddColumn' },
    says: (phase) =>
      phase === 'AddColumn' || phase === 'DualWrite' || phase === 'SwitchReads'
        ? 'TargetPhaseReached'
        : undefined,
  },
];

describe.each(phases)('in %s', (phase) => {
  test('each field that may change is changed, one after the other; nothing is undone, and it completes', async () => {
    await into(phase);
    const before = { columns: await columns(), triggers: await triggers() };
    for (const { name, spec, says } of edits) {
      const was = loop.resource.spec;
      loop.patch(spec);
      for (let look = 0; look < 5; look += 1) await loop.look();
      const said = await loop.look();
      const now = loop.resource.status?.phase;
      expect({ name, phase: index(now as Phase) >= index(phase) }).toEqual({ name, phase: true });
      const expected = says?.(phase);
      if (expected !== undefined) expect({ name, reason: said.reason }).toEqual({ name, reason: expected });
      if (spec.suspend || spec.targetPhase !== undefined) {
        expect({ columns: await columns(), triggers: await triggers() }).toEqual(before);
        expect(said.did).toBeUndefined();
      }
      if (triggersStand(phase)) expect(await roundTrip()).toBe('Ann Lee');
      loop.patch(was);
    }
    await completes();
  }, 90_000);

  test('deleted, it lets go at once: no trigger is left, and no column and no row is lost', async () => {
    await into(phase);
    await sandbox.script('DROP VIEW IF EXISTS report');
    const before = await columns();
    loop.delete();
    await loop.until(() => (loop.resource.metadata.finalizers ?? []).length === 0, 20_000);
    expect(await triggers()).toBe(0);
    expect(await columns()).toEqual(before);
    await roundTrip();
    const [found] = await sandbox.query<{ n: number }>('SELECT count(*)::int AS n FROM customers');
    expect(found?.n).toBe(rows + 1);
  }, 60_000);

  test('deleted with its namespace, whose Secret goes first, it is tidied up all the same', async () => {
    await into(phase);
    await sandbox.script('DROP VIEW IF EXISTS report');
    loop.withoutSecret();
    loop.delete();
    await loop.until(() => (loop.resource.metadata.finalizers ?? []).length === 0, 20_000);
    expect(await triggers()).toBe(0);
  }, 60_000);

  test('the operator uninstalled and installed again: both sides stay in step meanwhile, and it completes', async () => {
    await into(phase);
    const before = { columns: await columns(), triggers: await triggers() };
    await loop.restart();
    const read = await roundTrip();
    if (triggersStand(phase)) expect(read).toBe('Ann Lee');
    expect({ columns: await columns(), triggers: await triggers() }).toEqual(before);
    await completes();
  }, 90_000);

  test('deleted with the database away, it is let go within the deadline, and says what is left', async () => {
    await into(phase);
    loop.secret('postgresql://postgres:x@127.0.0.1:9/postgres');
    loop.delete();
    const waiting = await loop.look();
    expect(waiting).toMatchObject({ did: undefined, reason: 'DatabaseUnreachable' });
    loop.delete(55_000);
    const last = await loop.look();
    expect(last.did).toBe('release');
    expect(loop.resource.metadata.finalizers ?? []).toEqual([]);
    expect(loop.told.at(-1)?.message).toMatch(/^Let go without tidying up/);
  }, 60_000);
});

test('credentials that are rotated while it runs are taken from the Secret, whatever was open is cut', async () => {
  const uriOf = (password: string): string => {
    const uri = new URL(sandbox.uri);
    uri.username = role;
    uri.password = password;
    return uri.href;
  };
  const role = `rotated_${sandbox.name}`;
  await sandbox.script(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'first'`);
  loop.secret(uriOf('first'));
  await loop.to('DualWrite');
  await sandbox.script(`ALTER ROLE ${role} PASSWORD 'second'`);
  await sandbox.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
  const refused = await loop.until(({ reason }) => reason === 'InvalidCredentials');
  expect(refused.message).not.toMatch(/first|second/);
  loop.secret(uriOf('second'));
  await loop.until(({ reason }) => reason === 'TargetPhaseReached');
  await completes();
}, 60_000);

/** From DualWrite to Quarantine whoever writes one side has the other filled in. */
const triggersStand = (phase: Phase): boolean => index(phase) >= 1 && index(phase) <= 3;
