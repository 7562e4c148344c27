/**
 * Quarantine's mode Hide: the old columns stand under other names for a while, so that a statement which names one
 * fails as it would after Drop, and can be helped at once. Triggers keep both sides in step under either name.
 */
import type { TableFacts } from '../api/facts.ts';
import { ident, nothing, sql, type Sql } from '../sql/sql.ts';
import type { Change, Step } from './change.ts';
import { idLiteral, tableIdent } from './column-sync.ts';

// NAMEDATALEN - 1 (manual 4.1.1): a longer name would be cut off silently.
const longestName = 63;

const prefix = (id: number): string => `__segue_hidden_${id}_`;

const cut = (name: string): string => {
  let kept = name;
  while (Buffer.byteLength(kept) > longestName) kept = Array.from(kept).slice(0, -1).join('');
  return kept;
};

/** The name that a column has while it is hidden; its number keeps cut ones apart. */
export const hiddenName = (id: number, attnum: number, column: string): string =>
  cut(`${prefix(id)}${attnum}_${column}`);

/**
 * The table with hidden columns under the names that they had when the change began, listed in `hidden`. Everything
 * that asks for an old column then finds it.
 */
export const asNamed = (
  table: TableFacts,
  id: number,
  attnums: Readonly<Record<string, number>>,
): TableFacts => {
  const former = new Map(
    Object.entries(attnums).flatMap(([column, attnum]) => {
      const name = hiddenName(id, attnum, column);
      return table.columns[name]?.attnum === attnum ? [[name, column] as const] : [];
    }),
  );
  if (former.size === 0) return table;
  const named = (column: string): string => former.get(column) ?? column;
  return {
    ...table,
    columns: Object.fromEntries(Object.entries(table.columns).map(([name, facts]) => [named(name), facts])),
    primaryKey: table.primaryKey.map(named),
    dependents: table.dependents.map((dependent) => ({ ...dependent, column: named(dependent.column) })),
    hidden: [...former.values()],
  };
};

/** True while columns of the table are hidden. */
export const isHidden = (table: TableFacts): boolean => (table.hidden ?? []).length > 0;

const renames = (
  id: number,
  table: TableFacts,
  columns: readonly string[],
): readonly { readonly column: string; readonly hidden: string }[] =>
  columns.flatMap((column) => {
    const facts = table.columns[column];
    return facts === undefined ? [] : [{ column, hidden: hiddenName(id, facts.attnum, column) }];
  });

const rename = (table: TableFacts, from: string, to: string): Sql =>
  sql`ALTER TABLE ${tableIdent(table)} RENAME COLUMN ${ident(from)} TO ${ident(to)}`;

const quickly = {
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: false,
} as const satisfies Partial<Step>;

/** Renames the old columns, and has the triggers follow, in one transaction. */
export const hideColumns = (id: number, change: Change, table: TableFacts): Step => {
  const names = renames(id, table, change.oldColumns);
  return {
    ...quickly,
    id: 'hide',
    purpose: `hide ${change.oldColumns.join(', ')}`,
    statements: [
      ...names.map(({ column, hidden }) => rename(table, column, hidden)),
      ...change.renamedTriggers(
        id,
        table,
        Object.fromEntries(names.map(({ column, hidden }) => [column, hidden])),
      ),
      sql`UPDATE segue.change SET hidden_at = clock_timestamp() WHERE id = ${idLiteral(id)}`,
    ],
    done: isHidden,
  };
};

/** Gives the columns their names back. `passed`: nobody was seen to miss them for the whole time. */
export const showColumns = (id: number, change: Change, table: TableFacts, passed: boolean): Step => {
  // In the change's order: that of the ledger's names, which are keys of a jsonb, is another.
  const columns = change.oldColumns.filter((column) => table.hidden?.includes(column));
  const at = passed ? sql`, rehearsed_at = clock_timestamp()` : nothing;
  return {
    ...quickly,
    id: 'show',
    purpose: `show ${columns.join(', ')} again`,
    statements: [
      ...renames(id, table, columns).map(({ column, hidden }) => rename(table, hidden, column)),
      ...change.renamedTriggers(id, table, {}),
      sql`UPDATE segue.change SET hidden_at = NULL${at} WHERE id = ${idLiteral(id)}`,
    ],
    done: (now) => !isHidden(now),
  };
};
