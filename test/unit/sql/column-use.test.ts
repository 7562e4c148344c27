import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadModule, parseSync } from 'libpg-query';
import { columnUses, type WatchedTable } from '../../../src/sql/column-use.ts';

beforeAll(loadModule);

const table: WatchedTable = {
  tables: [
    { schema: 'public', name: 'customers' },
    { schema: 'parts', name: 'customers_2024' },
  ],
  dumped: ['id', 'first_name', 'last_name', 'full_name'],
  columns: ['id', 'first_name', 'last_name', 'full_name', 'doubled'],
  old: ['first_name', 'last_name'],
};

const strongest = (text: string): string => {
  const [use] = columnUses(parseSync(text), table);
  return use === undefined ? 'none' : `${use.how} ${use.kind}`;
};

describe('a statement that names an old column', () => {
  test.each([
    'SELECT first_name FROM customers',
    'SELECT first_name FROM public.customers WHERE id = $1',
    'SELECT c.first_name FROM customers c',
    'SELECT customers.last_name FROM customers JOIN orders o ON o.customer = customers.id',
    'SELECT public.customers.last_name FROM public.customers',
    'SELECT id FROM customers WHERE last_name = $1',
    'SELECT id FROM customers ORDER BY last_name',
    'SELECT id AS n FROM customers ORDER BY first_name, n',
    'SELECT count(*) FROM customers GROUP BY last_name HAVING max(first_name) > $1',
    'SELECT lower(coalesce(c.first_name, $1)) FROM orders o LEFT JOIN customers AS c USING (id)',
    'SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.first_name = o.name)',
    'SELECT o.id, (SELECT first_name FROM customers c WHERE c.id = o.customer) FROM orders o',
    'SELECT q.n FROM customers c, LATERAL (SELECT c.first_name AS n) q',
    'WITH q AS (SELECT first_name FROM customers) SELECT 1 FROM q',
    'WITH customers AS (SELECT first_name FROM customers) SELECT id FROM customers',
    'SELECT 1 FROM t UNION ALL SELECT first_name FROM customers',
    'SELECT o.id FROM orders o JOIN customers c USING (last_name)',
    'SELECT (c).first_name FROM customers c',
    'SELECT first_name FROM customers_2024',
    'SELECT count(*) FILTER (WHERE first_name IS NULL) OVER (PARTITION BY id) FROM customers',
    'DELETE FROM customers WHERE first_name = $1',
    'DELETE FROM customers c USING gone g WHERE c.last_name = g.name',
    'UPDATE orders o SET name = c.first_name FROM customers c WHERE c.id = o.customer',
    'UPDATE customers SET full_name = first_name || last_name',
    'UPDATE customers SET full_name = $1 RETURNING first_name',
    'INSERT INTO customers (id) VALUES ($1) RETURNING last_name',
    'INSERT INTO customers (id) VALUES ($1) ON CONFLICT (last_name) DO NOTHING',
    'INSERT INTO archive SELECT id, first_name FROM customers',
    'COPY public.customers (first_name) TO stdout',
    'COPY (SELECT first_name FROM customers) TO stdout',
    'PREPARE q AS SELECT first_name FROM customers',
    'DECLARE c CURSOR FOR SELECT first_name FROM customers',
    'SELECT first_name FROM customers TABLESAMPLE system ($1)',
    'SELECT old.first_name FROM customers AS old FOR UPDATE',
    'MERGE INTO orders o USING customers c ON c.first_name = o.name WHEN MATCHED THEN DELETE',
  ])('reads: %s', (text) => {
    expect(strongest(text)).toBe('named Read');
  });

  test.each([
    'UPDATE customers SET first_name = $1 WHERE id = $2',
    'UPDATE public.customers AS c SET (full_name, last_name) = ($1, $2)',
    'INSERT INTO customers (id, first_name) VALUES ($1, $2)',
    'INSERT INTO customers (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET last_name = excluded.full_name',
    'WITH done AS (UPDATE customers SET first_name = $1 RETURNING id) SELECT * FROM done',
    'COPY customers (id, first_name) FROM stdin',
    'MERGE INTO customers c USING n ON n.id = c.id WHEN MATCHED THEN UPDATE SET first_name = n.name',
    'MERGE INTO customers c USING n ON n.id = c.id WHEN NOT MATCHED THEN INSERT (id, last_name) VALUES (n.id, n.name)',
  ])('writes: %s', (text) => {
    expect(strongest(text)).toBe('named Write');
  });
});

describe('a statement that takes every column', () => {
  test.each([
    'SELECT * FROM customers',
    'SELECT * FROM orders o, customers c',
    'SELECT c.* FROM customers c JOIN orders o ON o.customer = c.id',
    'SELECT public.customers.* FROM public.customers',
    'SELECT customers FROM customers',
    'SELECT row_to_json(c) FROM customers c',
    'SELECT json_agg(c.*) FROM customers c',
    'SELECT q.id FROM (SELECT * FROM customers) q',
    'SELECT x.a FROM customers AS x (a, b, c)',
    'SELECT id FROM customers NATURAL JOIN orders',
    'DELETE FROM customers WHERE id = $1 RETURNING *',
    'UPDATE customers c SET full_name = $1 RETURNING c.*',
    'INSERT INTO customers (id) VALUES ($1) RETURNING customers.*',
    'COPY customers TO stdout',
    'TABLE customers',
  ])('reads: %s', (text) => {
    expect(strongest(text)).toBe('wildcard Read');
  });

  test.each([
    'INSERT INTO customers VALUES ($1, $2)',
    'INSERT INTO public.customers SELECT id FROM other',
    'MERGE INTO customers c USING n ON n.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (n.id)',
    'COPY customers FROM stdin',
  ])('writes: %s', (text) => {
    expect(strongest(text)).toBe('wildcard Write');
  });
});

test.each([
  'SELECT full_name FROM customers WHERE id = $1',
  'SELECT count(*) FROM customers',
  "SELECT split_part(full_name, ' ', $1) AS first_name FROM customers ORDER BY first_name",
  'SELECT q.first_name FROM (SELECT full_name AS first_name FROM customers) q',
  'SELECT first_name FROM employees',
  'SELECT e.first_name FROM employees e JOIN customers c ON c.id = e.id',
  'SELECT e.* FROM employees e JOIN customers c ON c.id = e.id',
  'SELECT * FROM hr.customers',
  'SELECT first_name FROM hr.customers',
  'SELECT 1 FROM orders o WHERE EXISTS (SELECT * FROM customers c WHERE c.id = o.customer)',
  'WITH customers AS (SELECT first_name, last_name FROM employees) SELECT * FROM customers',
  'SELECT (c).full_name FROM customers c',
  'SELECT doubled FROM customers',
  'INSERT INTO customers (id, full_name) VALUES ($1, $2)',
  'INSERT INTO customers DEFAULT VALUES',
  'INSERT INTO log SELECT * FROM employees',
  'UPDATE customers SET full_name = $1 WHERE id = $2',
  'UPDATE employees SET first_name = $1 WHERE id IN (SELECT id FROM customers)',
  'DELETE FROM customers WHERE id = $1',
  'COPY public.customers (id, first_name, last_name, full_name) TO stdout',
  'DECLARE _pg_dump_cursor CURSOR FOR SELECT * FROM ONLY public.customers',
  'VACUUM (ANALYZE) customers',
  'ANALYZE customers (first_name)',
  'EXPLAIN SELECT first_name FROM customers',
  'LOCK TABLE public.customers IN ACCESS SHARE MODE',
])('is no use: %s', (text) => {
  expect(strongest(text)).toBe('none');
});
