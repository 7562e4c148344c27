import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { hideColumns, showColumns } from '../../src/changes/hide.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { expectDone, fullName, quarantined, type DrivenChange } from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer({ logging_collector: 'on', log_destination: 'csvlog', log_statement: 'none' });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(`
    CREATE TABLE customers (id int PRIMARY KEY, first_name text NOT NULL, last_name text, note text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 100) n`);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const hide = (change: DrivenChange) => change.steps((id, table) => [hideColumns(id, change.change, table)]);
const show = (change: DrivenChange, passed = false) =>
  change.steps((id, table) => [showColumns(id, change.change, table, passed)]);

/** A statement that fails, sent by somebody who is gone at once. */
const fail = async (text: string, application = 'nightly'): Promise<string> => {
  const client = await sandbox.connect(application);
  try {
    await client.query(text);
    return 'it did not fail';
  } catch (error) {
    return (error as { code?: string }).code ?? 'no code';
  } finally {
    await client.end();
  }
};

const hidden = async (): Promise<DrivenChange> => {
  const change = await quarantined(db, fullName());
  expectDone(await hide(change));
  return change;
};

describe('hidden columns', () => {
  test('are in step under either name, and found by the name that they had', async () => {
    const change = await quarantined(db, fullName());
    const before = await change.table();
    expectDone(await hide(change));
    expectDone(await hide(change));
    expect(Object.keys((await change.table()).columns)).toEqual([
      'id',
      expect.stringMatching(/^__segue_hidden_\d+_2_first_name$/),
      expect.stringMatching(/^__segue_hidden_\d+_3_last_name$/),
      'note',
      'full_name',
    ]);
    expect((await change.ledger()).hiddenAt).toBeGreaterThan(0);
    await sandbox.query(`UPDATE customers SET full_name = 'Ada Lovelace' WHERE id = 1`);
    await sandbox.query(`INSERT INTO customers (id, full_name) VALUES (500, 'Mary Shelley')`);
    const [, first, last] = Object.keys((await change.table()).columns);
    await sandbox.query(`UPDATE customers SET "${first}" = 'Grace' WHERE id = 2`);
    expect(
      await sandbox.query(
        `SELECT id, "${first}" AS first, "${last}" AS last, full_name FROM customers WHERE id IN (1, 2, 500) ORDER BY 1`,
      ),
    ).toEqual([
      { id: 1, first: 'Ada', last: 'Lovelace', full_name: 'Ada Lovelace' },
      { id: 2, first: 'Grace', last: 'last2', full_name: 'Grace last2' },
      { id: 500, first: 'Mary', last: 'Shelley', full_name: 'Mary Shelley' },
    ]);
    expectDone(await show(change));
    const after = await change.table();
    expect({ ...after, estimatedRows: 0, steps: {} }).toEqual({ ...before, estimatedRows: 0, steps: {} });
    expect((await change.ledger()).hiddenAt).toBeUndefined();
    await sandbox.query(`UPDATE customers SET full_name = 'Jane Austen' WHERE id = 1`);
    expect(await sandbox.query('SELECT first_name, last_name FROM customers WHERE id = 1')).toEqual([
      { first_name: 'Jane', last_name: 'Austen' },
    ]);
    expectDone(await hide(change));
    expect(Object.keys((await change.table()).columns)).not.toContain('first_name');
    expectDone(await show(change, true));
    expect((await change.ledger()).rehearsedAt).toBeGreaterThan(0);
  });

  test('can be refused a lock without anything being done', async () => {
    const change = await quarantined(db, fullName());
    const report = await sandbox.connect('report');
    await report.query('BEGIN');
    await report.query('SELECT count(*) FROM customers');
    expect(await change.steps((id, table) => [hideColumns(id, change.change, table)], 100)).toMatchObject({
      kind: 'deferred',
      reason: 'LockNotAvailable',
    });
    expect(Object.keys((await change.table()).columns)).toContain('first_name');
    await report.query('COMMIT');
  });
});

describe('a straggler', () => {
  test('is seen in the server’s log though it is gone, with role and application, without its values', async () => {
    const change = await hidden();
    expectDone(await change.look());
    expect((await change.ledger()).uses).toEqual([]);
    expect(
      await fail(`SELECT first_name FROM customers WHERE last_name = 'secret, "quoted"\nand long'`),
    ).toBe('42703');
    expectDone(await change.look());
    expect((await change.ledger()).lastUse).toEqual({
      at: expect.any(Number),
      by: 'postgres (nightly)',
      kind: 'Read',
    });
  });

  test('is told from errors of other tables, other columns and other databases', async () => {
    const change = await hidden();
    await sandbox.script('CREATE TABLE orders (id int)');
    expect(await fail('SELECT first_name FROM orders')).toBe('42703');
    expect(await fail('SELECT middle_name FROM customers')).toBe('42703');
    expect(await fail('SELECT 1 / 0')).toBe('22012');
    expectDone(await change.look());
    expect((await change.ledger()).uses).toEqual([]);
  });

  test('may be a trigger of the user’s that reads a column of NEW', async () => {
    await sandbox.script(`
      CREATE FUNCTION greet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.first_name; RETURN NEW; END';
      CREATE TRIGGER greet BEFORE UPDATE OF note ON customers FOR EACH ROW EXECUTE FUNCTION greet()`);
    const change = await hidden();
    expect(await fail(`UPDATE customers SET note = 'x' WHERE id = 1`)).toBe('42703');
    expectDone(await change.look());
    expect((await change.ledger()).uses).toMatchObject([{ by: 'postgres (nightly)' }]);
  });

  test('shows by its last statement where the log can’t be read', async () => {
    await sandbox.script(`CREATE ROLE modest LOGIN SUPERUSER PASSWORD 'x'`);
    const change = await hidden();
    const client = await sandbox.connect('pooled');
    await expect(client.query('SELECT last_name FROM customers')).rejects.toThrow('does not exist');
    expectDone(await change.look());
    const { uses, look } = await change.ledger();
    expect(uses.map(({ by }) => by)).toEqual(['postgres (pooled)']);
    expect(look?.cannotHide).toBeUndefined();
    expect(look?.sees).toEqual(['Activity', 'ServerLog']);
    await sandbox.script('DROP ROLE modest');
  });

  test('shows coarsely in a flood of rolled back transactions', async () => {
    const change = await hidden();
    expectDone(await change.look());
    for (let n = 0; n < 6; n += 1) expect(await fail('SELECT 1 / 0')).toBe('22012');
    // A session's counts reach the statistics when it ends, at the latest.
    await sandbox.query('SELECT pg_sleep(0.2)');
    expectDone(await change.look());
    expect((await change.ledger()).uses).toMatchObject([
      { kind: 'Lost', by: expect.stringContaining('rolled back') },
    ]);
  });
});

test('where nothing would show a failure, or subscribers would miss a name, columns must not be hidden', async () => {
  await sandbox.script('CREATE PUBLICATION everything FOR TABLE customers');
  const change = await quarantined(db, fullName()).catch(() => undefined);
  if (change !== undefined) expect((await change.ledger()).look?.cannotHide).toContain('everything');
  await sandbox.script('DROP PUBLICATION everything');
});

test('a role that may read neither log nor sessions is told what to grant', async () => {
  await sandbox.script(`
    CREATE ROLE plain LOGIN PASSWORD 'x';
    GRANT CREATE, TEMPORARY ON DATABASE ${sandbox.name} TO plain;
    ALTER TABLE customers OWNER TO plain;
    GRANT CREATE ON SCHEMA public TO plain`);
  const change = await quarantined(databases.open(server.uriFor(sandbox, 'plain', 'x')), fullName());
  const { look } = await change.ledger();
  expect(look?.cannotHide).toMatch(/GRANT pg_read_all_stats.*GRANT pg_monitor/);
  expect(look?.blindSpots).toHaveLength(3);
  expect(look?.sees).toEqual(['Activity']);
});
