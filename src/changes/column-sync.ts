/**
 * Two sets of columns of one table that say the same thing, with an expression for each column of either set.
 * Every change kind that replaces columns comes down to this. Pure: it names things and builds expressions.
 *
 * The user's expressions live in one place only: SQL-standard functions (`RETURN expr`), which PostgreSQL
 * parses when they are made. Their meaning then depends on nobody's search_path, one definition serves
 * triggers, backfill and verification, and the planner inlines it.
 */
import type { ColumnFacts, TableFacts } from '../api/facts.ts';
import { baseType, isColumn, sameType, typeSql } from '../sql/expression.ts';
import { ident, int, join, lit, sql, type Sql } from '../sql/sql.ts';
import type { TableName } from './change.ts';

/** A column to be made. */
export interface NewColumn {
  readonly name: string;
  /** Any type as CREATE TABLE takes it, with its modifier; absent: that of `like`. */
  readonly type?: string;
  /** Absent: as `like` is. */
  readonly nullable?: boolean;
  /** Old column that gives what is not said. */
  readonly like?: string;
}

/** What `replaceColumns` and its sugar have in common. */
export interface ColumnSync {
  readonly kind: string;
  readonly table: TableName;
  readonly from: readonly string[];
  readonly to: readonly NewColumn[];
  /** New column → expression over the old ones. */
  readonly forward: Readonly<Record<string, string>>;
  /** Old column → expression over the new ones. */
  readonly backward: Readonly<Record<string, string>>;
}

/** The table's quoted name. */
export const tableIdent = (table: TableName): Sql => ident(table.schema, table.name);

/** How a statement refers to a column: bare in a query, `NEW.column` in a trigger. */
export type Reference = (column: string) => Sql;

/** Columns as a query over the table sees them. */
export const bare: Reference = (column) => ident(column);

/** Columns of the row that a trigger is about to write. */
export const ofNew: Reference = (column) => sql`NEW.${ident(column)}`;

/** Columns of the row that a trigger's UPDATE replaces. */
export const ofOld: Reference = (column) => sql`OLD.${ident(column)}`;

type Side = 'forward' | 'backward';

/** One expression with all that is needed to define, call and drop its function. */
export interface Conversion {
  readonly side: Side;
  readonly target: string;
  readonly targetType: Sql;
  readonly comparable: boolean;
  readonly expression: string;
  readonly sources: readonly { readonly name: string; readonly type: Sql }[];
  readonly functionName: Sql;
  /** True if it is the mere source column of the same type: no function is needed and it can't fail. */
  readonly plain: boolean;
}

/** The function that computes the n-th column of a side. */
export const conversionFunction = (side: Side, id: number, n: number): Sql =>
  ident('segue', `${side}_${id}_${n}`);

/** Type of an old or new column, with its modifier. */
export const typeOf = (sync: ColumnSync, table: TableFacts, column: string): string => {
  const made = sync.to.find((candidate) => candidate.name === column);
  const type = made?.type ?? table.columns[column]?.type ?? table.columns[made?.like ?? '']?.type;
  if (type === undefined)
    throw new Error(`Column ${column} of ${table.schema}.${table.name} has no known type.`);
  return type;
};

// json and its like have no equality; a new column's comparability is seen once it exists, and is judged by
// name before. Wrongly "comparable" would be an error at once, wrongly "not" costs a cast to text.
const incomparable: ReadonlySet<string | undefined> = new Set([
  'json',
  'xml',
  'point',
  'box',
  'polygon',
  'line',
  'lseg',
  'path',
  'circle',
]);

const comparableOf = (facts: ColumnFacts | undefined, type: string): boolean =>
  facts?.comparable ?? !incomparable.has(baseType(type));

/**
 * The same two sets with old columns under other names, for triggers that have to name them so. The functions that
 * hold the expressions stay as they are: they take values by their place.
 */
export const renamedSync = (
  sync: ColumnSync,
  table: TableFacts,
  names: Readonly<Record<string, string>>,
): { readonly sync: ColumnSync; readonly table: TableFacts } => {
  const named = (column: string): string => names[column] ?? column;
  const mapped = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(record).map(([column, value]) => [named(column), value]));
  const forward = Object.entries(sync.forward).map(([target, expression]) => {
    // A mere column is copied by its name, without a function.
    const source = sync.from.find((column) => isColumn(expression, column));
    return [target, source === undefined ? expression : ident(named(source)).text] as const;
  });
  return {
    sync: {
      ...sync,
      from: sync.from.map(named),
      to: sync.to.map((column) =>
        column.like === undefined ? column : { ...column, like: named(column.like) },
      ),
      forward: Object.fromEntries(forward),
      backward: mapped(sync.backward),
    },
    table: { ...table, columns: mapped(table.columns), primaryKey: table.primaryKey.map(named) },
  };
};

const conversionsOf = (
  id: number,
  sync: ColumnSync,
  table: TableFacts,
  side: Side,
): readonly Conversion[] => {
  const [targets, sources, expressions] =
    side === 'forward'
      ? [sync.to.map((column) => column.name), sync.from, sync.forward]
      : [sync.from, sync.to.map((column) => column.name), sync.backward];
  return targets.map((target, n) => {
    const type = typeOf(sync, table, target);
    const expression = expressions[target] ?? '';
    const source = sources.find((column) => isColumn(expression, column));
    return {
      side,
      target,
      targetType: typeSql(type),
      comparable: comparableOf(table.columns[target], type),
      expression,
      sources: sources.map((name) => ({ name, type: typeSql(typeOf(sync, table, name)) })),
      functionName: conversionFunction(side, id, n),
      plain: source !== undefined && sameType(typeOf(sync, table, source), type),
    };
  });
};

/** What fills each new column from the old ones. */
export const forwardOf = (id: number, sync: ColumnSync, table: TableFacts): readonly Conversion[] =>
  conversionsOf(id, sync, table, 'forward');

/** What fills each old column from the new ones. */
export const backwardOf = (id: number, sync: ColumnSync, table: TableFacts): readonly Conversion[] =>
  conversionsOf(id, sync, table, 'backward');

/** The argument list of a conversion's function: arguments are named as the columns are. */
export const argumentsOf = (conversion: Conversion): Sql =>
  join(conversion.sources.map(({ name, type }) => sql`${ident(name)} ${type}`));

/** The value that a conversion gives, before assignment to its column. */
export const valueOf = (conversion: Conversion, reference: Reference): Sql => {
  if (conversion.plain) {
    const source = conversion.sources.find(({ name }) => isColumn(conversion.expression, name));
    if (source) return reference(source.name);
  }
  return sql`${conversion.functionName}(${join(conversion.sources.map(({ name }) => reference(name)))})`;
};

/** `a IS DISTINCT FROM b`, through text where the type has no equality. */
export const distinct = (a: Sql, b: Sql, comparable: boolean): Sql =>
  comparable
    ? sql`${a} IS DISTINCT FROM ${b}`
    : sql`(${a})::pg_catalog.text IS DISTINCT FROM (${b})::pg_catalog.text`;

/**
 * True where one of the columns is not, byte for byte, what it is in the other row (manual 9.25.6). For the bodies of
 * our trigger functions, which run under the application's settings: unlike IS DISTINCT FROM it looks up no operator
 * in search_path, and unlike a comparison as text it does not depend on extra_float_digits and its like.
 */
export const otherImage = (columns: readonly string[], a: Reference, b: Reference): Sql => {
  const row = (of: Reference): Sql =>
    sql`ROW(${join(columns.map((column) => of(column)))})::pg_catalog.record`;
  return columns.length === 0 ? sql`false` : sql`${row(a)} OPERATOR(pg_catalog.*<>) ${row(b)}`;
};

// `IS NOT NULL` is false of a composite value with one empty field; to be distinct from NULL means to be a value.
/** True where there is a value, if only a composite one with empty fields. */
export const isSet = (value: Sql): Sql => sql`${value} IS DISTINCT FROM NULL`;

/** True where there is no value. */
export const isUnset = (value: Sql): Sql => sql`${value} IS NOT DISTINCT FROM NULL`;

/**
 * True where the target differs from what the conversion gives. The cast applies the column's modifier as
 * assignment did: without it, numeric(10,2) would differ from every value that assignment rounded.
 */
export const differs = (conversion: Conversion, reference: Reference): Sql =>
  distinct(
    reference(conversion.target),
    sql`CAST(${valueOf(conversion, reference)} AS ${conversion.targetType})`,
    conversion.comparable,
  );

/** `a OR b OR c`; of nothing, false. */
export const anyOf = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? sql`false` : sql`(${join(conditions, sql` OR `)})`;

/** A `jsonb` object of the row's primary key, or NULL without one. */
export const keyOf = (table: TableFacts, reference: Reference): Sql =>
  table.primaryKey.length === 0
    ? sql`NULL::pg_catalog.jsonb`
    : sql`pg_catalog.jsonb_build_object(${join(
        table.primaryKey.map((column) => sql`${lit(column)}, ${reference(column)}`),
      )})`;

/** The change's number as a literal. */
export const idLiteral = (id: number): Sql => int(id);
