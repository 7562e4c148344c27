/** Which expressions give every row the same value, as far as their text shows it. */
import { nodesOf, wordsOf } from '../sql/tree.ts';

// Functions that are known to be stable or immutable; whatever else is called may differ from row to row.
const stable = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'current_setting',
  'lower',
  'upper',
  'md5',
  'length',
  'concat',
  'coalesce',
  'to_timestamp',
  'date_trunc',
  'timezone',
  'make_interval',
  'jsonb_build_object',
  'jsonb_build_array',
  'txid_current',
  'pg_current_xact_id',
]);

/** True for a default that PostgreSQL keeps in the catalog instead of writing it into every row. */
export const isStableDefault = (expression: unknown): boolean =>
  [...nodesOf(expression)].every(({ type, members }) => {
    if (type === 'SubLink' || type === 'ColumnRef') return false;
    if (type !== 'FuncCall') return true;
    return stable.has(wordsOf(members['funcname']).at(-1) ?? '');
  });
