/** How long what reads or writes every row is likely to take. Pure. */
import type { SchemaChangeSpec } from '../../api/schema-change.ts';

/**
 * Rows per second, as measured on tables of 1,000,000 rows on two idle cores (docs/benchmarks.md, "What was found"):
 * the narrow table has 4 columns and one index, the wide one 20 columns and four. A table of one's own lies between
 * or below; what it is, its first minute of backfill tells.
 */
const measured = {
  fill: { oneWorker: { narrow: 221_317, wide: 35_766 }, twoWorkers: { narrow: 329_730, wide: 40_426 } },
  /** A scan of a million rows in memory, with the comparison: 162 ms (docs/benchmarks.md, "What limits it"). */
  compare: 1_000_000 / 0.162,
} as const;

/** Seconds from the fastest to the slowest that was measured. */
export interface Estimate {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

const capped = (rate: number, cap: number): number => (cap > 0 ? Math.min(rate, cap) : rate);

/** Time to fill so many rows. */
export const fillEstimate = (
  rows: number,
  { maxWorkers, maxRowsPerSecond }: SchemaChangeSpec['backfill'],
): Estimate => {
  const { narrow, wide } = maxWorkers > 1 ? measured.fill.twoWorkers : measured.fill.oneWorker;
  return {
    fromSeconds: rows / capped(narrow, maxRowsPerSecond),
    toSeconds: rows / capped(wide, maxRowsPerSecond),
  };
};

/** Time to read so many rows once, from memory; from disk it is the disk's. */
export const scanEstimate = (rows: number): Estimate => ({
  fromSeconds: rows / measured.compare,
  toSeconds: rows / measured.compare,
});

const units = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3_600 },
  { name: 'min', seconds: 60 },
] as const;

/** A time as people say it: `3 min`, `1.5 h`, `under a second`. */
export const spoken = (seconds: number): string => {
  if (seconds < 1) return 'under a second';
  const unit = units.find((candidate) => seconds >= 2 * candidate.seconds);
  if (unit === undefined) return `${Math.round(seconds)} s`;
  const value = seconds / unit.seconds;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit.name}`;
};

/** `40 s to 4 min`, or one time where both are the same. */
export const spokenRange = ({ fromSeconds, toSeconds }: Estimate): string => {
  const [from, to] = [spoken(fromSeconds), spoken(toSeconds)];
  return from === to ? `about ${to}` : `${from} to ${to}`;
};
