/**
 * The triggers that put writes to a column on record, for a column that has no other side. They alter no row.
 *
 * An UPDATE that names the column counts, whatever value it gives; an INSERT counts if it gives the column a value
 * other than NULL or its constant default. Of a default that is no constant it can't be told who gave it: there
 * only UPDATE is evidence.
 */
import type { TableFacts } from '../api/facts.ts';
import { isConstant } from '../sql/expression.ts';
import { ident, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import { shortly } from './alter-table.ts';
import type { Step } from './change.ts';
import { distinct, ofNew, ofOld, tableIdent } from './column-sync.ts';
import { noteUse } from './note-use.ts';
import {
  assignedByOthers,
  marked,
  syncFunction,
  triggerMark,
  triggerNames,
  triggersGone,
  triggersStand,
} from './sync-triggers.ts';

const insertGives = (table: TableFacts, column: string): Sql => {
  const facts = table.columns[column];
  if (facts?.default === undefined)
    return facts?.identity === true ? sql`false` : sql`${ofNew(column)} IS NOT NULL`;
  if (!isConstant(facts.default)) return sql`false`;
  return sql`${ofNew(column)} IS NOT NULL AND ${distinct(ofNew(column), userSql(facts.default), facts.comparable)}`;
};

/** Installs them; of a generated column there is nothing to watch, for no statement writes it. */
export const installWatch = (id: number, table: TableFacts, column: string): readonly Step[] => {
  const facts = table.columns[column];
  if (facts === undefined || facts.generated) return [];
  const names = triggerNames(id);
  const execute = sql`EXECUTE FUNCTION ${ident('segue', syncFunction(id))}()`;
  // UPDATE OF looks at the statement alone: what a BEFORE trigger of the user's assigns shows in the row only.
  const assigned = assignedByOthers(table);
  const of = assigned ? nothing : sql` OF ${ident(column)}`;
  const when = assigned ? sql` WHEN (${distinct(ofOld(column), ofNew(column), facts.comparable)})` : nothing;
  return [
    {
      ...shortly,
      id: 'triggers-watch',
      purpose: `put writes to ${column} on record`,
      lock: 'ShareRowExclusiveLock',
      statements: [
        sql`CREATE OR REPLACE FUNCTION ${ident('segue', syncFunction(id))}() RETURNS trigger LANGUAGE plpgsql AS ${lit(
          marked('watch', sql`BEGIN${noteUse(id, sql`true`)} RETURN NEW; END`).text,
        )}`,
        sql`COMMENT ON FUNCTION ${ident('segue', syncFunction(id))}() IS ${lit(triggerMark('watch'))}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.insert)} BEFORE INSERT ON ${tableIdent(table)} FOR EACH ROW WHEN (${insertGives(table, column)}) ${execute}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.update)} BEFORE UPDATE${of} ON ${tableIdent(table)} FOR EACH ROW${when} ${execute}`,
      ],
      done: (now) => triggersStand(id, now, 'watch'),
    },
  ];
};

/** Takes the triggers of a change and their function away. */
export const dropWatch = (id: number, table: TableFacts): Step => ({
  ...shortly,
  id: 'triggers-remove',
  purpose: 'remove the triggers and their function',
  statements: [
    ...Object.values(triggerNames(id)).map(
      (name) => sql`DROP TRIGGER IF EXISTS ${ident(name)} ON ${tableIdent(table)}`,
    ),
    sql`DROP FUNCTION IF EXISTS ${ident('segue', syncFunction(id))}()`,
  ],
  done: (now) => triggersGone(id, now),
});
