/** What the sql kind lets run: one line a rule. */
import { describe, expect, test } from '@jest/globals';
import type { TableFacts } from '../../../src/api/facts.ts';
import type { SqlChange } from '../../../src/api/schema-change.ts';
import { changeOf } from '../../../src/changes/registry.ts';
import { World } from '../../support/world.ts';

const { table } = new World();
const text = table.columns['last_name'];
if (text === undefined) throw new Error('The table has a column last_name.');
const facts: TableFacts = {
  ...table,
  columns: {
    ...table.columns,
    short: { ...text, type: 'character varying(10)' },
    price: { ...text, type: 'numeric(10,2)' },
    number: { ...text, type: 'integer' },
  },
};

const messages = (scripts: Partial<SqlChange>): readonly string[] => {
  const change = changeOf({ sql: { table: 'public.customers', allowUnsafe: false, ...scripts } });
  expect(change.invalid).toEqual([]);
  return change.preflight(facts).map(({ reason, message }) => `${reason}: ${message}`);
};

describe('expand', () => {
  test.each([
    'CREATE TABLE t (id bigserial PRIMARY KEY, c text UNIQUE, d int REFERENCES customers (id))',
    'CREATE TABLE t (id int); CREATE INDEX ON t (id); UPDATE t SET id = 1; ALTER TABLE t ADD CHECK (id > 0)',
    'CREATE TABLE t AS SELECT 1 AS id; CREATE UNIQUE INDEX ON t (id); ALTER TABLE t ALTER COLUMN id SET NOT NULL',
    'ALTER TABLE customers ADD COLUMN c int',
    'ALTER TABLE customers ADD COLUMN c int DEFAULT 1 NOT NULL',
    "ALTER TABLE customers ADD COLUMN c timestamptz DEFAULT now(), ADD COLUMN d text DEFAULT 'x'::text",
    'ALTER TABLE customers ADD COLUMN c int REFERENCES other (id)',
    'ALTER TABLE customers ADD COLUMN c int GENERATED ALWAYS AS (1) VIRTUAL',
    'ALTER TABLE customers ALTER COLUMN short TYPE varchar(20)',
    'ALTER TABLE customers ALTER COLUMN short TYPE text',
    'ALTER TABLE customers ALTER COLUMN price TYPE numeric(12,2)',
    'ALTER TABLE customers ADD CHECK (last_name IS NOT NULL) NOT VALID',
    'ALTER TABLE customers VALIDATE CONSTRAINT c',
    'ALTER TABLE customers ADD CONSTRAINT c CHECK (last_name IS NOT NULL) NOT VALID; ALTER TABLE customers VALIDATE CONSTRAINT c; ALTER TABLE customers ALTER COLUMN last_name SET NOT NULL',
    'ALTER TABLE customers ADD FOREIGN KEY (id) REFERENCES other (id) NOT VALID',
    'ALTER TABLE customers ADD CONSTRAINT c UNIQUE USING INDEX i',
    'CREATE UNIQUE INDEX CONCURRENTLY i ON public.customers (last_name)',
    'DROP INDEX CONCURRENTLY IF EXISTS i',
    'REINDEX (CONCURRENTLY) TABLE customers',
    'REINDEX INDEX CONCURRENTLY i',
    'VACUUM customers',
    'VACUUM (ANALYZE, FULL false) customers',
    'UPDATE customers SET last_name = 1 WHERE id = 1',
    "INSERT INTO customers VALUES (1, 'a', 'b')",
    'CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION f()',
    'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM customers; RETURN NULL; END$$',
    'CREATE VIEW v AS SELECT * FROM customers',
    'REFRESH MATERIALIZED VIEW CONCURRENTLY v',
    "ALTER TYPE mood ADD VALUE 'new'",
    'ALTER INDEX i RENAME TO j',
    'ALTER TABLE customers DROP CONSTRAINT c',
    'CREATE TABLE p (LIKE customers); ALTER TABLE customers ATTACH PARTITION p FOR VALUES IN (1)',
    'ALTER TABLE p ADD CONSTRAINT c CHECK (id = 1) NOT VALID; ALTER TABLE p VALIDATE CONSTRAINT c; ALTER TABLE customers ATTACH PARTITION p FOR VALUES IN (1)',
    'GRANT SELECT ON customers TO reader',
    'ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID',
    'SELECT create_hypertable($$x$$)',
    "COMMENT ON TABLE customers IS 'segue.change'",
    'COPY customers FROM $$/var/lib/x$$',
    'ANALYZE customers',
  ])('%s', (expand) => {
    expect(messages({ expand })).toEqual([]);
  });

  test.each([
    ['ALTER TABLE customers ADD COLUMN c uuid DEFAULT gen_random_uuid()', 'addColumn'],
    ['ALTER TABLE customers ADD COLUMN c bigserial', 'number its rows'],
    ['ALTER TABLE customers ADD COLUMN c int GENERATED ALWAYS AS IDENTITY', 'number its rows'],
    ['ALTER TABLE customers ADD COLUMN c int GENERATED ALWAYS AS (id + 1) STORED', 'addColumn with backfill'],
    ['ALTER TABLE customers ADD COLUMN c int UNIQUE', 'addColumn with unique'],
    ['ALTER TABLE customers ADD COLUMN c int CHECK (c > 0)', 'addColumn with check'],
    ['ALTER TABLE customers ADD COLUMN c int DEFAULT 1 REFERENCES other (id)', 'references'],
    ['ALTER TABLE customers ADD COLUMN c int NOT NULL', 'nullable: false'],
    ['ALTER TABLE customers ADD COLUMN ok int, ADD COLUMN c bigserial', 'number its rows'],
    ['ALTER TABLE customers ALTER COLUMN number TYPE bigint', 'changeType'],
    ['ALTER TABLE customers ALTER COLUMN short TYPE varchar(5)', 'changeType'],
    ['ALTER TABLE customers ALTER COLUMN price TYPE numeric(12,3)', 'changeType'],
    ['ALTER TABLE customers ALTER COLUMN short TYPE text USING lower(short)', 'changeType'],
    ['ALTER TABLE elsewhere ALTER COLUMN short TYPE text', 'changeType'],
    ['ALTER TABLE customers ALTER COLUMN last_name SET NOT NULL', 'addConstraint with notNull'],
    ['ALTER TABLE customers ADD CHECK (id > 0)', 'NOT VALID'],
    ['ALTER TABLE customers ADD FOREIGN KEY (id) REFERENCES other (id)', 'NOT VALID'],
    ['ALTER TABLE customers ADD UNIQUE (id)', 'USING INDEX'],
    ['ALTER TABLE customers ADD PRIMARY KEY (id)', 'USING INDEX'],
    ['ALTER TABLE customers ADD EXCLUDE USING gist (r WITH &&)', 'builds an index'],
    ['ALTER TABLE customers DROP COLUMN last_name', 'dropColumn'],
    ['ALTER TABLE customers SET TABLESPACE fast', 'rewrites the whole table'],
    ['ALTER TABLE customers SET UNLOGGED', 'rewrites the whole table'],
    ['ALTER TABLE customers SET ACCESS METHOD columnar', 'rewrites the whole table'],
    ['ALTER TABLE customers ATTACH PARTITION p FOR VALUES IN (1)', 'NOT VALID'],
    ['ALTER TABLE customers DETACH PARTITION p', 'contract'],
    ['ALTER TABLE customers RENAME COLUMN last_name TO surname', 'renameColumn'],
    ['ALTER TABLE elsewhere RENAME TO anywhere', 'knows the old name'],
    ['CREATE INDEX i ON customers (last_name)', 'CONCURRENTLY'],
    ['CREATE TABLE IF NOT EXISTS t (id int); CREATE INDEX i ON t (id)', 'CONCURRENTLY'],
    ['DROP INDEX i', 'CONCURRENTLY'],
    ['DROP TABLE elsewhere', 'contract'],
    ['DROP VIEW v', 'contract'],
    ['DROP FUNCTION f(int)', 'contract'],
    ['REINDEX TABLE customers', 'CONCURRENTLY'],
    ['VACUUM FULL customers', 'without FULL'],
    ['VACUUM (FULL) customers', 'without FULL'],
    ['CLUSTER customers', 'rewrites the whole table'],
    ['LOCK TABLE customers', 'Take it out'],
    ['TRUNCATE elsewhere', 'DELETE with a WHERE'],
    ['UPDATE customers SET last_name = 1', 'in batches'],
    ['DELETE FROM customers', 'in batches'],
    ['WITH gone AS (DELETE FROM customers RETURNING *) SELECT FROM gone', 'in batches'],
    ['MERGE INTO customers USING x ON true WHEN MATCHED THEN DELETE', 'in batches'],
    ['REFRESH MATERIALIZED VIEW v', 'CONCURRENTLY'],
    ["ALTER TYPE mood RENAME VALUE 'a' TO 'b'", 'ADD VALUE'],
    ['ALTER DOMAIN d ADD CHECK (VALUE > 0)', 'NOT VALID'],
    ['ALTER DOMAIN d SET NOT NULL', 'NOT VALID'],
    ['REVOKE SELECT ON customers FROM reader', 'contract'],
    ['DO $$BEGIN END$$', 'Write its statements out'],
    ['CALL p()', 'Write its statements out'],
    ['ALTER TABLE elsewhere SET SCHEMA other', 'Make a view'],
  ])('%s is refused: %s', (expand, instead) => {
    const [message, another] = messages({ expand });
    expect(another).toBeUndefined();
    expect(message).toMatch(/^UnsafeStatement: spec.change sql.expand, statement \d at line 1: it /);
    expect(message).toContain(instead);
    expect(message).toContain('allowUnsafe: true');
    expect(messages({ expand, allowUnsafe: true })).toEqual([]);
  });
});

describe('never, whatever allowUnsafe says', () => {
  test.each([
    ['BEGIN', 'one transaction must be one statement'],
    ['COMMIT', 'Take it out'],
    ['SAVEPOINT a', 'Take it out'],
    ["SET search_path = 'x'", 'Take it out'],
    ["SET LOCAL lock_timeout = '1h'", 'Take it out'],
    ['RESET ALL', 'Take it out'],
    ['SET CONSTRAINTS ALL DEFERRED', 'Take it out'],
    ['COPY customers FROM STDIN', 'INSERT'],
    ['COPY customers TO STDOUT', 'INSERT'],
    ['DROP TABLE elsewhere CASCADE', 'without CASCADE'],
    ['ALTER TABLE customers DROP COLUMN last_name CASCADE', 'without CASCADE'],
    ['ALTER TABLE customers DROP CONSTRAINT c CASCADE', 'without CASCADE'],
    ['TRUNCATE elsewhere CASCADE', 'without CASCADE'],
    ['DROP OWNED BY x', 'by hand'],
    ['DROP SCHEMA segue', 'Leave it alone'],
    ['ALTER SCHEMA segue RENAME TO x', 'Leave it alone'],
    ['REVOKE USAGE ON SCHEMA segue FROM PUBLIC', 'Leave it alone'],
    ["UPDATE segue.change SET state = 'Completed' WHERE id = 1", 'Leave it alone'],
    ['SELECT segue.note_use(1)', 'Leave it alone'],
    ['DROP FUNCTION segue.note_use(bigint)', 'Leave it alone'],
    ['DROP TABLE segue.change', 'Leave it alone'],
    ['CREATE TABLE segue.x (id int)', 'Leave it alone'],
    ['ALTER TABLE elsewhere SET SCHEMA segue', 'Leave it alone'],
    ['CREATE TABLE x (LIKE segue.change)', 'Leave it alone'],
    ['SELECT $1', 'Write the value'],
    ['DROP TABLE customers', 'a table that stays'],
    ['DROP TABLE IF EXISTS public.customers', 'a table that stays'],
    ['ALTER TABLE customers RENAME TO clients', 'a table that stays'],
    ['ALTER TABLE customers SET SCHEMA other', 'a table that stays'],
    ['CREATE INDEX CONCURRENTLY ON customers (last_name)', 'a name'],
    ['CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON customers (last_name)', 'a name'],
    ['DROP INDEX CONCURRENTLY i', 'IF EXISTS'],
    ['CREATE INDEX CONCURRENTLY i ON elsewhere (last_name)', 'SchemaChange of its own'],
    ['CREATE DATABASE x', 'by hand'],
    ["ALTER SYSTEM SET work_mem = '1GB'", 'by hand'],
    ['PREPARE x AS SELECT 1', 'Take it out'],
  ])('%s: %s', (script, instead) => {
    for (const name of ['expand', 'contract'] as const) {
      const [message, another] = messages({ [name]: script, allowUnsafe: true });
      expect(another).toBeUndefined();
      expect(message).toContain(instead);
      expect(message).not.toContain('allowUnsafe');
    }
  });
});

test('contract may drop', () => {
  const contract =
    'DROP TABLE elsewhere; ALTER TABLE customers DROP COLUMN last_name; DROP VIEW v; REVOKE SELECT ON customers FROM reader';
  expect(messages({ contract })).toEqual([]);
});

test('undo must not rely on how far expand had come', () => {
  const expand = 'CREATE TABLE t (id int)';
  expect(messages({ expand, undo: 'DROP TABLE IF EXISTS t' })).toEqual([]);
  const [message] = messages({ expand, undo: 'DROP TABLE t' });
  expect(message).toContain('IF EXISTS');
});

test('each finding names its statement and line', () => {
  const found = messages({ expand: 'SELECT 1;\n\n-- b\nTRUNCATE a;\nCREATE TABLE t ();  TRUNCATE b' });
  expect(found.map((message) => /statement \d at line \d/.exec(message)?.[0])).toEqual([
    'statement 2 at line 4',
    'statement 4 at line 5',
  ]);
});

test.each([
  ['SELEC 1', 'line 1, column 1: syntax error at or near "SELEC". Correct the script.'],
  [
    'SELECT 1;\n\\d customers',
    'line 2, column 1: syntax error at or near "\\". That is a command or variable of psql',
  ],
  ['DELETE FROM t WHERE id = :id', 'That is a command or variable of psql'],
  ["SELECT 'a", 'line 1, column 8: unterminated quoted string'],
  ['-- nothing', 'sql.expand has no statement'],
])('%j is no script', (expand, says) => {
  const { invalid } = changeOf({ sql: { table: 'customers', allowUnsafe: true, expand } });
  expect(invalid).toMatchObject([{ reason: 'InvalidExpression' }]);
  expect(invalid[0]?.message).toContain(says);
});
