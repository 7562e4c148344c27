/**
 * ADD COLUMN, an UPDATE that fills it and the DROP COLUMN of what it was filled from are one replaceColumns, if the
 * UPDATE reads nothing else and nothing else in the migration says more of these columns. Pure.
 */
import type { ReplaceColumns } from '../../api/schema-change.ts';
import { columnsIn } from '../../sql/expression.ts';
import type { ColumnDefinition } from './column-definition.ts';
import type { Operation, OperationOf } from './operation.ts';
import { is, onTable, type Claimed, type Piece } from './piece.ts';
import { backwardOf, todoOf } from './way-back.ts';

const escaped = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** True if an operation says something of one of the columns, in a text of a function too: better too often. */
const mentions = (operation: Operation, table: string, columns: readonly string[]): boolean => {
  if (operation.kind === 'control' || (operation.kind !== 'other' && operation.table !== table)) return false;
  return columns.some((name) =>
    new RegExp(String.raw`(?<![\p{L}\p{N}_])${escaped(name)}(?![\p{L}\p{N}_])`, 'iu').test(operation.text),
  );
};

const isPlainColumn = ({ check, unique, references, default: value }: ColumnDefinition): boolean =>
  check === undefined && !unique && references === undefined && value === undefined;

/** The replaceColumns that begins with this ADD COLUMN, if one can be shown. */
export const replacement = (
  first: OperationOf<'addColumn'>,
  all: readonly Operation[],
): Claimed | undefined => {
  const { table } = first;
  const later = all.slice(all.indexOf(first));
  const adds = later
    .filter(is('addColumn'))
    .filter(onTable(table))
    .filter(({ column }) => isPlainColumn(column));
  const drops = later
    .filter(is('dropColumn'))
    .filter(onTable(table))
    .filter(({ cascade }) => !cascade);
  const dropped = new Set(drops.map(({ column }) => column));
  const fills = later.filter(is('fill')).filter(onTable(table));
  const reads = ({ expression }: { readonly expression: string }): readonly string[] => columnsIn(expression);
  const isOurs = (fill: OperationOf<'fill'>): boolean =>
    fill.set.every(
      (assignment) =>
        adds.some(({ column }) => column.name === assignment.column) &&
        reads(assignment).length > 0 &&
        reads(assignment).every((name) => dropped.has(name)),
    );
  const own = fills.filter(isOurs);
  const set = own.flatMap((fill) => fill.set);
  if (!set.some(({ column }) => column === first.column.name)) return undefined;
  const to = adds.filter(({ column }) => set.some((one) => one.column === column.name));
  const from = [...new Set(set.flatMap(reads))];
  const names = [...to.map(({ column }) => column.name), ...from];
  const notNulls = later
    .filter(is('setNotNull'))
    .filter(onTable(table))
    .filter(({ column }) => names.includes(column));
  const gone = drops.filter(({ column }) => from.includes(column));
  const claimed: readonly Operation[] = [...to, ...own, ...notNulls, ...gone];
  const firstDrop = later.indexOf(gone[0] ?? first);
  // Filled once each, before anything goes, and named by nothing else.
  const once = new Set(set.map(({ column }) => column)).size === set.length;
  const inOrder = own.every((fill) => later.indexOf(fill) < firstDrop);
  const elsewhere = later.some(
    (operation) => !claimed.includes(operation) && mentions(operation, table, names),
  );
  if (!once || !inOrder || elsewhere) return undefined;
  return { operations: claimed, piece: replacing(first, { to, from, set, notNulls }) };
};

const replacing = (
  { table, line }: OperationOf<'addColumn'>,
  {
    to,
    from,
    set,
    notNulls,
  }: {
    readonly to: readonly OperationOf<'addColumn'>[];
    readonly from: readonly string[];
    readonly set: OperationOf<'fill'>['set'];
    readonly notNulls: readonly OperationOf<'setNotNull'>[];
  },
): Piece => {
  const forward = Object.fromEntries(set.map(({ column, expression }) => [column, expression]));
  const { backward, missing } = backwardOf(from, forward);
  const fresh = to.map(({ column }) => column.name);
  const change: ReplaceColumns = {
    table,
    from,
    to: to.map(({ column: { name, type, notNull } }) => ({
      name,
      type,
      nullable: !notNull && !notNulls.some(({ column }) => column === name),
    })),
    forward,
    backward,
  };
  return {
    kind: 'change',
    change: { replaceColumns: change },
    slug: `replace ${from.join(' ')}`,
    line,
    todo: [...todoOf(missing, fresh), ...to.flatMap(({ column }) => column.doubts)],
    notes: [`made of ADD COLUMN, UPDATE and DROP COLUMN: ${from.join(', ')} give way to ${fresh.join(', ')}`],
  };
};
