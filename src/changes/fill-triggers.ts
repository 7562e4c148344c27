/**
 * The triggers that give a new column its value as long as code writes rows without it. A value that a statement
 * gives stands; a row that has none is given one, and one whose sources change without it is computed anew.
 */
import type { TableFacts } from '../api/facts.ts';
import { anyOf, distinct, forwardOf, ofNew, ofOld, tableIdent, type ColumnSync } from './column-sync.ts';
import { ident, join, lit, nothing, sql, type Sql } from '../sql/sql.ts';
import { shortly } from './alter-table.ts';
import type { Step } from './change.ts';
import {
  convert,
  createConversion,
  ours,
  syncFunction,
  triggerMark,
  triggerNames,
  triggersStand,
} from './sync-triggers.ts';

const changed = (table: TableFacts, column: string): Sql =>
  distinct(ofOld(column), ofNew(column), table.columns[column]?.comparable ?? true);

/**
 * When an UPDATE is looked at. Wide: also for a row that has no value yet, whatever the statement touched, for it
 * may carry the row to a page that the backfill has passed.
 */
const updateCondition = (
  sync: ColumnSync,
  table: TableFacts,
  column: string,
  mode: 'wide' | 'narrow',
): Sql => {
  const follows = sql`(NOT (${changed(table, column)}) AND ${anyOf(sync.from.map((source) => changed(table, source)))})`;
  return mode === 'wide' ? sql`(${ofNew(column)} IS NULL OR ${follows})` : follows;
};

/** Makes or replaces function and triggers for a mode, in one transaction. */
export const installFill = (
  id: number,
  sync: ColumnSync,
  table: TableFacts,
  mode: 'wide' | 'narrow',
): readonly Step[] => {
  const [conversion] = forwardOf(id, sync, table);
  if (conversion === undefined) throw new Error('A column that is filled has an expression.');
  const column = conversion.target;
  const names = triggerNames(id);
  const execute = sql`EXECUTE FUNCTION ${ident('segue', syncFunction(id))}()`;
  const assigned = table.triggers.some(({ name, beforeUpdate }) => beforeUpdate && !ours(id, name));
  const of =
    mode === 'wide' || assigned || sync.from.length === 0
      ? nothing
      : sql` OF ${join(sync.from.map((source) => ident(source)))}`;
  // NULL is found by the verification; a stale value would look right.
  const otherwise = sql`${ofNew(column)} := NULL;`;
  return [
    {
      ...shortly,
      id: `triggers-${mode}`,
      purpose: `give ${column} its value in rows that code writes without it (${mode})`,
      lock: 'ShareRowExclusiveLock',
      statements: [
        ...(conversion.plain ? [] : createConversion(conversion)),
        sql`CREATE OR REPLACE FUNCTION ${ident('segue', syncFunction(id))}() RETURNS trigger LANGUAGE plpgsql AS ${lit(
          sql`BEGIN ${convert(id, table, [conversion], otherwise)} RETURN NEW; END`.text,
        )}`,
        sql`COMMENT ON FUNCTION ${ident('segue', syncFunction(id))}() IS ${lit(triggerMark(mode))}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.insert)} BEFORE INSERT ON ${tableIdent(sync.table)} FOR EACH ROW WHEN (${ofNew(column)} IS NULL) ${execute}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.update)} BEFORE UPDATE${of} ON ${tableIdent(sync.table)} FOR EACH ROW WHEN ${updateCondition(sync, table, column, mode)} ${execute}`,
      ],
      done: (now) => triggersStand(id, now, mode),
    },
  ];
};
