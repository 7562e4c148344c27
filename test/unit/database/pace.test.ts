import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cappedPages, nextPages, pauseMs } from '../../../src/database/pace.ts';

const pages = fc.integer({ min: 1, max: 8_192 });
const milliseconds = fc.double({ min: 0.01, max: 60_000, noNaN: true });

describe('the size of the next batch', () => {
  test('stays within its bounds, and grows at most by half', () => {
    fc.assert(
      fc.property(pages, milliseconds, fc.integer({ min: 1, max: 10_000 }), (size, took, target) => {
        const next = nextPages(size, took, target);
        expect(Number.isInteger(next)).toBe(true);
        expect(next).toBeGreaterThanOrEqual(1);
        expect(next).toBeLessThanOrEqual(Math.min(8_192, Math.ceil(size * 1.5)));
        if (took > target && size > 1) expect(next).toBeLessThan(size);
      }),
    );
  });

  test.each([
    [100, 100, 100],
    [100, 50, 150],
    [100, 200, 50],
    [100, 501, 10],
    [1, 10, 2],
    [1, 10_000, 1],
  ])('%d pages that took %d ms of 100 are followed by %d', (size, took, next) => {
    expect(nextPages(size, took, 100)).toBe(next);
  });

  test('finds the target whatever the speed of the table', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.05, max: 80, noNaN: true }), (msPerPage) => {
        let size = 16;
        for (let n = 0; n < 60; n++) size = nextPages(size, size * msPerPage, 100);
        const took = size * msPerPage;
        expect(size === 1 || took <= 150).toBe(true);
        expect(size === 8_192 || took + msPerPage >= 60).toBe(true);
      }),
    );
  });
});

describe('a cap on rows per second', () => {
  test('keeps a batch below a quarter of a second’s worth', () => {
    expect(cappedPages(100, 50, 0)).toBe(100);
    expect(cappedPages(100, 50, 1_000)).toBe(5);
    expect(cappedPages(3, 50, 1_000)).toBe(3);
    expect(cappedPages(100, 1_000, 100)).toBe(1);
  });

  test('is kept by pausing', () => {
    expect(pauseMs(1_000, 10, 0)).toBe(0);
    expect(pauseMs(1_000, 100, 10_000)).toBe(0);
    expect(pauseMs(1_000, 40, 10_000)).toBe(60);
  });
});
