/**
 * Every change kind joins the lifecycle test by a line here. A case says what the table is, what is wanted, how
 * old and new code write, and what must be true of schema and rows at the end.
 */
import type { ChangeSpec, Release, SchemaChangeSpec } from '../../../src/api/schema-change.ts';
import { ident } from '../../../src/sql/sql.ts';

/** Names as a schema has them: plain ones, or with capitals and spaces that need quotes everywhere. */
export interface Names {
  readonly label: string;
  readonly schema: string;
  /** For `spec.change`: schema.table. */
  readonly table: (name: string) => string;
  /** A column, index or constraint as `spec.change` has it. */
  readonly name: (name: string) => string;
  /** The table as a statement has it. */
  readonly t: (name: string) => string;
  /** Any other name as a statement has it. */
  readonly q: (name: string) => string;
}

const named = (label: string, schema: string, of: (name: string) => string): Names => ({
  label,
  schema,
  table: (name) => `${schema}.${of(name)}`,
  name: of,
  t: (name) => ident(schema, of(name)).text,
  q: (name) => ident(of(name)).text,
});

/** In schema public, without a name that needs quotes. */
export const plain = named('public', 'public', (name) => name);

/** In a schema of mixed case with quotes in it, every name with capitals, spaces and quotes. */
export const quoted = named(
  'quoted names',
  'Shop "1"',
  (name) => `${name.charAt(0).toUpperCase()}${name.slice(1)} 'X'`,
);

/** See the file's head. */
export interface LifecycleCase {
  readonly name: string;
  /** Makes and fills the tables. */
  readonly before: (at: Names) => readonly string[];
  readonly change: (at: Names) => ChangeSpec;
  readonly releases?: readonly Release[];
  /** What else the resource asks for. */
  readonly spec?: (spec: SchemaChangeSpec) => Partial<SchemaChangeSpec>;
  /** Statements of each code; `$1` is a number that none had before. */
  readonly writes: (at: Names) => {
    readonly old: readonly string[];
    readonly new?: readonly string[];
    /** Of code that writes both sides itself; without it new code does. */
    readonly both?: readonly string[];
  };
  /** A query that gives rows only if something is wrong once the change is complete. */
  readonly wrong: (at: Names) => string;
  /** Phases that `history` must call skipped. */
  readonly skips: readonly string[];
}

const rows = 300;
const series = `generate_series(1, ${rows}) n`;
const all = ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'];
const wrongIndex = ({ schema, name }: Names, index: string, definition: string): string =>
  `SELECT 'index' WHERE NOT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = '${ident(schema).text}'::regnamespace AND c.relname = '${name(index).replaceAll("'", "''")}'
      AND i.indisvalid AND pg_get_indexdef(c.oid) LIKE '${definition.replaceAll("'", "''")}')`;

const wrongConstraint = ({ name, t }: Names, constraint: string, type: string): string =>
  `SELECT 'constraint' WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '${t('people').replaceAll("'", "''")}'::regclass
    AND conname = '${name(constraint).replaceAll("'", "''")}' AND contype = '${type}' AND convalidated)`;

const people = ({ t, q }: Names): readonly string[] => [
  `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('mail')} text, ${q('city')} text)`,
  `INSERT INTO ${t('people')} SELECT n, 'M' || n, 'c' || n FROM ${series}`,
];

/** By hash, one of its partitions partitioned in turn. */
const partitionedPeople = ({ t, q }: Names): readonly string[] => [
  `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('mail')} text, ${q('city')} text) PARTITION BY HASH (${q('id')})`,
  `CREATE TABLE ${t('one')} PARTITION OF ${t('people')} FOR VALUES WITH (MODULUS 2, REMAINDER 0)`,
  `CREATE TABLE ${t('two')} PARTITION OF ${t('people')} FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (${q('id')})`,
  `CREATE TABLE ${t('two_low')} PARTITION OF ${t('two')} FOR VALUES FROM (MINVALUE) TO (100)`,
  `CREATE TABLE ${t('two_high')} PARTITION OF ${t('two')} FOR VALUES FROM (100) TO (MAXVALUE)`,
  `INSERT INTO ${t('people')} SELECT n, 'M' || n, 'c' || n FROM ${series}`,
];

/** Every table of the tree has the primary key and one more, valid, and attached but for those of the table itself. */
const wrongPartitionIndexes = ({ t }: Names): string =>
  `SELECT p.relid::text FROM pg_partition_tree('${t('people').replaceAll("'", "''")}') p JOIN pg_index i ON i.indrelid = p.relid
    LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    GROUP BY p.relid, p.level HAVING count(*) <> 2 OR NOT bool_and(i.indisvalid) OR count(h.inhparent) <> CASE p.level WHEN 0 THEN 0 ELSE 2 END`;

const peopleWrites = ({ t, q }: Names): { readonly old: readonly string[] } => ({
  old: [
    `INSERT INTO ${t('people')} (${q('id')}, ${q('mail')}, ${q('city')}) VALUES ($1::bigint, 'm' || $1, 'c1')`,
    `UPDATE ${t('people')} SET ${q('mail')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
  ],
});

/** Two columns merged into one. */
const merge = {
  before: ({ t, q }) => [
    `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('first')} text NOT NULL, ${q('last')} text)`,
    `INSERT INTO ${t('people')} SELECT n, 'f' || n, 'l' || n FROM ${series}`,
  ],
  change: ({ table, name, q }) => ({
    replaceColumns: {
      table: table('people'),
      from: [name('first'), name('last')],
      to: [{ name: name('full'), type: 'text', nullable: false }],
      forward: { [name('full')]: `${q('first')} || ' ' || ${q('last')}` },
      backward: {
        [name('first')]: `split_part(${q('full')}, ' ', 1)`,
        [name('last')]: `split_part(${q('full')}, ' ', 2)`,
      },
    },
  }),
  wrong: ({ t, q }) =>
    `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('full')} !~ '^\\w+ \\w+$' OR ${q('full')} IS NULL`,
  skips: [],
} satisfies Partial<LifecycleCase>;

const writesOfTwo = ({ t, q }: Names): readonly string[] => [
  `INSERT INTO ${t('people')} (${q('id')}, ${q('first')}, ${q('last')}) VALUES ($1::bigint, 'of' || $1, 'ol' || $1)`,
  `UPDATE ${t('people')} SET ${q('last')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
];

/** The table of kinds. */
export const cases: readonly LifecycleCase[] = [
  {
    ...merge,
    name: 'replaceColumns',
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: (at) => ({
      old: writesOfTwo(at),
      new: [
        `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('full')}) VALUES (-$1::bigint, 'nf' || $1 || ' nl' || $1)`,
        `UPDATE ${at.t('people')} SET ${at.q('full')} = 'v' || $1 || ' w' WHERE ${at.q('id')} = $1::bigint % ${rows}`,
      ],
    }),
  },
  {
    ...merge,
    name: 'replaceColumns, the application writing both sides',
    spec: () => ({ dualWrite: { mode: 'Application' } }),
    releases: [
      { phase: 'DualWrite', code: 'writes-both' },
      { phase: 'SwitchReads', code: 'reads-new' },
      { phase: 'Quarantine', code: 'new-only' },
    ],
    writes: (at) => ({
      old: writesOfTwo(at),
      both: [
        `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('first')}, ${at.q('last')}, ${at.q('full')}) VALUES (-$1::bigint, 'bf' || $1, 'bl' || $1, 'bf' || $1 || ' bl' || $1)`,
        `UPDATE ${at.t('people')} SET ${at.q('last')} = 'b' || $1, ${at.q('full')} = ${at.q('first')} || ' b' || $1 WHERE ${at.q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('full')}) VALUES (-2000000000 - $1::bigint, 'nf' || $1 || ' nl' || $1)`,
        `UPDATE ${at.t('people')} SET ${at.q('full')} = 'v' || $1 || ' w' WHERE ${at.q('id')} = $1::bigint % ${rows}`,
      ],
    }),
  },
  {
    name: 'replaceColumns, one column into two',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('full')} text NOT NULL)`,
      `INSERT INTO ${t('people')} SELECT n, 'f' || n || ' l' || n FROM ${series}`,
    ],
    change: ({ table, name, q }) => ({
      replaceColumns: {
        table: table('people'),
        from: [name('full')],
        to: [
          { name: name('first'), type: 'text', nullable: false },
          { name: name('last'), type: 'varchar(40)', nullable: true },
        ],
        forward: {
          [name('first')]: `split_part(${q('full')}, ' ', 1)`,
          [name('last')]: `split_part(${q('full')}, ' ', 2)`,
        },
        backward: { [name('full')]: `${q('first')} || ' ' || ${q('last')}` },
      },
    }),
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('full')}) VALUES ($1::bigint, 'of' || $1 || ' ol' || $1)`,
        `UPDATE ${t('people')} SET ${q('full')} = 'u' || $1 || ' w' WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('first')}, ${q('last')}) VALUES (-$1::bigint, 'nf' || $1, 'nl')`,
        `UPDATE ${t('people')} SET ${q('last')} = 'v' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q }) =>
      `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('first')} !~ '^\\w+$' OR ${q('last')} !~ '^\\w+$' OR ${q('last')} IS NULL`,
    skips: [],
  },
  {
    name: 'renameColumn',
    before: people,
    change: ({ table, name }) => ({
      renameColumn: { table: table('people'), from: name('mail'), to: name('address') },
    }),
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: (at) => ({
      ...peopleWrites(at),
      new: [
        `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('address')}, ${at.q('city')}) VALUES (-$1::bigint, 'n' || $1, 'c1')`,
        `UPDATE ${at.t('people')} SET ${at.q('address')} = 'v' || $1 WHERE ${at.q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q }) => `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('address')} IS NULL`,
    skips: [],
  },
  {
    name: 'changeType',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('age')} text NOT NULL)`,
      `INSERT INTO ${t('people')} SELECT n, n::text FROM ${series}`,
    ],
    change: ({ table, name, q }) => ({
      changeType: {
        table: table('people'),
        column: name('age'),
        to: { name: name('years'), type: 'bigint' },
        forward: `${q('age')}::bigint`,
        backward: `${q('years')}::text`,
      },
    }),
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('age')}) VALUES ($1::bigint, $1::text)`,
        `UPDATE ${t('people')} SET ${q('age')} = $1::text WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('years')}) VALUES (-$1::bigint, 7)`,
        `UPDATE ${t('people')} SET ${q('years')} = $1::bigint WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q, name }) =>
      `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('years')} IS NULL
       UNION ALL SELECT attnum FROM pg_attribute WHERE attrelid = '${t('people').replaceAll("'", "''")}'::regclass
         AND attname = '${name('years').replaceAll("'", "''")}' AND (NOT attnotnull OR atttypid <> 'bigint'::regtype)`,
    skips: [],
  },
  {
    name: 'dropColumn',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('fax')} text NOT NULL DEFAULT '-' CHECK (${q('fax')} <> ''), ${q('city')} text)`,
      `CREATE INDEX ON ${t('people')} (${q('fax')})`,
      `INSERT INTO ${t('people')} SELECT n, 'f' || n, 'c' || n FROM ${series}`,
    ],
    change: ({ table, name }) => ({ dropColumn: { table: table('people'), column: name('fax') } }),
    releases: [{ phase: 'Quarantine', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('fax')}, ${q('city')}) VALUES ($1::bigint, 'o' || $1, 'c')`,
        `UPDATE ${t('people')} SET ${q('fax')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('city')}) VALUES (-$1::bigint, 'n')`,
        `UPDATE ${t('people')} SET ${q('city')} = 'v' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q }) =>
      `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('city')} IS NULL
       UNION ALL SELECT attnum FROM pg_attribute WHERE attrelid = '${t('people').replaceAll("'", "''")}'::regclass AND attnum > 0 AND NOT attisdropped AND attname LIKE '_ax%'`,
    skips: ['AddColumn', 'DualWrite', 'SwitchReads'],
  },
  {
    name: 'createIndex',
    before: people,
    change: ({ table, name, q }) => ({
      createIndex: {
        table: table('people'),
        name: name('people_mail'),
        keys: [
          { expression: `lower(${q('mail')})`, operatorClass: 'text_pattern_ops' },
          { column: name('id'), order: 'Descending', nulls: 'Last' },
        ],
        unique: true,
        method: 'btree',
        include: [name('city')],
        where: `${q('mail')} IS NOT NULL`,
      },
    }),
    writes: peopleWrites,
    wrong: (at) =>
      wrongIndex(
        at,
        'people_mail',
        `CREATE UNIQUE INDEX % USING btree (lower(${at.q('mail')}) text_pattern_ops, ${at.q('id')} DESC NULLS LAST) INCLUDE (${at.q('city')}) WHERE (${at.q('mail')} IS NOT NULL)`.replace(
          /"(mail|id|city)"/g,
          '$1',
        ),
      ),
    skips: all,
  },
  {
    name: 'addConstraint notNull',
    before: people,
    change: ({ table, name }) => ({
      addConstraint: { table: table('people'), notNull: { column: name('mail') } },
    }),
    writes: peopleWrites,
    wrong: ({ t, name }) =>
      `SELECT attname FROM pg_attribute WHERE attrelid = '${t('people').replaceAll("'", "''")}'::regclass AND attname = '${name('mail').replaceAll("'", "''")}' AND NOT attnotnull`,
    skips: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'addConstraint check',
    before: people,
    change: ({ table, name, q }) => ({
      addConstraint: {
        table: table('people'),
        check: { name: name('has_mail'), expression: `${q('mail')} <> '' OR ${q('city')} = 'none'` },
      },
    }),
    writes: peopleWrites,
    wrong: (at) => wrongConstraint(at, 'has_mail', 'c'),
    skips: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'addConstraint unique',
    before: people,
    change: ({ table, name }) => ({
      addConstraint: {
        table: table('people'),
        unique: { name: name('people_mail_key'), columns: [name('mail'), name('city')] },
      },
    }),
    writes: peopleWrites,
    wrong: (at) => wrongConstraint(at, 'people_mail_key', 'u'),
    skips: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'addConstraint foreignKey',
    before: (at) => [
      `CREATE TABLE ${at.t('cities')} (${at.q('code')} text PRIMARY KEY)`,
      `INSERT INTO ${at.t('cities')} SELECT 'c' || n FROM ${series}`,
      ...people(at),
    ],
    change: ({ table, name }) => ({
      addConstraint: {
        table: table('people'),
        foreignKey: {
          name: name('people_city_fkey'),
          columns: [name('city')],
          references: { table: table('cities'), columns: [name('code')] },
          onDelete: 'SetNull',
        },
      },
    }),
    writes: peopleWrites,
    wrong: (at) => wrongConstraint(at, 'people_city_fkey', 'f'),
    skips: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'addColumn with an expression',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('price')} numeric, ${q('quantity')} int)`,
      `INSERT INTO ${t('people')} SELECT n, n, 2 FROM ${series}`,
    ],
    change: ({ table, name, q }) => ({
      addColumn: {
        table: table('people'),
        name: name('total'),
        type: 'numeric(12,2)',
        nullable: false,
        default: '0',
        backfill: `coalesce(${q('price')} * ${q('quantity')}, 0)`,
        unique: false,
        check: `${q('total')} >= 0`,
      },
    }),
    releases: [{ phase: 'SwitchReads', code: 'reads-new' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('price')}, ${q('quantity')}) VALUES ($1::bigint, 5, 5)`,
        `UPDATE ${t('people')} SET ${q('price')} = $1::bigint % 1000 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('price')}, ${q('quantity')}, ${q('total')}) VALUES (-$1::bigint, 5, 6, 30)`,
        `UPDATE ${t('people')} SET ${q('price')} = 7, ${q('quantity')} = 2, ${q('total')} = 14 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q, name }) =>
      `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('total')} IS DISTINCT FROM ${q('price')} * ${q('quantity')}
       UNION ALL SELECT 0 WHERE NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = '${t('people').replaceAll("'", "''")}'::regclass AND attname = '${name('total').replaceAll("'", "''")}' AND attnotnull)`,
    skips: ['Quarantine'],
  },
  {
    name: 'addColumn with a default of its own for each row',
    before: people,
    change: ({ table, name }) => ({
      addColumn: {
        table: table('people'),
        name: name('token'),
        type: 'uuid',
        nullable: false,
        default: 'gen_random_uuid()',
        unique: true,
      },
    }),
    writes: peopleWrites,
    wrong: (at) => `SELECT ${at.q('id')} FROM ${at.t('people')} WHERE ${at.q('token')} IS NULL`,
    skips: ['SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'addColumn with a constant and a reference',
    before: (at) => [
      `CREATE TABLE ${at.t('cities')} (${at.q('code')} text PRIMARY KEY)`,
      `INSERT INTO ${at.t('cities')} VALUES ('none')`,
      ...people(at),
    ],
    change: ({ table, name }) => ({
      addColumn: {
        table: table('people'),
        name: name('home'),
        type: 'text',
        nullable: true,
        default: "'none'",
        unique: false,
        references: { table: table('cities'), column: name('code'), onDelete: 'NoAction' },
      },
    }),
    writes: peopleWrites,
    wrong: ({ t, q }) => `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('home')} IS DISTINCT FROM 'none'`,
    skips: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'createIndex on a partitioned table',
    before: partitionedPeople,
    change: ({ table, name, q }) => ({
      createIndex: {
        table: table('people'),
        name: name('people_mail'),
        keys: [{ expression: `lower(${q('mail')})` }, { column: name('id') }],
        unique: false,
        method: 'btree',
      },
    }),
    writes: peopleWrites,
    wrong: wrongPartitionIndexes,
    skips: all,
  },
  {
    name: 'addConstraint unique on a partitioned table',
    before: partitionedPeople,
    change: ({ table, name }) => ({
      addConstraint: {
        table: table('people'),
        unique: { name: name('people_mail_key'), columns: [name('mail'), name('id')] },
      },
    }),
    writes: peopleWrites,
    wrong: (at) => `${wrongConstraint(at, 'people_mail_key', 'u')} UNION ALL ${wrongPartitionIndexes(at)}`,
    skips: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
  },
  {
    name: 'sql',
    before: people,
    change: ({ table, t, q, schema }) => ({
      sql: {
        table: table('people'),
        expand: `-- Each statement once: the second would fail, and the third would add a row too many.
          CREATE TABLE ${t('notes')} (${q('id')} serial PRIMARY KEY, ${q('text')} text);
          ALTER TABLE ${t('people')} ADD COLUMN ${q('nick')} text;
          INSERT INTO ${t('notes')} (${q('text')}) VALUES ('once; only');
          CREATE INDEX CONCURRENTLY ${q('people_nick')} ON ${t('people')} (${q('nick')});`,
        contract: `ALTER TABLE ${t('people')} DROP COLUMN ${q('city')};
          INSERT INTO ${t('notes')} (${q('text')}) VALUES ('contracted');
          DROP INDEX CONCURRENTLY IF EXISTS ${ident(schema).text}.${q('people_nick')}`,
        undo: `DROP INDEX CONCURRENTLY IF EXISTS ${ident(schema).text}.${q('people_nick')};
          ALTER TABLE ${t('people')} DROP COLUMN IF EXISTS ${q('nick')};
          DROP TABLE IF EXISTS ${t('notes')}`,
        allowUnsafe: false,
      },
    }),
    releases: [{ phase: 'Quarantine', code: 'new-only' }],
    writes: (at) => ({
      ...peopleWrites(at),
      new: [
        `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('mail')}, ${at.q('nick')}) VALUES (-$1::bigint, 'n', 'n')`,
      ],
    }),
    wrong: ({ t, q }) =>
      `SELECT 1 WHERE (SELECT string_agg(${q('text')}, ',' ORDER BY ${q('id')}) FROM ${t('notes')}) IS DISTINCT FROM 'once; only,contracted'
       UNION ALL SELECT 2 FROM pg_attribute WHERE attrelid = '${t('people').replaceAll("'", "''")}'::regclass AND NOT attisdropped AND attname LIKE '_ity%'`,
    skips: ['DualWrite', 'Backfill', 'SwitchReads'],
  },
  {
    name: 'renameColumn with what hangs on the column',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('cities')} (${q('code')} text PRIMARY KEY)`,
      `INSERT INTO ${t('cities')} SELECT 'c' || n FROM ${series}`,
      `CREATE TABLE ${t('people')} (${q('id')} bigint PRIMARY KEY, ${q('city')} text NOT NULL DEFAULT 'c1' REFERENCES ${t('cities')} CHECK (${q('city')} <> ''), ${q('note')} text)`,
      `CREATE UNIQUE INDEX ${q('once')} ON ${t('people')} (lower(${q('city')}), ${q('id')}) WHERE ${q('city')} <> 'c9'`,
      `INSERT INTO ${t('people')} SELECT n, 'c' || n, 'x' FROM ${series}`,
    ],
    change: ({ table, name }) => ({
      renameColumn: { table: table('people'), from: name('city'), to: name('town') },
    }),
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('city')}) VALUES ($1::bigint, 'c2')`,
        `INSERT INTO ${t('people')} (${q('id')}) VALUES ($1::bigint)`,
        `UPDATE ${t('people')} SET ${q('city')} = 'c' || 1 + $1::bigint % 8 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('town')}) VALUES (-$1::bigint, 'c3')`,
        `INSERT INTO ${t('people')} (${q('id')}) VALUES (-$1::bigint)`,
        `UPDATE ${t('people')} SET ${q('town')} = 'c' || 1 + $1::bigint % 8 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: (at) =>
      `SELECT 'row' FROM ${at.t('people')} WHERE ${at.q('town')} IS NULL
       UNION ALL ${wrongIndex(at, 'once', 'CREATE UNIQUE INDEX % USING btree (lower(%), %) WHERE (%)')}
       UNION ALL SELECT 'constraints' FROM pg_constraint WHERE conrelid = '${at.t('people').replaceAll("'", "''")}'::regclass
         AND contype IN ('c', 'f') AND convalidated HAVING count(*) <> 2
       UNION ALL SELECT 'default' FROM pg_attrdef WHERE adrelid = '${at.t('people').replaceAll("'", "''")}'::regclass HAVING count(*) <> 1`,
    skips: [],
  },
  {
    name: 'changeType of a primary key that others refer to',
    before: ({ t, q }) => [
      `CREATE TABLE ${t('people')} (${q('id')} int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, ${q('note')} text)`,
      `CREATE TABLE ${t('orders')} (${q('person')} int NOT NULL REFERENCES ${t('people')} ON UPDATE CASCADE)`,
      `INSERT INTO ${t('people')} (${q('note')}) SELECT 'x' FROM ${series}`,
      `INSERT INTO ${t('orders')} SELECT n FROM ${series}`,
    ],
    change: ({ table, name, q }) => ({
      changeType: {
        table: table('people'),
        column: name('id'),
        to: { name: name('number'), type: 'bigint' },
        forward: `${q('id')}::bigint`,
        backward: `${q('number')}::int`,
      },
    }),
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}) VALUES ($1::int)`,
        `INSERT INTO ${t('people')} (${q('note')}) VALUES ('o' || $1)`,
        `/* a row that refers */ INSERT INTO ${t('orders')} VALUES (1 + $1::int % ${rows - 1})`,
        `UPDATE ${t('people')} SET ${q('note')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('number')}) VALUES (-$1::bigint)`,
        `INSERT INTO ${t('people')} (${q('note')}) VALUES ('n' || $1)`,
        `/* a row that refers */ INSERT INTO ${t('orders')} VALUES (1 + $1::int % ${rows - 1})`,
        `UPDATE ${t('people')} SET ${q('note')} = 'v' || $1 WHERE ${q('number')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q, name }) =>
      `SELECT 'row' FROM ${t('orders')} o WHERE NOT EXISTS (SELECT FROM ${t('people')} p WHERE p.${q('number')} = o.${q('person')})
       UNION ALL SELECT 'key' WHERE NOT EXISTS (SELECT FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
         WHERE c.conrelid = '${t('people').replaceAll("'", "''")}'::regclass AND c.contype = 'p' AND a.attname = '${name('number').replaceAll("'", "''")}'
           AND a.attidentity = 'd' AND a.atttypid = 'bigint'::regtype)
       UNION ALL SELECT 'reference' WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '${t('orders').replaceAll("'", "''")}'::regclass
         AND contype = 'f' AND convalidated AND confupdtype = 'c')
       UNION ALL SELECT 'sequence' FROM ${t('people')} HAVING max(${q('number')}) FILTER (WHERE ${q('number')} < 1000000)
         > pg_sequence_last_value(pg_get_serial_sequence('${t('people').replaceAll("'", "''")}', '${name('number').replaceAll("'", "''")}')::regclass)`,
    skips: [],
  },
];
