/** Which file makes what of `spec.change`. A new kind is one file and one line here. */
import type { ChangeSpec } from '../api/schema-change.ts';
import type { Change, TableName } from './change.ts';
import { changeType } from './change-type.ts';
import { renameColumn } from './rename-column.ts';
import { replaceColumns } from './replace-columns.ts';

const tableName = (text: string): TableName => {
  const [first = '', second] = text.split('.');
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second };
};

/** The change that a resource asks for. @throws if it names no kind, which the CRD keeps out of the cluster. */
export const changeOf = (spec: ChangeSpec): Change => {
  if (spec.replaceColumns)
    return replaceColumns({
      ...spec.replaceColumns,
      kind: 'replaceColumns',
      table: tableName(spec.replaceColumns.table),
    });
  if (spec.renameColumn) return renameColumn(tableName(spec.renameColumn.table), spec.renameColumn);
  if (spec.changeType) return changeType(tableName(spec.changeType.table), spec.changeType);
  throw new Error('spec.change names no change kind that this version knows.');
};
