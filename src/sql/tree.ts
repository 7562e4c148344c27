/** What a parse tree names. Pure walks over the JSON that PostgreSQL's parser prints. */
import type { Node } from './parser.ts';

/** A node of the tree: its type, such as ColumnRef, and its members. */
export interface TreeNode {
  readonly type: string;
  readonly members: Readonly<Record<string, unknown>>;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/**
 * Every node of a tree, parents first. A member whose type the grammar fixes (the relation of an INSERT) is printed
 * without a type of its own; `type` is then the member's name, such as `relation`.
 */
export function* nodesOf(tree: unknown): Generator<TreeNode> {
  const pending: unknown[] = [tree];
  while (pending.length > 0) {
    const value = pending.pop();
    if (Array.isArray(value)) {
      pending.push(...value.toReversed());
      continue;
    }
    if (!isObject(value)) continue;
    const entries = Object.entries(value);
    for (const [type, members] of entries)
      if (isObject(members) && !Array.isArray(members)) yield { type, members };
    pending.push(...entries.map(([, member]) => member).toReversed());
  }
}

/** The words of a list of names, as `fields` and `names` hold them; a `*` is left out. */
export const wordsOf = (list: unknown): readonly string[] =>
  Array.isArray(list)
    ? list.flatMap((item: unknown) => {
        const word = isObject(item) && isObject(item['String']) ? item['String']['sval'] : undefined;
        return typeof word === 'string' ? [word] : [];
      })
    : [];

/** A column as a text names it. */
export interface ColumnReference {
  /** What stands before the column's name: a table, an alias, or a composite column. */
  readonly qualifier: readonly string[];
  /** Absent for `*` and `t.*`. */
  readonly name?: string;
}

/** Every reference to a column, in no particular order. */
export const columnReferencesOf = (tree: Node): readonly ColumnReference[] =>
  [...nodesOf(tree)].flatMap(({ type, members }) => {
    if (type !== 'ColumnRef') return [];
    const words = wordsOf(members['fields']);
    const star = Array.isArray(members['fields']) && words.length < members['fields'].length;
    const name = star ? undefined : words.at(-1);
    return [name === undefined ? { qualifier: words } : { qualifier: words.slice(0, -1), name }];
  });

/** A table, view or index as a text names it. */
export interface RelationReference {
  readonly schema?: string;
  readonly name: string;
}

/** Every relation that a statement names, those of WITH queries included. */
export const relationsOf = (tree: Node): readonly RelationReference[] =>
  [...nodesOf(tree)].flatMap(({ members: { relname, schemaname, inh, relpersistence } }) => {
    if (typeof relname !== 'string' || (inh === undefined && relpersistence === undefined)) return [];
    return [{ name: relname, ...(typeof schemaname === 'string' ? { schema: schemaname } : {}) }];
  });
