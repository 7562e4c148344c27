/** `replaceColumns`: rename, retype, split or merge columns of one table, both sides in step until Drop. */
import type { TableFacts } from '../api/facts.ts';
import { ident, sql, userSql } from '../sql/sql.ts';
import { alter, dropNotNull } from './alter-table.ts';
import type { Change, RowPlan, Step } from './change.ts';
import { anyOf, bare, differs, forwardOf, typeOf, valueOf, type ColumnSync } from './column-sync.ts';
import { notNull } from './gradual-constraint.ts';
import { dependents, parseChecks, preflight } from './sync-preflight.ts';
import { dropTriggers, installTriggers, triggersGone } from './sync-triggers.ts';

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
        sync.table,
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

const dropColumns = (id: number, sync: ColumnSync, columns: readonly string[], stepId: string): Step => ({
  id: stepId,
  purpose: `drop column ${columns.join(', ')} with the triggers`,
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: true,
  statements: [
    ...dropTriggers(id, sync),
    alter(
      sync.table,
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

const setNotNull = (id: number, sync: ColumnSync, table: TableFacts, column: string): readonly Step[] => {
  const { announce, prove } = notNull(table, column, notNullCheck(id, sync, column));
  return [...announce, ...prove];
};

const nullable = (
  id: number,
  sync: ColumnSync,
  columns: readonly string[],
  stepId: string,
): readonly Step[] =>
  dropNotNull(
    sync.table,
    columns,
    columns.map((column) => notNullCheck(id, sync, column)),
    stepId,
  );

/** The change that keeps two sets of columns in step and drops the first. */
export const replaceColumns = (sync: ColumnSync): Change => ({
  kind: sync.kind,
  table: sync.table,
  oldColumns: sync.from,
  newColumns: names(sync),
  uses: [],
  skips: {},
  achieved: `${sync.from.join(', ')} gave way to ${names(sync).join(', ')}.`,
  preflight: (table) => preflight(sync, table),
  dependents: (table) => dependents(sync, table),
  parseChecks: (table) => parseChecks(sync, table),
  expand: (_id, table) => expand(sync, table),
  triggers: (id, table, mode) => installTriggers(id, sync, table, mode),
  rows: (id, table) => rows(id, sync, table),
  constrain: (id, table) => required(sync, table).flatMap((column) => setNotNull(id, sync, table, column)),
  relax: (id, table) => nullable(id, sync, present(table, sync.from), 'old-nullable'),
  contract: (id) => [dropColumns(id, sync, sync.from, 'drop-old-columns')],
  undo: {
    relax: (id, table, oldNotNull) =>
      present(table, oldNotNull).flatMap((column) => setNotNull(id, sync, table, column)),
    constrain: (id, table) => nullable(id, sync, present(table, names(sync)), 'new-nullable'),
    triggers: (id) => [removeTriggers(id, sync)],
    expand: (id) => [dropColumns(id, sync, names(sync), 'drop-new-columns')],
    abandon: (id, table) => [
      removeTriggers(id, sync),
      ...nullable(id, sync, present(table, [...sync.from, ...names(sync)]), 'both-nullable'),
    ],
  },
});
