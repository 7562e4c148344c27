/**
 * Every change kind joins the lifecycle test by a line here. A case says what the table is, what is wanted, how
 * old and new code write, and what must be true of schema and rows at the end.
 */
import type { ChangeSpec, Release } from '../../../src/api/schema-change.ts';
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

/** The schemas in which each case runs. */
export const spellings: readonly Names[] = [
  named('public', 'public', (name) => name),
  named('quoted names', 'Shop "1"', (name) => `${name.charAt(0).toUpperCase()}${name.slice(1)} 'X'`),
];

/** See the file's head. */
export interface LifecycleCase {
  readonly name: string;
  /** Makes and fills the tables. */
  readonly before: (at: Names) => readonly string[];
  readonly change: (at: Names) => ChangeSpec;
  readonly releases?: readonly Release[];
  /** Statements of each code; `$1` is a number that none had before. */
  readonly writes: (at: Names) => { readonly old: readonly string[]; readonly new?: readonly string[] };
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

const peopleWrites = ({ t, q }: Names): { readonly old: readonly string[] } => ({
  old: [
    `INSERT INTO ${t('people')} (${q('id')}, ${q('mail')}, ${q('city')}) VALUES ($1::bigint, 'm' || $1, 'c1')`,
    `UPDATE ${t('people')} SET ${q('mail')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
  ],
});

/** The table of kinds. */
export const cases: readonly LifecycleCase[] = [
  {
    name: 'replaceColumns',
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
    releases: [{ phase: 'SwitchReads', code: 'new-only' }],
    writes: ({ t, q }) => ({
      old: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('first')}, ${q('last')}) VALUES ($1::bigint, 'of' || $1, 'ol' || $1)`,
        `UPDATE ${t('people')} SET ${q('last')} = 'u' || $1 WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
      new: [
        `INSERT INTO ${t('people')} (${q('id')}, ${q('full')}) VALUES (-$1::bigint, 'nf' || $1 || ' nl' || $1)`,
        `UPDATE ${t('people')} SET ${q('full')} = 'v' || $1 || ' w' WHERE ${q('id')} = $1::bigint % ${rows}`,
      ],
    }),
    wrong: ({ t, q }) =>
      `SELECT ${q('id')} FROM ${t('people')} WHERE ${q('full')} !~ '^\\w+ \\w+$' OR ${q('full')} IS NULL`,
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
];
