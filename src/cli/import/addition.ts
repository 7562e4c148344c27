/** ADD COLUMN with what follows and belongs to it. Pure. */
import { columnsIn } from '../../sql/expression.ts';
import type { Operation, OperationOf } from './operation.ts';
import { is, onTable, tail, type Claimed } from './piece.ts';

/** What follows an ADD COLUMN and belongs to it. */
interface Following {
  /** The UPDATE that a trigger and the backfill can do. */
  readonly fill?: OperationOf<'fill'>;
  readonly expression?: string;
  readonly setDefault?: OperationOf<'setDefault'>;
  readonly notNulls: readonly OperationOf<'setNotNull'>[];
}

// A subquery or the column itself is nothing that a trigger could compute from the row.
const isComputable = (expression: string | undefined, column: string): expression is string =>
  expression !== undefined && !/\bselect\b/i.test(expression) && !columnsIn(expression).includes(column);

const followingOf = ({ table, column }: OperationOf<'addColumn'>, later: readonly Operation[]): Following => {
  const about = <T extends { readonly table: string; readonly column: string }>(operations: readonly T[]) =>
    operations.filter(onTable(table)).filter((operation) => operation.column === column.name);
  const fills = later
    .filter(is('fill'))
    .filter(onTable(table))
    .filter(({ set }) => set.length === 1 && set[0]?.column === column.name);
  const [fill] = fills.length === 1 ? fills : [];
  const expression = fill?.set[0]?.expression;
  const notNulls = about(later.filter(is('setNotNull')));
  if (fill === undefined || !isComputable(expression, column.name))
    return { notNulls: column.default === undefined ? [] : notNulls };
  const [setDefault] = column.default === undefined ? about(later.filter(is('setDefault'))) : [];
  return { fill, expression, notNulls, ...(setDefault === undefined ? {} : { setDefault }) };
};

const unfilled = (name: string): string =>
  `${name} is NOT NULL in the migration, and nothing there gives the rows a value: write default or backfill, and nullable: false`;

/** addColumn with what fills it and makes it NOT NULL. */
export const addition = (first: OperationOf<'addColumn'>, all: readonly Operation[]): Claimed => {
  const { table, line, column } = first;
  const { name, type, unique, check, references, doubts } = column;
  const { fill, expression, setDefault, notNulls } = followingOf(first, all.slice(all.indexOf(first) + 1));
  const given = column.default ?? setDefault?.expression;
  const required = column.notNull || notNulls.length > 0;
  const filled = expression !== undefined || given !== undefined;
  const optional = { default: given, backfill: expression, check, references };
  const present = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return {
    operations: [first, ...(fill ? [fill] : []), ...(setDefault ? [setDefault] : []), ...notNulls],
    piece: {
      kind: 'change',
      change: { addColumn: { table, name, type, nullable: !(required && filled), unique, ...present } },
      slug: `add ${tail(table)} ${name}`,
      line,
      todo: [...doubts, ...(required && !filled ? [unfilled(name)] : [])],
      notes: fill ? ['its UPDATE is the backfill, in batches and by a trigger for what old code writes'] : [],
    },
  };
};
