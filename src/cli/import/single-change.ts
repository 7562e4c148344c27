/** Operations that are a change each. Pure. */
import type { ChangeSpec } from '../../api/schema-change.ts';
import type { OperationOf } from './operation.ts';
import { tail, type Piece } from './piece.ts';
import { todoOf } from './way-back.ts';

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

/** The change of one operation. */
export const simple = (operation: Simple): Piece => {
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
