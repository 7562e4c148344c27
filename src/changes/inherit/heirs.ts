/**
 * Which new column takes the place of which old one, and what an expression over the old columns becomes over the
 * new ones.
 *
 * An heir is `same` if it has the old column's very values, perhaps in a wider type: then equal and different values
 * stay so in both directions, and whatever is unique or refers to another table on one side does on the other. What
 * reads any other heir reads it through the backward expression, which gives what the old column had.
 */
import type { TableFacts } from '../../api/facts.ts';
import { castOf, typeNamed, withColumns, type TypeName } from '../../sql/rewrite.ts';
import { ident, sql, userSql, type Sql } from '../../sql/sql.ts';
import { typeOf, type ColumnSync } from '../column-sync.ts';

/** A new column in the place of an old one. */
export interface Heir {
  readonly old: string;
  readonly name: string;
  readonly same: boolean;
}

const integers = new Set(['int2', 'int4', 'int8']);

/**
 * True if a cast keeps values apart that differ and equal that are equal. A cast that fails for a value does that
 * too: the row is held. One that rounds, cuts off or folds does not.
 */
const keepsValues = (from: TypeName, to: TypeName): boolean => {
  if (from.name === to.name) {
    if (JSON.stringify(from.modifiers) === JSON.stringify(to.modifiers) || to.modifiers.length === 0)
      return from.name !== 'bpchar';
    // Casting to a shorter one cuts values off.
    return from.name === 'varchar' && (from.modifiers[0] ?? Infinity) <= (to.modifiers[0] ?? Infinity);
  }
  if (integers.has(from.name))
    return integers.has(to.name) || (to.name === 'numeric' && to.modifiers.length === 0);
  if (from.name === 'float4') return to.name === 'float8';
  if (from.name === 'varchar' || from.name === 'text')
    return ['varchar', 'text'].includes(to.name) && to.modifiers.length === 0;
  return false;
};

const sameText = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();

const isSame = (sync: ColumnSync, table: TableFacts, old: string, name: string): boolean => {
  const from = table.columns[old]?.type;
  const to = typeOf(sync, table, name);
  const forward = castOf(sync.forward[name] ?? '');
  const backward = castOf(sync.backward[old] ?? '');
  if (from === undefined || forward?.column !== old || backward?.column !== name) return false;
  const [source, target] = [typeNamed(from), typeNamed(to)];
  if (source === undefined || target === undefined) return sameText(from, to) && forward.type === undefined;
  // `x::int` into a bigint passes through int: each part has to keep the values.
  return keepsValues(source, forward.type ?? target) && keepsValues(forward.type ?? target, target);
};

/** Every old column's heir, as far as it has one. */
export const heirsOf = (sync: ColumnSync, table: TableFacts): readonly Heir[] =>
  sync.to.flatMap(({ name, like }) =>
    like === undefined || !(like in table.columns)
      ? []
      : [{ old: like, name, same: isSame(sync, table, like, name) }],
  );

/** Old columns that several new ones name as theirs to inherit from, and names that are no old column's. */
export const wrongHeirs = (sync: ColumnSync): readonly string[] => {
  const named = sync.to.flatMap(({ like }) => like ?? []);
  return [...new Set(named)].filter(
    (old) => !sync.from.includes(old) || named.filter((other) => other === old).length > 1,
  );
};

/** How names and expressions over old columns read over the new ones. */
export interface Rewriting {
  /** True if one of the columns is an old one. */
  readonly concerns: (columns: readonly string[]) => boolean;
  /** Old columns among these that have no heir. */
  readonly heirless: (columns: readonly string[]) => readonly string[];
  /** True if every old column among these has an heir of the very same values. */
  readonly same: (columns: readonly string[]) => boolean;
  /** The heir's name, or a column's own where it stays. */
  readonly name: (column: string) => string;
  /** Undefined where it can't be told what the expression reads. */
  readonly expression: (text: string) => Sql | undefined;
}

/** See Rewriting. */
export const rewritingOf = (sync: ColumnSync, table: TableFacts): Rewriting => {
  const heirs = new Map(heirsOf(sync, table).map((heir) => [heir.old, heir]));
  const old = (columns: readonly string[]): readonly string[] =>
    columns.filter((column) => sync.from.includes(column));
  const instead = (column: string): Sql | undefined => {
    const heir = heirs.get(column);
    if (heir === undefined) return undefined;
    return heir.same ? ident(heir.name) : sql`(${userSql(sync.backward[column] ?? '')})`;
  };
  return {
    concerns: (columns) => old(columns).length > 0,
    heirless: (columns) => old(columns).filter((column) => !heirs.has(column)),
    same: (columns) => old(columns).every((column) => heirs.get(column)?.same === true),
    name: (column) => heirs.get(column)?.name ?? column,
    expression: (text) => withColumns(text, instead),
  };
};
