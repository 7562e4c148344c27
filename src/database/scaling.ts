/**
 * How many workers: one at first, one more as long as the last one brought a useful share, fewer as soon as others
 * wait for us. Pure. After spirit (block/spirit, pkg/throttler), which adds one at a time, takes one away under
 * load and halves under overload; what counts here is the rate itself, because the server's load is not ours to read.
 */

/** Where the scaling stands; kept in the ledger from one stretch to the next. */
export interface Scaling {
  readonly workers: number;
  /** Rows per second before the last worker came, while it is still to be judged. */
  readonly before?: number;
  /** The best rate of late with so many. */
  readonly best: number;
  /** No worker is added before so much time has passed. */
  readonly holdMs: number;
}

/** What an interval has shown. */
export interface Interval {
  readonly rowsPerSecond: number;
  readonly tookMs: number;
  /** True if somebody waited for us, a lock was waited for, or a throttle was met. */
  readonly pressed: boolean;
}

/** A worker that brings less of what each of the others does is not worth its connection and its locks. */
const usefulShare = 0.4;
const holdAfterPressureMs = 15_000;
const holdAfterNoGainMs = 60_000;
/** Below this part of the best rate something else is in the way, and more of us won't help. */
const fallen = 0.6;

/** Where every backfill begins. */
export const oneWorker: Scaling = { workers: 1, best: 0, holdMs: 0 };

const fewer = (workers: number, holdMs: number): Scaling => ({
  workers: Math.max(1, workers),
  best: 0,
  holdMs,
});

/** The scaling after an interval, within `max` workers. */
export const scaled = (now: Scaling, seen: Interval, max: number): Scaling => {
  if (now.workers > max) return fewer(max, 0);
  if (seen.pressed) return fewer(Math.floor(now.workers / 2), holdAfterPressureMs);
  const holdMs = Math.max(0, now.holdMs - seen.tookMs);
  if (now.before !== undefined) {
    const useful = now.before * (1 + usefulShare / (now.workers - 1));
    if (seen.rowsPerSecond < useful) return fewer(now.workers - 1, holdAfterNoGainMs);
  } else if (seen.rowsPerSecond < fallen * now.best) {
    return fewer(now.workers - 1, holdAfterPressureMs);
  }
  // A best of long ago says little of the pages that are filled now.
  const best = Math.max(seen.rowsPerSecond, 0.95 * now.best);
  if (holdMs > 0 || now.workers === max) return { workers: now.workers, best, holdMs };
  return { workers: now.workers + 1, before: seen.rowsPerSecond, best, holdMs: 0 };
};
