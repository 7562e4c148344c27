/**
 * A canary by numbers of pods: a Deployment beside the user's, behind the same Service, a step bigger each time.
 * Pure: from what is there to the next single write. How far it has come stands on the canary, in the write that
 * takes it there. After the last step the user's own Deployment is rolled, and the canary goes.
 *
 * The user's Deployment is never scaled: its number of pods is its owner's, or an autoscaler's. So an aborted
 * canary leaves behind as many old pods as there were, and all the traffic is theirs at once.
 */
import { formatTime } from '../api/duration.ts';
import type { RolloutFacts } from '../api/facts.ts';
import { analyse } from './analysis/verdict.ts';
import { failureOf, isAhead, isAtTarget, ownCanary, ownGreen, target, type Observed } from './observed.ts';
import { withNotices } from './notices.ts';
import { whatBroke } from './pod.ts';
import {
  databaseSays,
  done,
  heldByOther,
  rollBackIfFailed,
  settle,
  waitForRoll,
  waiting,
  whyNotBegin,
} from './progress.ts';
import { readCanaryNote, type Failure } from './record.ts';
import {
  availablePods,
  describeFirst,
  isDeleting,
  nameOf,
  readyPods,
  replicasOf,
  whatIsMissing,
  whyFailed,
  type Side,
} from './side.ts';
import { rollDeployment, writeRecord } from './roll-step.ts';
import { createCanary, noteCanary, removeCanary, scaleCanary, type CanarySize } from './step.ts';
import type { Target } from './wanted.ts';

/**
 * Pods that get about `weight` percent of the traffic beside `others` pods that get the rest: a Service gives
 * each ready pod the same share. At least one.
 */
export const canaryReplicas = (weight: number, others: number): number =>
  Math.max(1, Math.round((others * weight) / (100 - weight)));

/** The next write of a canary roll-out, or what it waits for. */
export const nextCanary = (observed: Observed): RolloutFacts => {
  const { base, greenPods } = observed;
  const canary = ownCanary(observed);
  if (canary !== undefined && !isDeleting(canary))
    return isAhead(observed, canary) ? goOn(observed, canary) : end(observed, canary);
  if (observed.wanted.kind === 'abandon') return done;
  const twin = ownGreen(observed);
  if (twin !== undefined || greenPods.length > 0)
    return waiting(
      `what ran beside Deployment ${nameOf(base)} is still being removed (${greenPods.length} pods)`,
    );
  const wanted = target(observed);
  if (wanted === undefined) return done;
  if (isAtTarget(observed)) return settle(observed);
  const begun = rollBackIfFailed(observed);
  if (begun !== undefined) return begun;
  return begin(observed, wanted);
};

const begin = (observed: Observed, wanted: Target): RolloutFacts => {
  const { base, now } = observed;
  const forbidden = heldByOther(observed) ?? whyNotBegin(observed);
  if (forbidden !== undefined) return forbidden;
  const missing = whatIsMissing(base, now);
  return missing === undefined
    ? withNotices(createCanary(observed, wanted, sizeOf(observed, 0)), observed.notices)
    : waiting(`Deployment ${nameOf(base)} must be complete before its roll-out begins: ${missing}`);
};

const sizeOf = ({ base, canarySteps }: Observed, step: number): CanarySize => {
  // A resource that was edited half-way may have fewer steps by now: its last one holds.
  const { weight } = canarySteps[Math.min(step, canarySteps.length - 1)] ?? { weight: 50 };
  return { weight, replicas: canaryReplicas(weight, replicasOf(base)) };
};

/** One look at a canary that has yet to prove itself. */
const goOn = (observed: Observed, canary: Side): RolloutFacts => {
  const { base, canarySteps, now } = observed;
  const note = readCanaryNote(canary.deployment);
  const size = sizeOf(observed, note.step);
  if (replicasOf(canary) !== size.replicas)
    return scaleCanary(observed, canary, size, { step: note.step, at: now });
  const available = availablePods(canary, now);
  const why =
    (note.since === undefined ? undefined : whatBrokeSince(canary, note.since)) ??
    (available < size.replicas ? whyFailed(canary, note.since ?? note.at, now) : undefined) ??
    databaseSays(observed);
  if (why !== undefined) return fail(observed, failureOf(observed, why));
  if (available < size.replicas) return waiting(describe(observed, canary, available));
  if (note.since === undefined) return noteCanary(observed, canary, { ...note, since: now });
  const until = note.since + (canarySteps[note.step]?.pauseMs ?? 0);
  // Nothing is left to compare with where no old pod serves any more: waiting would only keep the traffic on few pods.
  if (readyPods(base.pods) > 0) {
    const verdict = analyse(observed, { stage: `canary ${note.step}`, since: note.since, until });
    if (verdict.kind === 'fail') return fail(observed, verdict.failed);
    if (verdict.kind === 'hold') return verdict.rollout;
  }
  if (until > now && readyPods(base.pods) > 0)
    return waiting(
      `${available} pods of ${nameOf(canary)} have about ${size.weight} % of the traffic; they are watched until ${formatTime(until)}`,
    );
  const next = note.step + 1;
  return next < canarySteps.length
    ? scaleCanary(observed, canary, sizeOf(observed, next), { step: next, at: now })
    : roll(observed);
};

const whatBrokeSince = (canary: Side, since: number): string | undefined =>
  canary.pods.map((pod) => whatBroke(pod, since)).find((why) => why !== undefined);

const describe = (observed: Observed, canary: Side, available: number): string => {
  const first = describeFirst(canary, observed.now);
  return `${available} of ${replicasOf(canary)} pods of ${nameOf(canary)} are available${first === undefined ? '' : `; ${first}`}`;
};

const fail = (observed: Observed, failed: Failure): RolloutFacts =>
  writeRecord(
    observed,
    'RecordFailure',
    { ...observed.record, failed },
    `Giving up the canary of Deployment ${nameOf(observed.base)}: ${failed.message}.`,
  );

/** All steps are passed: the user's own Deployment gets the new code, with the canary beside it. */
const roll = (observed: Observed): RolloutFacts => {
  const wanted = target(observed);
  const forbidden = heldByOther(observed) ?? whyNotBegin(observed);
  if (wanted === undefined) return done;
  return forbidden ?? rollDeployment(observed, wanted, observed.record?.rolling);
};

/** The canary has done its work, or is wanted no more. */
const end = (observed: Observed, canary: Side): RolloutFacts => {
  const { base, record, now } = observed;
  const rolling =
    record?.rolling === undefined
      ? undefined
      : (rollBackIfFailed(observed) ?? (isAtTarget(observed) ? waitForRoll(observed) : undefined));
  if (rolling !== undefined) return rolling;
  const enough = observed.wanted.kind === 'abandon' ? 1 : Math.max(1, replicasOf(base));
  if (readyPods(base.pods) < enough && readyPods(canary.pods) > 0)
    return waiting(
      `the pods of ${nameOf(canary)} are kept until Deployment ${nameOf(base)} can serve alone: ${whatIsMissing(base, now) ?? 'it is scaled to 0'}`,
    );
  return removeCanary(
    observed,
    canary,
    isAtTarget(observed) ? 'the roll-out is complete' : 'its code is not wanted any more',
  );
};
