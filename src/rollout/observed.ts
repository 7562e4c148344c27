/** Everything that a strategy decides by, read live from the API server in one go. */
import type { Violation } from '../api/facts.ts';
import type { Pod, PodTemplate, Service } from '../kube/types.ts';
import { fingerprint } from './canonical.ts';
import { greenLabel, type Failure, type Hold, type RolloutRecord } from './record.ts';
import type { Side } from './side.ts';
import { difference, sameTemplate } from './overlay.ts';
import { targetOf, type Target, type Wanted } from './wanted.ts';

export interface Observed {
  readonly namespace: string;
  readonly change: string;
  /** Of the SchemaChange. */
  readonly uid: string;
  readonly wanted: Wanted;
  readonly retry: string;
  /** In ms since the epoch. */
  readonly now: number;
  /** For how long green pods are watched before, and again after, the flip. */
  readonly settleMs: number;
  /** The user's Deployment. */
  readonly base: Side;
  readonly record: RolloutRecord | undefined;
  /** The Deployment that has the green one's name, be it ours or not. */
  readonly green: Side | undefined;
  /** Pods that a green Deployment made for this change; they may outlive it. */
  readonly greenPods: readonly Pod[];
  readonly service: Service | undefined;
  readonly hold: Hold | undefined;
  /** What forbids to begin; what is under way is brought to an end all the same. */
  readonly violations: readonly Violation[];
}

/** The Deployment's green twin; cut where the names of its ReplicaSets would be longer than 253 characters. */
export const greenName = (deployment: string): string => {
  const longest = 253 - '-1234567890'.length;
  const name = `${deployment}-green`;
  if (name.length <= longest) return name;
  const tail = `-${fingerprint(deployment)}-green`;
  return `${deployment.slice(0, longest - tail.length).replace(/[.-]+$/, '')}${tail}`;
};

/** The green Deployment, if this change made it. */
export const ownGreen = ({ green, change }: Observed): Side | undefined =>
  green?.deployment.metadata.labels?.[greenLabel] === change ? green : undefined;

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

/** What somebody else changed in the fields that we laid, as a clause. Not if it is what is wanted now. */
export const foreignEdit = (observed: Observed): string | undefined =>
  observed.record?.laid === undefined || isAtTarget(observed)
    ? undefined
    : difference(observed.base.deployment.spec.template, observed.change, observed.record.laid);

/** True if what is wanted is what failed, and nobody has asked to try again. */
export const isFailureOf = (observed: Observed, failure: Failure | undefined): boolean =>
  failure !== undefined && failure.target === target(observed)?.id && failure.retry === observed.retry;
