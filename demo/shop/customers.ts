/**
 * The customers' table as the two versions of the shop know it. Callers see one `name` either way, so that
 * whoever talks to the shop need not know which version answers.
 */
import type { Pool } from 'pg';

export const versions = ['1', '2'] as const;

/** `1` knows `first_name` and `last_name`, `2` knows `full_name` and nothing else. */
export type Version = (typeof versions)[number];

export interface Customer {
  readonly id: number;
  readonly name: string;
  readonly city: string;
}

/** Every statement answers with `id`, `name` and `city`, or with no row where there is no such customer. */
interface Statements {
  readonly insert: string;
  readonly rename: string;
  readonly move: string;
  readonly read: string;
  /** Fails where the schema lacks what this version needs. */
  readonly probe: string;
}

const splitName = (parameter: string): readonly [first: string, last: string] => [
  `split_part(${parameter}, ' ', 1)`,
  `substr(${parameter}, strpos(${parameter}, ' ') + 1)`,
];

const [first, last] = splitName('$1::text');
const namesApart = `id::int, first_name || ' ' || last_name AS name, city`;
const nameAsOne = 'id::int, full_name AS name, city';

const statements: Readonly<Record<Version, Statements>> = {
  1: {
    insert: `INSERT INTO customers (first_name, last_name, city) VALUES (${first}, ${last}, $2) RETURNING ${namesApart}`,
    rename: `UPDATE customers SET first_name = ${first}, last_name = ${last} WHERE id = $2 RETURNING ${namesApart}`,
    move: `UPDATE customers SET city = $1 WHERE id = $2 RETURNING ${namesApart}`,
    read: `SELECT ${namesApart} FROM customers WHERE id = $1`,
    probe: `SELECT first_name, last_name, city FROM customers LIMIT 0`,
  },
  2: {
    insert: `INSERT INTO customers (full_name, city) VALUES ($1, $2) RETURNING ${nameAsOne}`,
    rename: `UPDATE customers SET full_name = $1 WHERE id = $2 RETURNING ${nameAsOne}`,
    move: `UPDATE customers SET city = $1 WHERE id = $2 RETURNING ${nameAsOne}`,
    read: `SELECT ${nameAsOne} FROM customers WHERE id = $1`,
    probe: `SELECT full_name, city FROM customers LIMIT 0`,
  },
};

/** The customers of one version. Nothing is tried twice: a statement that fails is the caller's to count. */
export interface Customers {
  readonly insert: (name: string, city: string) => Promise<Customer | undefined>;
  readonly rename: (id: number, name: string) => Promise<Customer | undefined>;
  readonly move: (id: number, city: string) => Promise<Customer | undefined>;
  readonly read: (id: number) => Promise<Customer | undefined>;
  readonly probe: () => Promise<void>;
}

export function customersOf(version: Version, pool: Pool): Customers {
  const sql = statements[version];
  const one = async (text: string, values: readonly unknown[]): Promise<Customer | undefined> =>
    (await pool.query<Customer>(text, [...values])).rows[0];
  return {
    insert: (name, city) => one(sql.insert, [name, city]),
    rename: (id, name) => one(sql.rename, [name, id]),
    move: (id, city) => one(sql.move, [city, id]),
    read: (id) => one(sql.read, [id]),
    probe: async () => {
      await pool.query(sql.probe);
    },
  };
}
