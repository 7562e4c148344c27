/** A Deployment with its ReplicaSets and pods, as one of the two sides between which a Service is flipped. Pure. */
import type { Condition, Deployment, Pod, ReplicaSet } from '../kube/types.ts';
import { hashLabel, sameTemplate } from './overlay.ts';
import {
  availableSince,
  describePod,
  isActive,
  isReady,
  isTerminating,
  podHash,
  whyHopeless,
} from './pod.ts';

export interface Side {
  readonly deployment: Deployment;
  readonly replicaSets: readonly ReplicaSet[];
  /** Of any of its ReplicaSets, past ones included. */
  readonly pods: readonly Pod[];
}

/** A Deployment's own default, in seconds. */
const defaultProgressDeadline = 600;

/**
 * Quotas and admission are given this long to let pods in. The Deployment's own deadline is not enough: its
 * condition Progressing stays True while pods are refused (fluxcd/flagger#1247).
 */
const refusedPatienceMs = 30_000;

export const nameOf = ({ deployment }: Side): string => deployment.metadata.name;

export const replicasOf = ({ deployment }: Side): number => deployment.spec.replicas ?? 1;

export const isDeleting = ({ deployment }: Side): boolean =>
  deployment.metadata.deletionTimestamp !== undefined;

/** The hash of the ReplicaSet that runs the present template; undefined until the controller has made it. */
export const hashOf = ({ deployment, replicaSets }: Side): string | undefined =>
  replicaSets
    .filter(({ spec }) => sameTemplate(spec.template, deployment.spec.template))
    // As the controller does where there are several: the oldest.
    .sort((one, other) => one.metadata.creationTimestamp.localeCompare(other.metadata.creationTimestamp))[0]
    ?.metadata.labels?.[hashLabel];

/** Pods of the present template that may serve or come to. */
const currentPods = (side: Side): readonly Pod[] => {
  const hash = hashOf(side);
  return side.pods.filter(
    (pod) => hash !== undefined && podHash(pod) === hash && isActive(pod) && !isTerminating(pod),
  );
};

/** Pods of former templates, those that are still ending included: kept connections live on in them. */
export const oldPods = (side: Side): readonly Pod[] => {
  const hash = hashOf(side);
  return side.pods.filter((pod) => isActive(pod) && podHash(pod) !== hash);
};

/** For each available pod of the present template, since when. */
const availability = (side: Side, now: number): readonly number[] => {
  const minReadyMs = (side.deployment.spec.minReadySeconds ?? 0) * 1_000;
  return currentPods(side).flatMap((pod) => availableSince(pod, minReadyMs, now) ?? []);
};

/** How many pods of the present template are available, counted one by one. */
export const availablePods = (side: Side, now: number): number => availability(side, now).length;

/** Since when as many are available as are now; the youngest one decides. */
export const allAvailableSince = (side: Side, now: number): number =>
  Math.max(Number.NEGATIVE_INFINITY, ...availability(side, now));

/** How many pods of this hash a Service would send traffic to. */
export const readyPods = (pods: readonly Pod[], hash?: string): number =>
  pods.filter((pod) => isReady(pod) && (hash === undefined || podHash(pod) === hash)).length;

/**
 * What is still missing until all of it runs the present template and is available, as a clause; undefined if
 * nothing is. Status and pods must agree: the status alone may be about an older template.
 */
export const whatIsMissing = (side: Side, now: number): string | undefined => {
  const { deployment } = side;
  const { generation = 0, name } = deployment.metadata;
  const {
    observedGeneration = 0,
    updatedReplicas = 0,
    replicas = 0,
    availableReplicas = 0,
  } = deployment.status ?? {};
  const wanted = replicasOf(side);
  const available = availablePods(side, now);
  if (deployment.spec.paused === true) return `Deployment ${name} is paused; resume it`;
  if (observedGeneration < generation || hashOf(side) === undefined)
    return `the Deployment controller has not seen the change of ${name} yet`;
  if (available < wanted)
    return [`${available} of ${wanted} pods of ${name} are updated and available`, describeFirst(side, now)]
      .filter((text) => text !== undefined)
      .join('; ');
  return updatedReplicas === wanted && replicas === wanted && availableReplicas >= wanted
    ? undefined
    : `the Deployment controller still counts ${replicas} pods of ${name}, ${updatedReplicas} updated and ${availableReplicas} available, of ${wanted}`;
};

/** The first pod of the present template that is not available, and what it waits for; or why there is none. */
export const describeFirst = (side: Side, now: number): string | undefined => {
  const minReadyMs = (side.deployment.spec.minReadySeconds ?? 0) * 1_000;
  const waiting = currentPods(side).filter((pod) => availableSince(pod, minReadyMs, now) === undefined);
  const first = waiting.find((pod) => whyHopeless(pod, now) !== undefined) ?? waiting[0];
  if (first !== undefined) return describePod(first);
  const refused = condition(side, 'ReplicaFailure');
  return refused?.status === 'True'
    ? `pods are refused: ${refused.message ?? refused.reason ?? ''}`
    : undefined;
};

/**
 * Why the present template, in place since `since`, can't be expected to become available, as a clause;
 * undefined while there is hope.
 */
export const whyFailed = (side: Side, since: number, now: number): string | undefined => {
  const { name } = side.deployment.metadata;
  if (side.deployment.spec.paused === true) return undefined;
  const hopeless = currentPods(side)
    .map((pod) => whyHopeless(pod, now))
    .find((why) => why !== undefined);
  if (hopeless !== undefined) return hopeless;
  const refused = condition(side, 'ReplicaFailure');
  if (refused?.status === 'True' && now - Math.max(since, timeOf(refused)) > refusedPatienceMs)
    return `pods of ${name} are refused: ${refused.message ?? refused.reason ?? 'no reason given'}`;
  const deadlineMs = (side.deployment.spec.progressDeadlineSeconds ?? defaultProgressDeadline) * 1_000;
  const progressing = condition(side, 'Progressing');
  // A condition from before may stand a while longer, so only one that turned False since then counts.
  const exceeded =
    progressing?.reason === 'ProgressDeadlineExceeded' && timeOf(progressing) + 999 >= since
      ? deadlineMs
      : // Pods that turn ready and unready again count as progress each time and put the Deployment's own
        // deadline off for ever (argoproj/argo-rollouts#3765); twice that long in all is enough.
        now - Math.max(since, oldestStart(side, now)) > 2 * deadlineMs
        ? 2 * deadlineMs
        : undefined;
  if (exceeded === undefined) return undefined;
  const first = describeFirst(side, now);
  return `Deployment ${name} did not become available within ${exceeded / 1_000} s${first === undefined ? '' : ` (${first})`}`;
};

/**
 * Since when the oldest pod that is not available has been there: one that takes the place of an evicted pod, long
 * after the template was set, has its time like the first ones.
 */
const oldestStart = (side: Side, now: number): number => {
  const pods = currentPods(side);
  const minReadyMs = (side.deployment.spec.minReadySeconds ?? 0) * 1_000;
  const missing = pods.filter((pod) => availableSince(pod, minReadyMs, now) === undefined);
  if (missing.length > 0)
    return Math.min(...missing.map(({ metadata }) => Date.parse(metadata.creationTimestamp)));
  // With none at all nothing tells since when; with some, the next is about to be made.
  return pods.length === 0 ? 0 : now;
};

const condition = ({ deployment }: Side, type: string): Condition | undefined =>
  deployment.status?.conditions?.find((candidate) => candidate.type === type);

const timeOf = ({ lastTransitionTime }: Condition): number =>
  lastTransitionTime === undefined ? 0 : Date.parse(lastTransitionTime);
