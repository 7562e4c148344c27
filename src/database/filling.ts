/** What one worker does: range by range, batch by batch, at the pace that the stretch allows. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runBatch, type BatchResult, type RowWork } from './batch.ts';
import type { DatabaseError } from './errors.ts';
import type { HeapFacts } from '../api/facts.ts';
import type { RangeCursor } from './heap-cursor.ts';
import type { LedgerRef } from './ledger.ts';
import { cappedSize, freeAt, nextSize } from './pace.ts';
import type { PageSupply, Supply } from './page-supply.ts';
import { maxLines, pagesOf, rangeOf } from './tid-range.ts';

/** What the workers of a stretch have in common. */
export interface Crew {
  readonly ref: LedgerRef;
  readonly work: RowWork;
  readonly supply: PageSupply;
  readonly signal: AbortSignal | undefined;
  readonly targetBatchMs: number;
  /** Over all workers; 0 is no cap. */
  readonly maxRowsPerSecond: number;
  /** The backfill goes no further with so many, those of earlier stretches included. */
  readonly maxBadRows: number;
  readonly blockSize: number;
  /** Workers that there should be: one with a number from this on ends. */
  workers: number;
  /** No batch begins after this. */
  until: number;
  /** Until then others wait for us: batches are halved and followed by a pause as long as they took. */
  pressedUntil: number;
  /** When the cap on rows allows the next batch. */
  freeAt: number;
  rows: number;
  badRows: number;
  /** Server processes that fill a batch now. */
  readonly pids: Set<number>;
}

/** Why a worker ended: nothing is left for it or its time is over, or rows that others hold did not come free. */
export type End =
  | { readonly kind: 'over' }
  | { readonly kind: 'contended'; readonly heap: HeapFacts; readonly error: DatabaseError };

// How long rows that a batch has already locked may wait for one that somebody else holds.
const rowLockTimeoutMs = 200;
const longestLoneRowMs = 60_000;
const maxTries = 5;

const isOver = (crew: Crew, worker: number): boolean =>
  worker >= crew.workers ||
  Date.now() >= crew.until ||
  crew.badRows >= crew.maxBadRows ||
  crew.signal?.aborted === true;

const pause = async (crew: Crew, ms: number): Promise<void> => {
  if (ms > 0) await sleep(ms, undefined, { signal: crew.signal }).catch(() => undefined);
};

/** One batch and the cursor behind it, with the size that it teaches for the next. */
const step = async (crew: Crew, { heap }: Supply, cursor: RangeCursor) => {
  const { blockSize, targetBatchMs, work } = crew;
  const smallest = 1 / maxLines(blockSize);
  const range = rangeOf(cursor.next, cursor.batchPages, cursor.endPage, blockSize);
  const began = performance.now();
  const result = await runBatch(
    crew.ref,
    work,
    { heap, cursor, range, blockSize },
    {
      lockTimeoutMs: rowLockTimeoutMs,
      statementTimeoutMs:
        cursor.batchPages <= smallest ? longestLoneRowMs : Math.max(10 * targetBatchMs, 2_000),
      signal: crew.signal,
      watched: (pid, running) => (running ? crew.pids.add(pid) : crew.pids.delete(pid)),
    },
  );
  return { result, range, smallest, tookMs: performance.now() - began };
};

type Step = Awaited<ReturnType<typeof step>>;

const advanced = (crew: Crew, cursor: RangeCursor, { range, smallest, tookMs }: Step, rows: number) => {
  const pages = pagesOf(range, crew.blockSize);
  const { targetBatchMs, maxRowsPerSecond } = crew;
  // The last batch of a range may be cut short, and says less of the size than its place does.
  const grown = Math.max(
    nextSize(pages, tookMs, targetBatchMs, smallest),
    tookMs < targetBatchMs ? cursor.batchPages : 0,
  );
  const pressed = Date.now() < crew.pressedUntil;
  return {
    ...cursor,
    next: range.to,
    batchPages: cappedSize(
      // Below a page it is the rows that are slow, not their number.
      pressed ? Math.min(grown, Math.max(1, cursor.batchPages / 2)) : grown,
      rows / pages,
      maxRowsPerSecond,
      smallest,
    ),
  };
};

/** Pauses for the cap on rows, and for whoever waits for us. */
const rest = async (crew: Crew, began: number, rows: number, tookMs: number): Promise<void> => {
  crew.freeAt = freeAt(crew.freeAt, began, rows, crew.maxRowsPerSecond);
  const courtesy = Date.now() < crew.pressedUntil ? tookMs : 0;
  await pause(crew, Math.max(crew.freeAt - Date.now(), courtesy));
};

const shrunk = (cursor: RangeCursor, by: number, smallest: number): RangeCursor => {
  const size = cursor.batchPages / by;
  return { ...cursor, batchPages: Math.max(smallest, size >= 1 ? Math.floor(size) : size) };
};

const isDone = (cursor: RangeCursor): boolean => cursor.next.page >= cursor.endPage;

/** In one stretch; one alone is a writer in passing. */
const waitsWorthTelling = 2;

const fillRange = async (crew: Crew, worker: number, supply: Supply): Promise<End | undefined> => {
  const smallest = 1 / maxLines(crew.blockSize);
  const size = cappedSize(supply.cursor.batchPages, supply.rowsPerPage, crew.maxRowsPerSecond, smallest);
  let cursor: RangeCursor = { ...supply.cursor, batchPages: size };
  let tries = 0;
  let waits = 0;
  while (!isDone(cursor)) {
    const began = Date.now();
    const done = await step(crew, supply, cursor);
    const result: BatchResult = done.result;
    switch (result.kind) {
      case 'advanced':
        crew.rows += result.rows;
        crew.badRows += result.badRows;
        tries = 0;
        cursor = advanced(crew, cursor, done, result.rows);
        await rest(crew, began, result.rows, done.tookMs);
        break;
      case 'rewritten':
        await crew.supply.restart(supply.heap);
        return undefined;
      case 'fault':
        // Down to a page, and of that all but the bad rows is filled.
        cursor = shrunk(cursor, 2, 1);
        break;
      case 'contended':
        // One that took too long was too big, and nobody was in its way.
        if (result.error.kind !== 'transient' || cursor.batchPages <= smallest) tries += 1;
        cursor = shrunk(cursor, 4, smallest);
        waits += 1;
        // Also where the time is up: the tries are not kept, and stretch after stretch would say nothing of it.
        if (tries >= maxTries || (waits >= waitsWorthTelling && isOver(crew, worker))) {
          crew.supply.giveBack(cursor);
          return { kind: 'contended', heap: supply.heap, error: result.error };
        }
        await pause(crew, 50 + Math.random() * 100 * 2 ** tries);
        break;
    }
    if (!isDone(cursor) && isOver(crew, worker)) {
      crew.supply.giveBack(cursor);
      return { kind: 'over' };
    }
  }
  return isOver(crew, worker) ? { kind: 'over' } : undefined;
};

/** Works until nothing is left, its time is over, or a lock does not come. Throws as `held` does. */
export const fillRanges = async (crew: Crew, worker: number): Promise<End> => {
  for (;;) {
    const supply = await crew.supply.next(crew.workers);
    if (supply === undefined) return { kind: 'over' };
    const end = await fillRange(crew, worker, supply);
    if (end !== undefined) return end;
  }
};
