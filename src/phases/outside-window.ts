import { formatTime } from '../api/duration.ts';
import { wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { windowAt } from './window.ts';

/** Waits while `spec.backfill.window` is closed, for the work that reads or writes every row. */
export const outsideWindow = (
  facts: ActiveFacts,
  work: 'backfill' | 'verification',
): Decision | undefined => {
  const { window } = facts.resource.spec.backfill;
  if (window === undefined) return undefined;
  const state = windowAt(window, facts.now);
  switch (state.kind) {
    case 'open':
      return undefined;
    case 'unknownTimeZone':
      return wait(
        'InvalidWindow',
        `spec.backfill.window.timeZone: there is no time zone "${window.timeZone}". Write a name of the IANA database, such as Europe/Berlin; no row is filled or compared before.`,
        60_000,
      );
    case 'closed': {
      const opens = state.opensAt === undefined ? 'not within the next nine days' : formatTime(state.opensAt);
      return wait(
        'OutsideWindow',
        `The ${work} waits for its window (${window.from} to ${window.to} ${window.timeZone}), which opens ${opens}. Rows that the application writes are filled meanwhile. Remove spec.backfill.window to go on at once.`,
        Math.min(60_000, (state.opensAt ?? Number.POSITIVE_INFINITY) - facts.now),
      );
    }
  }
};
