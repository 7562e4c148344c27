import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextRangePages, nextStretch, type PageStretch } from '../../../src/database/verify-plan.ts';

const all = (endPage: number, share: number, pages: number): readonly PageStretch[] => {
  const stretches: PageStretch[] = [];
  for (let nextPage = 0; ;) {
    const stretch = nextStretch({ nextPage, endPage, share }, pages);
    if (stretch === undefined) return stretches;
    stretches.push(stretch);
    nextPage = stretch.next;
  }
};

const heaps = fc.integer({ min: 0, max: 300_000 });
const sizes = fc.integer({ min: 1, max: 5_000 }).map((n) => n * 20);

describe('the ranges of a heap', () => {
  test('read every page once, in order, without a gap', () => {
    fc.assert(
      fc.property(heaps, sizes, (endPage, pages) => {
        let page = 0;
        for (const { from, to, next } of all(endPage, 100, pages)) {
          expect([from, next]).toEqual([page, to]);
          expect(to - from).toBeLessThanOrEqual(pages);
          expect(to).toBeGreaterThan(from);
          page = next;
        }
        expect(page).toBe(endPage);
      }),
    );
  });

  test('of a sample read its share of them at least, from the first to the last part', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10_000, max: 300_000 }),
        sizes,
        fc.integer({ min: 1, max: 99 }),
        (endPage, pages, share) => {
          const stretches = all(endPage, share, pages);
          const read = stretches.reduce((n, { from, to }) => n + to - from, 0);
          expect(read / endPage).toBeGreaterThanOrEqual(share / 100);
          expect(read / endPage).toBeLessThan(share / 100 + 0.07);
          expect(stretches[0]?.from).toBe(0);
          expect(stretches.at(-1)?.to).toBeGreaterThan(endPage * 0.8);
          for (const [n, { to }] of stretches.entries())
            expect(stretches[n + 1]?.from ?? Infinity).toBeGreaterThanOrEqual(to);
        },
      ),
    );
  });

  test('of a sample of a small heap read it whole', () => {
    expect(all(12, 5, 2_048)).toEqual([{ from: 0, to: 12, next: 12 }]);
  });

  test('grow with speed, shrink with slowness, and stay within bounds', () => {
    expect(nextRangePages(1_000, 500)).toBe(1_000);
    expect(nextRangePages(1_000, 1)).toBe(4_000);
    expect(nextRangePages(1_000, 5_000)).toBe(100);
    expect(nextRangePages(1, 60_000)).toBe(1);
    expect(nextRangePages(60_000, 1)).toBe(65_536);
  });
});
