/** Settings that the role or the database has for defaults: ours hold in each transaction, whatever they are. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

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
    CREATE ROLE ${sandbox.name} LOGIN PASSWORD 'pw';
    GRANT CREATE ON DATABASE ${sandbox.name} TO ${sandbox.name};
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'fi\\rst' || n, 'last' || n FROM generate_series(1, 3000) n;
    ALTER TABLE customers OWNER TO ${sandbox.name};
    GRANT CREATE ON SCHEMA public TO ${sandbox.name}`);
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const merged: ChangeSpec = {
  replaceColumns: {
    table: 'public.customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: "first_name || ' ' || last_name" },
    backward: { first_name: "split_part(full_name, ' ', 1)", last_name: "split_part(full_name, ' ', 2)" },
  },
};
const index: ChangeSpec = {
  createIndex: {
    table: 'public.customers',
    name: 'by_name',
    keys: [{ column: 'last_name' }],
    unique: false,
    method: 'btree',
  },
};

const begun = (change: ChangeSpec): OperatorLoop => {
  loop = new OperatorLoop(server.uriFor(sandbox, sandbox.name, 'pw'), change);
  return loop;
};

const since17 = Number(process.env['PG_MAJOR'] ?? 18) >= 17 ? ['transaction_timeout = 100'] : [];
const timeouts = ['statement_timeout = 100', 'lock_timeout = 1', 'idle_session_timeout = 20', ...since17];

/** Together, as far as one does not stand in the way of another: a whole change takes seconds. */
const together: readonly (readonly [string, readonly string[]])[] = [
  [
    'time-outs',
    [
      ...timeouts,
      'idle_in_transaction_session_timeout = 100',
      'temp_file_limit = 64',
      'synchronous_commit = off',
    ],
  ],
  [
    'transactions of another kind',
    [
      'default_transaction_read_only = on',
      'default_transaction_isolation = serializable',
      'default_transaction_deferrable = on',
    ],
  ],
  [
    'another reading of SQL',
    [
      "search_path = 'nowhere'",
      'standard_conforming_strings = off',
      'transform_null_equals = on',
      'quote_all_identifiers = on',
      'check_function_bodies = off',
      'row_security = off',
    ],
  ],
  ['no search_path', ["search_path TO ''"]],
  [
    'another form of values',
    [
      "DateStyle = 'SQL, DMY'",
      "IntervalStyle = 'iso_8601'",
      'bytea_output = escape',
      'extra_float_digits = -10',
      'client_min_messages = debug1',
    ],
  ],
  ['other plans', ['enable_tidscan = off', 'enable_indexscan = off', 'plan_cache_mode = force_generic_plan']],
];

const setAll = async (settings: readonly string[]): Promise<void> => {
  for (const setting of settings)
    await sandbox.script(`SET standard_conforming_strings = on; ALTER ROLE ${sandbox.name} SET ${setting}`);
};

describe('a role with', () => {
  test.each(together)('%s: a change goes its whole way, and every row is right', async (_, settings) => {
    await setAll(settings);
    begun(merged);
    await loop.to('DualWrite');
    await sandbox.script(`UPDATE customers SET last_name = 'new' WHERE id = 7`);
    loop.patch({ targetPhase: 'Drop' });
    await loop.complete();
    const [row] = await sandbox.query(
      `SELECT count(*)::int AS rows, count(*) FILTER (WHERE full_name = E'fi\\\\rst' || id || ' last' || id)::int AS right FROM customers`,
    );
    expect(row).toEqual({ rows: 3_000, right: 2_999 });
    expect(
      loop.told.filter(
        ({ reason }) =>
          !['Progressing', 'InQuarantine', 'TargetPhaseReached', 'Completed'].includes(reason) &&
          // A session that is ended for idleness in the very moment in which it is taken up.
          !(reason === 'DatabaseUnreachable' && settings === together[0]?.[1]),
      ),
    ).toEqual([]);
  });

  test.each([
    ['time-outs', [...timeouts, 'idle_in_transaction_session_timeout = 10']],
    [
      'transactions of another kind',
      ['default_transaction_read_only = on', 'default_transaction_isolation = serializable'],
    ],
  ])('%s: an index is built, though an older transaction holds it up', async (_, settings) => {
    await setAll(settings);
    const older = await sandbox.connect('older');
    await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM customers');
    setTimeout(() => void older.query('COMMIT'), 800);
    begun(index);
    await loop.complete();
    expect(loop.told.map(({ reason }) => reason)).not.toContain('StepFailed');
    expect(
      await sandbox.query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass`),
    ).toEqual([{ indisvalid: true }]);
  });

  test.each([
    ['the role', 'ALTER ROLE ROLE SET'],
    ['the database', 'ALTER DATABASE ROLE SET'],
    ['the role in the database', 'ALTER ROLE ROLE IN DATABASE ROLE SET'],
  ])('session_replication_role = replica on %s is told so, with what to run', async (_, alter) => {
    await sandbox.script(
      `${alter.replaceAll(/(?<!ALTER )ROLE/g, sandbox.name)} session_replication_role = replica`,
    );
    begun(merged);
    const { message } = await loop.until(({ reason }) => reason === 'InsufficientPrivilege');
    const [, statement = ''] = /Run, as a role that may: (.*?); It goes/.exec(message) ?? [];
    await sandbox.script(statement);
    await loop.restart();
    await loop.complete();
  });

  test('session_replication_role = replica who may set it back: it is, and the triggers are shown to act', async () => {
    await sandbox.script(
      `ALTER ROLE ${sandbox.name} SUPERUSER; ALTER ROLE ${sandbox.name} SET session_replication_role = replica`,
    );
    begun(merged);
    await loop.complete();
    expect(loop.told.some(({ did }) => did === 'prove')).toBe(true);
  });
});
