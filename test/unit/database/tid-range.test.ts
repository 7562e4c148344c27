import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bisect, pageRange, tidText, type Tid, type TidRange } from '../../../src/database/tid-range.ts';

const compare = (a: Tid, b: Tid): number => a.page - b.page || a.line - b.line;
const holds = ({ from, to }: TidRange, tid: Tid): boolean => compare(from, tid) <= 0 && compare(tid, to) < 0;

const fault = new Error('a row is to blame');

/** A heap of so many pages with so many lines each, some of which are at fault. */
const search = async (pages: number, lines: number, faults: readonly Tid[]) => {
  const done = new Map<string, number>();
  const found: string[] = [];
  let attempts = 0;
  await bisect(pageRange(0, pages), {
    blockSize: 8_192,
    isFault: (error) => error === fault,
    attempt: async (range) => {
      attempts += 1;
      if (faults.some((tid) => holds(range, tid))) throw fault;
      for (let page = 0; page < pages; page++)
        for (let line = 1; line <= lines; line++) {
          const tid = { page, line };
          if (holds(range, tid)) done.set(tidText(tid), (done.get(tidText(tid)) ?? 0) + 1);
        }
    },
    found: async ({ from }) => {
      found.push(tidText(from));
    },
  });
  return { done, found, attempts };
};

describe('the search for rows at fault', () => {
  test('finds each of them, and does every other row exactly once', async () => {
    const place = fc.record({ page: fc.nat({ max: 4 }), line: fc.integer({ min: 1, max: 40 }) });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(place, { maxLength: 6, selector: tidText }), async (faults) => {
        const { done, found } = await search(5, 40, faults);
        expect(found.sort()).toEqual(faults.map(tidText).sort());
        expect(done.size).toBe(200 - faults.length);
        expect([...done.values()].every((times) => times === 1)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('takes few attempts for a lone one', async () => {
    const { attempts } = await search(64, 100, [{ page: 33, line: 77 }]);
    expect(attempts).toBeLessThan(40);
  });

  test('passes on what no row is to blame for', async () => {
    const attempt = async (): Promise<void> => {
      throw new Error('the connection is gone');
    };
    await expect(
      bisect(pageRange(0, 8), {
        blockSize: 8_192,
        isFault: () => false,
        attempt,
        found: async () => undefined,
      }),
    ).rejects.toThrow('gone');
  });
});
