/** Everything that a strategy decides by, read live from the API server in one go. */
import type { DatabaseSigns } from '../api/analysis-facts.ts';
import type { Violation } from '../api/facts.ts';
import type { Pod, PodTemplate, Service } from '../kube/types.ts';
import type { Metric } from './analysis/metric.ts';
import type { AnalysisNote } from './analysis/note.ts';
import { fingerprint } from './fingerprint.ts';
import { isReady, podHash } from './pod.ts';
import { greenLabel, templateAnnotation, type Failure, type Hold, type RolloutRecord } from './record.ts';
import { hashOf, type Side } from './side.ts';
import { difference, sameTemplate } from './overlay.ts';
import type { Routing } from './routing.ts';
import { targetOf, type Target, type Wanted } from './wanted.ts';

/** How much of the traffic a canary gets, and for how long, before the next step. */
export interface CanaryStep {
  /** Percent. */
  readonly weight: number;
  readonly pauseMs: number;
}

/** A Service beside the one that leads. */
export interface Beside {
  readonly service: Service;
  /** This roll-out's; undefined while it does not hold the Service. */
  readonly hold: Hold | undefined;
}

/** The Service that leads to green alone. */
export interface Preview extends Beside {
  /** False for one that the resource names no more. */
  readonly isNamed: boolean;
}

export interface Observed {
  readonly namespace: string;
  readonly change: string;
  /** Of the SchemaChange. */
  readonly uid: string;
  readonly wanted: Wanted;
  readonly retry: string;
  /** In ms since the epoch. */
  readonly now: number;
  /** For how long green pods are watched before the flip. */
  readonly settleMs: number;
  /** For how long the old pods are kept as they are after the flip. */
  readonly scaleDownDelayMs: number;
  /** Of a canary, in their order; empty for other strategies. */
  readonly canarySteps: readonly CanaryStep[];
  /** The user's Deployment. */
  readonly base: Side;
  /** Most pods that an autoscaler gives it; undefined without one, and while green has no more than it is to have. */
  readonly mostReplicas: number | undefined;
  readonly record: RolloutRecord | undefined;
  /** The Deployment that has the green one's or the canary's name, be it ours or not. */
  readonly green: Side | undefined;
  /** Pods that a green Deployment or a canary made for this change; they may outlive it. */
  readonly greenPods: readonly Pod[];
  /** The Service that leads. */
  readonly service: Service | undefined;
  readonly hold: Hold | undefined;
  /** The HTTPRoute that divides the traffic, or did and is not put back yet; undefined where none was named. */
  readonly routing: Routing | undefined;
  /** Services that are switched with it: those that the workload lists, and those that are held from before. */
  readonly followers: readonly Beside[];
  readonly preview: Preview | undefined;
  /** What a person should know as the roll-out begins, as sentences. */
  readonly notices: readonly string[];
  /** What forbids to begin; what is under way is brought to an end all the same. */
  readonly violations: readonly Violation[];
  /** What is to be measured while new code is rolled out; none on the way back. */
  readonly metrics: readonly Metric[];
  /** What has been measured. */
  readonly note: AnalysisNote | undefined;
  /** Undefined where nothing is rolled out, or no database was asked. */
  readonly signs: DatabaseSigns | undefined;
}

/** Cut where the names of the twin's ReplicaSets would be longer than 253 characters. */
const twinName = (deployment: string, kind: 'green' | 'canary'): string => {
  const longest = 253 - '-1234567890'.length;
  const name = `${deployment}-${kind}`;
  if (name.length <= longest) return name;
  const tail = `-${fingerprint(deployment)}-${kind}`;
  return `${deployment.slice(0, longest - tail.length).replace(/[.-]+$/, '')}${tail}`;
};

/** The Deployment that blue/green puts beside the user's. */
export const greenName = (deployment: string): string => twinName(deployment, 'green');

/** The Deployment that a canary is. */
export const canaryName = (deployment: string): string => twinName(deployment, 'canary');

/** The green Deployment or the canary, if this change made it. */
export const ownGreen = ({ green, change }: Observed): Side | undefined =>
  green?.deployment.metadata.labels?.[greenLabel] === change ? green : undefined;

/** The canary, if this change made it. */
export const ownCanary = (observed: Observed): Side | undefined => {
  const twin = ownGreen(observed);
  return twin?.deployment.metadata.name === canaryName(observed.base.deployment.metadata.name)
    ? twin
    : undefined;
};

export const target = ({ wanted, base, change, record }: Observed): Target | undefined =>
  targetOf(wanted, base.deployment.spec.template, change, record);

/**
 * True for a record that an earlier resource of the same name left behind. If the template is still as that one
 * laid it, this resource may be the same one, deleted and made again half-way, and goes on from there.
 */
export const isLeftBehind = (
  record: RolloutRecord,
  present: PodTemplate,
  change: string,
  uid: string,
): boolean =>
  record.uid !== uid &&
  record.rolling === undefined &&
  (record.laid === undefined || difference(present, change, record.laid) !== undefined);

export const isAtTarget = (observed: Observed): boolean =>
  sameTemplate(observed.base.deployment.spec.template, target(observed)?.template);

/**
 * Percent of the ready pods that run what is wanted, of those that the Service selects now (of all, without one):
 * as nearly as a Service shares traffic out, the share that the new code gets. Undefined while none is ready, and
 * where nothing was ever rolled out.
 */
export const shareOfWanted = (observed: Observed): number | undefined => {
  const { base, green, record, service } = observed;
  const wanted = target(observed);
  if (wanted === undefined || (wanted.laid === undefined && record === undefined)) return undefined;
  const selector = Object.entries(service?.spec.selector ?? {});
  const serving = [...base.pods, ...observed.greenPods].filter(
    (pod) => isReady(pod) && selector.every(([key, value]) => pod.metadata.labels?.[key] === value),
  );
  const hashes = [
    isAtTarget(observed) ? hashOf(base) : undefined,
    green !== undefined && isMadeFor(green, wanted.template) ? hashOf(green) : undefined,
  ];
  const count = serving.filter((pod) => hashes.includes(podHash(pod) ?? '')).length;
  return serving.length === 0 ? undefined : Math.round((100 * count) / serving.length);
};

/** What somebody else changed in the fields that we laid, as a clause. Not if it is what is wanted now. */
export const foreignEdit = (observed: Observed): string | undefined =>
  observed.record?.laid === undefined || isAtTarget(observed)
    ? undefined
    : difference(observed.base.deployment.spec.template, observed.change, observed.record.laid);

/** By what was asked for, not by what is there: admission may have changed it. */
export const isMadeFor = ({ deployment }: Side, template: PodTemplate | undefined): boolean =>
  template !== undefined && deployment.metadata.annotations?.[templateAnnotation] === fingerprint(template);

/** True while what stands beside the Deployment runs what is wanted, and the Deployment is still to come to run it. */
export const isAhead = (observed: Observed, twin: Side): boolean =>
  !isAtTarget(observed) &&
  isMadeFor(twin, target(observed)?.template) &&
  foreignEdit(observed) === undefined &&
  !isFailureOf(observed, observed.record?.failed);

/** Why what is wanted now has failed, as it goes on record. */
export const failureOf = (observed: Observed, message: string): Failure => ({
  target: target(observed)?.id ?? '',
  retry: observed.retry,
  message,
});

/** True if what is wanted is what failed, and nobody has asked to try again. */
export const isFailureOf = (observed: Observed, failure: Failure | undefined): boolean =>
  failure !== undefined && failure.target === target(observed)?.id && failure.retry === observed.retry;
