/** `changeType`: short for a replaceColumns with one column of each type. */
import type { ChangeType } from '../api/schema-change.ts';
import type { Change, TableName } from './change.ts';
import { replaceColumns } from './replace-columns.ts';

/** The change that puts a column of another type in the place of one. */
export const changeType = (table: TableName, { column, to, forward, backward }: ChangeType): Change =>
  replaceColumns({
    kind: 'changeType',
    table,
    from: [column],
    to: [{ ...to, like: column }],
    forward: { [to.name]: forward },
    backward: { [column]: backward },
  });
