/**
 * How big the next batch is: size follows time. Growth is slow and shrinking fast, because a batch too big
 * holds row locks too long, and one too small only costs a round trip. The numbers are spirit's (block/spirit,
 * pkg/table/chunker), which runs them at scale: at most 1.5 times bigger, a tenth at once at five times the target.
 */

/** Bounds of a batch, in pages of (usually) 8 kB. */
export const firstPages = 16;
const maxPages = 8_192;

/** Pages of the next batch after one of `pages` took `tookMs`. */
export const nextPages = (pages: number, tookMs: number, targetMs: number): number => {
  if (tookMs > 5 * targetMs) return Math.max(1, Math.floor(pages / 10));
  const factor = Math.min(targetMs / Math.max(tookMs, 1), 1.5);
  const next = factor >= 1 ? Math.round(pages * factor) : Math.floor(pages * factor);
  return Math.min(Math.max(next, 1), maxPages);
};

/** At most so many pages that a batch stays below a quarter of a second's worth of rows. */
export const cappedPages = (pages: number, rowsPerPage: number, maxRowsPerSecond: number): number =>
  maxRowsPerSecond === 0 || rowsPerPage === 0
    ? pages
    : Math.max(1, Math.min(pages, Math.floor(maxRowsPerSecond / 4 / rowsPerPage)));

/** How long to pause after `rows` that took `tookMs`, so that the cap holds. */
export const pauseMs = (rows: number, tookMs: number, maxRowsPerSecond: number): number =>
  maxRowsPerSecond === 0 ? 0 : Math.max(0, (rows / maxRowsPerSecond) * 1_000 - tookMs);
