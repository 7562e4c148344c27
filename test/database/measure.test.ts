import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { measureQuery, readSigns } from '../../src/database/measure.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, toNumber } from '../support/database-change.ts';
import { eventually } from '../support/eventually.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer();
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
  await sandbox.script(`
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (id int PRIMARY KEY, total numeric);
    INSERT INTO sales.orders SELECT n, n FROM generate_series(1, 4) n;
    CREATE SEQUENCE sales.counter`);
}, 90_000);
afterAll(async () => {
  await databases?.close();
  await sandbox?.close();
  await server.stop();
});

const table = { schema: 'sales', name: 'orders' };
const measured = (query: string, timeoutMs = 5_000) => measureQuery(db, query, { table, timeoutMs });

test.each<[string, unknown]>([
  ['SELECT count(*) FROM orders', 4],
  ['SELECT avg(total) FROM sales.orders -- of all', 2.5],
  ['SELECT 9007199254740991::bigint', 9_007_199_254_740_991],
  ["SELECT 'NaN'::float8", Number.NaN],
  ["SELECT '-Infinity'::numeric", Number.NEGATIVE_INFINITY],
  ['SELECT true AS "it holds"', true],
  ['SELECT NULL::int', null],
  ['SELECT 1 WHERE false', []],
  ["SELECT 'text'", 'text'],
  ['WITH few AS (SELECT * FROM orders LIMIT 2) SELECT count(*) FROM few', 2],
])('%s', async (query, value) => {
  expect(await measured(query)).toEqual({ kind: 'value', value });
});

test.each<[string, RegExp]>([
  ['SELECT id FROM orders', /several rows, and one is needed/],
  ['SELECT 1 AS a, 2 AS b', /2 columns, and one is needed/],
  ['SELECT count(*) FROM orderss', /relation "orderss" does not exist/],
  ['DELETE FROM orders RETURNING 1', /the query failed/],
  ['SELECT 1) x; DROP TABLE sales.orders; --', /the query failed/],
  ["SELECT nextval('sales.counter')", /read-only transaction/],
  ['SELECT pg_sleep(60)', /the query failed/],
])('no result: %s', async (query, says) => {
  const answer = await measured(query, 1_000);
  expect(answer).toMatchObject({ kind: 'error', message: expect.stringMatching(says) });
  expect(await sandbox.query('SELECT count(*)::int AS count FROM sales.orders')).toEqual([{ count: 4 }]);
});

test('a value that can’t be converted is not quoted', async () => {
  expect(JSON.stringify(await measured("SELECT 'alice@example.org'::int"))).not.toContain('alice');
});

test('rows that can’t be kept in step, rollbacks, deadlocks and sessions in a failed transaction are seen', async () => {
  await sandbox.script(`
    CREATE TABLE public.items (id int PRIMARY KEY, amount text);
    INSERT INTO public.items VALUES (1, '1'), (2, '2'), (3, '3')`);
  const { id } = await dualWriting(db, toNumber());
  const base = await readSigns(db, id, { base: undefined, addresses: [] });
  expect(base).toMatchObject({ conflicts: 0, conflictsBefore: 0, stuck: {} });
  const [address] = await sandbox.query<{ host: string | null }>('SELECT host(inet_client_addr()) AS host');

  const failing = await sandbox.connect('app');
  await failing.query('BEGIN');
  await failing.query('SELECT 1 / 0').catch(() => undefined);
  const [one, other] = [await sandbox.connect('app'), await sandbox.connect('app')];
  await one.query('BEGIN');
  await other.query('BEGIN');
  await one.query('UPDATE sales.orders SET total = 0 WHERE id = 1');
  await other.query('UPDATE sales.orders SET total = 0 WHERE id = 2');
  const ends = await Promise.allSettled([
    one.query('UPDATE sales.orders SET total = 0 WHERE id = 2'),
    other.query('UPDATE sales.orders SET total = 0 WHERE id = 1'),
  ]);
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await one.query('ROLLBACK');
  await other.query('ROLLBACK');
  await sandbox.script(`UPDATE public.items SET amount = 'no number' WHERE id < 3`);

  await eventually(async () => {
    // Up to PostgreSQL 14 what a session did is counted when it does something again.
    for (const session of [one, other]) await session.query('SELECT 1');
    const addresses = address?.host === null || address === undefined ? [] : [address.host];
    const now = await readSigns(db, id, { base, addresses });
    expect(now).toMatchObject({ conflicts: 2, conflictsBefore: 0 });
    expect(now.deadlocks).toBe(base.deadlocks + 1);
    expect(now.rollbacks).toBeGreaterThan(base.rollbacks);
    // Over a Unix socket there is no address; else the session shows once it has sat there for ten seconds.
    expect(now.stuck).toEqual(Object.fromEntries(addresses.map((name) => [name, 1])));
  }, 60_000);
  expect(await readSigns(db, id, { base, addresses: ['10.9.8.7'] })).toMatchObject({ stuck: {} });
});
