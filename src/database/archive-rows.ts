/** Copies keys and old values into the archive, batch by batch; the position commits with its batch. */
import type { ArchiveFacts, TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { catchUp, copyBatch } from '../changes/archive.ts';
import type { Change } from '../changes/change.ts';
import { sql } from '../sql/sql.ts';
import { searchPathOf } from './catalog.ts';
import { held, outcomeOfHold, writing, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';

/** What to archive. */
export interface ArchiveWork {
  readonly change: Change;
  readonly table: TableFacts;
  /** About how long one batch may take. */
  readonly targetBatchMs: number;
  /** How long to go on before looking around again. */
  readonly budgetMs: number;
  /** Rows of the first batch; later ones follow the time that they take. */
  readonly firstBatchRows?: number;
}

const smallestBatch = 100;
const largestBatch = 50_000;
// Rows copied anew in one transaction; those beyond it are left for the next.
const catchUpRows = 20_000;

interface Progress {
  readonly position: readonly string[] | null;
  readonly copied: boolean;
}

const progressOf = (session: Session, id: number): Promise<Progress> =>
  session.one(sql`SELECT position, copied FROM segue.archive WHERE change_id = $1`, [id]);

/** Copies one batch; true once there is nothing after it. */
const batch = (ref: LedgerRef, work: ArchiveWork, limit: number): Promise<boolean> =>
  held(
    ref,
    { doing: 'copy to the archive', searchPath: searchPathOf(work.table), statementTimeoutMs: 60_000 },
    async (session) => {
      const { position, copied } = await progressOf(session, ref.id);
      if (copied) return true;
      const first = position === null;
      const [done] = await session.rows<{ rows: number; last: readonly string[] }>(
        copyBatch(ref.id, work.change, work.table, { first, limit }),
        position ?? [],
      );
      const over = (done?.rows ?? 0) < limit;
      await session.run(
        sql`UPDATE segue.archive SET position = coalesce($2, position), rows = rows + $3, copied = $4 WHERE change_id = $1`,
        [ref.id, done?.last ?? null, done?.rows ?? 0, over],
      );
      return over;
    },
  );

/** Batch after batch until the time is up, but one at the least. */
const copy = async (ref: LedgerRef, work: ArchiveWork, signal: AbortSignal | undefined): Promise<void> => {
  const end = performance.now() + work.budgetMs;
  let limit = work.firstBatchRows ?? 1_000;
  for (;;) {
    const began = performance.now();
    const over = await batch(ref, work, limit);
    const tookMs = performance.now() - began;
    if (over || signal?.aborted === true || began + tookMs >= end) return;
    const factor = Math.min(2, Math.max(0.5, work.targetBatchMs / tookMs));
    limit = Math.round(Math.min(largestBatch, Math.max(smallestBatch, limit * factor)));
  }
};

/** Goes on with the archive for a while, then copies anew what was written meanwhile. Throws FencedError. */
export const runArchive = async (
  ref: LedgerRef,
  work: ArchiveWork,
  signal?: AbortSignal,
): Promise<Outcome> => {
  const doing = 'copy to the archive';
  try {
    await copy(ref, work, signal);
  } catch (error) {
    return outcomeOfHold(error, doing);
  }
  const options = { doing, searchPath: searchPathOf(work.table), statementTimeoutMs: 60_000 };
  return writing(ref, options, async (session) => {
    await session.run(catchUp(ref.id, work.change, work.table, catchUpRows));
    const { rows, copied } = await session.one<{ rows: number; copied: boolean }>(
      sql`UPDATE segue.archive SET caught_up_at = clock_timestamp() WHERE change_id = $1 RETURNING rows, copied`,
      [ref.id],
    );
    return {
      kind: 'done',
      message: `${rows} rows are in the archive${copied ? ', which is all of them' : ''}`,
    };
  });
};

/** How far the archive of a change has come; undefined if none was begun. */
export const archiveOf = async (session: Session, id: number): Promise<ArchiveFacts | undefined> => {
  const [row] = await session.rows<ArchiveFacts & { caughtUpAt: number | null }>(
    sql`SELECT rows, copied, (extract(epoch FROM caught_up_at) * 1000)::double precision AS "caughtUpAt"
      FROM segue.archive WHERE change_id = $1`,
    [id],
  );
  if (row === undefined) return undefined;
  const { caughtUpAt, ...rest } = row;
  return { ...rest, ...(caughtUpAt === null ? {} : { caughtUpAt }) };
};
