import { expect, test } from '@jest/globals';
import { Backoff, watchBackoff } from '../../../src/kube/backoff.ts';
import { TokenBucket } from '../../../src/kube/token-bucket.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('the ceiling of a wait doubles from 0.8 s to 30 s', () => {
  const backoff = new Backoff(watchBackoff, new ManualClock(), () => 1);
  expect(Array.from({ length: 8 }, () => backoff.next())).toEqual([
    800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000,
  ]);
});

test('the wait is anything below its ceiling', () => {
  const random = [0, 0.5, 0.999];
  const backoff = new Backoff(watchBackoff, new ManualClock(), () => random.shift() ?? 0);
  expect(Array.from({ length: 3 }, () => Math.round(backoff.next()))).toEqual([0, 800, 3_197]);
});

test('failures are forgotten after two good minutes, and not before', async () => {
  const clock = new ManualClock();
  const backoff = new Backoff(watchBackoff, clock, () => 1);
  for (let i = 0; i < 5; i += 1) backoff.next();
  await clock.advance(119_000);
  expect(backoff.next()).toBe(25_600);
  await clock.advance(120_001);
  expect(backoff.next()).toBe(800);
});

test('a bucket gives its burst, then so many a second, and never saves up more', async () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, clock);
  await clock.advance(60_000);
  expect(Array.from({ length: 5 }, () => bucket.reserve())).toEqual([0, 0, 0, 500, 1_000]);
  await clock.advance(1_500);
  expect([bucket.tryTake(), bucket.tryTake()]).toEqual([true, false]);
});
