/** The tables that are measured. Autovacuum leaves them alone: when it came by would decide a round. */
import type { BenchDatabase } from './server.ts';

export interface TableKind {
  readonly name: 'narrow' | 'wide';
  readonly about: string;
  readonly build: (rows: number) => readonly string[];
}

const names = `'First' || (i % 5003) AS first_name, 'Last' || (i % 9973) AS last_name`;

const filler = Array.from({ length: 12 }, (_, n) =>
  n % 2 === 0 ? `(i * ${n + 7}) % 100003 AS number_${n}` : `md5((i + ${n})::text) AS text_${n}`,
).join(', ');

/** id, two names, a counter. */
export const narrow: TableKind = {
  name: 'narrow',
  about: '4 columns, primary key',
  build: (rows) => [
    `CREATE TABLE customers WITH (autovacuum_enabled = off) AS
      SELECT i::bigint AS id, ${names}, 0 AS visits FROM generate_series(1, ${rows}) i`,
    'ALTER TABLE customers ADD PRIMARY KEY (id)',
  ],
};

/** 20 columns and three indexes beside the primary key, none of them on a column that is replaced. */
export const wide: TableKind = {
  name: 'wide',
  about: '20 columns, primary key and 3 indexes',
  build: (rows) => [
    `CREATE TABLE customers WITH (autovacuum_enabled = off) AS
      SELECT i::bigint AS id, ${names}, 0 AS visits, 'user' || i || '@example.org' AS email,
        timestamptz '2020-01-01' + i * interval '1 minute' AS created_at,
        (i % 97)::smallint AS country, (i % 1000)::numeric(10, 2) AS balance, ${filler}
      FROM generate_series(1, ${rows}) i`,
    'ALTER TABLE customers ADD PRIMARY KEY (id)',
    'CREATE INDEX customers_email ON customers (email)',
    'CREATE INDEX customers_created_at ON customers (created_at)',
    'CREATE INDEX customers_country ON customers (country, balance)',
  ],
};

/** The statements that make a table, for a template. */
export const building =
  (kind: TableKind, rows: number) =>
  async ({ client }: BenchDatabase): Promise<void> => {
    for (const statement of kind.build(rows)) await client.query(statement);
  };
