/**
 * Operations made into changes: what belongs together becomes one, in the order in which it was written. Everything
 * that can't be shown from the text stays apart. Pure.
 */
import { addition } from './addition.ts';
import type { Operation, OperationOf } from './operation.ts';
import { is, type Claimed, type Piece, type Script } from './piece.ts';
import { replacement } from './replacement.ts';
import { simple } from './single-change.ts';

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
