/** How fast the backfill is and when it ends, over a while with its pauses, throttles and restarts. Pure. */

/** How far it had come at a time of the database's clock. */
export interface Sample {
  readonly at: number;
  readonly pages: number;
  readonly rows: number;
}

/** What the samples tell. */
export interface Rate {
  readonly rowsPerSecond: number;
  readonly pagesPerSecond: number;
}

const windowMs = 60_000;
const spacingMs = 2_000;
// A rate over less says more of the first batch than of the table.
const shortestMs = 500;

/** The samples with one more: those that the window needs, no closer to each other than it takes. */
export const withSample = (samples: readonly Sample[], now: Sample): readonly Sample[] => {
  const last = samples.at(-1);
  // It began anew: a rewritten table, a retry, a restored database.
  if (last !== undefined && (now.pages < last.pages || now.at < last.at)) return [now];
  if (last !== undefined && now.at - last.at < spacingMs) return samples;
  const from = samples.findLastIndex(({ at }) => at <= now.at - windowMs);
  return [...samples.slice(Math.max(0, from)), now];
};

/** The rate over the window that ends now; undefined as long as there is too little to tell from. */
export const rateOf = (samples: readonly Sample[], now: Sample): Rate | undefined => {
  const first = samples.find(({ at }) => at >= now.at - windowMs) ?? samples.at(-1);
  if (first === undefined || now.at - first.at < shortestMs || now.pages < first.pages) return undefined;
  const seconds = (now.at - first.at) / 1_000;
  return {
    rowsPerSecond: (now.rows - first.rows) / seconds,
    pagesPerSecond: (now.pages - first.pages) / seconds,
  };
};

/** Milliseconds until all pages are done at this rate; undefined if nobody knows. Pages, because rows that already agree take their time too. */
export const leftMs = (rate: Rate | undefined, pagesLeft: number): number | undefined =>
  rate === undefined || rate.pagesPerSecond <= 0 ? undefined : (pagesLeft / rate.pagesPerSecond) * 1_000;
