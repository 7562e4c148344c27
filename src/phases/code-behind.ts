/** Code that does too little for what is left of the old columns; the other side of code-ahead.ts. */
import type { LedgerFacts } from '../api/facts.ts';
import { isBefore, type Code } from '../api/phase.ts';

/** Where a change stands, as far as it tells what old code may count on. */
export interface Behind extends Pick<LedgerFacts, 'phase' | 'direction'> {
  /** True once the phase's own work is done, on the way forward. */
  readonly isDone: boolean;
  /** True where no trigger keeps both sides in step: spec.dualWrite.mode is Application. */
  readonly byApplication: boolean;
  /** True while the old columns stand under other names. */
  readonly hidden: boolean;
  /** Phases in which the change has nothing to do. */
  readonly skips: { readonly Quarantine: boolean; readonly Drop: boolean };
}

/**
 * What has to run before Drop does its work. Without a quarantine nothing old goes away: what goes is the trigger,
 * which code that writes both needs no more.
 */
export const leastInDrop = (skipsQuarantine: boolean): 'reads-new' | 'new-only' =>
  skipsQuarantine ? 'reads-new' : 'new-only';

/** Rows that code which writes the old side alone has left behind would be read by others. */
const needsBothWritten = ({ phase, direction, isDone }: Behind): boolean =>
  direction === 'back'
    ? isBefore('Backfill', phase)
    : isBefore('DualWrite', phase) || (phase === 'DualWrite' && isDone);

/** The least that code has to do with the columns so that it is still served. */
export const leastServed = (behind: Behind): Code => {
  const { phase, direction, byApplication, hidden, skips } = behind;
  if (hidden) return 'new-only';
  if (phase === 'Drop' && direction === 'forward' && !skips.Drop) return leastInDrop(skips.Quarantine);
  return byApplication && needsBothWritten(behind) ? 'writes-both' : 'old';
};
