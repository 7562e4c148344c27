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

const partitioned = (table: TableFacts, message: string): readonly Violation[] =>
  table.partitioned
    ? [
        {
          reason: 'UnsupportedTable',
          message: `${table.schema}.${table.name} is partitioned, and ${message}`,
        },
      ]
    : [];

/** The violation if no index can be built CONCURRENTLY on the table. */
export const noIndex = (table: TableFacts): readonly Violation[] =>
  partitioned(
    table,
    'PostgreSQL builds no index CONCURRENTLY on a partitioned table. Make the index on each partition by hand (CREATE INDEX CONCURRENTLY), one ON ONLY the table itself, and attach them to it.',
  );

/** The violation if no foreign key can be added to the table without reading it under a lock. */
export const noForeignKey = (table: TableFacts): readonly Violation[] =>
  partitioned(
    table,
    'PostgreSQL before 18 adds no foreign key NOT VALID to a partitioned table. Add it to each partition by hand (NOT VALID, then VALIDATE), then to the table itself, which reads no row then.',
  );

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
