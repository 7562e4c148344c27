import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cappedSize, freeAt, nextPages, nextSize } from '../../../src/database/pace.ts';

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

describe('below a page', () => {
  const smallest = 1 / 293;

  test('a page that takes long is filled in parts, down to a line', () => {
    expect(nextSize(1, 200, 100, smallest)).toBe(0.5);
    expect(nextSize(1, 2_000, 100, smallest)).toBe(0.1);
    expect(nextSize(smallest, 2_000, 100, smallest)).toBe(smallest);
    expect(nextSize(0.9, 10, 100, smallest)).toBe(1);
    // A short target is not reached by tearing pages apart.
    expect(nextSize(1, 30, 5, smallest)).toBe(1);
    expect(nextSize(0.5, 30, 5, smallest)).toBe(0.75);
  });

  test('finds the target for rows of any weight', () => {
    fc.assert(
      fc.property(fc.double({ min: 100, max: 10_000, noNaN: true }), (msPerPage) => {
        let size = 16;
        for (let n = 0; n < 60; n++) size = nextSize(size, size * msPerPage, 100, smallest);
        expect(size * msPerPage).toBeLessThanOrEqual(150);
        expect(size * msPerPage).toBeGreaterThanOrEqual(20);
      }),
    );
  });
});

describe('a cap on rows per second', () => {
  test('keeps a batch below a quarter of a second’s worth', () => {
    expect(cappedSize(100, 50, 0, 0.01)).toBe(100);
    expect(cappedSize(100, 50, 1_000, 0.01)).toBe(5);
    expect(cappedSize(3, 50, 1_000, 0.01)).toBe(3);
    expect(cappedSize(16, 0, 1_000, 0.01)).toBe(16);
    expect(cappedSize(100, 1_000, 100, 0.01)).toBe(0.025);
    expect(cappedSize(100, 1_000, 1, 0.01)).toBe(0.01);
  });

  test('is kept by all workers together', () => {
    expect(freeAt(0, 1_000, 500, 0)).toBe(1_000);
    expect(freeAt(0, 1_000, 500, 10_000)).toBe(1_050);
    // A second worker that began at the same time comes after the first one's share.
    expect(freeAt(1_050, 1_000, 500, 10_000)).toBe(1_100);
  });
});
