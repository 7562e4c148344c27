/**
 * Fills the new columns of rows that were there before the triggers, in physical order, heap by heap, batch by
 * batch. It keeps nothing in memory between calls: whoever calls next, in this process or another, goes on at
 * the committed cursor.
 *
 * Rows that move while it runs are no concern of its own: the wide trigger fills a row on every UPDATE, so a
 * row that jumps to a page already passed arrives there converted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HeapFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { sql } from '../sql/sql.ts';
import { runBatch, type BatchResult, type RowWork } from './batch.ts';
import { findBlocker } from './blockers.ts';
import { jitteredDelayMs } from './errors.ts';
import { findCursor, resetCursor, type HeapCursor } from './heap-cursor.ts';
import { applyMutation, held, outcomeOfHold, type LedgerRef } from './ledger.ts';
import { cappedPages, nextPages, pauseMs } from './pace.ts';
import { readBackfill } from './read-ledger.ts';
import { judgeLag } from './replicas.ts';

/** `spec.backfill`, in numbers. */
export interface BackfillSettings {
  readonly targetBatchMs: number;
  /** 0 is no cap. */
  readonly maxRowsPerSecond: number;
  readonly maxReplicaLagMs: number;
  /** Hold, the default, stops at a thousand rows that can't be converted: the expression is wrong then, not the rows. */
  readonly onBadRow?: 'Hold' | 'Skip';
}

/** A stretch of the backfill. */
export interface BackfillWork extends RowWork {
  readonly settings: BackfillSettings;
  /** Return after about so long, so that the caller can look at the world anew. */
  readonly budgetMs: number;
}

// How long rows that a batch has already locked may wait for one that somebody else holds.
const rowLockTimeoutMs = 200;
const lagCheckEveryMs = 1_000;
const maxTries = 5;
const tooManyBadRows = 1_000;

interface Stretch {
  readonly ref: LedgerRef;
  readonly work: BackfillWork;
  readonly signal: AbortSignal | undefined;
  readonly until: number;
  rows: number;
  badRows: number;
  lagCheckedAt: number;
  waitedForLock: boolean;
}

type Halt = Outcome | undefined;

const nextCursor = (stretch: Stretch, heap: HeapFacts, anew: boolean): Promise<HeapCursor> =>
  held(
    stretch.ref,
    { doing: 'place the cursor', lockTimeoutMs: rowLockTimeoutMs, signal: stretch.signal },
    async (session) => {
      const { id } = stretch.ref;
      const found = anew ? undefined : await findCursor(session, id, heap);
      if (found) return found;
      await resetCursor(session, id, heap);
      const made = await findCursor(session, id, heap);
      if (!made) throw new Error(`The cursor of ${heap.schema}.${heap.name} was made and is not there.`);
      return made;
    },
  );

const throttled = async (stretch: Stretch): Promise<Halt> => {
  if (Date.now() - stretch.lagCheckedAt < lagCheckEveryMs) return undefined;
  stretch.lagCheckedAt = Date.now();
  const verdict = await judgeLag(stretch.ref.db, stretch.work.settings.maxReplicaLagMs);
  if (verdict.kind === 'go') return undefined;
  await held(stretch.ref, { doing: 'note the throttle' }, (session) =>
    session.run(
      sql`UPDATE segue.backfill SET throttled_by = $2, rows_per_second = 0 WHERE change_id = $1 AND next_page < end_page`,
      [stretch.ref.id, verdict.message],
    ),
  );
  return {
    kind: 'deferred',
    reason: 'ReplicaLagging',
    message: `The backfill waits: ${verdict.message}.`,
    afterMs: jitteredDelayMs(),
  };
};

const inTheWay = async (stretch: Stretch, heap: HeapFacts, error: Error): Promise<Outcome> => {
  const blockedBy = await findBlocker(stretch.ref.db, heap, 'row');
  const noted = await applyMutation(stretch.ref, { kind: 'noteLockWait' });
  if (noted.kind !== 'done') return noted;
  return {
    kind: 'deferred',
    reason: 'LockNotAvailable',
    message: `The backfill of ${heap.schema}.${heap.name} waits for rows that others hold: ${blockedBy?.message ?? error.message}. It is tried again.`,
    afterMs: jitteredDelayMs(),
    ...(blockedBy ? { blockedBy } : {}),
  };
};

const clearLockWait = async (stretch: Stretch): Promise<void> => {
  if (!stretch.waitedForLock) return;
  stretch.waitedForLock = false;
  await held(stretch.ref, { doing: 'clear the lock wait' }, (session) =>
    session.run(sql`UPDATE segue.change SET lock_wait_since = NULL WHERE id = $1`, [stretch.ref.id]),
  );
};

const tooManyBad = (stretch: Stretch): Halt =>
  stretch.work.settings.onBadRow !== 'Skip' && stretch.badRows >= tooManyBadRows
    ? {
        kind: 'refused',
        reason: 'BadRows',
        message: `${stretch.badRows} rows could not be converted, and the backfill went no further: correct the expression rather than the rows, then set the segue.dev/retry annotation.`,
      }
    : undefined;

/** One batch and what it teaches about the next; `tries` counts attempts in vain at this place. */
const step = async (stretch: Stretch, heap: HeapFacts, cursor: HeapCursor) => {
  const { settings } = stretch.work;
  const began = performance.now();
  const from = cursor.nextPage;
  const to = Math.min(from + cursor.batchPages, cursor.endPage);
  // The pace that the cursor keeps is that of the batch before: this one's isn't known until it has committed.
  const by = { from, to, batchPages: cursor.batchPages, rowsPerSecond: cursor.rowsPerSecond };
  const result = await runBatch(
    stretch.ref,
    stretch.work,
    { heap, by },
    {
      lockTimeoutMs: rowLockTimeoutMs,
      statementTimeoutMs: Math.max(10 * settings.targetBatchMs, 2_000),
      signal: stretch.signal,
    },
  );
  return { result, from, to, tookMs: performance.now() - began };
};

const after = (
  cursor: HeapCursor,
  done: { readonly from: number; readonly to: number; readonly tookMs: number; readonly pausedMs: number },
  rows: number,
  settings: BackfillSettings,
): HeapCursor => {
  const pages = done.to - done.from;
  const grown = nextPages(pages, done.tookMs, settings.targetBatchMs);
  const rate = rows / ((done.tookMs + done.pausedMs) / 1_000);
  return {
    ...cursor,
    nextPage: done.to,
    batchPages: cappedPages(grown, rows / pages, settings.maxRowsPerSecond),
    // Smoothed over about ten batches.
    rowsPerSecond: cursor.rowsPerSecond === 0 ? rate : 0.9 * cursor.rowsPerSecond + 0.1 * rate,
  };
};

const shrunk = (cursor: HeapCursor, result: Exclude<BatchResult, { kind: 'advanced' }>): HeapCursor => ({
  ...cursor,
  batchPages: Math.max(1, Math.floor(cursor.batchPages / (result.kind === 'fault' ? 2 : 4))),
});

const fillHeap = async (stretch: Stretch, heap: HeapFacts): Promise<Halt> => {
  const { settings } = stretch.work;
  let cursor = await nextCursor(stretch, heap, false);
  let tries = 0;
  while (cursor.nextPage < cursor.endPage) {
    const halt = tooManyBad(stretch) ?? (await throttled(stretch));
    if (halt) return halt;
    if (Date.now() >= stretch.until) return undefined;
    const { result, from, to, tookMs } = await step(stretch, heap, cursor);
    switch (result.kind) {
      case 'advanced': {
        const pausedMs = pauseMs(result.rows, tookMs, settings.maxRowsPerSecond);
        if (pausedMs > 0) await sleep(pausedMs, undefined, { signal: stretch.signal }).catch(() => undefined);
        cursor = after(cursor, { from, to, tookMs, pausedMs }, result.rows, settings);
        stretch.rows += result.rows;
        stretch.badRows += result.badRows;
        tries = 0;
        await clearLockWait(stretch);
        break;
      }
      case 'rewritten':
        cursor = await nextCursor(stretch, heap, true);
        break;
      case 'fault':
        cursor = shrunk(cursor, result);
        break;
      case 'contended':
        tries += 1;
        if (stretch.signal?.aborted || tries >= maxTries) return inTheWay(stretch, heap, result.error);
        cursor = shrunk(cursor, result);
        await sleep(50 + Math.random() * 100 * 2 ** tries);
        break;
    }
  }
  return undefined;
};

const fillAll = async (stretch: Stretch): Promise<Outcome> => {
  for (const heap of stretch.work.table.heaps) {
    const halt = await fillHeap(stretch, heap);
    if (halt) return halt;
    if (Date.now() >= stretch.until) break;
  }
  return { kind: 'done', message: `filled ${stretch.rows} rows` };
};

/**
 * Works for about `budgetMs`, or until done; the ledger's facts tell how far it came. Bad rows don't end it:
 * they are kept by key. Throws FencedError.
 */
export const runBackfill = async (
  ref: LedgerRef,
  work: BackfillWork,
  signal?: AbortSignal,
): Promise<Outcome> => {
  try {
    const { badRows } = await readBackfill(ref.db, ref.id, work.table.oid);
    return await fillAll({
      ref,
      work,
      signal,
      until: Date.now() + work.budgetMs,
      rows: 0,
      badRows,
      lagCheckedAt: 0,
      waitedForLock: true,
    });
  } catch (error) {
    return outcomeOfHold(error, 'fill the new columns');
  }
};
