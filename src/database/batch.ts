/**
 * One batch of the backfill: the pending rows of some pages, and the cursor of their range, in one transaction.
 * Concurrent writers are safe beside it: the UPDATE locks each row and reads it anew, and the wide trigger
 * fills whatever they move elsewhere.
 */
import type { HeapFacts, TableFacts } from '../api/facts.ts';
import type { RowPlan } from '../changes/change.ts';
import { bare, keyOf } from '../changes/column-sync.ts';
import { ident, join, sql, type Sql } from '../sql/sql.ts';
import { searchPathOf } from './catalog.ts';
import { DatabaseError, isRowFault } from './errors.ts';
import { advance, heapIdent, type RangeCursor } from './heap-cursor.ts';
import { held, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';
import { bisect, tidText, type TidRange } from './tid-range.ts';

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

/** Where a batch is at work. */
export interface BatchPlace {
  readonly heap: HeapFacts;
  readonly cursor: RangeCursor;
  /** From the cursor's place on. */
  readonly range: TidRange;
  readonly blockSize: number;
}

/** What a batch may cost those beside it. */
export interface BatchLimits {
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the server process that fills it, and again when it has ended. */
  readonly watched: (pid: number, running: boolean) => void;
}

class Rewritten extends Error {
  override readonly name = 'Rewritten';
}

/** A jsonb object that names a row: its primary key, or where it lies. */
export const rowKey = (table: TableFacts): Sql =>
  table.primaryKey.length === 0 ? sql`jsonb_build_object('ctid', ctid::text)` : keyOf(table, bare);

/** Fills the pending rows between two places, which are its parameters. */
export const fill = (work: RowWork, heap: HeapFacts): Sql => {
  const assignments = join(work.rows.set.map(({ column, value }) => sql`${ident(column)} = ${value}`));
  return sql`UPDATE ONLY ${heapIdent(heap)} SET ${assignments}
    WHERE ctid >= $1::tid AND ctid < $2::tid AND (${work.rows.pending})`;
};

/** The parameters of `fill`. */
export const bounds = (range: TidRange): readonly [string, string] => [
  tidText(range.from),
  tidText(range.to),
];

/** Keeps the key of a row that can't be converted; its values stay where they are. */
const bury = (work: RowWork, heap: HeapFacts): Sql =>
  sql`INSERT INTO segue.dead_letter (change_id, heap, key, sqlstate, reason)
    SELECT $3, $4, ${rowKey(work.table)}, $5, $6 FROM ONLY ${heapIdent(heap)} WHERE ctid >= $1::tid AND ctid < $2::tid
    ON CONFLICT DO NOTHING`;

interface Filled {
  readonly rows: number;
  readonly badRows: number;
}

/** Fills what can be filled of a range, and keeps the keys of the other rows. */
const search = async (
  session: Session,
  ref: LedgerRef,
  work: RowWork,
  { heap, range, blockSize }: BatchPlace,
): Promise<Filled> => {
  let rows = 0;
  let badRows = 0;
  await bisect(range, {
    blockSize,
    isFault: isRowFault,
    attempt: (part) =>
      session.attempt(async () => {
        rows += await session.run(fill(work, heap), bounds(part));
      }),
    found: async (row, error) => {
      const { code, message } = error as DatabaseError;
      badRows += await session.run(bury(work, heap), [...bounds(row), ref.id, heap.oid, code ?? '', message]);
    },
  });
  return { rows, badRows };
};

const attempt = async (
  ref: LedgerRef,
  work: RowWork,
  place: BatchPlace,
  { watched, ...limits }: BatchLimits & { readonly searching: boolean },
): Promise<BatchResult> => {
  let pid: number | undefined;
  const options = { ...limits, shared: true, doing: 'fill a batch', searchPath: searchPathOf(work.table) };
  try {
    return await held(ref, options, async (session, { walEnd }) => {
      pid = session.pid;
      watched(pid, true);
      const filled = limits.searching
        ? await search(session, ref, work, place)
        : { rows: await session.run(fill(work, place.heap), bounds(place.range)), badRows: 0 };
      const by = { range: place.cursor, to: place.range.to, rows: filled.rows, walEnd };
      if (!(await advance(session, ref.id, by))) throw new Rewritten();
      return { kind: 'advanced', ...filled };
    });
  } catch (error) {
    if (error instanceof Rewritten) return { kind: 'rewritten' };
    if (!limits.searching && isRowFault(error)) return { kind: 'fault' };
    if (error instanceof DatabaseError && ['lock', 'serialization', 'transient'].includes(error.kind))
      return { kind: 'contended', error };
    throw error;
  } finally {
    if (pid !== undefined) watched(pid, false);
  }
};

/** Fills the pending rows of a place; within one page, all but those that can't be converted. Throws as `held` does. */
export const runBatch = async (
  ref: LedgerRef,
  work: RowWork,
  place: BatchPlace,
  limits: BatchLimits,
): Promise<BatchResult> => {
  const { from, to } = place.range;
  const result = await attempt(ref, work, place, { ...limits, searching: false });
  const onePage = to.page - from.page <= (to.line === 0 ? 1 : 0);
  return result.kind === 'fault' && onePage
    ? attempt(ref, work, place, { ...limits, searching: true })
    : result;
};
