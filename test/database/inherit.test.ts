/**
 * What a new column inherits from the one that it replaces, attribute by attribute. The proof is a second schema in
 * which the column had its new name and type from the start: after the change the catalog must say the same of both.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { Databases } from '../../src/database/databases.ts';
import { drive, type Course } from '../support/undisturbed.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { fingerprint } from './lifecycle/fingerprint.ts';

let server: TestServer;
let databases: Databases;
beforeAll(async () => {
  server = await startServer({ wal_level: 'logical' });
  databases = new Databases();
}, 60_000);
afterAll(async () => {
  await databases.close();
  await server.stop();
});

const major = Number(process.env['PG_MAJOR'] ?? 18);

/** What a column has, given the names of schema, column and type. */
interface Inherited {
  readonly what: string;
  readonly types: readonly [string, string];
  readonly make: (schema: string, column: string, type: string) => readonly string[];
  readonly since?: number;
}

const table = (columns: string) => (s: string, c: string, t: string) => [
  `CREATE TABLE ${s}.items (${columns.replaceAll('$c', c).replaceAll('$t', t)})`,
];

const all: readonly Inherited[] = [
  {
    what: 'constant default, NOT NULL, checks, one of them NOT VALID, comments',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      `CREATE TABLE ${s}.items (id int PRIMARY KEY, other int, ${c} ${t} NOT NULL DEFAULT 7 CONSTRAINT positive CHECK (${c} > 0), CONSTRAINT pair CHECK (${c} > coalesce(other, -1)))`,
      `ALTER TABLE ${s}.items ADD CONSTRAINT even CHECK (${c} <> 8) NOT VALID`,
      `COMMENT ON COLUMN ${s}.items.${c} IS 'it''s \\ here'`,
      `COMMENT ON CONSTRAINT positive ON ${s}.items IS 'above zero'`,
      `INSERT INTO ${s}.items (id, ${c}) VALUES (1, 1), (2, 2)`,
    ],
  },
  {
    what: 'statistics target, n_distinct, storage, compression, collation',
    types: ['varchar(40)', 'text'],
    make: (s, c, t) => [
      `CREATE TABLE ${s}.items (id int PRIMARY KEY, ${c} ${t} COLLATE "C")`,
      `ALTER TABLE ${s}.items ALTER ${c} SET STATISTICS 250, ALTER ${c} SET (n_distinct = -0.5, n_distinct_inherited = 4)`,
      `ALTER TABLE ${s}.items ALTER ${c} SET STORAGE EXTERNAL, ALTER ${c} SET COMPRESSION pglz`,
      `INSERT INTO ${s}.items VALUES (1, 'a')`,
    ],
  },
  {
    what: 'grants on the column',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      ...table('id int PRIMARY KEY, $c $t')(s, c, t),
      `GRANT SELECT (${c}), UPDATE (${c}) ON ${s}.items TO "Reader 1" WITH GRANT OPTION`,
      `GRANT INSERT (${c}) ON ${s}.items TO PUBLIC`,
      `GRANT SELECT ON ${s}.items TO "Reader 1"`,
    ],
  },
  {
    what: 'indexes: partial, of expressions, with INCLUDE, order, operator class, collation, storage parameters',
    types: ['varchar(20)', 'text'],
    make: (s, c, t) => [
      ...table('id int PRIMARY KEY, other text, $c $t')(s, c, t),
      `CREATE INDEX plain ON ${s}.items (${c})`,
      `CREATE INDEX pair ON ${s}.items (other DESC, ${c} COLLATE "C" text_pattern_ops DESC NULLS LAST) WITH (fillfactor = 70)`,
      `CREATE UNIQUE INDEX once ON ${s}.items (${c}) INCLUDE (other) WHERE ${c} <> 'a'`,
      `CREATE INDEX carried ON ${s}.items (id) INCLUDE (${c})`,
      `CREATE INDEX hashed ON ${s}.items USING hash (${c})`,
      `CREATE INDEX ranges ON ${s}.items USING brin (id, ${c}) WITH (pages_per_range = 16)`,
      `COMMENT ON INDEX ${s}.plain IS 'plain'`,
      `ALTER TABLE ${s}.items CLUSTER ON plain`,
      `INSERT INTO ${s}.items VALUES (1, 'x', 'b'), (2, 'y', 'c'), (3, 'y', NULL)`,
    ],
  },
  {
    what: 'an index of an expression',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      ...table('id int PRIMARY KEY, other text, $c $t')(s, c, t),
      `CREATE INDEX computed ON ${s}.items ((${c} % 10), (other || 'x') text_pattern_ops) WHERE ${c} IS NOT NULL`,
    ],
  },
  {
    what: 'unique constraints, an identity of replication',
    types: ['varchar', 'text'],
    make: (s, c, t) => [
      ...table(
        'id int PRIMARY KEY, other int NOT NULL, $c $t NOT NULL, CONSTRAINT one UNIQUE ($c), CONSTRAINT two UNIQUE ($c, other) INCLUDE (id)',
      )(s, c, t),
      `ALTER TABLE ${s}.items REPLICA IDENTITY USING INDEX two`,
      `COMMENT ON CONSTRAINT one ON ${s}.items IS 'one'`,
      `INSERT INTO ${s}.items VALUES (1, 1, 'a'), (2, 2, 'b')`,
    ],
  },
  {
    what: 'NULLS NOT DISTINCT',
    since: 15,
    types: ['int', 'bigint'],
    make: table('id int PRIMARY KEY, $c $t, CONSTRAINT one UNIQUE NULLS NOT DISTINCT ($c)'),
  },
  {
    what: 'foreign keys, one of them NOT VALID, one of the table to itself',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      `CREATE TABLE ${s}.kinds (id int, part int, PRIMARY KEY (id), UNIQUE (id, part))`,
      ...table('id bigint PRIMARY KEY, part int, $c $t')(s, c, t),
      `ALTER TABLE ${s}.items ADD CONSTRAINT kind FOREIGN KEY (${c}) REFERENCES ${s}.kinds ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED`,
      `ALTER TABLE ${s}.items ADD CONSTRAINT kind_part FOREIGN KEY (${c}, part) REFERENCES ${s}.kinds (id, part) MATCH FULL ON DELETE SET NULL NOT VALID`,
      `ALTER TABLE ${s}.items ADD CONSTRAINT parent FOREIGN KEY (${c}) REFERENCES ${s}.items (id)`,
      `COMMENT ON CONSTRAINT kind ON ${s}.items IS 'kind'`,
      `INSERT INTO ${s}.kinds VALUES (1, 1)`,
      `INSERT INTO ${s}.items VALUES (1, 1, 1)`,
    ],
  },
  {
    what: 'extended statistics',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      ...table('id int PRIMARY KEY, other int, $c $t')(s, c, t),
      `CREATE STATISTICS ${s}.st (ndistinct, mcv) ON ${c}, other, (other % 7) FROM ${s}.items`,
      `ALTER STATISTICS ${s}.st SET STATISTICS 300`,
      `CREATE STATISTICS ${s}.single ON (${c} % 3) FROM ${s}.items`,
      `COMMENT ON STATISTICS ${s}.st IS 'st'`,
    ],
  },
  {
    what: 'publications with a list of columns and a condition',
    since: 15,
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      ...table('id int PRIMARY KEY, other int, $c $t')(s, c, t),
      `CREATE PUBLICATION listed_${s} FOR TABLE ${s}.items (id, ${c})`,
      `CREATE PUBLICATION chosen_${s} FOR TABLE ${s}.items WHERE (${c} > 3) WITH (publish = 'insert')`,
    ],
  },
  {
    what: 'a serial primary key with foreign keys that point at it',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      `CREATE SEQUENCE ${s}.items_numbers AS ${t} START 5 INCREMENT 5 CACHE 3`,
      `CREATE TABLE ${s}.items (${c} ${t} DEFAULT nextval('${s}.items_numbers'), note text, parent int, CONSTRAINT items_key PRIMARY KEY (${c}))`,
      `ALTER SEQUENCE ${s}.items_numbers OWNED BY ${s}.items.${c}`,
      `GRANT USAGE ON SEQUENCE ${s}.items_numbers TO "Reader 1"`,
      `ALTER TABLE ${s}.items ADD CONSTRAINT parent FOREIGN KEY (parent) REFERENCES ${s}.items`,
      `CREATE TABLE ${s}.lines (id int, item int CONSTRAINT item REFERENCES ${s}.items ON DELETE CASCADE ON UPDATE CASCADE)`,
      `CREATE TABLE ${s}.tags (id int, item bigint CONSTRAINT item REFERENCES ${s}.items DEFERRABLE)`,
      `INSERT INTO ${s}.items (note) SELECT 'n' || n FROM generate_series(1, 5) n`,
      `INSERT INTO ${s}.lines VALUES (1, 5), (2, 10)`,
    ],
  },
  {
    what: 'an identity that is a part of the primary key',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      `CREATE TABLE ${s}.items (tenant int, ${c} ${t} GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME ${s}.numbers START 3 INCREMENT 2 CACHE 2 CYCLE), CONSTRAINT items_key PRIMARY KEY (tenant, ${c}))`,
      `COMMENT ON SEQUENCE ${s}.numbers IS 'numbers'`,
      `GRANT SELECT ON SEQUENCE ${s}.numbers TO "Reader 1"`,
      `CREATE TABLE ${s}.lines (tenant int, item int, CONSTRAINT item FOREIGN KEY (tenant, item) REFERENCES ${s}.items MATCH FULL)`,
      `INSERT INTO ${s}.items (tenant) SELECT n FROM generate_series(1, 5) n`,
    ],
  },
  {
    what: 'an identity BY DEFAULT with bounds of its own',
    types: ['int', 'bigint'],
    make: (s, c, t) => [
      `CREATE TABLE ${s}.items (id int, ${c} ${t} GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME ${s}.numbers MAXVALUE 1000))`,
      `INSERT INTO ${s}.items (id) VALUES (1), (2)`,
    ],
  },
];

const cases = all.filter(({ since = 14 }) => major >= since);

const changeOf = (kind: 'renameColumn' | 'changeType', [from, to]: Inherited['types']): ChangeSpec =>
  kind === 'renameColumn'
    ? { renameColumn: { table: 'former.items', from: 'Old', to: 'New' } }
    : {
        changeType: {
          table: 'former.items',
          column: 'Old',
          to: { name: 'New', type: to },
          forward: `"Old"::${to}`,
          backward: `"New"::${from}`,
        },
      };

const prepared = async ({ make, types: [from, to] }: Inherited, kind: string): Promise<TestDatabase> => {
  const sandbox = await server.database();
  await sandbox.script(
    `DO $$ BEGIN CREATE ROLE "Reader 1"; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
  );
  await sandbox.script('CREATE SCHEMA former; CREATE SCHEMA other');
  for (const statement of make('former', '"Old"', from)) await sandbox.script(statement);
  for (const statement of make('other', '"New"', kind === 'renameColumn' ? from : to))
    await sandbox.script(statement);
  return sandbox;
};

const neutral = (text: string): string =>
  text
    .replaceAll(/\b(former|other)\./g, 's.')
    .replaceAll(/_(former|other)\b/g, '_s')
    .split('\n')
    .sort()
    .join('\n');

describe.each(['renameColumn', 'changeType'] as const)('%s', (kind) => {
  test.each(cases)(
    '$what',
    async (inherited) => {
      const sandbox = await prepared(inherited, kind);
      const db = databases.open(sandbox.uri);
      const before = await fingerprint(sandbox, 'former');
      const course: Course = {
        name: 'change',
        uid: 'a',
        change: changeOf(kind, inherited.types),
        targetPhase: 'Quarantine',
      };
      // Both kinds walk back by the same steps; once is enough.
      if (kind === 'changeType') {
        expect((await drive(db, course)).decision).toMatchObject({ reason: 'TargetPhaseReached' });
        expect((await drive(db, { ...course, rollback: true })).decision).toMatchObject({
          reason: 'RolledBack',
        });
        expect(await fingerprint(sandbox, 'former')).toBe(before);
      }

      const again: Course = { ...course, uid: 'b', targetPhase: 'Drop' };
      expect((await drive(db, again)).decision).toMatchObject({ kind: 'finished', reason: 'Completed' });
      expect(neutral(await fingerprint(sandbox, 'former'))).toBe(
        neutral(await fingerprint(sandbox, 'other')),
      );
      await sandbox.close();
    },
    60_000,
  );
});

test('a conversion: checks and conditions read the backward expression, the default goes through the forward one', async () => {
  const sandbox = await server.database();
  await sandbox.script(`CREATE TABLE orders (id int PRIMARY KEY, total numeric(10,2) NOT NULL DEFAULT 1.50 CHECK (total >= 1));
    CREATE INDEX dear ON orders (total) WHERE total > 10;
    INSERT INTO orders SELECT n, n FROM generate_series(1, 20) n`);
  const change: ChangeSpec = {
    changeType: {
      table: 'orders',
      column: 'total',
      to: { name: 'cents', type: 'bigint' },
      forward: '(total * 100)::bigint',
      backward: 'cents / 100.0',
    },
  };
  const course: Course = { name: 'change', uid: 'a', change, targetPhase: 'Drop' };
  expect((await drive(databases.open(sandbox.uri), course)).decision).toMatchObject({ reason: 'Completed' });
  await sandbox.query('INSERT INTO orders (id) VALUES (21)');
  expect(await sandbox.query('SELECT cents FROM orders WHERE id IN (7, 21) ORDER BY id')).toEqual([
    { cents: '700' },
    { cents: '150' },
  ]);
  await expect(sandbox.query('INSERT INTO orders VALUES (22, 50)')).rejects.toThrow(/check constraint/);
  const [index] = await sandbox.query<{ text: string }>(`SELECT pg_get_indexdef('dear'::regclass) AS text`);
  expect(index?.text).toMatch(/\(cents\) WHERE .*cents.* \/ 100\.0.* > /);
  await sandbox.close();
}, 60_000);

describe('what can’t be carried over is refused before anything is touched', () => {
  const rename: ChangeSpec = { renameColumn: { table: 't', from: 'a', to: 'b' } };
  const rounded: ChangeSpec = {
    changeType: {
      table: 't',
      column: 'a',
      to: { name: 'b', type: 'bigint' },
      forward: 'a / 10',
      backward: 'b * 10',
    },
  };
  const retyped: ChangeSpec = {
    changeType: {
      table: 't',
      column: 'a',
      to: { name: 'b', type: 'text' },
      forward: 'a::text',
      backward: 'b::int',
    },
  };
  const merge = (...inherits: readonly (string | undefined)[]): ChangeSpec => ({
    replaceColumns: {
      table: 't',
      from: ['a', 'c'],
      to: inherits.map((old, n) => ({
        name: `n${n}`,
        type: 'int',
        nullable: true,
        ...(old === undefined ? {} : { inherits: old }),
      })),
      forward: Object.fromEntries(inherits.map((_, n) => [`n${n}`, 'a + c'])),
      backward: { a: 'n0', c: 'n0' },
    },
  });
  test.each<[string, ChangeSpec, string, RegExp]>([
    [
      'a deferrable unique constraint',
      rename,
      'CREATE TABLE t (a int UNIQUE DEFERRABLE)',
      /DEFERRABLE.*drop it first/,
    ],
    [
      'an exclusion constraint',
      rename,
      'CREATE TABLE t (a int, EXCLUDE USING btree (a WITH =))',
      /exclusion constraint/,
    ],
    [
      'uniqueness that a conversion does not keep',
      rounded,
      'CREATE TABLE t (a int UNIQUE)',
      /may be equal in the new one/,
    ],
    [
      'a primary key that a conversion does not keep',
      rounded,
      'CREATE TABLE t (a int PRIMARY KEY)',
      /primary key/,
    ],
    [
      'SET DEFAULT',
      rename,
      'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int REFERENCES p ON DELETE SET DEFAULT)',
      /SET DEFAULT/,
    ],
    [
      'a foreign key of a partitioned table',
      rename,
      'CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE k (p int REFERENCES t) PARTITION BY LIST (p)',
      /partitioned/,
    ],
    [
      'an index that the new type can’t have',
      retyped,
      'CREATE TABLE t (a int); CREATE INDEX i ON t USING brin (a int4_minmax_multi_ops)',
      /Drop index i first/,
    ],
    [
      'an index of a column without an heir',
      merge(undefined),
      'CREATE TABLE t (a int, c int); CREATE INDEX i ON t (c)',
      /index i on "c" \(no new column inherits from c/,
    ],
    [
      'a default of a column without an heir',
      merge('a'),
      'CREATE TABLE t (a int, c int DEFAULT 3)',
      /"c".*has a default.*inherits/,
    ],
    ['an heir of two', merge('a', 'a'), 'CREATE TABLE t (a int, c int)', /named twice/],
    [
      'an identity that would be text',
      retyped,
      'CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)',
      /identity column/,
    ],
  ])('%s', async (_what, spec, made, says) => {
    const sandbox = await server.database();
    await sandbox.script(made);
    const { decision, did } = await drive(databases.open(sandbox.uri), {
      name: 'change',
      uid: 'a',
      change: spec,
      targetPhase: 'Drop',
    });
    expect(decision).toMatchObject({ kind: 'wait', message: expect.stringMatching(says) });
    expect(did).toEqual([]);
    await sandbox.close();
  });
});
