/**
 * How big the next batch is: size follows time. Growth is slow and shrinking fast, because a batch too big
 * holds row locks too long, and one too small only costs a round trip. The numbers are spirit's (block/spirit,
 * pkg/table/chunker), which runs them at scale: at most 1.5 times bigger, a tenth at once at five times the target.
 */

/** Pages of (usually) 8 kB with which a heap is begun. */
export const firstPages = 16;
const maxPages = 8_192;

// Of a part of a page the most that can be said is that it should not take longer than this: what a transaction
// costs by itself, which on a busy server is more than a short target, does not shrink with it.
const partTargetMs = 100;

const factorOf = (tookMs: number, targetMs: number): number =>
  tookMs > 5 * targetMs ? 0.1 : Math.min(targetMs / Math.max(tookMs, 1), 1.5);

/**
 * Size of the next batch after one of `size` pages took `tookMs`. Whole pages from one on; below, a fraction of a
 * page, not under `smallest`: a page of rows with megabytes out of line (TOAST) may take seconds.
 */
export const nextSize = (size: number, tookMs: number, targetMs: number, smallest: number): number => {
  const factor = factorOf(tookMs, targetMs);
  const wanted = size * factor;
  if (wanted < 1 || size < 1) {
    const part = size * factorOf(tookMs, Math.max(targetMs, partTargetMs));
    return Math.min(1, Math.max(smallest, part));
  }
  return Math.min(factor >= 1 ? Math.round(wanted) : Math.floor(wanted), maxPages);
};

/** As `nextSize`, for work in whole pages. */
export const nextPages = (pages: number, tookMs: number, targetMs: number): number =>
  nextSize(pages, tookMs, targetMs, 1);

/** At most so much that a batch stays below a quarter of a second's worth of rows. */
export const cappedSize = (
  size: number,
  rowsPerPage: number,
  maxRowsPerSecond: number,
  smallest: number,
): number => {
  if (maxRowsPerSecond === 0 || rowsPerPage === 0) return size;
  const cap = maxRowsPerSecond / 4 / rowsPerPage;
  return Math.max(smallest, Math.min(size, cap < 1 ? cap : Math.floor(cap)));
};

/**
 * When the next batch may begin after one of `rows` that began at `now`, so that the cap holds over all workers:
 * `free` is what this gave for the batch before, of whichever worker. Times in milliseconds.
 */
export const freeAt = (free: number, now: number, rows: number, maxRowsPerSecond: number): number =>
  maxRowsPerSecond === 0 ? now : Math.max(free, now) + (rows / maxRowsPerSecond) * 1_000;
