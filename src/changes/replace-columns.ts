/** `replaceColumns`: rename, retype, split or merge columns of one table, both sides in step until Drop. */
import type { TableFacts } from '../api/facts.ts';
import { ident, join, sql, userSql, type Sql } from '../sql/sql.ts';
import type { Change, RowPlan, Step } from './change.ts';
import {
  anyOf,
  bare,
  differs,
  forwardOf,
  tableIdent,
  typeOf,
  valueOf,
  type ColumnSync,
} from './column-sync.ts';
import { parseChecks, preflight } from './sync-preflight.ts';
import { dropTriggers, installTriggers, triggersGone } from './sync-triggers.ts';

const alter = (sync: ColumnSync, clauses: readonly Sql[]): Sql =>
  sql`ALTER TABLE ${tableIdent(sync.table)} ${join(clauses)}`;

const names = (sync: ColumnSync): readonly string[] => sync.to.map(({ name }) => name);

const has = (table: TableFacts, column: string): boolean => column in table.columns;

// By position, not by name: a column's name may be as long as a constraint's may.
const notNullCheck = (id: number, sync: ColumnSync, column: string): string =>
  `segue_${id}_not_null_${[...names(sync), ...sync.from].indexOf(column)}`;

const expand = (sync: ColumnSync, table: TableFacts): readonly Step[] => [
  {
    id: 'add-columns',
    purpose: `add column ${names(sync).join(', ')}`,
    // Nullable and without a default: the catalog changes, no row is touched.
    lock: 'AccessExclusiveLock',
    transactional: true,
    destructive: false,
    statements: [
      alter(
        sync,
        sync.to.map(
          ({ name }) => sql`ADD COLUMN IF NOT EXISTS ${ident(name)} ${userSql(typeOf(sync, table, name))}`,
        ),
      ),
    ],
    done: (table) => names(sync).every((column) => has(table, column)),
  },
];

const rows = (id: number, sync: ColumnSync, table: TableFacts): RowPlan => {
  const forward = forwardOf(id, sync, table);
  return {
    set: forward.map((conversion) => ({ column: conversion.target, value: valueOf(conversion, bare) })),
    pending: anyOf(
      forward.map(
        (conversion) =>
          sql`(${bare(conversion.target)} IS NULL AND ${valueOf(conversion, bare)} IS NOT NULL)`,
      ),
    ),
    mismatch: anyOf(forward.map((conversion) => differs(conversion, bare))),
  };
};

/**
 * NOT NULL without a scan under an exclusive lock: a CHECK that is added NOT VALID, validated while others
 * write, and then believed by SET NOT NULL (PostgreSQL 12 and later skip the scan; manual, ALTER TABLE).
 */
const setNotNull = (id: number, sync: ColumnSync, column: string): readonly Step[] => {
  const check = notNullCheck(id, sync, column);
  const notNull = (table: TableFacts): boolean => table.columns[column]?.notNull ?? false;
  const checkIn = (table: TableFacts) => table.checks.find(({ name }) => name === check);
  return [
    {
      id: `${column}-not-null-check`,
      purpose: `let no new row leave ${column} empty`,
      lock: 'AccessExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [
        alter(sync, [sql`ADD CONSTRAINT ${ident(check)} CHECK (${ident(column)} IS NOT NULL) NOT VALID`]),
      ],
      done: (table) => notNull(table) || checkIn(table) !== undefined,
    },
    {
      id: `${column}-not-null-validate`,
      purpose: `see that no row leaves ${column} empty`,
      lock: 'ShareUpdateExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [alter(sync, [sql`VALIDATE CONSTRAINT ${ident(check)}`])],
      done: (table) => notNull(table) || (checkIn(table)?.validated ?? false),
    },
    {
      id: `${column}-not-null`,
      purpose: `make ${column} NOT NULL`,
      lock: 'AccessExclusiveLock',
      transactional: true,
      destructive: false,
      // Two statements: within one ALTER TABLE the constraint would be dropped first, and the table scanned.
      statements: [
        alter(sync, [sql`ALTER COLUMN ${ident(column)} SET NOT NULL`]),
        alter(sync, [sql`DROP CONSTRAINT IF EXISTS ${ident(check)}`]),
      ],
      done: (table) => notNull(table) && checkIn(table) === undefined,
    },
  ];
};

const dropNotNull = (
  id: number,
  sync: ColumnSync,
  columns: readonly string[],
  stepId: string,
): readonly Step[] => {
  const checks = columns.map((column) => notNullCheck(id, sync, column));
  if (columns.length === 0) return [];
  return [
    {
      id: stepId,
      purpose: `let ${columns.join(', ')} be NULL`,
      lock: 'AccessExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [
        alter(sync, [
          ...columns.map((column) => sql`ALTER COLUMN ${ident(column)} DROP NOT NULL`),
          ...checks.map((check) => sql`DROP CONSTRAINT IF EXISTS ${ident(check)}`),
        ]),
      ],
      done: (table) =>
        columns.every((column) => !(table.columns[column]?.notNull ?? false)) &&
        !table.checks.some(({ name }) => checks.includes(name)),
    },
  ];
};

const dropColumns = (id: number, sync: ColumnSync, columns: readonly string[], stepId: string): Step => ({
  id: stepId,
  purpose: `drop column ${columns.join(', ')} with the triggers`,
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: true,
  statements: [
    ...dropTriggers(id, sync),
    alter(
      sync,
      columns.map((column) => sql`DROP COLUMN IF EXISTS ${ident(column)}`),
    ),
  ],
  done: (table) => columns.every((column) => !has(table, column)) && triggersGone(id, table),
});

const removeTriggers = (id: number, sync: ColumnSync): Step => ({
  id: 'triggers-remove',
  purpose: 'remove the triggers and their functions',
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: false,
  statements: dropTriggers(id, sync),
  done: (table) => triggersGone(id, table),
});

const required = (sync: ColumnSync, table: TableFacts): readonly string[] =>
  sync.to
    .filter(({ nullable, like }) => !(nullable ?? !(table.columns[like ?? '']?.notNull ?? false)))
    .map(({ name }) => name);

const present = (table: TableFacts, columns: readonly string[]): readonly string[] =>
  columns.filter((column) => has(table, column));

/** The change that keeps two sets of columns in step and drops the first. */
export const replaceColumns = (sync: ColumnSync): Change => ({
  kind: sync.kind,
  table: sync.table,
  oldColumns: sync.from,
  newColumns: names(sync),
  preflight: (table) => preflight(sync, table),
  parseChecks: (table) => parseChecks(sync, table),
  expand: (_id, table) => expand(sync, table),
  triggers: (id, table, mode) => installTriggers(id, sync, table, mode),
  rows: (id, table) => rows(id, sync, table),
  constrain: (id, table) => required(sync, table).flatMap((column) => setNotNull(id, sync, column)),
  relax: (id, table) => dropNotNull(id, sync, present(table, sync.from), 'old-nullable'),
  contract: (id) => [dropColumns(id, sync, sync.from, 'drop-old-columns')],
  undo: {
    relax: (id, _table, oldNotNull) => oldNotNull.flatMap((column) => setNotNull(id, sync, column)),
    constrain: (id, table) => dropNotNull(id, sync, present(table, names(sync)), 'new-nullable'),
    triggers: (id) => [removeTriggers(id, sync)],
    expand: (id) => [dropColumns(id, sync, names(sync), 'drop-new-columns')],
    abandon: (id, table) => [
      removeTriggers(id, sync),
      ...dropNotNull(id, sync, present(table, [...sync.from, ...names(sync)]), 'both-nullable'),
    ],
  },
});
