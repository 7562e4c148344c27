/** `replaceColumns`: rename, retype, split or merge columns of one table, both sides in step until Drop. */
import type { TableFacts } from '../api/facts.ts';
import { typeSql } from '../sql/expression.ts';
import { ident, sql, type Sql } from '../sql/sql.ts';
import { alter, dropNotNull, shortly } from './alter-table.ts';
import type { Change, RowPlan, Step } from './change.ts';
import {
  anyOf,
  bare,
  differs,
  forwardOf,
  isSet,
  isUnset,
  renamedSync,
  typeOf,
  valueOf,
  type ColumnSync,
} from './column-sync.ts';
import { notNull } from './gradual-constraint.ts';
import { attributeStatements, collateOf, storageSteps } from './inherit/attributes.ts';
import { rewritingOf } from './inherit/heirs.ts';
import { buildSteps, successionOf, withdrawSteps } from './inherit/inheritance.ts';
import { publishHeirs, unpublishNew } from './inherit/publications.ts';
import { dependents, parseChecks, preflight } from './sync-preflight.ts';
import {
  dropTriggers,
  installTriggers,
  makeConversions,
  triggersGone,
  triggerStatements,
} from './sync-triggers.ts';
import { textFaults } from './text-faults.ts';

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
          ({ name }) =>
            sql`ADD COLUMN IF NOT EXISTS ${ident(name)} ${typeSql(typeOf(sync, table, name))}${collateOf(sync, table, name)}`,
        ),
      ),
      ...attributeStatements(sync, table),
      ...publishHeirs(table, rewritingOf(sync, table)),
    ],
    done: (table) => names(sync).every((column) => has(table, column)),
  },
  ...(names(sync).every((column) => has(table, column)) ? storageSteps(sync, table) : []),
];

const rows = (id: number, sync: ColumnSync, table: TableFacts): RowPlan => {
  const forward = forwardOf(id, sync, table);
  return {
    set: forward.map((conversion) => ({ column: conversion.target, value: valueOf(conversion, bare) })),
    pending: anyOf(
      forward.map(
        (conversion) => sql`(${isUnset(bare(conversion.target))} AND ${isSet(valueOf(conversion, bare))})`,
      ),
    ),
    mismatch: anyOf(forward.map((conversion) => differs(conversion, bare))),
  };
};

const dropColumns = (
  id: number,
  sync: ColumnSync,
  columns: readonly string[],
): { readonly drop: Sql; readonly done: Step['done'] } => ({
  drop: alter(
    sync.table,
    columns.map((column) => sql`DROP COLUMN IF EXISTS ${ident(column)} RESTRICT`),
  ),
  done: (table) => columns.every((column) => !has(table, column)) && triggersGone(id, table),
});

/** The new columns take the names and places of the old ones in the transaction in which these go. */
const dropOld = (id: number, sync: ColumnSync, table: TableFacts): Step => {
  const { drop, done } = dropColumns(id, sync, sync.from);
  const statementsFor = (now: TableFacts): readonly Sql[] => {
    const { before, after } = successionOf(id, sync, now);
    return [...dropTriggers(id, sync), ...before, drop, ...after];
  };
  const texts = (statements: readonly Sql[]): string => statements.map(({ text }) => text).join(';');
  const statements = statementsFor(table);
  return {
    ...shortly,
    id: 'drop-old-columns',
    purpose: `drop column ${sync.from.join(', ')} with the triggers`,
    destructive: true,
    statements,
    alongside: successionOf(id, sync, table).locks,
    holds: (now) => texts(statementsFor(now)) === texts(statements),
    done,
  };
};

const dropNew = (id: number, sync: ColumnSync, table: TableFacts): Step => {
  const { drop, done } = dropColumns(id, sync, names(sync));
  return {
    ...shortly,
    id: 'drop-new-columns',
    purpose: `drop column ${names(sync).join(', ')} with the triggers`,
    destructive: true,
    statements: [...dropTriggers(id, sync), ...unpublishNew(table, names(sync)), drop],
    done,
  };
};

// NOT NULL of a key's column, of an identity and of what replication knows rows by can't be taken off.
const isPinned = (table: TableFacts, column: string): boolean =>
  table.primaryKey.includes(column) ||
  table.columns[column]?.identity === true ||
  table.indexes.some(({ definition }) => definition?.replicaIdentity && definition.columns.includes(column));

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
    .filter(
      ({ nullable, like = '' }) =>
        isPinned(table, like) || !(nullable ?? !(table.columns[like]?.notNull ?? false)),
    )
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
  table: TableFacts,
  which: { readonly columns: readonly string[]; readonly stepId: string },
): readonly Step[] => {
  const columns = present(table, which.columns).filter((column) => !isPinned(table, column));
  return dropNotNull(
    sync.table,
    columns,
    columns.map((column) => notNullCheck(id, sync, column)),
    which.stepId,
  );
};

/** The change that keeps two sets of columns in step and drops the first. */
export const replaceColumns = (sync: ColumnSync): Change => ({
  kind: sync.kind,
  table: sync.table,
  oldColumns: sync.from,
  newColumns: names(sync),
  uses: [],
  invalid: textFaults([
    ...sync.to.map(({ name, type }) => ({ field: `to ${name}: type`, kind: 'type' as const, text: type })),
    ...(['forward', 'backward'] as const).flatMap((side) =>
      Object.entries(sync[side]).map(([column, text]) => ({
        field: `${side}.${column}`,
        kind: 'expression' as const,
        text,
      })),
    ),
  ]),
  skips: {},
  achieved: `${sync.from.join(', ')} gave way to ${names(sync).join(', ')}.`,
  preflight: (table) => preflight(sync, table),
  dependents: (table, id) => dependents(sync, table, id),
  parseChecks: (table) => parseChecks(sync, table),
  expand: (_id, table) => expand(sync, table),
  triggers: (id, table, mode) => installTriggers(id, sync, table, mode),
  conversions: (id, table) => makeConversions(id, sync, table),
  rows: (id, table) => rows(id, sync, table),
  constrain: (id, table) => [
    ...required(sync, table).flatMap((column) => setNotNull(id, sync, table, column)),
    ...buildSteps(id, sync, table),
  ],
  relax: (id, table) => nullable(id, sync, table, { columns: sync.from, stepId: 'old-nullable' }),
  renamedTriggers: (id, table, names) => {
    const renamed = renamedSync(sync, table, names);
    return triggerStatements(id, renamed.sync, renamed.table, 'watch');
  },
  contract: (id, table) => [dropOld(id, sync, table)],
  undo: {
    relax: (id, table, oldNotNull) =>
      present(table, oldNotNull).flatMap((column) => setNotNull(id, sync, table, column)),
    constrain: (id, table) => [
      ...withdrawSteps(id, table),
      ...nullable(id, sync, table, { columns: names(sync), stepId: 'new-nullable' }),
    ],
    triggers: (id) => [removeTriggers(id, sync)],
    expand: (id, table) => [dropNew(id, sync, table)],
    abandon: (id, table) => [
      removeTriggers(id, sync),
      ...withdrawSteps(id, table),
      ...nullable(id, sync, table, { columns: [...sync.from, ...names(sync)], stepId: 'both-nullable' }),
    ],
  },
});
