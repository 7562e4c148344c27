/** What a client's named prepared statements meet while a change goes through its phases under them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { Databases } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { expectDone, fullName, takeOver } from '../support/database-change.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let client: pg.Client;

beforeAll(async () => {
  server = await startServer();
  sandbox = await server.database();
  databases = new Databases();
  await sandbox.script(`
    CREATE TABLE customers (id int PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 100) n;
    CREATE FUNCTION visits_of(wanted int) RETURNS int LANGUAGE plpgsql AS $$
      DECLARE found record; BEGIN SELECT * INTO found FROM customers WHERE id = wanted; RETURN found.visits; END $$`);
  client = await sandbox.connect('app');
}, 60_000);
afterAll(async () => {
  await client.end();
  await databases.close();
  await server.stop();
});

/** With what comes of each after AddColumn, in Quarantine and after Drop: `ok` or the SQLSTATE. */
const statements = {
  'names no old column': ['SELECT visits FROM customers WHERE id = $1', 'ok', 'ok', 'ok'],
  'updates another column': ['UPDATE customers SET visits = visits + 1 WHERE id = $1', 'ok', 'ok', 'ok'],
  'in a PL/pgSQL function, into a record': ['SELECT visits_of($1)', 'ok', 'ok', 'ok'],
  'reads an old column': ['SELECT first_name FROM customers WHERE id = $1', 'ok', 'ok', '42703'],
  'writes old columns': [
    `INSERT INTO customers (id, first_name, last_name) VALUES ($1, 'a', 'b')`,
    'ok',
    'ok',
    '42703',
  ],
  'SELECT *': ['SELECT * FROM customers WHERE id = $1', '0A000', '0A000', '0A000'],
  'RETURNING *': ['UPDATE customers SET visits = 0 WHERE id = $1 RETURNING *', '0A000', '0A000', '0A000'],
  'the row as a value': ['SELECT c FROM customers c WHERE id = $1', 'ok', 'ok', 'ok'],
  'INSERT without a column list': [`INSERT INTO customers VALUES ($1, 'a', 'b', 0)`, 'ok', 'ok', '42601'],
} as const;

let id = 1_000;

const outcome = async (name: string, text: string): Promise<string> => {
  id += 1;
  const values = [text.startsWith('INSERT') ? id : 1];
  return client.query({ name, text, values }).then(
    () => 'ok',
    (error: unknown) => (error as { readonly code: string }).code,
  );
};

const outcomes = async (suffix = ''): Promise<Record<string, string>> => {
  const met: Record<string, string> = {};
  for (const [name, [text]] of Object.entries(statements))
    met[name] = await outcome(`${name}${suffix}`, text);
  return met;
};

const expected = (at: 1 | 2 | 3): Record<string, string> =>
  Object.fromEntries(Object.entries(statements).map(([name, row]) => [name, row[at]]));

test('a client’s prepared statements live on, but for those that take all columns and those that need what is dropped', async () => {
  // More than five times, so that PostgreSQL may have a generic plan.
  for (let times = 0; times < 7; times += 1) await outcomes();
  const driven = await takeOver(databases.open(sandbox.uri), fullName());
  expectDone(await driven.steps(driven.change.expand));
  expect(await outcomes()).toEqual(expected(1));
  // Prepared anew on the same connection, all of them work until Drop.
  expect(new Set(Object.values(await outcomes(' again')))).toEqual(new Set(['ok']));

  expectDone(await driven.triggers('wide'));
  expectDone(await driven.fillAll());
  expectDone(await driven.steps(driven.change.constrain));
  expectDone(await driven.triggers('narrow'));
  expectDone(await driven.steps(driven.change.relax));
  expectDone(await driven.triggers('watch'));
  expect(await outcomes()).toEqual(expected(2));
  expect(new Set(Object.values(await outcomes(' again')))).toEqual(new Set(['ok']));

  expectDone(await driven.steps(driven.change.contract));
  expect(await outcomes()).toEqual(expected(3));
  expect(await outcomes(' again')).toEqual(expected(3));
});
