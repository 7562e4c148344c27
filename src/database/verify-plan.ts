/** Which pages a verification reads next. Pure. */

/** A verification's place in one heap. */
export interface Place {
  readonly nextPage: number;
  readonly endPage: number;
  /** Percent of the pages that are read: 100 is all. */
  readonly share: number;
}

/** Pages from `from` up to `to`, and where the next range begins. */
export interface PageStretch {
  readonly from: number;
  readonly to: number;
  readonly next: number;
}

/** Pages of the first range: 32 MB, a fraction of a second's worth. */
export const firstRangePages = 4_096;
const maxRangePages = 65_536;
const targetMs = 500;

// Small enough that a sample comes from all over the heap, big enough that reading it is worth a statement.
const chunkOf = (endPage: number): number => Math.max(16, Math.ceil(endPage / 2_000));

/**
 * The next range of `pages` at most, undefined at the heap's end. A share of less than 100 percent reads chunks
 * at even distances, the first one included: faults that come in stretches, such as those of one bad night, are
 * met in proportion.
 */
export const nextStretch = ({ nextPage, endPage, share }: Place, pages: number): PageStretch | undefined => {
  if (nextPage >= endPage) return undefined;
  const chunk = chunkOf(endPage);
  const distance = share >= 100 ? endPage : Math.floor((chunk * 100) / share);
  const start = Math.floor(nextPage / distance) * distance;
  const end = Math.min(share >= 100 ? endPage : start + chunk, endPage);
  const to = Math.min(nextPage + pages, end);
  return { from: nextPage, to, next: to < end ? to : Math.min(start + distance, endPage) };
};

/** Pages of the next range after one of `pages` took `tookMs`. Reading holds up nobody, so it may grow fast. */
export const nextRangePages = (pages: number, tookMs: number): number => {
  const factor = Math.min(targetMs / Math.max(tookMs, 1), 4);
  return Math.min(Math.max(Math.round(pages * factor), 1), maxRangePages);
};
