import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { seedCustomers, seededCustomer } from '../../demo/customers-table.ts';
import { compareWithDatabase } from '../../demo/load/comparison.ts';
import { asSeeded, Expectations } from '../../demo/load/expectations.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';

const rows = 300;
let server: TestServer;
let database: TestDatabase;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());

beforeEach(async () => {
  database = await server.database();
  await seedCustomers(await database.connect(), rows);
});
afterEach(() => database.close());

test('the seed in SQL is the seed in TypeScript', async () => {
  const seeded = await database.query<{ id: number; name: string; city: string }>(
    `SELECT id::int, first_name || ' ' || last_name AS name, city FROM customers ORDER BY id`,
  );
  const expected = Array.from({ length: rows }, (_, index) => ({
    id: index + 1,
    ...seededCustomer(index + 1),
  }));
  expect(seeded).toEqual(expected);
});

test('ids go on after the seed', async () => {
  const insert = `INSERT INTO customers (first_name, last_name, city) VALUES ('A', 'B', 'C') RETURNING id::int`;
  expect(await database.query(insert)).toEqual([{ id: rows + 1 }]);
});

describe('the final comparison', () => {
  beforeEach(async () => {
    await database.script(`
      ALTER TABLE customers ADD full_name text;
      UPDATE customers SET full_name = first_name || ' ' || last_name`);
  });

  const insertOne = async (name: string): Promise<number> => {
    const insert = `INSERT INTO customers (first_name, last_name, city, full_name) VALUES ('', '', 'Lima', $1) RETURNING id::int`;
    const [row] = await database.query<{ id: number }>(insert, [name]);
    return row?.id ?? 0;
  };

  test('finds nothing where every row is as seeded or as acknowledged', async () => {
    const expectations = new Expectations(asSeeded);
    expectations.inserted(await insertOne('Ann New'), 'Ann New', 'Lima');
    await database.query(`UPDATE customers SET full_name = 'Ann Changed', city = 'Oslo' WHERE id = 5`);
    expectations.acknowledged(5, 'names', 'Ann Changed');
    expectations.acknowledged(5, 'cities', 'Oslo');
    expect(await compareWithDatabase(database.uri, rows, expectations)).toEqual({
      rows: rows + 1,
      mismatches: 0,
      sampleIds: [],
    });
  });

  test.each([
    ['a lost row', 'DELETE FROM customers WHERE id = 7'],
    ['a row that nobody converted', 'UPDATE customers SET full_name = NULL WHERE id = 7'],
    ['a changed name', `UPDATE customers SET full_name = 'x' WHERE id = 7`],
    ['a changed city', `UPDATE customers SET city = 'x' WHERE id = 7`],
    [
      'a row that nobody wrote',
      `INSERT INTO customers (id, first_name, last_name, city, full_name) VALUES (7000, '', '', '', 'x')`,
    ],
  ])('finds %s', async (_, damage) => {
    await database.script(damage);
    const found = await compareWithDatabase(database.uri, rows, new Expectations(asSeeded));
    expect(found.mismatches).toBe(1);
    expect(found.sampleIds).toEqual([damage.includes('7000') ? 7000 : 7]);
  });

  test('finds a write that was acknowledged and is not there', async () => {
    const expectations = new Expectations(asSeeded);
    expectations.acknowledged(5, 'names', 'Ann Lost');
    expect(await compareWithDatabase(database.uri, rows, expectations)).toMatchObject({
      mismatches: 1,
      sampleIds: [5],
    });
  });

  test('a write whose outcome is unknown may be there or not', async () => {
    const expectations = new Expectations(asSeeded);
    expectations.unknown(5, 'names', 'Ann Perhaps');
    expectations.unknown(6, 'names', 'Bo Perhaps');
    expectations.perhapsInserted('Eun Perhaps');
    await database.query(`UPDATE customers SET full_name = 'Ann Perhaps' WHERE id = 5`);
    await insertOne('Eun Perhaps');
    expect((await compareWithDatabase(database.uri, rows, expectations)).mismatches).toBe(0);
  });
});
