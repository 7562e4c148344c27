/**
 * Blue/green on a plain Deployment and a plain Service. Pure: from what is there to the next single write.
 *
 * Nothing is remembered between two looks. The Service's selector says who serves, the templates say who runs
 * what, and the notes on the objects (record.ts) say why; so after a crash, or whatever others did meanwhile,
 * the next write follows from what is there. See README.md for the order of the steps.
 *
 * Two rules stand above the order: traffic never goes to a side without an available pod, and a side that has
 * lost its last ready pod, or its ReplicaSet, gives the traffic up to all pods that the Service had at first.
 */
import { formatTime } from '../api/duration.ts';
import type { RolloutFacts } from '../api/facts.ts';
import { analyse } from './analysis/verdict.ts';
import { alignFollowers, endPreview, mendPreview, restoreOthers, showPreview, switchedAt } from './beside.ts';
import {
  failureOf,
  foreignEdit,
  isAhead,
  isAtTarget,
  isFailureOf,
  isMadeFor,
  ownGreen,
  target,
  type Observed,
} from './observed.ts';
import { hashLabel } from './overlay.ts';
import { withNotices } from './notices.ts';
import { isTerminating, whatBroke } from './pod.ts';
import {
  databaseSays,
  done,
  endRoll,
  heldByOther,
  rollBackIfFailed,
  settleRecord,
  waitForRoll,
  waiting,
  whyNotBegin,
} from './progress.ts';
import { strayHash, type Hold } from './record.ts';
import { heldTo } from './services.ts';
import {
  allAvailableSince,
  availablePods,
  describeFirst,
  hashOf,
  isDeleting,
  nameOf,
  readyPods,
  replicasOf,
  whatIsMissing,
  whyFailed,
  type Side,
} from './side.ts';
import { rollDeployment, scaleBase, writeRecord } from './roll-step.ts';
import {
  markFailed,
  narrowService,
  noteHold,
  openService,
  restoreService,
  switchService,
} from './service-step.ts';
import { createGreen, removeGreen, scaleGreen } from './step.ts';

/**
 * From a change of the selector until every kube-proxy goes by it: the endpoints controller gathers changes for
 * up to a second, kube-proxy for another (`--iptables-min-sync-period`), and both may be busy. Shorter, and pods
 * are ended while new connections still reach them; longer costs nothing but time.
 */
export const propagationMs = 5_000;

/** The next write of a blue/green roll-out, or what it waits for. */
export const nextBlueGreen = (observed: Observed): RolloutFacts => {
  const { hold, wanted } = observed;
  if (hold === undefined) return withoutHold(observed);
  const other = heldByOther(observed);
  if (other === undefined) return withHold(observed, hold);
  return wanted.kind === 'abandon' ? done : other;
};

/** Before the first step and after the last. */
const withoutHold = (observed: Observed): RolloutFacts => {
  const { base, service, wanted } = observed;
  const left = clearAway(observed);
  if (left !== undefined) return left;
  if (wanted.kind === 'abandon') return done;
  const stray = service === undefined ? undefined : strayHash(service);
  if (stray !== undefined) return { kind: 'waiting', ...stray };
  const draining = observed.greenPods.length;
  if (draining > 0 || ownGreen(observed) !== undefined)
    return waiting(
      `Deployment ${nameOf(base)} serves alone; ${draining === 0 ? 'the green one is' : `${draining} green pods are`} still being removed`,
    );
  if (!isAtTarget(observed)) return begin(observed);
  const rolling = observed.record?.rolling === undefined ? undefined : waitForRoll(observed);
  return rollBackIfFailed(observed) ?? rolling ?? settleRecord(observed) ?? done;
};

/** What is left where no note says that the Service is held: Services beside it that are, and green. */
const clearAway = (observed: Observed): RolloutFacts | undefined => {
  const green = ownGreen(observed);
  const isStanding = green !== undefined && !isDeleting(green);
  // With the hash still in the selector, green may be all that serves.
  if (isStanding && heldTo(observed.service) !== undefined) return noteHold(observed);
  const others = restoreOthers(observed);
  if (others !== undefined || !isStanding) return others;
  return rollBackIfFailed(observed) ?? keepGreen(observed) ?? removeGreen(observed, green);
};

const begin = (observed: Observed): RolloutFacts => {
  const { base, now } = observed;
  const forbidden = whyNotBegin(observed);
  if (forbidden !== undefined) return forbidden;
  const missing = whatIsMissing(base, now);
  const hash = hashOf(base);
  return missing !== undefined || hash === undefined
    ? waiting(`Deployment ${nameOf(base)} must be complete before its roll-out begins: ${missing ?? ''}`)
    : withNotices(narrowService(observed, hash), observed.notices);
};

const withHold = (observed: Observed, hold: Hold): RolloutFacts => {
  const { base, service } = observed;
  const hash = heldTo(service);
  if (hash === undefined) return alignFollowers(observed, hold) ?? whileOpen(observed, hold);
  const green = ownGreen(observed);
  const serving =
    hash === hashOf(base) ? base : green !== undefined && hash === hashOf(green) ? green : undefined;
  if (serving === undefined)
    return openService(observed, hold, 'the ReplicaSet that served was replaced by somebody else');
  const others = readyPods([...base.pods, ...(green?.pods ?? [])]);
  if (readyPods(serving.pods, hash) === 0 && others > 0 && !(serving === green && canTakeBack(observed)))
    return openService(observed, hold, `none of the pods of ${nameOf(serving)} that served is ready`);
  const beside = alignFollowers(observed, hold) ?? mendPreview(observed);
  if (beside !== undefined) return beside;
  return serving === base ? whileBaseServes(observed, hold) : whileGreenServes(observed, hold, serving);
};

/** The user's Deployment serves: either it still runs the old code, or it runs the new code already. */
const whileBaseServes = (observed: Observed, hold: Hold): RolloutFacts => {
  const { base } = observed;
  const wanted = target(observed);
  if (wanted === undefined || isEnding(observed, hold)) return finish(observed, hold);
  const { green } = observed;
  if (green === undefined) return createGreen(observed, wanted);
  if (ownGreen(observed) === undefined)
    return waiting(`a Deployment ${nameOf(green)} that is not Segue's is in the way; rename or remove it`);
  if (isDeleting(green)) return waiting(`the former pods of Deployment ${nameOf(green)} are still ending`);
  if (!isMadeFor(green, wanted.template))
    return endPreview(observed) ?? withoutTraffic(observed, hold) ?? removeGreen(observed, green);
  if (replicasOf(green) < replicasOf(base)) return scaleGreen(observed, green);
  return switchOnceSettled(observed, hold, green);
};

/** Waits for as many green pods as the user's Deployment has, and for them to settle; then they get the traffic. */
const switchOnceSettled = (observed: Observed, hold: Hold, green: Side): RolloutFacts => {
  const { base, now, settleMs } = observed;
  const name = nameOf(base);
  const available = availablePods(green, now);
  if (available === 0 || available < replicasOf(base)) {
    const why = whyFailed(green, Date.parse(green.deployment.metadata.creationTimestamp), now);
    if (why !== undefined) return markFailed(observed, hold, failureOf(observed, why));
    const first = describeFirst(green, now);
    return waiting(
      `${available} of ${replicasOf(base)} green pods of ${name} are available${first === undefined ? '' : `; ${first}`}`,
    );
  }
  const preview = showPreview(observed, green);
  if (preview !== undefined) return preview;
  const since = allAvailableSince(green, now);
  const settled = since + settleMs;
  const verdict = analyse(observed, { stage: 'before the switch', isBefore: true, since, until: settled });
  if (verdict.kind === 'fail') return markFailed(observed, hold, verdict.failed);
  if (verdict.kind === 'hold') return verdict.rollout;
  if (settled > now)
    return waiting(
      `${available} green pods of ${name} are available; the Service is switched to them if they still are at ${formatTime(settled)}`,
    );
  const hash = hashOf(green);
  return hash === undefined
    ? waiting(`the Deployment controller has not seen ${nameOf(green)} yet`)
    : switchService(observed, green, hash);
};

/** The green Deployment serves, and the user's own is free to be rolled. */
const whileGreenServes = (observed: Observed, hold: Hold, green: Side): RolloutFacts => {
  const isNew = isAhead(observed, green);
  // It carries what the other one is wanted for: an autoscaler that sees the load writes that one's number.
  if ((isNew || isAtTarget(observed)) && replicasOf(green) < replicasOf(observed.base))
    return scaleGreen(observed, green);
  return isNew ? watchGreen(observed, hold, green) : returnToBase(observed, green);
};

const watchGreen = (observed: Observed, hold: Hold, green: Side): RolloutFacts => {
  const { base, now } = observed;
  const wanted = target(observed);
  if (wanted === undefined) return returnToBase(observed, green);
  const broken =
    hold.failed?.message ??
    green.pods.map((pod) => whatBroke(pod, hold.at)).find((why) => why !== undefined) ??
    (availablePods(green, now) < replicasOf(green) ? whyFailed(green, hold.at, now) : undefined) ??
    (readyPods(green.pods) === 0 ? 'no green pod is ready any more' : undefined) ??
    databaseSays(observed);
  const until = switchedAt(observed, hold) + Math.max(observed.scaleDownDelayMs, propagationMs);
  const verdict = analyse(observed, { stage: 'after the switch', since: hold.at, until });
  const failed =
    broken === undefined
      ? verdict.kind === 'fail'
        ? verdict.failed
        : undefined
      : failureOf(observed, broken);
  if (failed !== undefined) {
    const hash = hashOf(base);
    return hash !== undefined &&
      availablePods(base, now) >= Math.max(1, Math.min(replicasOf(base), readyPods(green.pods)))
      ? switchService(observed, base, hash, failed)
      : waiting(
          `the new code fails (${failed.message}), but the old one is no better: ${whatIsMissing(base, now) ?? 'it has no pods'}`,
        );
  }
  const available = availablePods(green, now);
  if (available < replicasOf(green))
    return waiting(
      `${available} of ${replicasOf(green)} green pods of ${nameOf(base)} are available while they serve`,
    );
  if (verdict.kind === 'hold') return verdict.rollout;
  return until > now
    ? waiting(
        `${available} green pods of ${nameOf(base)} serve; they are watched, and the old pods kept, until ${formatTime(until)}`,
      )
    : rollDeployment(observed, wanted);
};

/** Green serves until the user's Deployment is whole again, whatever it runs by then. */
const returnToBase = (observed: Observed, green: Side): RolloutFacts => {
  const { base, now } = observed;
  const back = rollBackIfFailed(observed) ?? askForCapacity(observed, green);
  if (back !== undefined) return back;
  const hash = hashOf(base);
  if (hash === undefined || !canTakeBack(observed))
    return waiting(
      `the green pods serve until Deployment ${nameOf(base)} is complete: ${whatIsMissing(base, now) ?? 'it is scaled to 0'}`,
    );
  const isUrgent = readyPods(green.pods) === 0;
  const pause = isUrgent
    ? undefined
    : ((isAtTarget(observed) ? waitForRoll(observed) : undefined) ?? endRoll(observed));
  return pause ?? switchService(observed, base, hash);
};

/**
 * An autoscaler may have taken pods away from a Deployment that was idle while green served; all the traffic at
 * once would then meet too few (fluxcd/flagger#381, #1600). It is given as many as serve now, once: if it is scaled
 * down again after that, the autoscaler has judged anew, with green's pods in its sum, for they carry the same
 * labels. Without an autoscaler a person or Git has set the number, and that is that.
 */
const askForCapacity = (observed: Observed, green: Side): RolloutFacts | undefined => {
  const { base, mostReplicas, record } = observed;
  if (mostReplicas === undefined || record?.scaledTo !== undefined) return undefined;
  const needed = Math.min(readyPods(green.pods), mostReplicas);
  return replicasOf(base) < needed ? scaleBase(observed, needed) : undefined;
};

const canTakeBack = ({ base, now }: Observed): boolean =>
  whatIsMissing(base, now) === undefined && availablePods(base, now) > 0;

/** Every pod serves that the Service had at first, green ones too: ours or somebody else's doing. */
const whileOpen = (observed: Observed, hold: Hold): RolloutFacts => {
  const wanted = target(observed);
  if (hold.opened === undefined && wanted !== undefined && !isEnding(observed, hold)) {
    const message = `somebody else took ${hashLabel} out of the selector of Service ${observed.service?.metadata.name ?? ''}; let nothing else manage that field while Segue rolls out`;
    return markFailed(observed, hold, failureOf(observed, message));
  }
  const back = rollBackIfFailed(observed);
  if (back !== undefined) return back;
  const green = ownGreen(observed);
  const replacement = replaceBroken(observed, hold);
  if (replacement !== undefined) return replacement;
  const kept = green === undefined || isDeleting(green) ? undefined : keepGreen(observed);
  return kept ?? finish(observed, hold);
};

/** With the selector open, green is kept until the user's Deployment can serve alone; undefined once it can. */
const keepGreen = (observed: Observed): RolloutFacts | undefined => {
  const { base, now } = observed;
  const missing = isAtTarget(observed) ? waitForRoll(observed) : undefined;
  if (missing !== undefined) return missing;
  // Pods of its former template serve as well.
  const enough =
    canTakeBack(observed) ||
    readyPods(base.pods) >= (observed.wanted.kind === 'abandon' ? 1 : Math.max(1, replicasOf(base)));
  return enough || replicasOf(base) === 0
    ? undefined
    : waiting(
        `green pods of ${nameOf(base)} are kept until it is complete: ${whatIsMissing(base, now) ?? ''}`,
      );
};

/**
 * The code that served broke by itself and may never become whole again: what is wanted stands beside it and
 * goes on once it is ready. Undefined where that is not so.
 */
const replaceBroken = (observed: Observed, hold: Hold): RolloutFacts | undefined => {
  const green = ownGreen(observed);
  const wanted = target(observed);
  if (green === undefined || isDeleting(green) || wanted === undefined) return undefined;
  if (isEnding(observed, hold) || !isMadeFor(green, wanted.template) || canTakeBack(observed))
    return undefined;
  return replicasOf(green) < replicasOf(observed.base)
    ? scaleGreen(observed, green)
    : switchOnceSettled(observed, hold, green);
};

/** True where nothing is left to do but to clear away. */
const isEnding = (observed: Observed, hold: Hold): boolean =>
  hold.failed !== undefined ||
  observed.wanted.kind === 'abandon' ||
  isAtTarget(observed) ||
  foreignEdit(observed) !== undefined ||
  isFailureOf(observed, observed.record?.failed);

/** Puts the failure on record, removes green, and lets the Service go. */
const finish = (observed: Observed, hold: Hold): RolloutFacts => {
  const { base, record } = observed;
  if (hold.failed !== undefined && JSON.stringify(record?.failed) !== JSON.stringify(hold.failed))
    return writeRecord(
      observed,
      'RecordFailure',
      { ...record, failed: hold.failed },
      `Recording on Deployment ${nameOf(base)} that its roll-out failed: ${hold.failed.message}.`,
    );
  if (record?.scaledTo !== undefined) {
    const { scaledTo: _, ...rest } = record;
    return writeRecord(observed, 'SettleRecord', rest, `Deployment ${nameOf(base)} has the traffic back.`);
  }
  const green = ownGreen(observed);
  if (green !== undefined && !isDeleting(green))
    return endPreview(observed) ?? withoutTraffic(observed, hold) ?? removeGreen(observed, green);
  // Once the selector is open again, a green pod that is not ending would come back into rotation.
  const left = observed.greenPods.filter((pod) => !isTerminating(pod)).length;
  return left > 0
    ? waiting(`${left} green pods of ${nameOf(base)} have yet to be told to end`)
    : restoreService(observed);
};

const withoutTraffic = (observed: Observed, hold: Hold): RolloutFacts | undefined =>
  observed.now - switchedAt(observed, hold) < propagationMs
    ? waiting(`Deployment ${nameOf(observed.base)} serves; its green pods are kept until every node knows`)
    : undefined;
