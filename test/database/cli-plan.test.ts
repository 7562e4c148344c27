import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import type { ChangeSpec, SchemaChangeSpec } from '../../src/api/schema-change.ts';
import { plan } from '../../src/cli/plan.ts';
import type { Plan, PlannedStatement, PlannedStep } from '../../src/cli/plan/outline.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, expectDone, takeOver } from '../support/database-change.ts';
import { say, type Said } from '../support/terminal.ts';
import { drive } from '../support/undisturbed.ts';
import { aSpec } from '../support/world.ts';
import { cases, plain, quoted, type LifecycleCase, type Names } from './lifecycle/cases.ts';

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

const manifest = (change: ChangeSpec, name = 'planned', spec: Partial<SchemaChangeSpec> = {}): string =>
  stringify({
    apiVersion: 'segue.dev/v1alpha1',
    kind: 'SchemaChange',
    metadata: { name, namespace: 'shop' },
    spec: { database: { secretRef: { name: 'db' } }, change, workloads: [], ...spec },
  });

const run = (change: ChangeSpec, over: Record<string, string> = {}): Promise<Said> =>
  say(plan, { filename: ['-'], output: 'json', 'database-url': sandbox.uri, ...over }, manifest(change));

const planOf = async (change: ChangeSpec, spec: Partial<SchemaChangeSpec> = {}): Promise<Plan> => {
  const { code, out, err } = await say(
    plan,
    { filename: ['-'], output: 'json', 'database-url': sandbox.uri },
    manifest(change, 'planned', spec),
  );
  const { plans } = JSON.parse(out) as { plans: readonly Plan[] };
  const [made] = plans;
  if (made === undefined) throw new Error(err);
  expect({ code, refused: made.refused }).toEqual({ code: 0, refused: [] });
  return made;
};

const forward = (made: Plan): readonly PlannedStep[] => made.phases.flatMap(({ steps }) => steps);

const statementsOf = (made: Plan): readonly PlannedStatement[] =>
  forward(made)
    .filter(({ runs }) => runs === 'in one transaction' || runs === 'outside a transaction')
    .flatMap(({ statements }) => statements);

/** What an event trigger sees: DDL, but for what PostgreSQL refuses once a trigger has written anything. */
const isSeen = ({ sql }: PlannedStatement): boolean =>
  !/^(?:SELECT|INSERT|UPDATE|DELETE|WITH|DO|DROP INDEX CONCURRENTLY)\b/.test(sql);

/** Keeps the text of every DDL statement from here on, as the server got it. */
const audit = async (): Promise<() => Promise<readonly string[]>> => {
  await sandbox.script(`
    CREATE SCHEMA audit;
    CREATE TABLE audit.ddl (n bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL);
    CREATE FUNCTION audit.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN IF current_query() !~ '^DROP INDEX CONCURRENTLY' THEN INSERT INTO audit.ddl (text) VALUES (current_query()); END IF; END $$;
    CREATE EVENT TRIGGER note ON ddl_command_start EXECUTE FUNCTION audit.note();`);
  return async () => {
    const rows = await sandbox.query<{ text: string }>('SELECT text FROM audit.ddl ORDER BY n');
    return rows.map(({ text }) => text.replace(/ \/\* segue \*\/$/, ''));
  };
};

describe('the plan is what happens', () => {
  const driven = cases.filter(({ spec }) => spec === undefined);

  const happens = async (
    { before, change }: Pick<LifecycleCase, 'before' | 'change'>,
    at: Names,
    spec: { readonly asked?: Partial<SchemaChangeSpec>; readonly driven?: Partial<SchemaChangeSpec> } = {},
  ): Promise<void> => {
    if (at.schema !== 'public') await sandbox.script(`CREATE SCHEMA "${at.schema.replaceAll('"', '""')}"`);
    for (const statement of before(at)) await sandbox.script(statement);
    const made = await planOf(change(at), spec.asked);
    // So that the ledger's own tables are there already, and only the change's DDL is kept.
    await takeLedger();
    const kept = await audit();
    const { decision } = await drive(db, {
      name: 'planned',
      uid: 'uid-1',
      change: change(at),
      targetPhase: 'Drop',
      spec: spec.driven ?? {},
    });
    expect(decision).toMatchObject({ kind: 'finished', reason: 'Completed' });
    expect(await kept()).toEqual(
      statementsOf(made)
        .filter(isSeen)
        .map(({ sql }) => sql),
    );
  };

  test.each(driven.map((kind, n) => ({ kind, name: kind.name, at: n % 2 === 0 ? plain : quoted })))(
    '$name',
    ({ kind, at }) => happens(kind, at),
  );

  const { quarantine } = aSpec();

  // What is asked for, and the same as a test can wait for it, with nobody's pods.
  test.each<[string, Partial<SchemaChangeSpec>, Partial<SchemaChangeSpec>]>([
    [
      'where the application writes both sides',
      {
        dualWrite: { mode: 'Application' },
        workloads: [{ deployment: 'shop', mode: 'Observe', releases: [] }],
      },
      { dualWrite: { mode: 'Application' } },
    ],
    [
      'where old columns are hidden first',
      { quarantine: { ...quarantine, mode: 'Hide', duration: '24h', hideFor: '10m' } },
      { quarantine: { ...quarantine, mode: 'Hide', duration: '1ms', hideFor: '1ms' } },
    ],
    [
      'where old columns are archived',
      { drop: { deadLetters: 'Refuse', archive: true } },
      { drop: { deadLetters: 'Refuse', archive: true } },
    ],
  ])('%s', async (_, asked, spec) => {
    const kind = cases.find(({ name }) => name === 'replaceColumns');
    if (kind === undefined) throw new Error('There is no such kind.');
    await happens(kind, plain, { asked, driven: spec });
  });
});

/** Makes the ledger by a change of another table, which is then taken out again with the number that it drew. */
const takeLedger = async (): Promise<void> => {
  await sandbox.script('CREATE TABLE public.elsewhere (a int)');
  await takeOver(db, { dropColumn: { table: 'elsewhere', column: 'a' } });
  await sandbox.script(
    'DELETE FROM segue.change; ALTER TABLE segue.change ALTER COLUMN id RESTART; DROP TABLE public.elsewhere',
  );
};

describe('on a table of customers', () => {
  beforeEach(() =>
    sandbox.script(`
      CREATE TABLE public.regions (id int PRIMARY KEY);
      CREATE TABLE public.customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name varchar(40) DEFAULT '-', region int);
      CREATE INDEX ON public.customers (lower(last_name));
      INSERT INTO public.customers SELECT n, 'f' || n, 'l' || n FROM generate_series(1, 5000) n;
      ANALYZE public.customers;`),
  );

  const renamed: ChangeSpec = { renameColumn: { table: 'customers', from: 'last_name', to: 'surname' } };

  test('nothing at all is written, not even the ledger', async () => {
    const mark = 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xmax';
    const [before] = await sandbox.query(mark);
    await planOf(renamed);
    const refused = await run({ dropColumn: { table: 'customers', column: 'id' } });
    expect(refused.code).toBe(1);
    // Whoever writes anything draws a transaction id.
    expect(await sandbox.query(mark)).toEqual([before]);
    expect(await sandbox.query(`SELECT to_regnamespace('segue') AS segue`)).toEqual([{ segue: null }]);
  });

  test('rows, time and dependents', async () => {
    const made = await planOf(renamed);
    expect(made).toMatchObject({ rows: 5000, id: 1, table: 'public.customers' });
    expect(made.bytes).toBeGreaterThan(100_000);
    expect(made.dependents).toEqual(['index customers_lower_idx on last_name']);
    expect(made.noReturn).toEqual([{ from: 'Drop', why: 'last_name and what is in them are gone' }]);
    expect(forward(made).find(({ id }) => id === 'backfill')?.estimate?.toSeconds).toBeCloseTo(5000 / 40_426);
    const texts = statementsOf(made).map(({ sql }) => sql);
    expect(texts).toContainEqual(
      expect.stringMatching(/^CREATE INDEX CONCURRENTLY "segue_1_\d+" ON .*lower/),
    );
    expect(texts).toContainEqual(expect.stringMatching(/SET DEFAULT \('-'::character varying\)/));
  });

  test.each<[string, ChangeSpec, string]>([
    ['no such table', { dropColumn: { table: 'nowhere', column: 'a' } }, 'TableNotFound'],
    ['no such column', { dropColumn: { table: 'customers', column: 'a' } }, 'ColumnNotFound'],
    [
      'an expression over columns that are not there',
      {
        addColumn: {
          table: 'customers',
          name: 'n',
          type: 'text',
          nullable: true,
          backfill: 'upper(nickname)',
          unique: false,
        },
      },
      'InvalidExpression',
    ],
    [
      'a backward expression of another type’s function',
      {
        changeType: {
          table: 'customers',
          column: 'region',
          to: { name: 'region_code', type: 'text' },
          forward: 'region::text',
          backward: 'round(region_code)',
        },
      },
      'InvalidExpression',
    ],
    [
      'a type that is not there',
      { addColumn: { table: 'customers', name: 'n', type: 'mood', nullable: true, unique: false } },
      'InvalidExpression',
    ],
    [
      'a check that is no condition',
      { addConstraint: { table: 'customers', check: { name: 'c', expression: 'region + 1' } } },
      'InvalidExpression',
    ],
  ])('refused: %s', async (_name, change, reason) => {
    const { code, out } = await run(change);
    const { plans } = JSON.parse(out) as { plans: readonly Plan[] };
    expect(plans[0]?.refused).toMatchObject([{ reason }]);
    expect(code).toBe(1);
  });

  test('a change that is under way: what is left of it', async () => {
    const driven = await dualWriting(db, renamed);
    expectDone(await driven.fillAll());
    const { out } = await run(renamed, { output: 'json' });
    expect((JSON.parse(out) as { plans: readonly Plan[] }).plans[0]?.refused).toMatchObject([
      // Another resource is at work on the same columns.
      { reason: 'TargetColumnExists' },
      { reason: 'ConflictingChange' },
    ]);
    const own = await say(
      plan,
      { filename: ['-'], output: 'json', 'database-url': sandbox.uri },
      manifest(renamed, 'change'),
    );
    const [made] = (JSON.parse(own.out) as { plans: readonly Plan[] }).plans;
    expect(own.code).toBe(0);
    expect(made?.phases.map(({ done = false }) => done)).toEqual([true, true, false, false, false, false]);
    expect(made?.phases[2]?.steps.map(({ id }) => id)).toEqual([
      'backfill',
      'compare-install',
      'verify',
      'compare-remove',
      expect.stringMatching(/^segue_1_\d+-build$/),
      'triggers-narrow',
    ]);
  });

  test('a database that can’t be reached is 2, and its password is not said', async () => {
    const said = await run(renamed, { 'database-url': 'postgresql://u:s3cret@127.0.0.1:1/shop' });
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain('The database can’t be read');
    expect(said.err).not.toContain('s3cret');
  });

  test.each<[string, ChangeSpec]>([
    ['renameColumn', renamed],
    ['dropColumn', { dropColumn: { table: 'customers', column: 'first_name' } }],
    [
      'foreign key',
      {
        addConstraint: {
          table: 'customers',
          foreignKey: {
            name: 'customers_region',
            columns: ['region'],
            references: { table: 'regions', columns: ['id'] },
            onDelete: 'Cascade',
          },
        },
      },
    ],
    [
      'check',
      { addConstraint: { table: 'customers', check: { name: 'named', expression: "first_name <> ''" } } },
    ],
    [
      'scripts',
      {
        sql: {
          table: 'customers',
          allowUnsafe: true,
          expand: `COMMENT ON COLUMN customers.id IS 'key'; ALTER TABLE customers ALTER COLUMN region SET STATISTICS 10;
            CREATE INDEX customers_region ON customers (region); ALTER TABLE customers ALTER COLUMN region TYPE bigint;
            CREATE STATISTICS s ON id, region FROM customers; DROP STATISTICS s; ALTER INDEX customers_region RENAME TO r;
            ALTER TABLE customers SET (fillfactor = 90); ALTER TABLE customers DISABLE TRIGGER USER;
            UPDATE customers SET region = 1 WHERE id = 1; DROP INDEX r; TRUNCATE customers;
            ALTER TABLE customers ADD UNIQUE (region); ALTER TABLE customers RENAME COLUMN region TO area`,
        },
      },
    ],
  ])('the lock that each statement takes: %s', async (_name, change) => {
    const made = await planOf(change);
    await takeLedger();
    const client = await sandbox.connect();
    for (const { sql, lock } of statementsOf(made)) {
      if (/\bCONCURRENTLY\b/.test(sql)) {
        await client.query(sql);
        continue;
      }
      await client.query('BEGIN');
      await client.query(sql);
      const { rows } = await client.query<{ mode: string }>(
        `SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'public.customers'::regclass AND locktype = 'relation'`,
      );
      await client.query('COMMIT');
      const modes = rows.map(({ mode }) =>
        mode
          .replace(/Lock$/, '')
          .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
          .toUpperCase(),
      );
      expect({
        sql,
        modes: lock === 'none' ? modes.filter((mode) => mode !== 'ACCESS SHARE') : modes,
      }).toEqual({
        sql,
        modes: lock === 'none' ? [] : expect.arrayContaining([lock]),
      });
      expect(modes.every((mode) => strength(mode) <= strength(lock) || mode === 'ACCESS SHARE')).toBe(true);
    }
  });
});

const order = [
  'none',
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
];
const strength = (mode: string): number => order.indexOf(mode);
