/**
 * `dropColumn`: a column goes once nobody uses it. NOT NULL goes off it in Backfill, so that from its end on code
 * that no longer knows the column can insert; then it is watched in Quarantine, and dropped.
 */
import type { ColumnDependent, TableFacts, Violation } from '../api/facts.ts';
import type { DropColumn } from '../api/schema-change.ts';
import { ident, sql } from '../sql/sql.ts';
import { alter, dropNotNull, shortly } from './alter-table.ts';
import type { Change, TableName } from './change.ts';
import { notNull } from './gradual-constraint.ts';
import { dependentsMessage } from './sync-preflight.ts';
import { triggersGone } from './sync-triggers.ts';
import { missingColumns, unsupportedTable } from './table-preflight.ts';
import { dropWatch, installWatch } from './watch-triggers.ts';

// What PostgreSQL drops with its column by itself, and what is then of no use to anybody.
const goesAlong: ReadonlySet<ColumnDependent['kind']> = new Set([
  'index',
  'unique constraint',
  'check constraint',
  'exclusion constraint',
  'foreign key',
  'sequence',
  'grant',
]);

/** True if it hangs on this column alone and on this table: nothing else is lost with it. */
const solely = (table: TableFacts, { column, kind, name }: ColumnDependent): boolean =>
  // A foreign key that points here is named with its table; the other table would lose it.
  !(kind === 'foreign key' && name.includes(' of ')) &&
  !table.dependents.some((other) => other.kind === kind && other.name === name && other.column !== column);

const ofColumn = (table: TableFacts, column: string): readonly ColumnDependent[] =>
  table.dependents.filter((dependent) => dependent.column === column);

const inTheWay = (table: TableFacts, column: string): readonly ColumnDependent[] =>
  ofColumn(table, column).filter((dependent) => !goesAlong.has(dependent.kind) || !solely(table, dependent));

const along = (table: TableFacts, column: string): string => {
  const found = ofColumn(table, column).filter(
    (dependent) => goesAlong.has(dependent.kind) && solely(table, dependent),
  );
  return found.length === 0 ? '' : ` with ${found.map(({ kind, name }) => `${kind} ${name}`).join(', ')}`;
};

const dependents = (table: TableFacts, column: string): readonly Violation[] =>
  dependentsMessage(table, inTheWay(table, column));

const nothingToDo = 'a column that goes away has no other side';

/** The change that drops one column. */
export const dropColumn = (table: TableName, { column }: DropColumn): Change => {
  const check = (id: number): string => `segue_${id}_not_null_0`;
  const restore = (id: number, facts: TableFacts, wasNotNull: readonly string[]) => {
    if (!wasNotNull.includes(column) || !(column in facts.columns)) return [];
    const { announce, prove } = notNull(facts, column, check(id));
    return [...announce, ...prove];
  };
  return {
    kind: 'dropColumn',
    table,
    oldColumns: [column],
    newColumns: [],
    uses: [],
    invalid: [],
    skips: { AddColumn: nothingToDo, DualWrite: nothingToDo, SwitchReads: nothingToDo },
    achieved: `Column ${column} of ${table.schema}.${table.name} is gone.`,
    preflight: (facts) => [
      ...unsupportedTable(facts),
      ...missingColumns(facts, [column]),
      ...dependents(facts, column),
    ],
    dependents: (facts) => dependents(facts, column),
    parseChecks: () => [],
    expand: () => [],
    triggers: (id, facts, mode) =>
      mode === 'watch' ? installWatch(id, facts, column) : [dropWatch(id, facts)],
    constrain: (id, facts) =>
      facts.columns[column]?.identity === true
        ? []
        : dropNotNull(facts, [column], [check(id)], 'old-nullable'),
    relax: () => [],
    // They are bound to the column by its number, and their function names none.
    renamedTriggers: () => [],
    contract: (id, facts) => [
      {
        ...shortly,
        id: 'drop-column',
        purpose: `drop column ${column}${along(facts, column)}`,
        destructive: true,
        statements: [
          ...dropWatch(id, facts).statements,
          alter(facts, [sql`DROP COLUMN IF EXISTS ${ident(column)} RESTRICT`]),
        ],
        done: (now) => !(column in now.columns) && triggersGone(id, now),
      },
    ],
    undo: {
      relax: () => [],
      constrain: restore,
      triggers: () => [],
      expand: () => [],
      abandon: (id, facts) => [dropWatch(id, facts)],
    },
  };
};
