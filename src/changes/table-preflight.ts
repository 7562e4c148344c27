/** What must hold of the table itself, whatever the change kind. */
import type { TableFacts, Violation } from '../api/facts.ts';
import { ident, sql, userSql, type Sql } from '../sql/sql.ts';

/** Column names for a message. */
export const quoted = (columns: readonly string[]): string =>
  columns.map((column) => `"${column}"`).join(', ');

/** The violation if Segue can't work on this kind of relation. */
export const unsupportedTable = (table: TableFacts): readonly Violation[] =>
  table.unsupported === undefined
    ? []
    : [
        {
          reason: 'UnsupportedTable',
          message: `${table.schema}.${table.name} can't be changed by Segue: ${table.unsupported}.`,
        },
      ];

/** The violation if the table is partitioned, for what has to be done partition by partition. */
export const notPartitioned = (table: TableFacts, why: string): readonly Violation[] =>
  table.partitioned
    ? [
        {
          reason: 'UnsupportedTable',
          message: `${table.schema}.${table.name} is partitioned, and ${why}. Make the index on each partition by hand (CREATE INDEX CONCURRENTLY), one ON ONLY the table itself, and attach them to it.`,
        },
      ]
    : [];

/** The violation if the table lacks columns that the change names. */
export const missingColumns = (table: TableFacts, columns: readonly string[]): readonly Violation[] => {
  const absent = columns.filter((column) => !(column in table.columns));
  if (absent.length === 0) return [];
  return [
    {
      reason: 'ColumnNotFound',
      message: `Table ${table.schema}.${table.name} has no column ${quoted(absent)}. Correct the names in spec.change, or create the column; names are taken as written, upper and lower case included.`,
    },
  ];
};

/** A temporary table with the same columns, on which PostgreSQL judges expressions without touching the real one. */
export const likeness = (table: TableFacts, name: string): Sql =>
  sql`CREATE TEMPORARY TABLE ${userSql(name)} (LIKE ${ident(table.schema, table.name)}) ON COMMIT DROP`;
