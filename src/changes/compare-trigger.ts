/**
 * The trigger that stands while rows are compared, range by range, each range with a snapshot of its own.
 *
 * A row can go from a page that has yet to be read to one that has been read only by an UPDATE. So this trigger
 * compares the version that an UPDATE replaces: every version that was there when it was installed is compared,
 * by a range or by the trigger, or is deleted. It alters no row. What differs is noted as a conflict of side
 * `verify`, and counts as what a range finds does.
 */
import type { TableFacts } from '../api/facts.ts';
import { ident, join, lit, sql, userSql, type Sql } from '../sql/sql.ts';
import { shortly } from './alter-table.ts';
import type { Change, Step } from './change.ts';
import { idLiteral, keyOf, ofOld, tableIdent } from './column-sync.ts';

/** Name of the trigger of a change. */
export const compareTriggerName = (id: number): string => `~segue_${id}_compare`;

/** Name of its function, in schema `segue`. */
export const compareFunction = (id: number): string => `compare_${id}`;

/** The comment on that function, and a line of its text: by both a step knows that the trigger stands. */
export const compareMark = 'segue: compare v1';

const columnsOf = (change: Change, table: TableFacts): readonly string[] => [
  ...new Set(
    [...change.oldColumns, ...change.uses, ...change.newColumns].filter((name) => name in table.columns),
  ),
];

/**
 * What is compared as a function of the columns: parsed when it is made, so that its meaning does not depend on
 * the search_path of whoever updates a row.
 */
const createComparison = (id: number, table: TableFacts, columns: readonly string[], mismatch: Sql) => {
  const name = ident('segue', `differs_${id}`);
  const args = columns.map((column) => sql`${ident(column)} ${userSql(table.columns[column]?.type ?? '')}`);
  return sql`CREATE OR REPLACE FUNCTION ${name}(${join(args)}) RETURNS boolean LANGUAGE sql PARALLEL SAFE RETURN (${mismatch})`;
};

// In the body and not in WHEN: an error there would be the application's.
const body = (id: number, table: TableFacts, columns: readonly string[]): Sql => sql`
-- ${userSql(compareMark)}
DECLARE
  wrong boolean;
BEGIN
  BEGIN
    wrong := ${ident('segue', `differs_${id}`)}(${join(columns.map(ofOld))});
  EXCEPTION WHEN OTHERS THEN
    wrong := true;
  END;
  IF wrong THEN
    BEGIN
      PERFORM segue.note_conflict(${idLiteral(id)}, 'verify', ${keyOf(table, ofOld)}, '');
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END IF;
  RETURN NEW;
END`;

/**
 * With the rights and names of the role that compares the ranges: whoever updates the row may lack the right to use
 * schema segue, and a row that differs would go unnoticed.
 */
const createFunction = (id: number, table: TableFacts, columns: readonly string[]): Sql =>
  sql`CREATE OR REPLACE FUNCTION ${ident('segue', compareFunction(id))}() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, ${ident(table.schema)}, public, pg_temp
    AS ${lit(body(id, table, columns).text)}`;

const stands = (id: number, table: TableFacts): boolean =>
  table.marks[compareFunction(id)] === compareMark &&
  table.triggers.some(({ name, enabled }) => name === compareTriggerName(id) && enabled);

const isGone = (id: number, table: TableFacts): boolean =>
  table.marks[compareFunction(id)] === undefined &&
  !table.triggers.some(({ name }) => name === compareTriggerName(id));

/** BEFORE: an UPDATE that moves a row to another partition fires no AFTER UPDATE trigger (manual, 37.1). */
const install = (id: number, table: TableFacts, columns: readonly string[], mismatch: Sql): Step => ({
  ...shortly,
  id: 'compare-install',
  purpose: 'watch rows that move while they are compared',
  lock: 'ShareRowExclusiveLock',
  statements: [
    createComparison(id, table, columns, mismatch),
    createFunction(id, table, columns),
    sql`COMMENT ON FUNCTION ${ident('segue', compareFunction(id))}() IS ${lit(compareMark)}`,
    sql`CREATE OR REPLACE TRIGGER ${ident(compareTriggerName(id))} BEFORE UPDATE ON ${tableIdent(table)} FOR EACH ROW EXECUTE FUNCTION ${ident('segue', compareFunction(id))}()`,
    // Under the table's lock, which every transaction that wrote before had to give back: what is noted from here
    // on is of the verification that begins here.
    sql`DELETE FROM segue.conflict WHERE change_id = ${idLiteral(id)} AND side = 'verify'`,
    sql`DELETE FROM segue.verification WHERE change_id = ${idLiteral(id)}`,
  ],
  done: (now) => stands(id, now),
});

const remove = (id: number, table: TableFacts): Step => ({
  ...shortly,
  id: 'compare-remove',
  purpose: 'remove the trigger that watched rows move',
  statements: [
    sql`DROP TRIGGER IF EXISTS ${ident(compareTriggerName(id))} ON ${tableIdent(table)}`,
    sql`DROP FUNCTION IF EXISTS ${ident('segue', compareFunction(id))}()`,
    sql`DROP FUNCTION IF EXISTS ${ident('segue', `differs_${id}`)}`,
  ],
  done: (now) => isGone(id, now),
});

/** The steps before and after a verification; none for a change without rows to compare. */
export const compareSteps = (
  id: number,
  change: Change,
  table: TableFacts,
): { readonly install: readonly Step[]; readonly remove: readonly Step[] } => {
  const rows = change.rows?.(id, table);
  if (rows === undefined) return { install: [], remove: [] };
  return {
    install: [install(id, table, columnsOf(change, table), rows.mismatch)],
    remove: [remove(id, table)],
  };
};
