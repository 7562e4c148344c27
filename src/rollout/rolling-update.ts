/** The Deployment's own rolling update. Pure: from what is there to the next single write. */
import type { RolloutFacts } from '../api/facts.ts';
import { isAtTarget, target, type Observed } from './observed.ts';
import {
  done,
  endRoll,
  heldByOther,
  rollBackIfFailed,
  settleRecord,
  waitForRoll,
  waiting,
  whyNotBegin,
} from './progress.ts';
import { nameOf, whatIsMissing } from './side.ts';
import { rollDeployment } from './step.ts';

/** The next write of a rolling update, or what it waits for. */
export const nextRollingUpdate = (observed: Observed): RolloutFacts => {
  const { base, record, now } = observed;
  const wanted = target(observed);
  if (wanted === undefined) return done;
  const rolling = record?.rolling;
  if (isAtTarget(observed)) {
    const pause =
      rolling === undefined
        ? undefined
        : (rollBackIfFailed(observed) ?? waitForRoll(observed) ?? endRoll(observed));
    return pause ?? settleRecord(observed) ?? done;
  }
  const forbidden = heldByOther(observed) ?? whyNotBegin(observed);
  if (forbidden !== undefined) return forbidden;
  const missing = whatIsMissing(base, now);
  return rolling === undefined && missing !== undefined
    ? waiting(`Deployment ${nameOf(base)} must be complete before its roll-out begins: ${missing}`)
    : rollDeployment(observed, wanted, rolling);
};
