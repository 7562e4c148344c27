/** What must hold of the table itself, whatever the change kind. */
import type { TableFacts, Violation } from '../api/facts.ts';
import { ident, lit, sql, userSql, type Sql } from '../sql/sql.ts';
import { laterTriggers } from './sync-triggers.ts';

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

/** The violation if triggers of the user's would change a row after ours have seen it. */
export const triggersTooLate = (table: TableFacts): readonly Violation[] => {
  const late = laterTriggers(table);
  if (late.length === 0) return [];
  return [
    {
      reason: 'UnsupportedTable',
      message: `On ${table.schema}.${table.name} the triggers ${quoted(late)} would fire after Segue's own (names that begin with "~segue_"), which must see the row as it is written. Rename them, say to a letter: ALTER TRIGGER … ON ${table.schema}.${table.name} RENAME TO …`,
    },
  ];
};

const partitioned = (table: TableFacts, message: string): readonly Violation[] =>
  table.partitioned
    ? [
        {
          reason: 'UnsupportedTable',
          message: `${table.schema}.${table.name} is partitioned, and ${message}`,
        },
      ]
    : [];

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

/**
 * A statement that adds the column to a `likeness`, and fails if the table would be rewritten for it, under a lock
 * that keeps every reader out: as PostgreSQL up to 18 does for a domain with constraints (ATExecAddColumn).
 */
export const addWithoutRewrite = (scratch: string, column: string, type: Sql): Sql => {
  const table = ident('pg_temp', scratch);
  const why =
    'adding a column of this type would rewrite the whole table while nobody can read it, as it does for a domain with constraints; write the type beneath the domain, and its constraint as a check';
  return sql`DO ${lit(
    sql`DECLARE former oid := pg_relation_filenode(${lit(table.text)}); BEGIN ALTER TABLE ${table} ADD COLUMN ${ident(column)} ${type}; IF pg_relation_filenode(${lit(table.text)}) <> former THEN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = ${lit(why)}; END IF; END`
      .text,
  )}`;
};
