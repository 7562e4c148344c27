/** CREATE INDEX as the resource writes it. */
import type { CreateIndex, IndexKey } from '../../api/schema-change.ts';
import { wordsOf } from '../../sql/tree.ts';
import { inBrackets, splitAt, textOf, wordsIn, type Word } from './words.ts';

interface Members {
  readonly [key: string]: unknown;
}

const elementOf = (item: unknown): Members => ((item ?? {}) as { IndexElem?: Members }).IndexElem ?? {};

const listOf = (member: unknown): readonly unknown[] => (Array.isArray(member) ? member : []);

/** The expression of a key: up to what follows it on its own level. */
const expressionOf = (text: string, words: readonly Word[]): string => {
  const [first] = words;
  const end =
    first?.key === '('
      ? words.findIndex(({ key, depth }, n) => n > 0 && key === ')' && depth === first.depth)
      : words.findIndex(
          ({ key }, n) => key === ')' && words[n + 1]?.key !== '(' && words[n]?.depth === first?.depth,
        );
  const own = words.slice(0, end + 1);
  return first?.key === '(' ? textOf(text, own.slice(1, -1)) : textOf(text, own);
};

const keyOf = (text: string, words: readonly Word[], element: Members): IndexKey => {
  const operatorClass = wordsOf(element['opclass']).join('.');
  return {
    ...(typeof element['name'] === 'string'
      ? { column: element['name'] }
      : { expression: expressionOf(text, words) }),
    ...(operatorClass === '' ? {} : { operatorClass }),
    ...(element['ordering'] === 'SORTBY_DESC' ? { order: 'Descending' as const } : {}),
    ...(element['nulls_ordering'] === 'SORTBY_NULLS_FIRST' ? { nulls: 'First' as const } : {}),
    ...(element['nulls_ordering'] === 'SORTBY_NULLS_LAST' ? { nulls: 'Last' as const } : {}),
  };
};

// As PostgreSQL names an index that has no name: of an expression the function, or "expr".
const nameFor = (table: string, elements: readonly Members[]): string => {
  const parts = elements.map(({ name, expr }) => {
    const call = ((expr ?? {}) as { FuncCall?: Members }).FuncCall;
    return typeof name === 'string'
      ? name
      : call === undefined
        ? 'expr'
        : (wordsOf(call['funcname']).at(-1) ?? 'expr');
  });
  return [table, ...parts, 'idx'].join('_').slice(0, 63);
};

/** Undefined where `createIndex` has no field for what the statement says. */
export const readIndex = (text: string, node: Members): Omit<CreateIndex, 'table'> | undefined => {
  const elements = listOf(node['indexParams']).map(elementOf);
  const odd =
    ['options', 'tableSpace', 'nulls_not_distinct'].some((key) => node[key] !== undefined) ||
    elements.some(({ collation, opclassopts }) => collation !== undefined || opclassopts !== undefined) ||
    (node['relation'] as Members)['inh'] === undefined;
  if (odd) return undefined;
  const words = wordsIn(text);
  const keys = splitAt(inBrackets(words), ({ key }) => key === ',');
  const where = words.findIndex(({ key, depth }) => key === 'WHERE' && depth === 0);
  const include = listOf(node['indexIncludingParams']).map((item) => String(elementOf(item)['name']));
  const { relname = '' } = node['relation'] as { relname?: string };
  return {
    name: typeof node['idxname'] === 'string' ? node['idxname'] : nameFor(relname, elements),
    keys: elements.map((element, n) => keyOf(text, keys[n] ?? [], element)),
    unique: node['unique'] === true,
    method: typeof node['accessMethod'] === 'string' ? node['accessMethod'] : 'btree',
    ...(include.length === 0 ? {} : { include }),
    ...(where < 0 ? {} : { where: textOf(text, words.slice(where + 1)) }),
  };
};
