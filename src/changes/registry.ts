/** Which file makes what of `spec.change`. A new kind is one file and one line here. */
import type { ChangeSpec } from '../api/schema-change.ts';
import type { Change } from './change.ts';
import { addColumn } from './add-column.ts';
import { addConstraint } from './add-constraint.ts';
import { changeType } from './change-type.ts';
import { createIndex } from './create-index.ts';
import { dropColumn } from './drop-column.ts';
import { renameColumn } from './rename-column.ts';
import { replaceColumns } from './replace-columns.ts';
import { tableNameOf } from './table-name.ts';

/** The change that a resource asks for. @throws if it names no kind, which the CRD keeps out of the cluster. */
export const changeOf = (spec: ChangeSpec): Change => {
  if (spec.replaceColumns)
    return replaceColumns({
      ...spec.replaceColumns,
      kind: 'replaceColumns',
      table: tableNameOf(spec.replaceColumns.table),
    });
  if (spec.renameColumn) return renameColumn(tableNameOf(spec.renameColumn.table), spec.renameColumn);
  if (spec.changeType) return changeType(tableNameOf(spec.changeType.table), spec.changeType);
  if (spec.dropColumn) return dropColumn(tableNameOf(spec.dropColumn.table), spec.dropColumn);
  if (spec.addColumn) return addColumn(tableNameOf(spec.addColumn.table), spec.addColumn);
  if (spec.addConstraint) return addConstraint(tableNameOf(spec.addConstraint.table), spec.addConstraint);
  if (spec.createIndex) return createIndex(tableNameOf(spec.createIndex.table), spec.createIndex);
  throw new Error('spec.change names no change kind that this version knows.');
};
