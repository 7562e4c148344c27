/** Expressions and types that PostgreSQL takes, and that seldom are what was meant. Pure. */
import type { ChangeSpec } from '../../api/schema-change.ts';
import { baseType, columnsIn, parseExpression } from '../../sql/expression.ts';
import { nodesOf, wordsOf } from '../../sql/tree.ts';
import type { Advice } from './advice.ts';
import type { Path } from './schema-node.ts';

interface Text {
  readonly path: Path;
  readonly text: string;
}

const sides = (spec: ChangeSpec, side: 'forward' | 'backward'): readonly Text[] => [
  ...Object.entries(spec.replaceColumns?.[side] ?? {}).map(([column, text]) => ({
    path: ['spec', 'change', 'replaceColumns', side, column],
    text,
  })),
  ...(spec.changeType === undefined
    ? []
    : [{ path: ['spec', 'change', 'changeType', side], text: spec.changeType[side] }]),
];

const backfill = ({ addColumn }: ChangeSpec): readonly Text[] =>
  addColumn?.backfill === undefined
    ? []
    : [{ path: ['spec', 'change', 'addColumn', 'backfill'], text: addColumn.backfill }];

const volatile: ReadonlySet<string> = new Set([
  'now',
  'random',
  'clock_timestamp',
  'statement_timestamp',
  'transaction_timestamp',
  'timeofday',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'uuid_generate_v4',
  'nextval',
  'pg_backend_pid',
]);

/** Functions in an expression that give another value each time. */
const volatileIn = (text: string): readonly string[] => {
  const parsed = parseExpression(text);
  if (parsed.kind === 'fault') return [];
  return [...nodesOf({ tree: parsed.value.tree })].flatMap(({ type, members }) => {
    if (type === 'SQLValueFunction') return ['CURRENT_TIMESTAMP or its like'];
    const name = type === 'FuncCall' ? wordsOf(members['funcname']).at(-1) : undefined;
    return name !== undefined && volatile.has(name) ? [name] : [];
  });
};

const volatileExpressions = (spec: ChangeSpec): readonly Advice[] =>
  [...sides(spec, 'forward'), ...sides(spec, 'backward'), ...backfill(spec)].flatMap(({ path, text }) =>
    [...new Set(volatileIn(text))].map((name) => ({
      rule: 'volatile-expression',
      path,
      message: `${name} gives another value each time: trigger, backfill and verification would not agree about a row.`,
      wayOut: 'Compute the value from the columns of the row; what may differ goes into addColumn.default.',
    })),
  );

const constantSides = (spec: ChangeSpec): readonly Advice[] => [
  ...sides(spec, 'backward')
    .filter(({ text }) => columnsIn(text).length === 0)
    .map(({ path, text }) => ({
      rule: 'backward-constant',
      path,
      message: `It reads no new column: old code sees ${text} whatever new code has written.`,
      wayOut: 'Write how the old value follows from the new ones.',
    })),
  ...sides(spec, 'forward')
    .filter(({ text }) => columnsIn(text).length === 0)
    .map(({ path, text }) => ({
      rule: 'forward-constant',
      path,
      message: `It reads no old column: every row gets ${text}, and what is in the old columns is lost.`,
      wayOut: 'Write how the new value follows from the old ones, or use addColumn and dropColumn.',
    })),
];

const better: Readonly<Record<string, { readonly why: string; readonly instead: string }>> = {
  timestamp: { why: 'keeps no time zone, so that the same moment reads differently', instead: 'timestamptz' },
  bpchar: { why: 'pads values with blanks', instead: 'text, with a check where the length matters' },
  json: {
    why: 'has no equality and is parsed at each use, so that it is compared as text here',
    instead: 'jsonb',
  },
  money: { why: 'depends on the setting lc_monetary', instead: 'numeric' },
  timetz: { why: 'has an offset without a date, which names no moment', instead: 'timestamptz' },
};

const typesIn = (spec: ChangeSpec): readonly Text[] => [
  ...(spec.replaceColumns?.to ?? []).map(({ type }, n) => ({
    path: ['spec', 'change', 'replaceColumns', 'to', n, 'type'],
    text: type,
  })),
  ...(spec.changeType === undefined
    ? []
    : [{ path: ['spec', 'change', 'changeType', 'to', 'type'], text: spec.changeType.to.type }]),
  ...(spec.addColumn === undefined
    ? []
    : [{ path: ['spec', 'change', 'addColumn', 'type'], text: spec.addColumn.type }]),
];

const types = (spec: ChangeSpec): readonly Advice[] =>
  typesIn(spec).flatMap(({ path, text }) => {
    const found = better[baseType(text) ?? ''];
    return found === undefined
      ? []
      : [
          {
            rule: 'type-choice',
            path,
            message: `Type ${text} ${found.why}.`,
            wayOut: `Write ${found.instead}.`,
          },
        ];
  });

/** Every question about the texts of a change. */
export const expressionAdvice = (spec: ChangeSpec): readonly Advice[] => [
  ...volatileExpressions(spec),
  ...constantSides(spec),
  ...types(spec),
];
