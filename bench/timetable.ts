/** How the time of a run is shared out, so that a run ends when it should and the last suite gets its turn. */
import type { SuiteName } from './options.ts';

/** Minutes that each suite takes with the defaults on two idle cores, one round at least of each size. */
const shares: Readonly<Record<SuiteName, number>> = {
  backfill: 11,
  trigger: 2,
  verify: 1,
  traffic: 3,
  memory: 4,
  operator: 4,
};

/** When the first of the suites that are left should be done: what earlier ones did not use is shared by the rest. */
export const shareOf = (left: readonly SuiteName[], now: number, end: number): number => {
  const [first] = left;
  if (first === undefined) return now;
  const all = left.reduce((sum, name) => sum + shares[name], 0);
  return now + ((end - now) * shares[first]) / all;
};

/** When the first of so many like pieces of work should be done. */
export const partOf = (until: number, pieces: number): number => {
  const now = performance.now();
  return now + (until - now) / pieces;
};

// A bigger table takes minutes for each contender.
const bigTable = 1_000_000;

/** True for sizes that only what is essential is measured at in a run with a bound. */
export const isBig = (rows: number, until: number): boolean => Number.isFinite(until) && rows > bigTable;
