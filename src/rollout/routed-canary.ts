/**
 * A canary whose weights are exact, by a Gateway API HTTPRoute. Pure: from what is there to the next single write.
 *
 * It is blue/green with a stage of weights before the switch. The user's Service is held to the old pods, a Service of
 * ours leads to the new ones, as many, and the route divides the requests between the two. Once the last weight has
 * proven itself the user's Service is switched to the new pods, so that both lead to the same, the route is put back
 * as it was, and blue/green goes on. So at every instant each Service that the route names leads to pods that can
 * carry all of the traffic, and to put the route back is safe at any time, whoever does it.
 *
 * Three rules stand above the order: no weight is moved before every Gateway goes by the weight before it; nothing
 * that a Gateway may still send requests to is taken away; and a canary that breaks loses its traffic in the next write.
 */
import { formatTime } from '../api/duration.ts';
import type { RolloutFacts } from '../api/facts.ts';
import { acceptanceOf } from './acceptance.ts';
import { analyse } from './analysis/verdict.ts';
import { nextBlueGreen, propagationMs } from './blue-green.ts';
import { originalRules, routeViolations } from './check-route.ts';
import { sameJson } from '../api/json.ts';
import { failureOf, isAhead, isFailureOf, ownGreen, type Observed } from './observed.ts';
import { hashLabel } from './overlay.ts';
import { whatBroke } from './pod.ts';
import { databaseSays, waiting } from './progress.ts';
import { canaryAnnotation, readCanaryNote, type CanaryNote, type Failure, type Hold } from './record.ts';
import { clearRoute } from './route-clearing.ts';
import {
  createCanaryService,
  divideRoute,
  mendCanaryService,
  noteStep,
  ownerOf,
  restoreRoute,
  type RouteOwner,
} from './route-steps.ts';
import {
  isCanaryServiceRight,
  ownCanaryService,
  routeStateOf,
  type RouteState,
  type Routing,
} from './routing.ts';
import {
  allAvailableSince,
  availablePods,
  describeFirst,
  hashOf,
  isDeleting,
  nameOf,
  readyPods,
  replicasOf,
  whyFailed,
  type Side,
} from './side.ts';
import { markFailed, switchService } from './service-step.ts';
import { scaleGreen } from './step.ts';
import type { Service } from '../kube/types.ts';

/** Between two tries to divide a route that somebody else puts back: one who does so at once is not fought. */
const retryMs = 10_000;

/** A route that was put back as often is its owner's wish, or its controller's; the roll-out is given up. */
const mostTries = 3;

/** The next write of a canary with an HTTPRoute, or what it waits for; of any other roll-out what blue/green says. */
export const nextRouted = (observed: Observed): RolloutFacts => {
  const { routing } = observed;
  const next = nextBlueGreen(observed);
  if (routing === undefined || isStep(next, 'OpenService', 'SwitchToBase', 'RollBackDeployment')) return next;
  const stage = stageOf(observed, routing);
  if (stage !== undefined) return weigh(stage, next);
  const left = clearAway(observed, routing);
  if (left === undefined || left.kind === 'step') return left ?? next;
  return next.kind === 'step' && !isStep(next, 'RemoveGreen', 'RestoreService') ? next : left;
};

const isStep = (facts: RolloutFacts, ...kinds: readonly string[]): boolean =>
  facts.kind === 'step' && kinds.includes(facts.step.kind);

/** What the stage of weights goes by: the old code serves, and the new one stands beside it. */
interface Stage {
  readonly observed: Observed;
  readonly routing: Routing;
  readonly state: RouteState;
  readonly owner: RouteOwner;
  readonly hold: Hold;
  readonly service: Service;
  readonly green: Side;
  /** How far it has come; undefined before its first weight. */
  readonly note: CanaryNote | undefined;
  /** The present step; what the spec lacks by now is its last one. */
  readonly step: number;
}

type DividedState = Extract<RouteState, { kind: 'divided' | 'mixed' }>;

const stageOf = (observed: Observed, routing: Routing): Stage | undefined => {
  const { base, canarySteps, change, hold, service } = observed;
  const green = ownGreen(observed);
  if (hold?.change !== change || hold.deployment !== nameOf(base) || hold.failed !== undefined)
    return undefined;
  const hash = service?.spec.selector?.[hashLabel];
  if (service === undefined || hash === undefined || hash !== hashOf(base)) return undefined;
  if (green === undefined || isDeleting(green) || !isAhead(observed, green) || canarySteps.length === 0)
    return undefined;
  const note =
    green.deployment.metadata.annotations?.[canaryAnnotation] === undefined
      ? undefined
      : readCanaryNote(green.deployment);
  const owner = ownerOf(observed);
  const state = routeStateOf(routing, owner);
  const step = Math.min(note?.step ?? 0, canarySteps.length - 1);
  return { observed, routing, state, owner, hold, service, green, note, step };
};

/** One look while the traffic is divided, or about to be. */
const weigh = (stage: Stage, next: RolloutFacts): RolloutFacts => {
  const { observed, state, hold, note } = stage;
  if (state.kind === 'restored' && isFailureOf(observed, state.note.failed))
    return markFailed(observed, hold, state.note.failed ?? failureOf(observed, ''));
  const broken = note === undefined ? undefined : whyBroken(stage, note);
  if (broken !== undefined) return giveUp(stage, failureOf(observed, broken));
  const astray = whyAstray(stage);
  if (astray !== undefined && (state.kind === 'divided' || state.kind === 'mixed'))
    return takeBack({ ...stage, state }, astray);
  return state.kind === 'divided' && note !== undefined && isForStep(stage)
    ? serve(stage, note)
    : prepare(stage, next);
};

const whyBroken = ({ observed, green }: Stage, note: CanaryNote): string | undefined => {
  const { now } = observed;
  const broken = green.pods.map((pod) => whatBroke(pod, note.at)).find((why) => why !== undefined);
  if (broken !== undefined) return broken;
  if (availablePods(green, now) >= replicasOf(green)) return databaseSays(observed);
  // A pod that is evicted after a day has as long to come back as one had to come up.
  const youngest = Math.max(
    note.at,
    ...green.pods.map(({ metadata }) => Date.parse(metadata.creationTimestamp)),
  );
  return (
    whyFailed(green, youngest, now) ??
    (readyPods(green.pods) === 0 ? `no pod of ${nameOf(green)} is ready any more` : undefined)
  );
};

/** Why a route that is divided must not stay so for now, though nothing is wrong with the new code. */
const whyAstray = ({ observed, routing, service, state }: Stage): string | undefined => {
  const { change } = observed;
  if (state.kind !== 'divided' && state.kind !== 'mixed') return undefined;
  const canary = ownCanaryService(routing, change);
  if (canary === undefined) return `Service ${routing.division.canaryService} was removed`;
  if (!isCanaryServiceRight(canary, service, change))
    return `Service ${canary.metadata.name} no longer fits Service ${service.metadata.name}`;
  return state.kind === 'mixed' ? 'somebody else has edited its rules' : undefined;
};

const takeBack = (
  { owner, routing, state }: Stage & { readonly state: DividedState },
  why: string,
  failed?: Failure,
): RolloutFacts => {
  const { note, route } = state;
  const division = note?.division ?? routing.division;
  return restoreRoute(owner, route, { note, division, exact: state.kind === 'divided', why, failed });
};

/** The very write that takes the traffic back says why; where there is none to take, the Service says it. */
const giveUp = (stage: Stage, failed: Failure): RolloutFacts => {
  const { observed, hold, state } = stage;
  return state.kind === 'divided' || state.kind === 'mixed'
    ? takeBack({ ...stage, state }, failed.message, failed)
    : markFailed(observed, hold, failed);
};

const divisionOf = ({ observed, routing, step }: Stage) => ({
  ...routing.division,
  weight: observed.canarySteps[step]?.weight ?? 0,
});

const isForStep = (stage: Stage): boolean =>
  stage.state.kind === 'divided' && sameJson(stage.state.note.division, divisionOf(stage));

/** The route is divided as the step asks for: until its pause is over. */
const serve = (stage: Stage, note: CanaryNote): RolloutFacts => {
  const { observed, owner, state, green, step } = stage;
  const { base, canarySteps, now } = observed;
  if (state.kind !== 'divided') throw new Error('The route is not divided.');
  const { name } = state.route.metadata;
  const { weight } = divisionOf(stage);
  const acceptance = acceptanceOf(state.route);
  if (acceptance.kind === 'refused') return giveUp(stage, failureOf(observed, acceptance.message));
  if (acceptance.kind === 'pending') return waiting(acceptance.message);
  if (note.since === undefined)
    return noteStep(
      owner,
      green,
      { ...note, since: now },
      `Every Gateway goes by ${weight} % in HTTPRoute ${name}.`,
    );
  if (replicasOf(green) < replicasOf(base)) return scaleGreen(observed, green);
  const available = availablePods(green, now);
  if (available < replicasOf(base)) return waiting(describe(stage, available));
  const until = note.since + Math.max(canarySteps[step]?.pauseMs ?? 0, propagationMs);
  const verdict = analyse(observed, { stage: `canary ${step}`, since: note.since, until });
  if (verdict.kind === 'fail') return giveUp(stage, verdict.failed);
  if (verdict.kind === 'hold') return verdict.rollout;
  if (until > now)
    return waiting(
      `HTTPRoute ${name} sends ${weight} % to the pods of ${nameOf(green)}; they are watched until ${formatTime(until)}`,
    );
  const following = canarySteps[step + 1];
  if (following !== undefined)
    return noteStep(
      owner,
      green,
      { step: step + 1, at: now, tries: 1 },
      `${nameOf(green)} has served ${weight} % well; ${following.weight} % come next.`,
    );
  const hash = hashOf(green);
  return hash === undefined
    ? waiting(`the Deployment controller has not seen ${nameOf(green)} yet`)
    : switchService(observed, green, hash);
};

const describe = ({ observed, green }: Stage, available: number): string => {
  const first = describeFirst(green, observed.now);
  return `${available} of ${replicasOf(observed.base)} pods of ${nameOf(green)} are available${first === undefined ? '' : `; ${first}`}`;
};

/** All that must be so before the route is divided for the present step, and then that. */
const prepare = (stage: Stage, next: RolloutFacts): RolloutFacts => {
  const { observed, routing, state, owner, service, green, note } = stage;
  const { base, change, now } = observed;
  const canary = ownCanaryService(routing, change);
  if (canary === undefined && routing.canaryService === undefined)
    return createCanaryService(owner, {
      name: routing.division.canaryService,
      service,
      base: base.deployment,
    });
  if (canary !== undefined && !isCanaryServiceRight(canary, service, change))
    return mendCanaryService(owner, canary, service);
  // Until then blue/green knows what the new pods wait for, and when there is no hope.
  if (note === undefined && !isStep(next, 'SwitchToGreen')) return next;
  if (replicasOf(green) < replicasOf(base)) return scaleGreen(observed, green);
  const available = availablePods(green, now);
  if (available === 0 || available < replicasOf(base)) return waiting(describe(stage, available));
  const [violation] = routeViolations(routing, owner);
  if (violation !== undefined || canary === undefined || state.kind === 'missing' || state.kind === 'taken')
    return violation === undefined ? next : { kind: 'waiting', ...violation };
  const known =
    Math.max(allAvailableSince(green, now), Date.parse(canary.metadata.creationTimestamp)) + propagationMs;
  if (known > now)
    return waiting(
      `${available} pods of ${nameOf(green)} are available; HTTPRoute ${routing.name} is divided once every Gateway knows them, at ${formatTime(known)}`,
    );
  return tryAgain(stage, note) ?? divideRoute(owner, state.route, originalRules(state), divisionOf(stage));
};

/**
 * Each try is noted on the canary before it is made, and holds for a few seconds: so somebody who puts the route back
 * each time, be it with our note on it or without, is met a few times and then believed.
 */
const tryAgain = (stage: Stage, note: CanaryNote | undefined): RolloutFacts | undefined => {
  const { observed, owner, green, routing, state } = stage;
  const { now } = observed;
  const { weight } = divisionOf(stage);
  if (note === undefined)
    return noteStep(
      owner,
      green,
      { step: 0, at: now, tries: 1 },
      `HTTPRoute ${routing.name} is to send ${weight} % to the pods of ${nameOf(green)}.`,
    );
  const wasDivided =
    note.since !== undefined ||
    ((state.kind === 'undone' || state.kind === 'restored') && state.note.at >= note.at);
  const last = Math.max(note.at, note.since ?? 0);
  if (!wasDivided && now - last <= retryMs) return undefined;
  const { tries = 1 } = note;
  const owns = `let nothing else manage spec.rules of HTTPRoute ${routing.name} while Segue rolls out (for Argo CD: ignoreDifferences with RespectIgnoreDifferences)`;
  if (wasDivided && now - last <= retryMs)
    return waiting(
      `somebody else put HTTPRoute ${routing.name} back, so the old pods have all the traffic; it is divided again at ${formatTime(last + retryMs)}; ${owns}`,
    );
  if (tries >= mostTries)
    return giveUp(
      stage,
      failureOf(observed, `HTTPRoute ${routing.name} was put back ${tries} times by somebody else; ${owns}`),
    );
  return noteStep(
    owner,
    green,
    { step: stage.step, at: now, tries: tries + 1 },
    `HTTPRoute ${routing.name} is to be divided again, for the ${tries === 1 ? 'second' : 'third'} time.`,
  );
};

/** Puts the route back and takes the canary's Service away; undefined once nothing of ours is left of them. */
const clearAway = (observed: Observed, routing: Routing): RolloutFacts | undefined => {
  const { green, hold, now, wanted } = observed;
  const leaving = wanted.kind === 'abandon';
  // Where all pods were given to the Service just now, the canary's are the ones that are known to serve.
  const opened = (hold?.opened === true ? hold.at : 0) + propagationMs;
  if (opened > now && readyPods(observed.greenPods) > 0) {
    const { kind } = routeStateOf(routing, ownerOf(observed));
    if (kind === 'divided')
      return waiting('the Service leads to all pods; the route is put back once every node knows');
  }
  const untouched =
    green !== undefined && green.deployment.metadata.annotations?.[canaryAnnotation] === undefined;
  return clearRoute(ownerOf(observed), routing, { leaving, untouched });
};

/** Percent of the traffic that the canary gets by the route, beside what the user's Service sends it. */
export const shareByRoute = (observed: Observed, share: number | undefined): number | undefined => {
  if (observed.routing === undefined || share === undefined) return share;
  const state = routeStateOf(observed.routing, ownerOf(observed));
  if (state.kind !== 'divided') return share;
  const { weight } = state.note.division;
  return Math.round(weight + ((100 - weight) * share) / 100);
};
