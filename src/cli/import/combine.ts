/**
 * Operations made into changes: what belongs together becomes one, in the order in which it was written. Pure.
 *
 * ADD COLUMN, an UPDATE that fills it and the DROP COLUMN of what it was filled from are one replaceColumns, if the
 * UPDATE reads nothing else and nothing else in the migration says more of these columns. Everything that can't be
 * shown from the text stays apart.
 */
import type { ChangeSpec, ReplaceColumns } from '../../api/schema-change.ts';
import { columnsIn, isColumn } from '../../sql/expression.ts';
import type { ColumnDefinition } from './column-definition.ts';
import type { Operation, OperationOf } from './operation.ts';

/** A change with what is to be said of it. */
export interface ImportedChange {
  readonly change: ChangeSpec;
  /** A few words for its name. */
  readonly slug: string;
  readonly line: number;
  /** What a person has to do before it may begin. */
  readonly todo: readonly string[];
  /** What is good to know. */
  readonly notes: readonly string[];
}

/** Statements for a `sql` change, in a row. */
export interface Script {
  readonly statements: readonly OperationOf<'other'>[];
}

/** What becomes of a migration: changes, and statements that no kind has a field for, in their order. */
export type Piece = ({ readonly kind: 'change' } & ImportedChange) | ({ readonly kind: 'script' } & Script);

const is =
  <Kind extends Operation['kind']>(kind: Kind) =>
  (operation: Operation): operation is OperationOf<Kind> =>
    operation.kind === kind;

const onTable =
  (table: string) =>
  (operation: { readonly table: string }): boolean =>
    operation.table === table;

const backwardOf = (from: readonly string[], forward: Readonly<Record<string, string>>) => {
  const known = from.map((old) => {
    const copy = Object.entries(forward).find(([, expression]) => isColumn(expression, old));
    return [old, copy === undefined ? undefined : `"${copy[0].replaceAll('"', '""')}"`] as const;
  });
  return {
    backward: Object.fromEntries(known.map(([old, text]) => [old, text ?? 'NULL'])),
    missing: known.flatMap(([old, text]) => (text === undefined ? [old] : [])),
  };
};

const todoOf = (missing: readonly string[], fresh: readonly string[]): readonly string[] =>
  missing.map(
    (old) =>
      `backward.${old}: write how ${old} follows from ${fresh.join(', ')}, for old code that still runs; NULL stands there now`,
  );

interface Claimed {
  readonly piece: Piece;
  readonly operations: readonly Operation[];
}

const isPlainColumn = ({ check, unique, references, default: value }: ColumnDefinition): boolean =>
  check === undefined && !unique && references === undefined && value === undefined;

/** The replaceColumns that begins with this ADD COLUMN, if one can be shown. */
const replacement = (first: OperationOf<'addColumn'>, all: readonly Operation[]): Claimed | undefined => {
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

const escaped = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** True if an operation says something of one of the columns, in a text of a function too: better too often. */
const mentions = (operation: Operation, table: string, columns: readonly string[]): boolean => {
  if (operation.kind === 'control' || (operation.kind !== 'other' && operation.table !== table)) return false;
  return columns.some((name) =>
    new RegExp(String.raw`(?<![\p{L}\p{N}_])${escaped(name)}(?![\p{L}\p{N}_])`, 'iu').test(operation.text),
  );
};

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
const addition = (first: OperationOf<'addColumn'>, all: readonly Operation[]): Claimed => {
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

const tail = (table: string): string => table.split('.').at(-1) ?? table;

const typeSlug = (type: string): string =>
  type
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');

const retyping = ({ table, column, type, using, line }: OperationOf<'changeType'>): Piece => {
  const name = `${column}_${typeSlug(type)}`.slice(0, 63);
  return {
    kind: 'change',
    change: {
      changeType: {
        table,
        column,
        to: { name, type },
        forward: using ?? `"${column.replaceAll('"', '""')}"::${type}`,
        backward: 'NULL',
      },
    },
    slug: `retype ${tail(table)} ${column}`,
    line,
    todo: todoOf([column], [name]).map((text) => text.replace(`backward.${column}`, 'backward')),
    notes: [
      `old and new column stand side by side until Drop, so the new one is called ${name}: choose the name that new code is to use`,
      'where the type only becomes wider (varchar(20) to varchar(50) or text), PostgreSQL rewrites nothing: put the ALTER TABLE into a sql change instead',
    ],
  };
};

type Simple = OperationOf<
  'renameColumn' | 'dropColumn' | 'createIndex' | 'constraint' | 'setNotNull' | 'changeType'
>;

const simple = (operation: Simple): Piece => {
  const { table, line } = operation;
  const of = (change: ChangeSpec, slug: string, todo: readonly string[] = []): Piece => ({
    kind: 'change',
    change,
    slug,
    line,
    todo,
    notes: [],
  });
  switch (operation.kind) {
    case 'renameColumn': {
      const { from, to } = operation;
      return of({ renameColumn: { table, from, to } }, `rename ${tail(table)} ${from}`);
    }
    case 'dropColumn':
      return of(
        { dropColumn: { table, column: operation.column } },
        `drop ${tail(table)} ${operation.column}`,
        operation.cascade
          ? [
              'the migration says CASCADE; nothing is dropped with CASCADE here, so redefine or drop first what the operator names',
            ]
          : [],
      );
    case 'createIndex':
      return of({ createIndex: { table, ...operation.index } }, `index ${operation.index.name}`);
    case 'constraint':
      return of({ addConstraint: { table, ...operation.constraint } }, `constrain ${operation.name}`);
    case 'setNotNull':
      return of(
        { addConstraint: { table, notNull: { column: operation.column } } },
        `require ${tail(table)} ${operation.column}`,
      );
    case 'changeType':
      return retyping(operation);
  }
};

/** A constraint over an index of the same migration is one change: the constraint builds its index. */
const adoption = (operation: OperationOf<'adopt'>, all: readonly Operation[]): Claimed | undefined => {
  const { table, name, line } = operation;
  const built = all
    .filter(is('createIndex'))
    .find((made) => made.table === table && made.index.name === operation.index);
  const columns = built?.index.keys.flatMap(({ column }) => column ?? []) ?? [];
  if (built === undefined || columns.length !== built.index.keys.length || built.index.where !== undefined)
    return undefined;
  const constraint = { unique: { name, columns } };
  return {
    operations: [built, operation],
    piece: simple({ kind: 'constraint', table, name, constraint, line, text: '' }),
  };
};

/** Operations that take each other back, or that a change does by itself. */
const needless = (all: readonly Operation[]): ReadonlySet<Operation> => {
  const constraints = all.filter(is('constraint'));
  const found = new Set<Operation>(all.filter(is('control')));
  for (const operation of all) {
    if (operation.kind !== 'validate' && operation.kind !== 'dropConstraint') continue;
    const made = constraints.find(({ table, name }) => table === operation.table && name === operation.name);
    if (made === undefined || all.indexOf(made) > all.indexOf(operation)) continue;
    found.add(operation);
    if (operation.kind === 'dropConstraint') found.add(made);
  }
  return found;
};

const asOther = (operation: Operation & { readonly table?: string }): OperationOf<'other'> => ({
  kind: 'other',
  script: 'expand',
  line: operation.line,
  text: operation.text,
  ...(operation.table === undefined ? {} : { table: operation.table }),
});

const claim = (operation: Operation, all: readonly Operation[]): Claimed => {
  switch (operation.kind) {
    case 'addColumn':
      return replacement(operation, all) ?? addition(operation, all);
    case 'adopt': {
      const adopted = adoption(operation, all);
      return (
        adopted ?? { operations: [operation], piece: { kind: 'script', statements: [asOther(operation)] } }
      );
    }
    case 'createIndex': {
      const adopter = all
        .filter(is('adopt'))
        .find((other) => other.table === operation.table && other.index === operation.index.name);
      const adopted = adopter && adoption(adopter, all);
      return adopted ?? { operations: [operation], piece: simple(operation) };
    }
    case 'other':
      return { operations: [operation], piece: { kind: 'script', statements: [operation] } };
    case 'renameColumn':
    case 'dropColumn':
    case 'constraint':
    case 'setNotNull':
    case 'changeType':
      return { operations: [operation], piece: simple(operation) };
    default:
      return { operations: [operation], piece: { kind: 'script', statements: [asOther(operation)] } };
  }
};

const madeBy = (operation: Operation): readonly string[] => {
  const [, name] = /^CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([^\s(]+)/i.exec(operation.text) ?? [];
  return operation.kind === 'other' && name !== undefined ? [name.replaceAll('"', '')] : [];
};

/** The script that made the table which an operation is about: nobody uses it yet, so nothing has to be gradual. */
const birthplace = (operation: Operation, pieces: readonly Piece[]): number =>
  pieces.findIndex(
    (piece) =>
      piece.kind === 'script' &&
      'table' in operation &&
      piece.statements.some((statement) => madeBy(statement).includes(operation.table ?? '')),
  );

const joined = (piece: Piece | undefined, statements: Script['statements']): Piece => ({
  kind: 'script',
  statements: [...(piece?.kind === 'script' ? piece.statements : []), ...statements],
});

/** Pieces in the order in which their first operation was written; scripts in a row are one. */
export const combine = (operations: readonly Operation[]): readonly Piece[] => {
  const skip = needless(operations);
  const rest = operations.filter((operation) => !skip.has(operation));
  const claimed = new Set<Operation>();
  const pieces: Piece[] = [];
  for (const operation of rest) {
    if (claimed.has(operation)) continue;
    const born = birthplace(operation, pieces);
    if (born >= 0) {
      pieces[born] = joined(pieces[born], [asOther(operation)]);
      continue;
    }
    const left = rest.filter((other) => !claimed.has(other));
    const { piece, operations: own } = claim(operation, left);
    for (const one of own) claimed.add(one);
    const last = pieces.at(-1);
    if (piece.kind === 'script' && last?.kind === 'script')
      pieces[pieces.length - 1] = joined(last, piece.statements);
    else pieces.push(piece);
  }
  return pieces;
};
