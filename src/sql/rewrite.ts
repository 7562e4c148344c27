/**
 * What an SQL expression refers to, as PostgreSQL's own parser has it. Names are replaced at the places where the
 * parser found column references, so that a string, a function or a type of the same name is never touched.
 */
import { statementsOf } from './parser.ts';
import { sql, userSql, type Sql } from './sql.ts';

interface Reference {
  readonly name: string;
  /** In bytes of UTF-8, as the parser counts. */
  readonly start: number;
}

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

/** Every node of a tree, outermost first. */
const nodesOf = function* (value: unknown): Generator<readonly [string, Node]> {
  if (!isNode(value)) return;
  for (const [name, child] of Object.entries(value)) {
    if (isNode(child) && !Array.isArray(child)) yield [name, child];
    yield* nodesOf(child);
  }
};

/** The tree of an expression; undefined for what is none, or is more than one. */
const treeOf = (expression: string): unknown => {
  const statements = statementsOf(`SELECT ${expression}`);
  if (statements.kind === 'fault' || statements.value.length !== 1) return undefined;
  const select = statements.value[0]?.tree as
    { readonly SelectStmt?: { readonly targetList?: readonly Node[] } } | undefined;
  const targets = select?.SelectStmt?.targetList ?? [];
  const target = targets[0]?.['ResTarget'] as { readonly val?: unknown } | undefined;
  return targets.length === 1 ? target?.val : undefined;
};

const select = new TextEncoder().encode('SELECT ').length;

const nameOf = (fields: unknown): string | undefined => {
  if (!Array.isArray(fields) || fields.length !== 1) return undefined;
  return (fields[0] as { readonly String?: { readonly sval?: string } }).String?.sval;
};

const referencesIn = (expression: string): readonly Reference[] | undefined => {
  const tree = treeOf(expression);
  if (tree === undefined) return undefined;
  const found: Reference[] = [];
  for (const [kind, node] of nodesOf({ tree })) {
    // Within a subquery a name may mean another table's column.
    if (kind === 'SubLink') return undefined;
    if (kind !== 'ColumnRef') continue;
    const name = nameOf(node['fields']);
    if (name === undefined) return undefined;
    found.push({ name, start: ((node['location'] as number | undefined) ?? 0) - select });
  }
  return found.sort((a, b) => a.start - b.start);
};

/** Names of the columns that an expression reads, each once; undefined where that can't be told. */
export const columnsRead = (expression: string): readonly string[] | undefined => {
  const references = referencesIn(expression);
  return references && [...new Set(references.map(({ name }) => name))];
};

/** How often an expression reads a column; undefined where that can't be told. */
export const timesRead = (expression: string, column: string): number | undefined =>
  referencesIn(expression)?.filter(({ name }) => name === column).length;

const identifier = /^(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)/u;

/**
 * The expression with other text in the place of columns; `instead` gives undefined for those that stay. Undefined
 * where it can't be told what the expression reads.
 */
export const withColumns = (
  expression: string,
  instead: (column: string) => Sql | undefined,
): Sql | undefined => {
  const references = referencesIn(expression);
  if (references === undefined) return undefined;
  const bytes = new TextEncoder().encode(expression);
  const text = (from: number, to?: number): string => new TextDecoder().decode(bytes.subarray(from, to));
  let made = sql``;
  let done = 0;
  for (const { name, start } of references) {
    const replacement = instead(name);
    if (replacement === undefined) continue;
    const [written] = identifier.exec(text(start)) ?? [];
    if (written === undefined) return undefined;
    made = sql`${made}${userSql(text(done, start))}${replacement}`;
    done = start + new TextEncoder().encode(written).length;
  }
  return sql`${made}${userSql(text(done))}`;
};

/** A type as the parser has it: its own name (`int8` for bigint) and its modifiers. */
export interface TypeName {
  readonly name: string;
  readonly modifiers: readonly number[];
}

const typeOf = (node: unknown): TypeName | undefined => {
  if (!isNode(node) || node['arrayBounds'] !== undefined || node['setof'] === true) return undefined;
  const names =
    (node['names'] as readonly { readonly String?: { readonly sval?: string } }[] | undefined) ?? [];
  const parts = names.map(({ String: part }) => part?.sval ?? '');
  const [name] = parts.slice(-1);
  if (name === undefined || (parts.length === 2 && parts[0] !== 'pg_catalog') || parts.length > 2)
    return undefined;
  const modifiers = ((node['typmods'] as readonly Node[] | undefined) ?? []).map((modifier) => {
    const constant = modifier['A_Const'] as { readonly ival?: { readonly ival?: number } } | undefined;
    return constant?.ival?.ival ?? 0;
  });
  return { name, modifiers };
};

/** What type a text names; undefined for an array, or what is no type of PostgreSQL's own. */
export const typeNamed = (text: string): TypeName | undefined => {
  const tree = treeOf(`NULL::${text}`) as { readonly TypeCast?: { readonly typeName?: unknown } } | undefined;
  return typeOf(tree?.TypeCast?.typeName);
};

/** The column that an expression is, or casts to a type and does nothing else with; undefined for any other. */
export const castOf = (
  expression: string,
): { readonly column: string; readonly type?: TypeName } | undefined => {
  const tree = treeOf(expression) as
    | {
        readonly ColumnRef?: Node;
        readonly TypeCast?: { readonly arg?: { readonly ColumnRef?: Node }; readonly typeName?: unknown };
      }
    | undefined;
  const column = nameOf((tree?.ColumnRef ?? tree?.TypeCast?.arg?.ColumnRef)?.['fields']);
  if (column === undefined) return undefined;
  if (tree?.TypeCast === undefined) return { column };
  const type = typeOf(tree.TypeCast.typeName);
  return type && { column, type };
};
