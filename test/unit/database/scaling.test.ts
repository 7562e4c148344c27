/** How many workers: against servers that gain from more, and against those that do not. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { oneWorker, scaled, type Scaling } from '../../../src/database/scaling.ts';

/** The scaling after so many seconds on a server that gives a rate for a number of workers. */
const after = (
  seconds: number,
  rate: (workers: number) => number,
  max: number,
  from = oneWorker,
): Scaling => {
  let now = from;
  for (let n = 0; n < seconds; n++)
    now = scaled(now, { rowsPerSecond: rate(now.workers), tookMs: 1_000, pressed: false }, max);
  return now;
};

describe('without anybody in the way', () => {
  test('workers come one by one while each brings its share', () => {
    expect(after(1, (workers) => 1_000 * workers, 8).workers).toBe(2);
    expect(after(3, (workers) => 1_000 * workers, 8).workers).toBe(4);
    expect(after(30, (workers) => 1_000 * workers, 8).workers).toBe(8);
  });

  test('a worker that brings nothing goes, and none comes for a while', () => {
    const rate = (workers: number): number => Math.min(workers, 2) * 1_000;
    expect(after(3, rate, 8).workers).toBe(2);
    expect(after(50, rate, 8).workers).toBe(2);
  });

  test('a limit that was lowered holds at once', () => {
    expect(after(1, () => 1_000, 2, { workers: 6, best: 0, holdMs: 0 }).workers).toBe(2);
  });

  test('a rate that falls costs a worker', () => {
    const settled = after(20, (workers) => 1_000 * workers, 4);
    expect(settled.workers).toBe(4);
    expect(after(1, () => 1_500, 4, settled).workers).toBe(3);
  });
});

test('pressure halves them, and none comes for fifteen seconds', () => {
  const pressed = scaled(
    { workers: 5, best: 1, holdMs: 0 },
    { rowsPerSecond: 1, tookMs: 1_000, pressed: true },
    8,
  );
  expect(pressed.workers).toBe(2);
  expect(after(14, (workers) => 1_000 * workers, 8, pressed).workers).toBe(2);
  expect(after(15, (workers) => 1_000 * workers, 8, pressed).workers).toBe(3);
});

test('whatever is seen, there is one at least, and no more than allowed', () => {
  const interval = fc.record({
    rowsPerSecond: fc.double({ min: 0, max: 1e6, noNaN: true }),
    tookMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
    pressed: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 50 }), fc.integer({ min: 1, max: 32 }), (seen, max) => {
      let now = oneWorker;
      for (const each of seen) {
        const next = scaled(now, each, max);
        expect(next.workers).toBeGreaterThanOrEqual(1);
        expect(next.workers).toBeLessThanOrEqual(Math.min(max, now.workers + 1));
        now = next;
      }
    }),
  );
});
