import { expect, test } from '@jest/globals';
import { Pace } from '../../../src/reconcile/pace.ts';

const key = 'shop/change';

test('what has an effect is followed up at once', () => {
  const pace = new Pace();
  const afters = ['begin', 'step add-columns', 'prove', 'enter'].map((did) =>
    pace.after(key, { did, afterMs: 0 }),
  );
  expect(afters).toEqual([0, 0, 0, 0]);
});

test('what is decided again and again slows down, up to half a minute', () => {
  const pace = new Pace();
  const afters = Array.from({ length: 20 }, () => pace.after(key, { did: 'step x', afterMs: 0 }) ?? -1);
  expect(afters.slice(0, 5)).toEqual([0, 0, 0, 200, 400]);
  expect(afters.at(-1)).toBe(30_000);
  expect(pace.after('shop/other', { did: 'step x', afterMs: 0 })).toBe(0);
  expect(pace.after(key, { did: 'step y', afterMs: 0 })).toBe(0);
});

test('the backfill is repeated by design', () => {
  const pace = new Pace();
  const afters = Array.from({ length: 50 }, () => pace.after(key, { did: 'backfill', afterMs: 0 }));
  expect(Math.max(...afters.map(Number))).toBe(0);
});

test('a wait keeps its own time, and an end has none', () => {
  const pace = new Pace();
  expect(pace.after(key, { afterMs: 60_000 })).toBe(60_000);
  expect(pace.after(key, {})).toBeUndefined();
});
