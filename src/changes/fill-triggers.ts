/**
 * The triggers that give a new column its value as long as code writes rows without it. A value that a statement
 * gives stands; a row that has none is given one, and one whose sources change without it is computed anew.
 */
import type { TableFacts } from '../api/facts.ts';
import {
  anyOf,
  distinct,
  forwardOf,
  isSet,
  isUnset,
  ofNew,
  ofOld,
  otherImage,
  tableIdent,
  type ColumnSync,
} from './column-sync.ts';
import { ident, join, lit, nothing, sql, type Sql } from '../sql/sql.ts';
import { shortly } from './alter-table.ts';
import type { Step } from './change.ts';
import { convert } from './sync-function.ts';
import {
  assignedByOthers,
  createConversion,
  marked,
  syncFunction,
  triggerMark,
  triggerNames,
  triggersStand,
} from './sync-triggers.ts';

const filled = (sync: ColumnSync): string => sync.to[0]?.name ?? '';

/** The body of the function: it sees for itself whether the row lacks its value, or has one that is out of date. */
const fillBody = (id: number, sync: ColumnSync, table: TableFacts, mode: 'wide' | 'narrow'): Sql => {
  const column = filled(sync);
  const follows = sql`(${otherImage(sync.from, ofOld, ofNew)} AND NOT (${otherImage([column], ofOld, ofNew)}))`;
  // Once rows are filled, NULL may be what a statement meant.
  const needed = mode === 'wide' ? sql`(${isUnset(ofNew(column))} OR ${follows})` : follows;
  // NULL is found by the verification; a stale value would look right.
  const otherwise = sql`${ofNew(column)} := NULL;`;
  return sql`
BEGIN
  IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
    IF NOT ${needed} THEN RETURN NEW; END IF;
  ELSIF ${isSet(ofNew(column))} THEN
    RETURN NEW;
  END IF;
  ${convert(id, table, forwardOf(id, sync, table), { otherwise })}
  RETURN NEW;
END`;
};

/**
 * When an UPDATE is looked at. Wide: also for a row that has no value yet, whatever the statement touched, for it
 * may carry the row to a page that the backfill has passed; WHEN keeps the backfill's own UPDATE out.
 */
const updateScope = (
  sync: ColumnSync,
  table: TableFacts,
  mode: 'wide' | 'narrow',
): { readonly of: Sql; readonly when: Sql } => {
  const column = filled(sync);
  if (mode === 'narrow') {
    if (assignedByOthers(table)) return { of: nothing, when: nothing };
    const sources = sync.from.length === 0 ? [column] : sync.from;
    return { of: sql` OF ${join(sources.map((source) => ident(source)))}`, when: nothing };
  }
  const changed = (name: string): Sql =>
    (table.columns[name]?.comparable ?? true)
      ? distinct(ofOld(name), ofNew(name), true)
      : otherImage([name], ofOld, ofNew);
  const follows = sql`(NOT (${changed(column)}) AND ${anyOf(sync.from.map(changed))})`;
  return { of: nothing, when: sql` WHEN (${isUnset(ofNew(column))} OR ${follows})` };
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
  const names = triggerNames(id);
  const execute = sql`EXECUTE FUNCTION ${ident('segue', syncFunction(id))}()`;
  const scope = updateScope(sync, table, mode);
  return [
    {
      ...shortly,
      id: `triggers-${mode}`,
      purpose: `give ${filled(sync)} its value in rows that code writes without it (${mode})`,
      lock: 'ShareRowExclusiveLock',
      statements: [
        ...(conversion.plain ? [] : createConversion(conversion)),
        sql`CREATE OR REPLACE FUNCTION ${ident('segue', syncFunction(id))}() RETURNS trigger LANGUAGE plpgsql AS ${lit(
          marked(mode, fillBody(id, sync, table, mode)).text,
        )}`,
        sql`COMMENT ON FUNCTION ${ident('segue', syncFunction(id))}() IS ${lit(triggerMark(mode))}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.insert)} BEFORE INSERT ON ${tableIdent(sync.table)} FOR EACH ROW ${execute}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.update)} BEFORE UPDATE${scope.of} ON ${tableIdent(sync.table)} FOR EACH ROW${scope.when} ${execute}`,
      ],
      done: (now) => triggersStand(id, now, mode),
    },
  ];
};
