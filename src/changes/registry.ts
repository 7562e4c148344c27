/** Which file makes what of `spec.change`. A new kind is one file and one line here. */
import type { ChangeSpec, ReplaceColumns } from '../api/schema-change.ts';
import type { Change } from './change.ts';
import { addColumn } from './add-column.ts';
import { addConstraint } from './add-constraint.ts';
import { changeType } from './change-type.ts';
import { createIndex } from './create-index.ts';
import type { NewColumn } from './column-sync.ts';
import { dropColumn } from './drop-column.ts';
import { renameColumn } from './rename-column.ts';
import { replaceColumns } from './replace-columns.ts';
import { sqlChange } from './sql.ts';
import { tableNameOf } from './table-name.ts';

// Where one column takes the place of one other, there is no doubt which inherits from which.
const inheriting = ({ from, to }: ReplaceColumns): readonly NewColumn[] => {
  const [only] = from.length === 1 && to.length === 1 ? from : [];
  return to.map(({ inherits, ...column }) => {
    const like = inherits ?? only;
    return like === undefined ? column : { ...column, like };
  });
};

type Members = Required<ChangeSpec>;
type Kinds = { readonly [Kind in keyof Members]: (member: Members[Kind]) => Change };

/** The members of `spec.change`, each with what makes a change of it. */
const kinds: Kinds = {
  replaceColumns: (member) =>
    replaceColumns({
      ...member,
      to: inheriting(member),
      kind: 'replaceColumns',
      table: tableNameOf(member.table),
    }),
  renameColumn: (member) => renameColumn(tableNameOf(member.table), member),
  changeType: (member) => changeType(tableNameOf(member.table), member),
  dropColumn: (member) => dropColumn(tableNameOf(member.table), member),
  addColumn: (member) => addColumn(tableNameOf(member.table), member),
  addConstraint: (member) => addConstraint(tableNameOf(member.table), member),
  createIndex: (member) => createIndex(tableNameOf(member.table), member),
  sql: (member) => sqlChange(tableNameOf(member.table), member),
};

/** Every registered kind, by its member of `spec.change`. */
export const changeKinds = Object.keys(kinds) as readonly (keyof Members)[];

const made = <Kind extends keyof Members>(
  kind: Kind,
  spec: Partial<Pick<Members, Kind>>,
): Change | undefined => {
  const member = spec[kind];
  return member === undefined ? undefined : kinds[kind](member);
};

/** The change that a resource asks for. @throws if it names no kind, which the CRD keeps out of the cluster. */
export const changeOf = (spec: ChangeSpec): Change => {
  for (const kind of changeKinds) {
    const change = made(kind, spec);
    if (change !== undefined) return change;
  }
  throw new Error('spec.change names no change kind that this version knows.');
};
