/** Live reads of a workload that is no Deployment: whose pods they are, and which templates the next ones come from. */
import type { Violation } from '../api/facts.ts';
import type { TemplateFacts } from '../api/observed-facts.ts';
import type { Workload } from '../api/schema-change.ts';
import { isNotFound } from '../kube/api-error.ts';
import type { Cluster } from '../kube/client.ts';
import {
  controllerRevisions,
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  replicaSets,
  rollouts,
  services,
  statefulSets,
} from '../kube/resources.ts';
import type { Deployment, Pod, ReplicaSet, Rollout } from '../kube/types.ts';
import { isOwnedBy, readPods, selectorText, serviceSelector } from './read.ts';
import {
  cronJobTemplates,
  plainTemplates,
  revisionBefore,
  rolloutTemplates,
  statefulSetTemplates,
} from './templates.ts';

/** A kind that is only observed. */
export type ObservedKind = Exclude<Workload['kind'], undefined | 'Deployment'>;

/** The kind of a workload that is only ever observed; undefined for a Deployment. */
export const observedKind = ({ kind }: Workload): ObservedKind | undefined =>
  kind === 'Deployment' ? undefined : kind;

interface Input {
  readonly namespace: string;
  readonly change: { readonly name: string };
  readonly workload: Workload;
}

/** Which pods are a workload's, and what the next ones may be made from. */
interface Owner {
  /** Label selectors. */
  readonly selectors: readonly string[];
  readonly templates: readonly TemplateFacts[];
}

type Found<T> = { readonly found: T } | { readonly missing: Violation };

const found = <T>(value: T): Found<T> => ({ found: value });

const missing = (message: string, reason: Violation['reason'] = 'WorkloadNotFound'): Found<never> => ({
  missing: { reason, message },
});

const notThere = (kind: string, { namespace, workload }: Input): Found<never> =>
  missing(
    `${kind} ${namespace}/${workload.deployment} does not exist. Create it, or correct spec.workloads.`,
  );

const readStatefulSet = async (cluster: Cluster, input: Input): Promise<Found<Owner>> => {
  const { namespace, workload, change } = input;
  const set = await cluster.get({ resource: statefulSets, namespace, name: workload.deployment });
  if (set === undefined) return notThere('StatefulSet', input);
  const name = revisionBefore(set);
  const before =
    name === undefined ? undefined : await cluster.get({ resource: controllerRevisions, namespace, name });
  return found({
    selectors: [selectorText(set.spec.selector)],
    templates: statefulSetTemplates(set, before, change.name),
  });
};

const readPlain = async (
  cluster: Cluster,
  kind: 'DaemonSet' | 'ReplicaSet',
  input: Input,
): Promise<Found<Owner>> => {
  const { namespace, workload, change } = input;
  const name = workload.deployment;
  const owner =
    kind === 'DaemonSet'
      ? await cluster.get({ resource: daemonSets, namespace, name })
      : await cluster.get({ resource: replicaSets, namespace, name });
  if (owner === undefined) return notThere(kind, input);
  return found({
    selectors: [selectorText(owner.spec.selector)],
    templates: plainTemplates(kind, owner, change.name),
  });
};

const readCronJob = async (cluster: Cluster, input: Input): Promise<Found<Owner>> => {
  const { namespace, workload, change } = input;
  const cronJob = await cluster.get({ resource: cronJobs, namespace, name: workload.deployment });
  if (cronJob === undefined) return notThere('CronJob', input);
  const { items } = await cluster.list(jobs, { namespace });
  const own = items.filter(({ metadata }) => isOwnedBy(metadata, cronJob));
  const uids = own.map(({ metadata }) => metadata.uid);
  return found({
    selectors: uids.length === 0 ? [] : [`batch.kubernetes.io/controller-uid in (${uids.join(',')})`],
    templates: cronJobTemplates(cronJob, own, change.name),
  });
};

/** What spec.workloadRef names: its template and selector are the Rollout's. */
const readReferred = async (
  cluster: Cluster,
  { namespace, workload }: Input,
  { kind = '', name = '' }: NonNullable<Rollout['spec']['workloadRef']>,
): Promise<Found<Deployment | ReplicaSet>> => {
  if (kind !== 'Deployment' && kind !== 'ReplicaSet')
    return missing(
      `Rollout ${namespace}/${workload.deployment} takes its template from a ${kind}, which Segue does not read; refer to a Deployment, or put the template into the Rollout.`,
      'InvalidWorkload',
    );
  const referred =
    kind === 'Deployment'
      ? await cluster.get({ resource: deployments, namespace, name })
      : await cluster.get({ resource: replicaSets, namespace, name });
  return referred === undefined
    ? missing(
        `${kind} ${namespace}/${name}, which Rollout ${workload.deployment} takes its template from, does not exist. Create it, or correct spec.workloadRef.`,
      )
    : found(referred);
};

const readRollout = async (cluster: Cluster, input: Input): Promise<Found<Owner>> => {
  const { namespace, workload, change } = input;
  const rollout = await cluster.get({ resource: rollouts, namespace, name: workload.deployment });
  if (rollout === undefined)
    return (await hasRollouts(cluster, namespace))
      ? notThere('Rollout', input)
      : missing(
          `The cluster knows no Rollouts (argoproj.io/v1alpha1), so ${namespace}/${workload.deployment} can't be looked at. Install Argo Rollouts, or correct spec.workloads.`,
        );
  const { workloadRef } = rollout.spec;
  const referred = workloadRef === undefined ? undefined : await readReferred(cluster, input, workloadRef);
  if (referred !== undefined && 'missing' in referred) return referred;
  const selector = referred?.found.spec.selector ?? rollout.spec.selector ?? {};
  const labelSelector = selectorText(selector);
  // An empty selector would select every pod of the namespace.
  if (labelSelector === '')
    return missing(
      `Rollout ${namespace}/${workload.deployment} has no selector; give it one.`,
      'InvalidWorkload',
    );
  const { items } = await cluster.list(replicaSets, { namespace, labelSelector });
  return found({
    selectors: [labelSelector],
    templates: rolloutTemplates(
      rollout,
      referred?.found,
      items.filter(({ metadata }) => isOwnedBy(metadata, rollout)),
      change.name,
    ),
  });
};

/** A kind that the server does not know and an object that is not there are both a 404; an empty list is not. */
const hasRollouts = async (cluster: Cluster, namespace: string): Promise<boolean> => {
  try {
    await cluster.list(rollouts, { namespace });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
};

const readOwner = (cluster: Cluster, kind: ObservedKind, input: Input): Promise<Found<Owner>> => {
  switch (kind) {
    case 'StatefulSet':
      return readStatefulSet(cluster, input);
    case 'DaemonSet':
    case 'ReplicaSet':
      return readPlain(cluster, kind, input);
    case 'Rollout':
      return readRollout(cluster, input);
    case 'CronJob':
      return readCronJob(cluster, input);
  }
};

/** A workload that is only observed, as it was within a few milliseconds. */
interface ObservedOwner {
  /** What is not there: nothing may be concluded from the pods then. */
  readonly violations: readonly Violation[];
  readonly templates: readonly TemplateFacts[];
  /** Selected by the owner, or by the Service as it was before a roll-out held it to one side. */
  readonly pods: readonly Pod[];
}

/** @throws ApiError, UnreachableError. */
export const observeOwner = async (
  cluster: Cluster,
  kind: ObservedKind,
  input: Input,
): Promise<ObservedOwner> => {
  const { namespace, workload } = input;
  const owner = await readOwner(cluster, kind, input);
  const named = [...(workload.service === undefined ? [] : [workload.service]), ...(workload.services ?? [])];
  const front = await Promise.all(named.map((name) => cluster.get({ resource: services, namespace, name })));
  const noService = named
    .filter((_, index) => front[index] === undefined)
    .map((name): Violation => ({
      reason: 'ServiceNotFound',
      message: `Service ${namespace}/${name} does not exist. Create it, or correct spec.workloads of ${kind} ${workload.deployment}.`,
    }));
  if ('missing' in owner) return { violations: [owner.missing, ...noService], templates: [], pods: [] };
  const { selectors, templates } = owner.found;
  return {
    violations: noService,
    templates,
    // After the templates: a pod that was made from an old one meanwhile is seen.
    pods: await readPods(cluster, namespace, [...selectors, ...front.flatMap(serviceSelector)]),
  };
};
