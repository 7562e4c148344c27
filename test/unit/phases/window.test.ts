/** The maintenance window against the calendar: midnight, weekdays, both changes of the clock. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BackfillWindow } from '../../../src/api/schema-change.ts';
import { windowAt } from '../../../src/phases/window.ts';

const allDays: BackfillWindow['days'] = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const nightly: BackfillWindow = { from: '22:00', to: '05:00', timeZone: 'Europe/Berlin', days: allDays };
const at = (time: string): number => Date.parse(time);

/** Next opening as a time, `open`, or the kind. */
const said = (window: BackfillWindow, time: string): string => {
  const state = windowAt(window, at(time));
  if (state.kind !== 'closed') return state.kind;
  return state.opensAt === undefined ? 'never' : new Date(state.opensAt).toISOString();
};

describe('a window over midnight', () => {
  test.each([
    ['2026-01-14T20:59:59Z', '2026-01-14T21:00:00.000Z'],
    ['2026-01-14T21:00:00Z', 'open'],
    ['2026-01-15T03:59:59Z', 'open'],
    ['2026-01-15T04:00:00Z', '2026-01-15T21:00:00.000Z'],
  ])('at %s: %s', (time, expected) => expect(said(nightly, time)).toBe(expected));

  test('belongs to the day on which it opens', () => {
    // 2026-01-16 is a Friday.
    const fridays: BackfillWindow = { ...nightly, days: ['Fri'] };
    expect(said(fridays, '2026-01-16T22:00:00Z')).toBe('open');
    expect(said(fridays, '2026-01-17T03:00:00Z')).toBe('open');
    expect(said(fridays, '2026-01-16T03:00:00Z')).toBe('2026-01-16T21:00:00.000Z');
    expect(said(fridays, '2026-01-17T04:00:00Z')).toBe('2026-01-23T21:00:00.000Z');
  });
});

describe('when the clock is changed', () => {
  // Berlin: 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
  test('the opening keeps its wall-clock time', () => {
    expect(said(nightly, '2026-03-28T12:00:00Z')).toBe('2026-03-28T21:00:00.000Z');
    expect(said(nightly, '2026-03-29T12:00:00Z')).toBe('2026-03-29T20:00:00.000Z');
    expect(said(nightly, '2026-10-25T12:00:00Z')).toBe('2026-10-25T21:00:00.000Z');
  });

  test('an opening in the hour that is left out comes right after it', () => {
    const early: BackfillWindow = { ...nightly, from: '02:30', to: '04:00' };
    expect(said(early, '2026-03-28T23:30:00Z')).toBe('2026-03-29T01:00:00.000Z');
  });

  test('a window that lies in that hour alone opens the day after', () => {
    const early: BackfillWindow = { ...nightly, from: '02:15', to: '02:45' };
    expect(said(early, '2026-03-28T23:30:00Z')).toBe('2026-03-30T00:15:00.000Z');
  });

  test('a window in the hour that comes twice is open twice', () => {
    const early: BackfillWindow = { ...nightly, from: '02:00', to: '03:00' };
    expect(said(early, '2026-10-25T00:30:00Z')).toBe('open');
    expect(said(early, '2026-10-25T01:30:00Z')).toBe('open');
    expect(said(early, '2026-10-25T02:00:00Z')).toBe('2026-10-26T01:00:00.000Z');
  });
});

test('equal times are a whole day', () => {
  const sundays: BackfillWindow = { from: '00:00', to: '00:00', timeZone: 'UTC', days: ['Sun'] };
  expect(said(sundays, '2026-01-18T00:00:00Z')).toBe('open');
  expect(said(sundays, '2026-01-18T23:59:59Z')).toBe('open');
  expect(said(sundays, '2026-01-19T00:00:00Z')).toBe('2026-01-25T00:00:00.000Z');
});

test('a time zone that nobody knows is said to be unknown', () => {
  expect(said({ ...nightly, timeZone: 'Europe/Atlantis' }, '2026-01-14T00:00:00Z')).toBe('unknownTimeZone');
});

test('at the opening it is open, and a minute before it is not', () => {
  const time = fc
    .integer({ min: 0, max: 1_439 })
    .map((m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`);
  const window: fc.Arbitrary<BackfillWindow> = fc.record({
    from: time,
    to: time,
    timeZone: fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kolkata',
    ),
    days: fc.subarray([...allDays], { minLength: 1 }),
  });
  fc.assert(
    fc.property(window, fc.integer({ min: at('2026-01-01'), max: at('2026-12-31') }), (each, now) => {
      const state = windowAt(each, now);
      if (state.kind !== 'closed' || state.opensAt === undefined) return;
      expect(state.opensAt).toBeGreaterThanOrEqual(now);
      expect(windowAt(each, state.opensAt).kind).toBe('open');
      expect(windowAt(each, state.opensAt - 60_000).kind).toBe('closed');
    }),
    { numRuns: 300 },
  );
});
