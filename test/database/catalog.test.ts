import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TableFacts } from '../../src/api/facts.ts';
import { checkExpressions, readTable } from '../../src/database/catalog.ts';
import { Databases, readServer, type Database } from '../../src/database/databases.ts';
import { functionsThatName } from '../../src/database/function-mentions.ts';
import { userSql } from '../../src/sql/sql.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { dualWriting, fullName } from '../support/database-change.ts';
import { changeOf } from '../../src/changes/registry.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const read = async (name: string, schema = 'public'): Promise<TableFacts> => {
  const table = await readTable(db, { schema, name });
  if (!table) throw new Error(`no table ${schema}.${name}`);
  return table;
};

describe('columns', () => {
  test('with type, default, NOT NULL, identity and generation', async () => {
    await sandbox.script(`
      CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, price numeric(10,2) NOT NULL DEFAULT 1.5,
        twice numeric GENERATED ALWAYS AS (price * 2) STORED);
      ALTER TABLE t DROP COLUMN gone;`);
    const { columns, primaryKey } = await read('t');
    expect(primaryKey).toEqual(['id']);
    expect(columns).toMatchObject({
      id: { attnum: 1, type: 'integer', notNull: true, generated: false, identity: true, comparable: true },
      price: {
        attnum: 3,
        type: 'numeric(10,2)',
        notNull: true,
        generated: false,
        identity: false,
        comparable: false,
        default: '1.5',
      },
      twice: {
        attnum: 4,
        type: 'numeric',
        notNull: false,
        generated: true,
        identity: false,
        comparable: false,
      },
    });
  });

  // Where "equal" is less than "the same", a change from one to the other must not be missed.
  test('are comparable only where equal means the same', async () => {
    await sandbox.script(`
      CREATE EXTENSION citext;
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE DOMAIN name_of AS text;
      CREATE DOMAIN amount AS numeric;
      CREATE COLLATION blurred (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE t (a int, b text, c varchar(5), d uuid, e timestamptz, f mood, g name_of, h date, i bool, j bytea,
        k numeric, l citext, m json, n jsonb, o interval, p point, q int[], r amount, s text COLLATE blurred, u circle, v int4range);`);
    const { columns } = await read('t');
    const comparable = Object.keys(columns).filter((name) => columns[name]?.comparable);
    expect(comparable).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']);
  });
});

describe('what hangs on a column', () => {
  test('is named, whatever it is', async () => {
    await sandbox.script(`
      CREATE TABLE parent (id int PRIMARY KEY);
      CREATE TABLE t (
        a int PRIMARY KEY, b int REFERENCES parent, c int UNIQUE, d int CHECK (d > 0), e int, f int, g int, h int, i int,
        j int GENERATED ALWAYS AS (i + 1) STORED, k int, l serial, m int, n int, o int NOT NULL, p int, q int,
        EXCLUDE USING btree (q WITH =));
      CREATE TABLE child (id int REFERENCES t (c));
      CREATE INDEX t_e ON t (e);
      CREATE INDEX t_expression ON t ((f + 1)) WHERE g > 0;
      CREATE VIEW v AS SELECT h FROM t;
      CREATE STATISTICS stats ON m, n FROM t;
      GRANT SELECT (m) ON t TO PUBLIC;
      CREATE POLICY pol ON t USING (p > 0);
      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER trg AFTER UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION f();
      CREATE RULE rul AS ON UPDATE TO t WHERE NEW.g = 3 DO INSTEAD NOTHING;
      CREATE FUNCTION reader() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(e) FROM t; END;`);
    // Column lists came with PostgreSQL 15.
    const { version } = await readServer(db);
    if (version >= 150_000) await sandbox.script('CREATE PUBLICATION pub FOR TABLE t (a, k)');
    const { dependents } = await read('t');
    const listed = dependents.map(({ column, kind, name }) => `${column}: ${kind} ${name}`);
    expect(listed).toEqual([
      'a: primary key t_pkey',
      ...(version >= 150_000 ? ['a: publication pub'] : []),
      'b: foreign key t_b_fkey',
      'c: foreign key child_id_fkey of public.child',
      'c: unique constraint t_c_key',
      'd: check constraint t_d_check',
      'e: index t_e',
      'e: other function public.reader()',
      'f: index t_expression',
      'g: index t_expression',
      'g: rule rul',
      'h: view public.v',
      'i: generated column j',
      ...(version >= 150_000 ? ['k: publication pub'] : []),
      'l: sequence t_l_seq',
      'm: grant PUBLIC',
      'm: statistics stats',
      'n: statistics stats',
      'n: trigger trg',
      'p: policy pol',
      'q: exclusion constraint t_q_excl',
    ]);
  });

  test('in a partition counts, a copy of the parent’s does not', async () => {
    await sandbox.script(`
      CREATE TABLE t (a int, b int, c int, PRIMARY KEY (c)) PARTITION BY LIST (c);
      CREATE INDEX t_b ON t (b);
      CREATE TABLE t1 (b int, a int, c int NOT NULL);
      ALTER TABLE t ATTACH PARTITION t1 FOR VALUES IN (1);
      CREATE INDEX local ON t1 (a);
      CREATE TABLE by_expression (a int) PARTITION BY RANGE ((a + 1));`);
    const { dependents, partitioned, heaps } = await read('t');
    expect({ partitioned, heaps: heaps.map(({ name }) => name) }).toEqual({
      partitioned: true,
      heaps: ['t1'],
    });
    expect(dependents.map(({ column, kind, name }) => `${column}: ${kind} ${name}`)).toEqual([
      'a: index local',
      'b: index t_b',
      'c: partition key public.t',
      'c: primary key t_pkey',
    ]);
    expect((await read('by_expression')).dependents).toEqual([
      { column: 'a', kind: 'partition key', name: 'public.by_expression' },
    ]);
  });

  test('leaves out what Segue made itself', async () => {
    await sandbox.script('CREATE TABLE customers (id int PRIMARY KEY, first_name text, last_name text)');
    const change = await dualWriting(db, fullName());
    const { dependents, marks, triggers } = await change.table();
    expect(dependents.map(({ column }) => column)).toEqual(['id']);
    expect(marks).toEqual({ [`sync_${change.id}`]: expect.stringContaining('wide') });
    expect(triggers).toEqual([
      {
        name: `~segue_${change.id}_insert`,
        enabled: true,
        beforeUpdate: false,
        beforeInsert: true,
        ofColumns: false,
      },
      {
        name: `~segue_${change.id}_update`,
        enabled: true,
        beforeUpdate: true,
        beforeInsert: false,
        ofColumns: false,
      },
    ]);
    await sandbox.script(`ALTER TABLE customers DISABLE TRIGGER "~segue_${change.id}_update"`);
    expect((await change.table()).triggers[1]).toMatchObject({ enabled: false });
  });
});

describe('names and kinds of tables', () => {
  test('are taken as written', async () => {
    await sandbox.script('CREATE SCHEMA "S"; CREATE TABLE "S"."T" ("A" int); CREATE TABLE public.t (a int)');
    expect(Object.keys((await read('T', 'S')).columns)).toEqual(['A']);
    expect(await readTable(db, { schema: 's', name: 'T' })).toBeUndefined();
    expect(await readTable(db, { schema: 'S', name: 't' })).toBeUndefined();
  });

  test.each([
    ['v', 'CREATE VIEW v AS SELECT 1 AS a', /view/],
    ['child', 'CREATE TABLE p (a int); CREATE TABLE child () INHERITS (p)', /inheritance/],
    ['p', 'CREATE TABLE p (a int); CREATE TABLE child () INHERITS (p)', /inheritance/],
    [
      'leaf',
      'CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE leaf PARTITION OF p DEFAULT',
      /partitioned/,
    ],
    ['typed', 'CREATE TYPE tt AS (a int); CREATE TABLE typed OF tt', /typed/],
  ])('%s that no change can work on', async (name, script, why) => {
    await sandbox.script(script);
    expect((await read(name)).unsupported).toMatch(why);
  });

  test('rows are estimated once the table was analysed', async () => {
    await sandbox.script('CREATE TABLE t AS SELECT generate_series(1, 1000) AS a');
    expect((await read('t')).estimatedRows).toBe(-1);
    await sandbox.script('ANALYZE t');
    expect((await read('t')).estimatedRows).toBe(1000);
    await sandbox.script('CREATE TABLE nothing (a int)');
    expect((await read('nothing')).estimatedRows).toBe(0);
  });
});

describe('expressions', () => {
  const judge = async (forward: string, backward = "split_part(full_name, ' ', 1)") => {
    await sandbox.script(
      'CREATE TABLE IF NOT EXISTS customers (id int PRIMARY KEY, first_name text, last_name text)',
    );
    const change = changeOf({
      replaceColumns: {
        table: 'customers',
        from: ['first_name'],
        to: [{ name: 'full_name', type: 'text', nullable: true }],
        forward: { full_name: forward },
        backward: { first_name: backward },
      },
    });
    if (change.invalid.length > 0) return change.invalid;
    return checkExpressions(db, change.table, change.parseChecks(await read('customers')));
  };

  test('that PostgreSQL takes give no violation and leave no trace', async () => {
    expect(await judge('upper(first_name)')).toEqual([]);
    expect(await sandbox.query(`SELECT proname FROM pg_proc WHERE proname LIKE 'segue%'`)).toEqual([]);
  });

  test('with an unknown column are shown with what PostgreSQL says', async () => {
    const violations = await judge('upper(frist_name)');
    expect(violations).toEqual([
      {
        reason: 'InvalidExpression',
        message: expect.stringMatching(
          /forward\.full_name.*at "frist_name.*column "frist_name" does not exist.*42703.*Correct/,
        ),
      },
    ]);
  });

  test('are all judged, not only the first', async () => {
    expect((await judge('nonsense(', 'more(')).map(({ message }) => message)).toEqual([
      expect.stringContaining('forward.full_name'),
      expect.stringContaining('backward.first_name'),
    ]);
  });

  test('cannot carry a second statement', async () => {
    await judge('first_name');
    expect(await judge('first_name); DROP TABLE customers; --')).toHaveLength(1);
    expect(await sandbox.query('SELECT FROM customers')).toEqual([]);
    await expect(
      db.transaction({ mode: 'write' }, (session) =>
        session.run(userSql('SELECT 1; DROP TABLE public.customers')),
      ),
    ).rejects.toMatchObject({ code: '42601' });
    expect(await sandbox.query('SELECT FROM customers')).toEqual([]);
  });

  test('see functions of the table’s schema and of public', async () => {
    await sandbox.script('CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper($1)');
    expect(await judge('shout(first_name)')).toEqual([]);
  });
});

describe('functions whose text names a column', () => {
  const found = async (): Promise<readonly string[]> =>
    functionsThatName(db, await read('people'), ['First Name', 'nick']);

  beforeEach(() =>
    sandbox.script(`
      CREATE TABLE people (id int PRIMARY KEY, "First Name" text, nick text);
      CREATE TABLE pets (id int PRIMARY KEY, nick text)`),
  );

  test('in SQL, in PL/pgSQL, in a statement that it puts together, in a trigger of the table', async () => {
    await sandbox.script(`
      CREATE FUNCTION a_sql(i int) RETURNS text LANGUAGE sql AS 'SELECT p."First Name" FROM people p WHERE p.id = i';
      CREATE FUNCTION b_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
        DECLARE found text; BEGIN SELECT Nick INTO found FROM public.people WHERE id = 1; RETURN found; END $$;
      CREATE PROCEDURE c_dynamic() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'UPDATE people SET nick = ''x'''; END $$;
      CREATE FUNCTION d_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.nick := lower(NEW.nick); RETURN NEW; END $$;
      CREATE TRIGGER d BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION d_trigger()`);
    expect(await found()).toEqual([
      'public.a_sql(integer)',
      'public.b_plpgsql()',
      'public.c_dynamic()',
      'public.d_trigger()',
    ]);
  });

  test('not one that names another table’s, only speaks of it, or knows its columns for itself', async () => {
    await sandbox.script(`
      CREATE FUNCTION a_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(nick) FROM pets';
      CREATE FUNCTION b_plpgsql() RETURNS int LANGUAGE plpgsql AS $$ BEGIN /* people by nick */ RETURN (SELECT count(nick) FROM pets); END $$;
      CREATE FUNCTION c_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.nick := lower(NEW.nick); RETURN NEW; END $$;
      CREATE TRIGGER c BEFORE INSERT ON pets FOR EACH ROW EXECUTE FUNCTION c_trigger();
      CREATE FUNCTION d_other() RETURNS bigint LANGUAGE sql AS 'SELECT count(id) FROM people /* nick */';
      CREATE FUNCTION e_atomic() RETURNS bigint BEGIN ATOMIC SELECT count(nick) FROM people; END`);
    expect(await found()).toEqual([]);
  });
});
