/**
 * The ways in which an application can write rows, for old code and for new code. Each is one line of the table; the
 * test runs every line in every mode of the triggers and looks at what became of both sides.
 */
import type pg from 'pg';
import { copyIn } from '../../support/copy-in.ts';

/** How one kind of code names the columns that it writes. */
export interface Writer {
  readonly code: 'old' | 'new';
  /** Its columns, as INSERT lists them. */
  readonly columns: string;
  /** Values of a first and a last name, as VALUES has them. */
  readonly values: (first: string, last: string) => string;
  /** The same with expressions instead of literals. */
  readonly expressions: (first: string, last: string) => string;
  /** Assignments of values, as SET has them. */
  readonly set: (first: string, last: string) => string;
  /** Assignments from a row that has the same columns: `EXCLUDED`, an alias. */
  readonly setFrom: (alias: string) => string;
  /** One line of COPY's text format. */
  readonly line: (id: number, first: string, last: string) => string;
}

const oldCode: Writer = {
  code: 'old',
  columns: 'first_name, last_name',
  values: (first, last) => `'${first}', '${last}'`,
  expressions: (first, last) => `${first}, ${last}`,
  set: (first, last) => `first_name = '${first}', last_name = '${last}'`,
  setFrom: (alias) => `first_name = ${alias}.first_name, last_name = ${alias}.last_name`,
  line: (id, first, last) => `${id}\t${first}\t${last}\n`,
};

const newCode: Writer = {
  code: 'new',
  columns: 'full_name',
  values: (first, last) => `'${first} ${last}'`,
  expressions: (first, last) => `${first} || ' ' || ${last}`,
  set: (first, last) => `full_name = '${first} ${last}'`,
  setFrom: (alias) => `full_name = ${alias}.full_name`,
  line: (id, first, last) => `${id}\t${first} ${last}\n`,
};

/** Old code and new code. */
export const writers: readonly Writer[] = [oldCode, newCode];

/** Rows that must be there afterwards: id, first name, last name. */
export type Wrote = readonly (readonly [id: number, first: string, last: string])[];

/** One way to write. Rows 1 to 5 are there; the transaction is rolled back afterwards. */
export interface Way {
  readonly name: string;
  /** First major that has it. */
  readonly since?: number;
  /** Made by the superuser, in the same transaction. */
  readonly given?: readonly string[];
  readonly write: (by: Writer, client: pg.Client) => string | Promise<void>;
  readonly wrote: Wrote;
}

const insertOf = (by: Writer, into: string, id: number, first: string, last: string): string =>
  `INSERT INTO ${into} (id, ${by.columns}) VALUES (${id}, ${by.values(first, last)})`;

const updateOf = (by: Writer, what: string, where: string): string =>
  `UPDATE ${what} SET ${by.set('Ann', 'Lee')} WHERE ${where}`;

const ann: Wrote = [[1, 'Ann', 'Lee']];
const upsert = (by: Writer, id: number, action: string): string =>
  `${insertOf(by, 'people', id, 'Ann', 'Lee')} ON CONFLICT (id) DO ${action}`;

const insertedAs = (
  name: string,
  write: (by: Writer) => string,
  wrote: Wrote,
  given?: readonly string[],
): Way => ({
  name,
  write,
  wrote,
  ...(given === undefined ? {} : { given }),
});

const updates: readonly Way[] = [
  { name: 'UPDATE', write: (by) => updateOf(by, 'people', 'id = 1'), wrote: ann },
  { name: 'UPDATE ONLY', write: (by) => updateOf(by, 'ONLY people', 'id = 1'), wrote: ann },
  {
    name: 'UPDATE of many rows',
    write: (by) => `UPDATE people SET ${by.set('Ann', 'Lee')} WHERE id <= 3`,
    wrote: [1, 2, 3].map((id) => [id, 'Ann', 'Lee'] as const),
  },
  {
    name: 'UPDATE … FROM',
    write: (by) =>
      `UPDATE people p SET ${by.setFrom('other')}, visits = p.visits + 1 FROM people other WHERE p.id = 1 AND other.id = 2`,
    wrote: [[1, 'first2', 'last2']],
  },
  {
    name: 'UPDATE with a row of a subquery',
    write: (by) =>
      `UPDATE people SET (${by.columns}) = (SELECT ${by.columns} FROM people WHERE id = 2) WHERE id = 1`,
    wrote: [[1, 'first2', 'last2']],
  },
  {
    name: 'UPDATE WHERE CURRENT OF a cursor',
    write: async (by, client) => {
      await client.query('DECLARE c CURSOR FOR SELECT * FROM people WHERE id = 1 FOR UPDATE');
      await client.query('FETCH c');
      await client.query(updateOf(by, 'people', 'CURRENT OF c'));
    },
    wrote: ann,
  },
  {
    name: 'UPDATE in a common table expression',
    write: (by) =>
      `WITH w AS (${updateOf(by, 'people', 'id = 1')} RETURNING *) UPDATE people p SET ${by.setFrom('w')} FROM w WHERE p.id = 2`,
    wrote: [
      [1, 'Ann', 'Lee'],
      [2, 'Ann', 'Lee'],
    ],
  },
  {
    name: 'UPDATE of a row twice in one transaction',
    write: async (by, client) => {
      await client.query(`UPDATE people SET ${by.set('Bob', 'Ray')} WHERE id = 1`);
      await client.query(updateOf(by, 'people', 'id = 1'));
    },
    wrote: ann,
  },
  {
    name: 'UPDATE undone by a savepoint',
    write: async (by, client) => {
      await client.query('SAVEPOINT s');
      await client.query(updateOf(by, 'people', 'id = 1'));
      await client.query('ROLLBACK TO s');
    },
    wrote: [[1, 'first1', 'last1']],
  },
  {
    name: 'UPDATE in a function',
    given: [
      `CREATE FUNCTION rename_one(statement text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END'`,
    ],
    write: (by) => `SELECT rename_one($$${updateOf(by, 'people', 'id = 1')}$$)`,
    wrote: ann,
  },
  {
    name: 'UPDATE while a constraint is deferred',
    given: [
      'ALTER TABLE people ADD CONSTRAINT rank_key UNIQUE (rank) DEFERRABLE INITIALLY DEFERRED',
      'SET CONSTRAINTS ALL DEFERRED',
    ],
    write: async (by, client) => {
      await client.query(`UPDATE people SET rank = 2, ${by.set('Ann', 'Lee')} WHERE id = 1`);
      await client.query('UPDATE people SET rank = 1 WHERE id = 2');
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    },
    wrote: ann,
  },
];

const inserts: readonly Way[] = [
  insertedAs('INSERT', (by) => insertOf(by, 'people', 9, 'Ann', 'Lee'), [[9, 'Ann', 'Lee']]),
  insertedAs(
    'INSERT of many rows',
    (by) =>
      `INSERT INTO people (id, ${by.columns}) VALUES (8, ${by.values('Bob', 'Ray')}), (9, ${by.values('Ann', 'Lee')})`,
    [
      [8, 'Bob', 'Ray'],
      [9, 'Ann', 'Lee'],
    ],
  ),
  insertedAs(
    'INSERT … SELECT',
    (by) =>
      `INSERT INTO people (id, ${by.columns}) SELECT n, ${by.expressions(`'a' || n`, `'b' || n`)} FROM generate_series(8, 9) n`,
    [
      [8, 'a8', 'b8'],
      [9, 'a9', 'b9'],
    ],
  ),
  insertedAs(
    'INSERT in a common table expression',
    (by) =>
      `WITH w AS (${insertOf(by, 'people', 8, 'Ann', 'Lee')} RETURNING *) INSERT INTO people (id, ${by.columns}) SELECT 9, ${by.columns} FROM w`,
    [
      [8, 'Ann', 'Lee'],
      [9, 'Ann', 'Lee'],
    ],
  ),
  {
    name: 'COPY over the protocol',
    write: (by, client) =>
      copyIn(
        client,
        `COPY people (id, ${by.columns}) FROM STDIN`,
        by.line(8, 'Bob', 'Ray') + by.line(9, 'Ann', 'Lee'),
      ),
    wrote: [
      [8, 'Bob', 'Ray'],
      [9, 'Ann', 'Lee'],
    ],
  },
  insertedAs(
    'COPY from a program',
    (by) =>
      `COPY people (id, ${by.columns}) FROM PROGRAM 'printf "${by.line(9, 'Ann', 'Lee').replaceAll('\t', '\\t').replaceAll('\n', '\\n')}"'`,
    [[9, 'Ann', 'Lee']],
  ),
  insertedAs(
    'ON CONFLICT DO UPDATE, no conflict',
    (by) => upsert(by, 9, `UPDATE SET ${by.setFrom('EXCLUDED')}`),
    [[9, 'Ann', 'Lee']],
  ),
  insertedAs(
    'ON CONFLICT DO UPDATE with EXCLUDED',
    (by) => upsert(by, 1, `UPDATE SET ${by.setFrom('EXCLUDED')}`),
    ann,
  ),
  insertedAs(
    'ON CONFLICT DO UPDATE with the other side of EXCLUDED, which the trigger has filled',
    (by) => {
      const other = writers.find(({ code }) => code !== by.code);
      return upsert(by, 1, `UPDATE SET ${other?.setFrom('EXCLUDED') ?? ''}`);
    },
    ann,
  ),
  insertedAs(
    'ON CONFLICT DO UPDATE with both sides of EXCLUDED',
    (by) => upsert(by, 1, `UPDATE SET ${writers.map((each) => each.setFrom('EXCLUDED')).join(', ')}`),
    ann,
  ),
  insertedAs('ON CONFLICT DO UPDATE of another column', (by) => upsert(by, 1, 'UPDATE SET visits = 7'), [
    [1, 'first1', 'last1'],
  ]),
  insertedAs('ON CONFLICT DO NOTHING', (by) => upsert(by, 1, 'NOTHING'), [[1, 'first1', 'last1']]),
  {
    name: 'MERGE',
    since: 15,
    write: (by) =>
      `MERGE INTO people p USING (VALUES (1), (9)) AS s (id) ON p.id = s.id
       WHEN MATCHED THEN UPDATE SET ${by.set('Ann', 'Lee')}
       WHEN NOT MATCHED THEN INSERT (id, ${by.columns}) VALUES (s.id, ${by.values('Bob', 'Ray')})`,
    wrote: [
      [1, 'Ann', 'Lee'],
      [9, 'Bob', 'Ray'],
    ],
  },
  {
    name: 'MERGE … WHEN NOT MATCHED BY SOURCE … RETURNING',
    since: 17,
    write: (by) =>
      `MERGE INTO people p USING (VALUES (1)) AS s (id) ON p.id = s.id
       WHEN NOT MATCHED BY SOURCE AND p.id = 2 THEN UPDATE SET ${by.set('Bob', 'Ray')}
       WHEN MATCHED THEN UPDATE SET ${by.set('Ann', 'Lee')} RETURNING merge_action(), p.*`,
    wrote: [
      [1, 'Ann', 'Lee'],
      [2, 'Bob', 'Ray'],
    ],
  },
];

const throughView = (name: string, view: string, since?: number): readonly Way[] => [
  {
    name: `INSERT through ${name}`,
    ...(since === undefined ? {} : { since }),
    given: [view],
    write: (by) => insertOf(by, 'v', 9, 'Ann', 'Lee'),
    wrote: [[9, 'Ann', 'Lee']],
  },
  {
    name: `UPDATE through ${name}`,
    ...(since === undefined ? {} : { since }),
    given: [view],
    write: (by) => updateOf(by, 'v', 'id = 1'),
    wrote: ann,
  },
];

const views: readonly Way[] = [
  ...throughView('a view', 'CREATE VIEW v AS SELECT * FROM people'),
  ...throughView(
    'a view WITH CHECK OPTION on what the trigger fills',
    `CREATE VIEW v AS SELECT * FROM people WHERE full_name = first_name || ' ' || last_name WITH CHECK OPTION`,
  ),
  ...throughView(
    'a security barrier',
    'CREATE VIEW v WITH (security_barrier) AS SELECT * FROM people WHERE id > 0',
  ),
  ...throughView(
    'a security_invoker view',
    'CREATE VIEW v WITH (security_invoker) AS SELECT * FROM people',
    15,
  ),
  {
    name: 'INSERT by a rule',
    given: [
      'CREATE TABLE inbox (id bigint, first_name text, last_name text, full_name text)',
      `CREATE RULE pass_on AS ON INSERT TO inbox DO INSTEAD
        INSERT INTO people (id, first_name, last_name, full_name) VALUES (NEW.id, NEW.first_name, NEW.last_name, NEW.full_name)`,
    ],
    write: (by) => insertOf(by, 'inbox', 9, 'Ann', 'Lee'),
    wrote: [[9, 'Ann', 'Lee']],
  },
  {
    name: 'UPDATE by a rule of another table',
    given: [
      'CREATE TABLE inbox (id bigint, first_name text, last_name text, full_name text)',
      'INSERT INTO inbox VALUES (1)',
      `CREATE RULE pass_on AS ON UPDATE TO inbox DO ALSO
        UPDATE people SET first_name = coalesce(NEW.first_name, people.first_name),
          last_name = coalesce(NEW.last_name, people.last_name), full_name = coalesce(NEW.full_name, people.full_name)
        WHERE id = NEW.id`,
    ],
    write: (by) => updateOf(by, 'inbox', 'id = 1'),
    wrote: ann,
  },
  {
    name: 'UPDATE by an INSTEAD OF trigger',
    given: [
      'CREATE VIEW v AS SELECT p.*, 1 AS one FROM people p, (SELECT 1) AS s',
      `CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE people SET first_name = NEW.first_name, last_name = NEW.last_name WHERE id = NEW.id AND NEW.full_name IS NOT DISTINCT FROM OLD.full_name;
        UPDATE people SET full_name = NEW.full_name WHERE id = NEW.id AND NEW.full_name IS DISTINCT FROM OLD.full_name;
        RETURN NEW; END $$`,
      'CREATE TRIGGER instead INSTEAD OF UPDATE ON v FOR EACH ROW EXECUTE FUNCTION instead()',
    ],
    write: (by) => updateOf(by, 'v', 'id = 1'),
    wrote: ann,
  },
];

const limited = [
  'CREATE ROLE limited',
  'GRANT SELECT, INSERT, UPDATE ON people TO limited',
  'REVOKE ALL ON SCHEMA segue FROM limited',
];
const policies = [
  ...limited,
  'ALTER TABLE people ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY own ON people TO limited USING (id IN (1, 9)) WITH CHECK (id IN (1, 9))',
];
const hostile = [
  'CREATE SCHEMA hostile',
  'GRANT USAGE ON SCHEMA hostile TO PUBLIC',
  `CREATE FUNCTION hostile.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'`,
  `CREATE FUNCTION hostile.always(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'`,
  'CREATE OPERATOR hostile.= (FUNCTION = hostile.always, LEFTARG = text, RIGHTARG = text)',
  'CREATE OPERATOR hostile.<> (FUNCTION = hostile.never, LEFTARG = text, RIGHTARG = text)',
  `CREATE FUNCTION hostile.nothing(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''hostile'''`,
  'CREATE OPERATOR hostile.|| (FUNCTION = hostile.nothing, LEFTARG = text, RIGHTARG = text)',
  `CREATE FUNCTION hostile.split_part(text, text, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''hostile'''`,
  'CREATE DOMAIN hostile.record AS text',
  'CREATE DOMAIN hostile.text AS pg_catalog.int4',
];

const under = (name: string, given: readonly string[], settings: readonly string[]): readonly Way[] =>
  (['insert', 'update'] as const).map((kind) => ({
    name: `${kind.toUpperCase()} ${name}`,
    given,
    write: async (by: Writer, client: pg.Client) => {
      for (const setting of settings) await client.query(setting);
      await client.query(
        kind === 'insert'
          ? insertOf(by, 'public.people', 9, 'Ann', 'Lee')
          : updateOf(by, 'public.people', 'id OPERATOR(pg_catalog.=) 1'),
      );
    },
    wrote: kind === 'insert' ? [[9, 'Ann', 'Lee']] : ann,
  }));

const circumstances: readonly Way[] = [
  ...under('by a role with rights on the table alone', limited, ['SET LOCAL ROLE limited']),
  ...under('by a role under row-level security', policies, ['SET LOCAL ROLE limited']),
  ...under('without a search_path', [], [`SET LOCAL search_path = ''`]),
  ...under('with a search_path that shadows the system', hostile, [
    'SET LOCAL search_path = hostile, pg_catalog',
  ]),
  ...under(
    'with other output formats',
    [],
    [
      'SET LOCAL extra_float_digits = -15',
      `SET LOCAL bytea_output = 'escape'`,
      `SET LOCAL DateStyle = 'SQL, DMY'`,
      'SET LOCAL standard_conforming_strings = off',
      'SET LOCAL transform_null_equals = on',
    ],
  ),
];

/** The table. */
export const ways: readonly Way[] = [...updates, ...inserts, ...views, ...circumstances];
