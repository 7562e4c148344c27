/** Attributes that a new column has from its first moment on, because the old one has them. */
import type { ColumnAttributes, TableFacts } from '../../api/facts.ts';
import { ident, join, lit, nothing, sql, userSql, type Sql } from '../../sql/sql.ts';
import { alter, shortly } from '../alter-table.ts';
import type { Step } from '../change.ts';
import { tableIdent, typeOf, type ColumnSync } from '../column-sync.ts';
import { heirsOf, type Heir } from './heirs.ts';

const attributesOf = (table: TableFacts, column: string): ColumnAttributes | undefined =>
  table.columns[column]?.attributes;

/** The COLLATE clause of a new column, or nothing: another type has its own collations. */
export const collateOf = (sync: ColumnSync, table: TableFacts, name: string): Sql => {
  const heir = heirsOf(sync, table).find((candidate) => candidate.name === name);
  const collation = heir && attributesOf(table, heir.old)?.collation;
  const type = typeOf(sync, table, name);
  return collation === undefined || !heir?.same || /\bcollate\b/i.test(type) || !isText(type)
    ? nothing
    : sql` COLLATE ${userSql(collation)}`;
};

// The types of PostgreSQL's own that have collations; a domain or a type of the user's brings the one it was made with.
const isText = (type: string): boolean =>
  /^(?:pg_catalog\.)?(?:text|varchar|character varying|char|character|bpchar|name|citext)\b/i.test(
    type.trim(),
  );

/** GRANT statements that give each role what it has elsewhere. */
export const grantStatements = (
  grants: ColumnAttributes['grants'],
  what: (privilege: Sql) => Sql,
): readonly Sql[] =>
  grants.map(
    ({ role, privilege, grantable }) =>
      sql`GRANT ${what(userSql(privilege))} TO ${userSql(role)}${grantable ? sql` WITH GRANT OPTION` : nothing}`,
  );

const statementsFor = (table: TableFacts, { old, name }: Heir): readonly Sql[] => {
  const attributes = attributesOf(table, old);
  if (attributes === undefined) return [];
  const { statistics, options, comment, grants } = attributes;
  const column = ident(name);
  const clauses = [
    ...(statistics === undefined
      ? []
      : [sql`ALTER COLUMN ${column} SET STATISTICS ${userSql(String(statistics))}`]),
    ...(options.length === 0
      ? []
      : [sql`ALTER COLUMN ${column} SET (${join(options.map((o) => userSql(o)))})`]),
  ];
  return [
    ...(clauses.length === 0 ? [] : [alter(table, clauses)]),
    ...(comment === undefined
      ? []
      : [sql`COMMENT ON COLUMN ${tableIdent(table)}.${column} IS ${lit(comment)}`]),
    ...grantStatements(grants, (privilege) => sql`${privilege} (${column}) ON ${tableIdent(table)}`),
  ];
};

/** What follows ADD COLUMN in its transaction: before it commits, a role that may read single columns sees no gap. */
export const attributeStatements = (sync: ColumnSync, table: TableFacts): readonly Sql[] =>
  heirsOf(sync, table).flatMap((heir) => statementsFor(table, heir));

const storageOf = (now: TableFacts, { old, name }: Heir): readonly Sql[] => {
  const [given, wanted] = [attributesOf(now, name), attributesOf(now, old)];
  if (!given?.toastable || !wanted?.toastable) return [];
  const column = ident(name);
  return [
    ...(given.storage === wanted.storage
      ? []
      : [sql`ALTER COLUMN ${column} SET STORAGE ${userSql(wanted.storage)}`]),
    ...(given.compression === wanted.compression
      ? []
      : [sql`ALTER COLUMN ${column} SET COMPRESSION ${userSql(wanted.compression)}`]),
  ];
};

/**
 * How long values are stored, before there are any. A step of its own, because only a column that is there shows
 * whether its type has such values at all.
 */
export const storageSteps = (sync: ColumnSync, table: TableFacts): readonly Step[] => {
  const clauses = (now: TableFacts): readonly Sql[] =>
    heirsOf(sync, now).flatMap((heir) => storageOf(now, heir));
  if (clauses(table).length === 0) return [];
  return [
    {
      ...shortly,
      id: 'storage',
      purpose: 'store long values as the old columns do',
      statements: [alter(table, clauses(table))],
      done: (now) => clauses(now).length === 0,
    },
  ];
};
