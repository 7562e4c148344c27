/** Rates and the time that is left: fair with pauses, silent where nobody knows. */
import { expect, test } from '@jest/globals';
import { leftMs, rateOf, withSample, type Sample } from '../../../src/database/progress.ts';

const at = (seconds: number, pages: number): Sample => ({ at: seconds * 1_000, pages, rows: pages * 100 });

const samples = (of: readonly Sample[]): readonly Sample[] =>
  of.reduce<readonly Sample[]>((all, sample) => withSample(all, sample), []);

test('pauses count', () => {
  const seen = samples([at(0, 0), at(10, 100)]);
  expect(rateOf(seen, at(10, 100))).toEqual({ rowsPerSecond: 1_000, pagesPerSecond: 10 });
  expect(rateOf(seen, at(20, 100))).toEqual({ rowsPerSecond: 500, pagesPerSecond: 5 });
});

test('a minute counts, and what came before it does not', () => {
  const seen = samples(Array.from({ length: 60 }, (_, n) => at(2 * n, n < 30 ? 0 : (n - 30) * 20)));
  expect(rateOf(seen, at(120, 600))?.pagesPerSecond).toBeCloseTo(10);
  expect(seen.length).toBeLessThanOrEqual(32);
});

test('after a standstill of hours the rate is none, and the end unknown', () => {
  const seen = samples([at(0, 0), at(10, 100)]);
  const rate = rateOf(seen, at(10_000, 100));
  expect(rate).toEqual({ rowsPerSecond: 0, pagesPerSecond: 0 });
  expect(leftMs(rate, 900)).toBeUndefined();
});

test('the time that is left goes by pages', () => {
  expect(leftMs(rateOf(samples([at(0, 0)]), at(10, 100)), 900)).toBe(90_000);
  expect(leftMs(rateOf([], at(10, 100)), 900)).toBeUndefined();
  expect(leftMs(rateOf(samples([at(0, 0)]), at(0.1, 1)), 900)).toBeUndefined();
});

test('a restored database or a table that was rewritten begins anew', () => {
  expect(samples([at(0, 0), at(10, 100), at(20, 50)])).toEqual([at(20, 50)]);
  expect(samples([at(10, 100), at(5, 200)])).toEqual([at(5, 200)]);
});
