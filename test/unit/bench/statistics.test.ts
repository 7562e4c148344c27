import { describe, expect, test } from '@jest/globals';
import { median, pairedRatio, summarise } from '../../../bench/statistics.ts';

describe('statistics of the benchmarks', () => {
  test('the median is the middle value, or the mean of the middle two', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow('no median');
  });

  test('a summary says how far its samples lie apart', () => {
    expect(summarise([90, 100, 120])).toEqual({
      median: 100,
      min: 90,
      max: 120,
      spread: 0.3,
      samples: [90, 100, 120],
    });
  });

  test('a ratio is taken round by round, so that a slow round weighs on both sides', () => {
    // The ratio of the medians would be 100 / 200.
    expect(pairedRatio([100, 10, 100], [100, 10, 200]).median).toBe(1);
  });

  test('a round that only one took part in does not count', () => {
    expect(pairedRatio([100, 10, 100], [50]).samples).toEqual([2]);
  });
});
