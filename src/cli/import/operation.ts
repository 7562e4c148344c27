/** What one command of a migration does, as far as a change kind may have a field for it. */
import type { AddConstraint, CreateIndex } from '../../api/schema-change.ts';
import type { ColumnDefinition } from './column-definition.ts';

/** One assignment of an UPDATE of every row. */
export interface Assignment {
  readonly column: string;
  readonly expression: string;
}

/** Without the table, which every operation has. */
export type Constraint = Omit<AddConstraint, 'table'>;

export type Operation = { readonly line: number; readonly text: string } & (
  | { readonly kind: 'addColumn'; readonly table: string; readonly column: ColumnDefinition }
  | { readonly kind: 'fill'; readonly table: string; readonly set: readonly Assignment[] }
  | { readonly kind: 'renameColumn'; readonly table: string; readonly from: string; readonly to: string }
  | {
      readonly kind: 'changeType';
      readonly table: string;
      readonly column: string;
      readonly type: string;
      readonly using?: string;
    }
  | {
      readonly kind: 'dropColumn';
      readonly table: string;
      readonly column: string;
      readonly cascade: boolean;
    }
  | { readonly kind: 'createIndex'; readonly table: string; readonly index: Omit<CreateIndex, 'table'> }
  | {
      readonly kind: 'constraint';
      readonly table: string;
      readonly name: string;
      readonly constraint: Constraint;
    }
  /** A unique constraint that takes an index over. */
  | { readonly kind: 'adopt'; readonly table: string; readonly name: string; readonly index: string }
  | { readonly kind: 'validate'; readonly table: string; readonly name: string }
  | { readonly kind: 'dropConstraint'; readonly table: string; readonly name: string }
  | { readonly kind: 'setNotNull'; readonly table: string; readonly column: string }
  | {
      readonly kind: 'setDefault';
      readonly table: string;
      readonly column: string;
      readonly expression: string;
    }
  /** What a `sql` change may run as it stands; `table` where it is about one. */
  | { readonly kind: 'other'; readonly script: 'expand' | 'contract'; readonly table?: string }
  /** BEGIN, SET and the like, which each change has of its own. */
  | { readonly kind: 'control' }
);

/** An operation of one kind. */
export type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { readonly kind: Kind }>;
