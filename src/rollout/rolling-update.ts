/** The Deployment's own rolling update. Pure: from what is there to the next single write. */
import type { RolloutFacts } from '../api/facts.ts';
import { analyse } from './analysis/verdict.ts';
import { isAtTarget, target, type Observed } from './observed.ts';
import { withNotices } from './notices.ts';
import {
  done,
  heldByOther,
  rollBackIfFailed,
  settle,
  waitForRoll,
  waiting,
  whyNotBegin,
} from './progress.ts';
import { allAvailableSince, nameOf, whatIsMissing } from './side.ts';
import { rollBackDeployment, rollDeployment } from './roll-step.ts';

/** The next write of a rolling update, or what it waits for. */
export const nextRollingUpdate = (observed: Observed): RolloutFacts => {
  const { base, record, now } = observed;
  const wanted = target(observed);
  if (wanted === undefined) return done;
  const rolling = record?.rolling;
  if (isAtTarget(observed)) return analyseRoll(observed) ?? settle(observed);
  const forbidden = heldByOther(observed) ?? whyNotBegin(observed);
  if (forbidden !== undefined) return forbidden;
  const missing = whatIsMissing(base, now);
  return rolling === undefined && missing !== undefined
    ? waiting(`Deployment ${nameOf(base)} must be complete before its roll-out begins: ${missing}`)
    : withNotices(rollDeployment(observed, wanted, rolling), observed.notices);
};

/** What comes before the end of a roll by what is measured, once the new code alone serves; undefined if nothing. */
const analyseRoll = (observed: Observed): RolloutFacts | undefined => {
  const { base, record, now } = observed;
  if (record?.rolling === undefined) return undefined;
  const unfinished = rollBackIfFailed(observed) ?? waitForRoll(observed);
  if (unfinished !== undefined) return unfinished;
  const since = Math.max(record.rolling.at, allAvailableSince(base, now));
  const verdict = analyse(observed, { stage: 'after the roll', since, until: since });
  if (verdict.kind === 'pass') return undefined;
  return verdict.kind === 'hold'
    ? verdict.rollout
    : rollBackDeployment(observed, record.rolling, verdict.failed);
};
