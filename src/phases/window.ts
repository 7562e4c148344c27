/** The maintenance window of the backfill: when it is open, and when it opens next. Pure; time zones are Node's. */
import type { BackfillWindow } from '../api/schema-change.ts';

const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
type Day = (typeof days)[number];

const minuteMs = 60_000;
const dayMinutes = 1_440;
// A step over the clock's change to summer time or back, which is at most so long (three hours have never been seen).
const clockChangeMinutes = 180;
// A week and a day: every window opens within it, but for one that lies in the hour that summer time leaves out.
const horizonMinutes = 9 * dayMinutes;

/** What the window says of a moment. */
export type WindowState =
  | { readonly kind: 'open' }
  /** `opensAt` is absent if it does not open within nine days. */
  | { readonly kind: 'closed'; readonly opensAt?: number }
  /** Node knows no such time zone. */
  | { readonly kind: 'unknownTimeZone' };

interface WallClock {
  readonly day: Day;
  readonly minute: number;
}

type Clock = (at: number) => WallClock;

const clockIn = (timeZone: string): Clock | undefined => {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
  } catch {
    return undefined;
  }
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return {
      day: parts['weekday'] as Day,
      minute: Number(parts['hour']) * 60 + Number(parts['minute']),
    };
  };
};

/** Minutes after midnight of "HH:MM". */
const minuteOf = (time: string): number => {
  const [hours, minutes] = time.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
};

const dayBefore = (day: Day): Day => days[(days.indexOf(day) + days.length - 1) % days.length] ?? day;

/** Days are those on which the window opens: one over midnight belongs to the evening. */
const isOpen = (window: BackfillWindow, { day, minute }: WallClock): boolean => {
  const [from, to] = [minuteOf(window.from), minuteOf(window.to)];
  if (from < to) return minute >= from && minute < to && window.days.includes(day);
  return (
    (minute >= from && window.days.includes(day)) || (minute < to && window.days.includes(dayBefore(day)))
  );
};

/** What the window says of a moment, in milliseconds since the epoch. `from` equal to `to` is a whole day. */
export const windowAt = (window: BackfillWindow, now: number): WindowState => {
  const clock = clockIn(window.timeZone);
  if (clock === undefined) return { kind: 'unknownTimeZone' };
  if (isOpen(window, clock(now))) return { kind: 'open' };
  const from = minuteOf(window.from);
  const first = Math.ceil(now / minuteMs);
  for (let minute = first; minute < first + horizonMinutes;) {
    const at = minute * minuteMs;
    const wall = clock(at);
    if (isOpen(window, wall)) return { kind: 'closed', opensAt: at };
    // Far from it: a leap to a little before, since the clock may be changed on the way. Then by the minute.
    const until = (from - wall.minute + dayMinutes) % dayMinutes || dayMinutes;
    minute += until > clockChangeMinutes ? until - clockChangeMinutes : 1;
  }
  return { kind: 'closed' };
};
