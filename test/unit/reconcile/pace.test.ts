import { expect, test } from '@jest/globals';
import type { Reason } from '../../../src/api/reasons.ts';
import { Pace } from '../../../src/reconcile/pace.ts';

const key = 'shop/change';

test('what has an effect is followed up at once', () => {
  const pace = new Pace();
  const afters = ['begin', 'step add-columns', 'prove', 'enter'].map((did) =>
    pace.after(key, { did, afterMs: 0 }, 0),
  );
  expect(afters).toEqual([0, 0, 0, 0]);
});

test('what is decided again and again slows down, up to half a minute', () => {
  const pace = new Pace();
  const afters = Array.from({ length: 20 }, () => pace.after(key, { did: 'step x', afterMs: 0 }, 0) ?? -1);
  expect(afters.slice(0, 5)).toEqual([0, 0, 0, 200, 400]);
  expect(afters.at(-1)).toBe(30_000);
  expect(pace.after('shop/other', { did: 'step x', afterMs: 0 }, 0)).toBe(0);
  expect(pace.after(key, { did: 'step y', afterMs: 0 }, 0)).toBe(0);
});

test('the backfill is repeated by design', () => {
  const pace = new Pace();
  const afters = Array.from({ length: 50 }, () => pace.after(key, { did: 'backfill', afterMs: 0 }, 0));
  expect(Math.max(...afters.map(Number))).toBe(0);
});

const waits = (reason: Reason, recheckMs: number, stalled = false) => ({
  afterMs: recheckMs,
  waits: { reason, recheckMs, stalled },
});

test('a wait is looked at as often as it asks for at first, less often the longer it lasts, and an end never', () => {
  const pace = new Pace();
  const rolling = waits('RollingOut', 1_000);
  const after = (now: number) => pace.after(key, rolling, now);
  expect([0, 9_000, 60_000, 3_600_000].map(after)).toEqual([1_000, 1_000, 6_000, 60_000]);
  expect(pace.after(key, {}, 0)).toBeUndefined();
});

test('what a person has to mend is looked at least often, and a wait never more often than it asks for', () => {
  const pace = new Pace();
  const stalled = waits('SecretNotFound', 5_000, true);
  expect([0, 60_000, 36_000_000].map((now) => pace.after(key, stalled, now))).toEqual([
    5_000, 6_000, 300_000,
  ]);
  const other = waits('Suspended', 120_000);
  expect([0, 36_000_000].map((now) => pace.after('shop/other', other, now))).toEqual([120_000, 120_000]);
});

test('another reason, another time that was asked for, or something that was done begins anew', () => {
  const pace = new Pace();
  pace.after(key, waits('InQuarantine', 60_000), 0);
  // The end of a quarantine is kept to the second, however long it lasted.
  expect(pace.after(key, waits('InQuarantine', 700), 86_400_000)).toBe(700);
  expect(pace.after(key, waits('OldCodeRunning', 2_000), 86_500_000)).toBe(2_000);
  pace.after(key, { did: 'enter', afterMs: 0 }, 86_600_000);
  expect(pace.after(key, waits('OldCodeRunning', 2_000), 86_700_000)).toBe(2_000);
});
