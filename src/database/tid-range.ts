/** Ranges of a heap in physical order, and the search for the rows in them that make a statement fail. */

/** A place in a heap: page, and line within the page. */
export interface Tid {
  readonly page: number;
  readonly line: number;
}

/** From `from` up to but not including `to`. */
export interface TidRange {
  readonly from: Tid;
  readonly to: Tid;
}

/** As PostgreSQL writes a tid. */
export const tidText = ({ page, line }: Tid): string => `(${page},${line})`;

/** Whole pages. */
export const pageRange = (from: number, to: number): TidRange => ({
  from: { page: from, line: 0 },
  to: { page: to, line: 0 },
});

// MaxHeapTuplesPerPage is 291 for the usual 8 kB page; a line pointer and a header need at least 28 bytes.
/** At most so many lines are on a page. */
export const maxLines = (blockSize: number): number => Math.floor(blockSize / 28) + 1;

/** The range of `pages` from a place on, up to page `end`: whole pages, or, if less than one, lines of a page. */
export const rangeOf = (from: Tid, pages: number, end: number, blockSize: number): TidRange => {
  if (pages >= 1) return { from, to: { page: Math.min(from.page + Math.floor(pages), end), line: 0 } };
  const line = from.line + Math.max(1, Math.floor(pages * maxLines(blockSize)));
  return {
    from,
    to: line >= maxLines(blockSize) ? { page: from.page + 1, line: 0 } : { page: from.page, line },
  };
};

/** Pages of a range, a part of one as a fraction. */
export const pagesOf = ({ from, to }: TidRange, blockSize: number): number =>
  to.page - from.page + (to.line - from.line) / maxLines(blockSize);

/** Both halves of a range, or undefined if it holds one line only. */
const halves = (range: TidRange, blockSize: number): readonly [TidRange, TidRange] | undefined => {
  const { from, to } = range;
  const cut = (at: Tid): readonly [TidRange, TidRange] => [
    { from, to: at },
    { from: at, to },
  ];
  if (to.page - from.page > 1) return cut({ page: Math.floor((from.page + to.page) / 2), line: 0 });
  const end = to.page > from.page ? maxLines(blockSize) : to.line;
  if (end - from.line <= 1) return undefined;
  return cut({ page: from.page, line: Math.floor((from.line + end) / 2) });
};

/** What to do with each piece of a range. */
export interface Search {
  readonly blockSize: number;
  /** Does the work for a range; throws if any row of it is to blame, having left no trace. */
  readonly attempt: (range: TidRange) => Promise<void>;
  /** True for an error that a row is to blame for; anything else ends the search. */
  readonly isFault: (error: unknown) => boolean;
  /** Called with each row that is to blame. */
  readonly found: (row: TidRange, error: unknown) => Promise<void>;
}

/** Does the work for all rows but those to blame: log2(n) attempts for a lone one among n. */
export const bisect = async (range: TidRange, search: Search): Promise<void> => {
  try {
    await search.attempt(range);
  } catch (error) {
    if (!search.isFault(error)) throw error;
    const parts = halves(range, search.blockSize);
    if (!parts) return search.found(range, error);
    await bisect(parts[0], search);
    await bisect(parts[1], search);
  }
};
