/** What a migration is made into, and how operations are picked for it. */
import type { ChangeSpec } from '../../api/schema-change.ts';
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

/** A piece, and the operations that it is made of. */
export interface Claimed {
  readonly piece: Piece;
  readonly operations: readonly Operation[];
}

/** Picks operations of a kind. */
export const is =
  <Kind extends Operation['kind']>(kind: Kind) =>
  (operation: Operation): operation is OperationOf<Kind> =>
    operation.kind === kind;

/** Picks what is about a table. */
export const onTable =
  (table: string) =>
  (operation: { readonly table: string }): boolean =>
    operation.table === table;

/** A table's name without its schema. */
export const tail = (table: string): string => table.split('.').at(-1) ?? table;
