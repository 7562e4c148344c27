/** Statements and steps on one table that several change kinds share. */
import type { TableFacts } from '../api/facts.ts';
import { ident, join, sql, type Sql } from '../sql/sql.ts';
import type { Step, TableName } from './change.ts';
import { bare, keyOf, tableIdent } from './column-sync.ts';

/** `ALTER TABLE` with its clauses. */
export const alter = (table: TableName, clauses: readonly Sql[]): Sql =>
  sql`ALTER TABLE ${tableIdent(table)} ${join(clauses)}`;

/** The part of a step that is the same for every DDL statement of the short kind. */
export const shortly = {
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: false,
} as const satisfies Partial<Step>;

/** A step that reads the whole table and holds up neither readers nor writers. */
export const patiently = {
  lock: 'ShareUpdateExclusiveLock',
  transactional: true,
  destructive: false,
} as const satisfies Partial<Step>;

/** Keys of rows of the table that meet a condition, ten at most: how a step names the rows in its way. */
export const offendersWhere = (table: TableFacts, condition: Sql): Sql => {
  const key =
    table.primaryKey.length === 0
      ? sql`pg_catalog.jsonb_build_object('ctid', ctid::pg_catalog.text)`
      : keyOf(table, bare);
  return sql`SELECT (${key})::pg_catalog.text AS key FROM ${ident(table.schema, table.name)} WHERE ${condition} LIMIT 10`;
};

/** True if the catalog has a constraint of that name. */
export const hasConstraint = (table: TableFacts, name: string): boolean =>
  table.constraints.some((constraint) => constraint.name === name);

/** True if the catalog has a constraint of that name and holds it for every row. */
export const isValidated = (table: TableFacts, name: string): boolean =>
  table.constraints.some((constraint) => constraint.name === name && constraint.validated);

/** Lets columns be NULL, and takes the checks away that stood in for NOT NULL. */
export const dropNotNull = (
  table: TableName,
  columns: readonly string[],
  checks: readonly string[],
  stepId: string,
): readonly Step[] => {
  if (columns.length === 0) return [];
  return [
    {
      ...shortly,
      id: stepId,
      purpose: `let ${columns.join(', ')} be NULL`,
      statements: [
        alter(table, [
          ...columns.map((column) => sql`ALTER COLUMN ${ident(column)} DROP NOT NULL`),
          ...checks.map((check) => sql`DROP CONSTRAINT IF EXISTS ${ident(check)}`),
        ]),
      ],
      done: (now) =>
        columns.every((column) => !(now.columns[column]?.notNull ?? false)) &&
        !checks.some((check) => hasConstraint(now, check)),
    },
  ];
};
