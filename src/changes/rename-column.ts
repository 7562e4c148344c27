/** `renameColumn`: short for a replaceColumns with one column on each side that copies its value. */
import type { RenameColumn } from '../api/schema-change.ts';
import { ident } from '../sql/sql.ts';
import type { Change, TableName } from './change.ts';
import { replaceColumns } from './replace-columns.ts';

/** The change that gives a column another name; type and NOT NULL stay. */
export const renameColumn = (table: TableName, { from, to }: RenameColumn): Change =>
  replaceColumns({
    kind: 'renameColumn',
    table,
    from: [from],
    to: [{ name: to, like: from }],
    forward: { [to]: ident(from).text },
    backward: { [from]: ident(to).text },
  });
