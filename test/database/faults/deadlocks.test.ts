/** Transactions of the application that lock in another order than we do: it is ours that gives way, and tries again. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { eventually } from '../../support/eventually.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;
let application: pg.Client;

beforeAll(async () => {
  // PostgreSQL's own default: longer than any wait of ours.
  server = await startServer({ deadlock_timeout: '1s' });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  application = await sandbox.connect('shop');
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'c1' FROM generate_series(1, 300) n`);
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const ourWait = (): Promise<void> =>
  eventually(async () => {
    const waiting = await sandbox.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'segue' AND wait_event_type = 'Lock' AND datname = current_database()`,
    );
    expect(waiting).toHaveLength(1);
  });

const inOrder = async (): Promise<void> => {
  await loop.complete();
  expect(
    await sandbox.query(
      `SELECT id FROM customers WHERE full_name IS DISTINCT FROM 'first' || id || ' last' || id`,
    ),
  ).toEqual([]);
};

test('rows: the batch waits for the application, the application for the batch; the application loses nothing', async () => {
  loop = new OperatorLoop(sandbox.uri, fullName());
  await loop.to('DualWrite');
  await application.query(`BEGIN; UPDATE customers SET city = 'c2' WHERE id = 250`);
  loop.patch({ targetPhase: 'Drop' });
  const completing = inOrder();
  await ourWait();
  const began = performance.now();
  await application.query(`UPDATE customers SET city = 'c2' WHERE id = 1`);
  expect(performance.now() - began).toBeLessThan(1_000);
  await application.query('COMMIT');
  await completing;
});

test('rows: the application waits first; ours gives way before a deadlock is looked for', async () => {
  // A trigger of the user's makes the batch hold its first rows for a while before it comes to the last.
  await sandbox.script(`
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE UPDATE ON customers FOR EACH ROW WHEN (NEW.id = 100) EXECUTE FUNCTION slow()`);
  loop = new OperatorLoop(sandbox.uri, fullName());
  await loop.to('DualWrite');
  await application.query(`BEGIN; UPDATE customers SET city = 'c2' WHERE id = 250`);
  loop.patch({ targetPhase: 'Drop' });
  const completing = inOrder();
  await eventually(async () => {
    const sleeping = await sandbox.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'segue' AND wait_event = 'PgSleep' AND datname = current_database()`,
    );
    expect(sleeping).toHaveLength(1);
  });
  await application.query(`UPDATE customers SET city = 'c2' WHERE id = 1`);
  await application.query('COMMIT');
  await completing;
});

test('tables: a foreign key waits for the referenced table, whose writer comes to ours; the writer goes on', async () => {
  await sandbox.script(
    `CREATE TABLE cities (code text PRIMARY KEY, size int); INSERT INTO cities VALUES ('c1', 1)`,
  );
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
  loop = new OperatorLoop(sandbox.uri, reference);
  await loop.until(({ did }) => did === 'begin');
  await application.query('BEGIN; UPDATE cities SET size = 2');
  const completing = loop.complete();
  await ourWait();
  await application.query(`UPDATE customers SET city = 'c1' WHERE id = 1`);
  await application.query('COMMIT');
  await completing;
});

test('a deadlock that PostgreSQL finds: ours is tried again', async () => {
  await sandbox.script(`ALTER DATABASE ${sandbox.name} SET deadlock_timeout = '20ms'`);
  loop = new OperatorLoop(sandbox.uri, fullName());
  await loop.to('DualWrite');
  // The application looks for one much later than we do: it is ours that is ended.
  await application.query(
    `SET deadlock_timeout = '10s'; BEGIN; UPDATE customers SET city = 'c2' WHERE id = 250`,
  );
  loop.patch({ targetPhase: 'Drop' });
  const completing = inOrder();
  await ourWait();
  await application.query(`UPDATE customers SET city = 'c2' WHERE id = 1`);
  await application.query('COMMIT');
  await completing;
});
