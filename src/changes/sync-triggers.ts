/** The triggers that keep both sides of a ColumnSync in step: which statements and rows they look at, and when they stand. */
import type { TableFacts } from '../api/facts.ts';
import { expressionSql } from '../sql/expression.ts';
import { ident, join, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import type { Step, TriggerMode } from './change.ts';
import {
  anyOf,
  argumentsOf,
  backwardOf,
  conversionFunction,
  distinct,
  forwardOf,
  isSet,
  ofNew,
  ofOld,
  otherImage,
  tableIdent,
  type ColumnSync,
  type Conversion,
} from './column-sync.ts';
import { syncBody, unset } from './sync-function.ts';

// '~' sorts after every letter and digit, and PostgreSQL fires triggers in the order of their names: ours
// must see what the user's own BEFORE triggers made of the row (pgroll issue 352).
/** Names of the triggers of a change. */
export const triggerNames = (id: number): { readonly insert: string; readonly update: string } => ({
  insert: `~segue_${id}_insert`,
  update: `~segue_${id}_update`,
});

/** Name of the trigger function of a change, in schema `segue`. */
export const syncFunction = (id: number): string => `sync_${id}`;

// Raise the number whenever the text below changes: a newer operator then replaces what an older one made.
const textVersion = 3;

/** The comment on the trigger function: by it a step knows that its triggers stand. */
export const triggerMark = (mode: TriggerMode): string => `segue: ${mode} v${textVersion}`;

// Those of any change, and those that compare: none of them assigns a column that another one's work rests on.
const ofSegue = (name: string): boolean => /^~segue_\d+_/.test(name);

/**
 * Names of the user's BEFORE triggers that fire after any of ours: what they make of a source column would not reach
 * the other side. PostgreSQL goes by the bytes of the names.
 */
export const laterTriggers = (table: TableFacts): readonly string[] =>
  table.triggers
    .filter(({ beforeInsert, beforeUpdate }) => beforeInsert || beforeUpdate)
    .map(({ name }) => name)
    .filter((name) => !ofSegue(name) && Buffer.compare(Buffer.from(name), Buffer.from('~segue_')) > 0);

/** The text of a trigger function with its mark: what others put in its place does not have it. */
export const marked = (mode: TriggerMode, body: Sql): Sql => sql`
-- ${userSql(triggerMark(mode))}
${body}`;

/** True for a trigger of the change. */
const ours = (id: number, name: string): boolean => Object.values(triggerNames(id)).includes(name);

const oldSide = (sync: ColumnSync, table: TableFacts) =>
  sync.from.map((name) => ({ name, comparable: table.columns[name]?.comparable ?? true }));

const newSide = (forward: readonly Conversion[]) =>
  forward.map(({ target, comparable }) => ({ name: target, comparable }));

/** What follows the name of the UPDATE trigger: which statements and rows call the function at all. */
interface Scope {
  readonly of: Sql;
  readonly when: Sql;
}

const changedBy = (columns: readonly { readonly name: string; readonly comparable: boolean }[]): Sql =>
  anyOf(
    columns.map(({ name, comparable }) =>
      comparable ? distinct(ofOld(name), ofNew(name), true) : otherImage([name], ofOld, ofNew),
    ),
  );

/**
 * In the wide mode the function is called for every row whose new side is unset, whatever the statement touched,
 * because an UPDATE of another column may carry an unconverted row to a page that the backfill has passed. The
 * backfill's own UPDATE (NULL to value, old side untouched) is left out by the last term, so it pays nothing for it.
 */
const wideScope = (id: number, sync: ColumnSync, table: TableFacts): Scope => {
  const forward = forwardOf(id, sync, table);
  const drifted = newSide(forward).map(
    (column) => sql`(${isSet(ofOld(column.name))} AND ${changedBy([column])})`,
  );
  const when = anyOf([unset(forward), changedBy(oldSide(sync, table)), ...drifted]);
  return { of: nothing, when: sql` WHEN ${when}` };
};

/** True where a BEFORE trigger of the user's may assign columns that the statement does not name. */
export const assignedByOthers = (table: TableFacts): boolean =>
  table.triggers.some(({ name, beforeUpdate }) => beforeUpdate && !ofSegue(name));

/**
 * Outside the wide mode there is no WHEN: PostgreSQL reads and plans it anew for each statement, which costs several
 * times what a call of the function costs that finds nothing to do. `UPDATE OF` costs nothing, but looks at the
 * statement's SET list alone: a BEFORE trigger of the user's that changes a source column would escape it.
 */
const updateScope = (id: number, sync: ColumnSync, table: TableFacts, mode: TriggerMode): Scope => {
  if (mode === 'wide') return wideScope(id, sync, table);
  if (assignedByOthers(table)) return { of: nothing, when: nothing };
  const columns = [...sync.from, ...sync.to.map(({ name }) => name)];
  return { of: sql` OF ${join(columns.map((name) => ident(name)))}`, when: nothing };
};

/** Makes the function that holds a user's expression. */
export const createConversion = (conversion: Conversion): readonly Sql[] => [
  sql`CREATE OR REPLACE FUNCTION ${conversion.functionName}(${argumentsOf(conversion)}) RETURNS ${conversion.targetType} LANGUAGE sql PARALLEL SAFE RETURN (${expressionSql(conversion.expression)})`,
  // The application's role calls it through the trigger; default privileges may have taken that from PUBLIC.
  sql`GRANT EXECUTE ON FUNCTION ${conversion.functionName} TO PUBLIC`,
];

const conversionMark = 'segue: conversion';

/** Names of the functions that `makeConversions` has made for the change. */
const conversionsOf = (id: number, table: TableFacts): readonly string[] =>
  Object.keys(table.marks).filter(
    (name) => name.startsWith(`forward_${id}_`) && table.marks[name] === conversionMark,
  );

/**
 * Makes the functions that fill the new columns, without a trigger: for the backfill of a change whose both sides
 * the application writes.
 */
export const makeConversions = (id: number, sync: ColumnSync, table: TableFacts): readonly Step[] => {
  const forward = forwardOf(id, sync, table).filter(({ plain }) => !plain);
  if (forward.length === 0) return [];
  return [
    {
      id: 'conversions',
      purpose: `make what computes ${forward.map(({ target }) => target).join(', ')}`,
      lock: 'AccessShareLock',
      transactional: true,
      destructive: false,
      statements: forward.flatMap((conversion) => [
        ...createConversion(conversion),
        sql`COMMENT ON FUNCTION ${conversion.functionName} IS ${lit(conversionMark)}`,
      ]),
      done: (now) => forward.length === conversionsOf(id, now).length,
    },
  ];
};

/** The statements that make or replace trigger function and triggers for a mode. */
export const triggerStatements = (
  id: number,
  sync: ColumnSync,
  table: TableFacts,
  mode: TriggerMode,
): readonly Sql[] => {
  const names = triggerNames(id);
  const execute = sql`EXECUTE FUNCTION ${ident('segue', syncFunction(id))}()`;
  const scope = updateScope(id, sync, table, mode);
  return [
    sql`CREATE OR REPLACE FUNCTION ${ident('segue', syncFunction(id))}() RETURNS trigger LANGUAGE plpgsql AS ${lit(marked(mode, syncBody(id, sync, table, mode)).text)}`,
    sql`COMMENT ON FUNCTION ${ident('segue', syncFunction(id))}() IS ${lit(triggerMark(mode))}`,
    sql`CREATE OR REPLACE TRIGGER ${ident(names.insert)} BEFORE INSERT ON ${tableIdent(sync.table)} FOR EACH ROW ${execute}`,
    sql`CREATE OR REPLACE TRIGGER ${ident(names.update)} BEFORE UPDATE${scope.of} ON ${tableIdent(sync.table)} FOR EACH ROW${scope.when} ${execute}`,
  ];
};

/** Makes or replaces functions and triggers for a mode, in one transaction. */
export const installTriggers = (
  id: number,
  sync: ColumnSync,
  table: TableFacts,
  mode: TriggerMode,
): readonly Step[] => {
  const conversions = [...forwardOf(id, sync, table), ...backwardOf(id, sync, table)];
  return [
    {
      id: `triggers-${mode}`,
      purpose: `keep ${[...sync.from, ...sync.to.map(({ name }) => name)].join(', ')} in step (${mode})`,
      lock: 'ShareRowExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [
        ...conversions.filter(({ plain }) => !plain).flatMap(createConversion),
        ...triggerStatements(id, sync, table, mode),
      ],
      done: (now) => triggersStand(id, now, mode),
    },
  ];
};

/**
 * True if the triggers exist, are enabled, are of the mode, and look at every row that a trigger of the user's may
 * have changed: one that came later makes them look at more.
 */
export const triggersStand = (id: number, table: TableFacts, mode: TriggerMode): boolean =>
  table.marks[syncFunction(id)] === triggerMark(mode) &&
  Object.values(triggerNames(id)).every((name) =>
    table.triggers.some(
      (trigger) =>
        trigger.name === name && trigger.enabled && !(trigger.ofColumns && assignedByOthers(table)),
    ),
  );

/** True unless function and triggers are there and enabled, of whatever mode or version. */
export const triggersAway = (id: number, table: TableFacts): boolean =>
  table.marks[syncFunction(id)] === undefined ||
  !Object.values(triggerNames(id)).every((name) =>
    table.triggers.some((trigger) => trigger.name === name && trigger.enabled),
  );

/** True if neither trigger nor function of the change is left. */
export const triggersGone = (id: number, table: TableFacts): boolean =>
  table.marks[syncFunction(id)] === undefined &&
  conversionsOf(id, table).length === 0 &&
  !table.triggers.some((trigger) => ours(id, trigger.name));

/** The statements that take triggers and functions away; each tolerates that its object is gone. */
export const dropTriggers = (id: number, sync: ColumnSync): readonly Sql[] => [
  ...Object.values(triggerNames(id)).map(
    (name) => sql`DROP TRIGGER IF EXISTS ${ident(name)} ON ${tableIdent(sync.table)}`,
  ),
  sql`DROP FUNCTION IF EXISTS ${ident('segue', syncFunction(id))}()`,
  ...sync.to.map((_, n) => sql`DROP FUNCTION IF EXISTS ${conversionFunction('forward', id, n)}`),
  ...sync.from.map((_, n) => sql`DROP FUNCTION IF EXISTS ${conversionFunction('backward', id, n)}`),
];
