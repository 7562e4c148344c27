/**
 * One batch of the backfill: the pending rows of a range of pages, and the cursor, in one transaction.
 * Concurrent writers are safe beside it: the UPDATE locks each row and reads it anew, and the wide trigger
 * fills whatever they move elsewhere.
 */
import type { HeapFacts, TableFacts } from '../api/facts.ts';
import type { RowPlan } from '../changes/change.ts';
import { bare, keyOf } from '../changes/column-sync.ts';
import { ident, join, sql, type Sql } from '../sql/sql.ts';
import { searchPathOf } from './catalog.ts';
import { DatabaseError, isRowFault } from './errors.ts';
import { advanceCursor, heapIdent, type Advance } from './heap-cursor.ts';
import { held, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';
import { bisect, pageRange, tidText, type TidRange } from './tid-range.ts';

/** Which rows of what to fill, and how. */
export interface RowWork {
  readonly table: TableFacts;
  readonly rows: RowPlan;
}

/** How a batch ended. */
export type BatchResult =
  | { readonly kind: 'advanced'; readonly rows: number; readonly badRows: number }
  /** The heap's pages are no longer those that the cursor counts. */
  | { readonly kind: 'rewritten' }
  /** A row of several pages is to blame. */
  | { readonly kind: 'fault' }
  /** Others were in the way, or it took too long. */
  | { readonly kind: 'contended'; readonly error: DatabaseError };

/** What a batch may cost those beside it. */
export interface BatchLimits {
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

class Rewritten extends Error {
  override readonly name = 'Rewritten';
}

/** A jsonb object that names a row: its primary key, or where it lies. */
export const rowKey = (table: TableFacts): Sql =>
  table.primaryKey.length === 0 ? sql`jsonb_build_object('ctid', ctid::text)` : keyOf(table, bare);

const fill = (work: RowWork, heap: HeapFacts): Sql => {
  const assignments = join(work.rows.set.map(({ column, value }) => sql`${ident(column)} = ${value}`));
  return sql`UPDATE ONLY ${heapIdent(heap)} SET ${assignments}
    WHERE ctid >= $1::tid AND ctid < $2::tid AND (${work.rows.pending})`;
};

const bounds = (range: TidRange): readonly [string, string] => [tidText(range.from), tidText(range.to)];

/** Keeps the key of a row that can't be converted; its values stay where they are. */
const bury = (work: RowWork, heap: HeapFacts): Sql =>
  sql`INSERT INTO segue.dead_letter (change_id, heap, key, sqlstate, reason)
    SELECT $3, $4, ${rowKey(work.table)}, $5, $6 FROM ONLY ${heapIdent(heap)} WHERE ctid >= $1::tid AND ctid < $2::tid
    ON CONFLICT DO NOTHING`;

const onePage = async (
  session: Session,
  ref: LedgerRef,
  work: RowWork,
  at: { heap: HeapFacts; page: number },
) => {
  const { blockSize } = await session.one<{ blockSize: number }>(
    sql`SELECT current_setting('block_size')::int AS "blockSize"`,
  );
  let rows = 0;
  let badRows = 0;
  await bisect(pageRange(at.page, at.page + 1), {
    blockSize,
    isFault: isRowFault,
    attempt: (range) =>
      session.attempt(async () => {
        rows += await session.run(fill(work, at.heap), bounds(range));
      }),
    found: async (row, error) => {
      const { code, message } = error as DatabaseError;
      badRows += await session.run(bury(work, at.heap), [
        ...bounds(row),
        ref.id,
        at.heap.oid,
        code ?? '',
        message,
      ]);
    },
  });
  return { rows, badRows };
};

/** Fills the pending rows from page `by.from` up to `by.to`. Throws as `held` does. */
export const runBatch = async (
  ref: LedgerRef,
  work: RowWork,
  at: { readonly heap: HeapFacts; readonly by: Omit<Advance, 'rows'> },
  limits: BatchLimits,
): Promise<BatchResult> => {
  const { heap, by } = at;
  const single = by.to - by.from === 1;
  try {
    return await held(
      ref,
      { ...limits, doing: 'fill a batch', searchPath: searchPathOf(work.table) },
      async (session) => {
        const filled = single
          ? await onePage(session, ref, work, { heap, page: by.from })
          : { rows: await session.run(fill(work, heap), bounds(pageRange(by.from, by.to))), badRows: 0 };
        if (!(await advanceCursor(session, ref.id, heap, { ...by, rows: filled.rows })))
          throw new Rewritten();
        return { kind: 'advanced', ...filled };
      },
    );
  } catch (error) {
    if (error instanceof Rewritten) return { kind: 'rewritten' };
    if (!single && isRowFault(error)) return { kind: 'fault' };
    if (error instanceof DatabaseError && ['lock', 'serialization', 'transient'].includes(error.kind))
      return { kind: 'contended', error };
    throw error;
  }
};
