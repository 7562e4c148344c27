/** Live reads of everything that belongs to a workload; never from a cache, which may be behind. */
import type { Workload } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import { deployments, pods, replicaSets, services } from '../kube/resources.ts';
import type { Deployment, LabelSelector, Labels, Pod, ReplicaSet, Service } from '../kube/types.ts';
import { greenName } from './observed.ts';
import { hashLabel } from './overlay.ts';
import { podHash } from './pod.ts';
import { greenLabel, serviceAnnotation } from './record.ts';

/** A workload's objects, as they were within a few milliseconds. */
export interface Objects {
  readonly deployment: Deployment | undefined;
  /** Whatever Deployment has the green one's name. */
  readonly green: Deployment | undefined;
  readonly service: Service | undefined;
  /** Of both Deployments. */
  readonly replicaSets: readonly ReplicaSet[];
  /** Selected by the Deployment or by the Service as it was before it was held to one side. */
  readonly pods: readonly Pod[];
  /** Those of `pods` that neither the Deployment nor its green twin made. */
  readonly strangers: readonly Pod[];
}

/** @throws ApiError, UnreachableError. */
export const readObjects = async (
  cluster: Cluster,
  input: {
    readonly namespace: string;
    readonly change: { readonly name: string };
    readonly workload: Workload;
  },
): Promise<Objects> => {
  const { namespace, change, workload } = input;
  const [deployment, green] = await Promise.all([
    cluster.get({ resource: deployments, namespace, name: workload.deployment }),
    cluster.get({ resource: deployments, namespace, name: greenName(workload.deployment) }),
  ]);
  const serviceName =
    (green?.metadata.labels?.[greenLabel] === change.name
      ? green.metadata.annotations?.[serviceAnnotation]
      : undefined) ?? workload.service;
  const service =
    serviceName === undefined || serviceName === ''
      ? undefined
      : await cluster.get({ resource: services, namespace, name: serviceName });
  const selectors = [
    ...(deployment === undefined ? [] : [selectorText(deployment.spec.selector)]),
    ...serviceSelector(service),
  ];
  const sets =
    deployment === undefined
      ? []
      : (
          await cluster.list(replicaSets, {
            namespace,
            labelSelector: selectorText(deployment.spec.selector),
          })
        ).items;
  // Pods last: what is decided by is above all whether they are ready.
  const found = await Promise.all(
    [...new Set(selectors)].map((labelSelector) => cluster.list(pods, { namespace, labelSelector })),
  );
  const selected = [
    ...new Map(found.flatMap(({ items }) => items.map((pod) => [pod.metadata.uid, pod]))).values(),
  ];
  return {
    deployment,
    green,
    service,
    replicaSets: sets,
    pods: selected,
    strangers: selected.filter(
      (pod) =>
        (deployment === undefined || !isPodOf(pod, deployment, sets)) &&
        pod.metadata.labels?.[greenLabel] === undefined,
    ),
  };
};

/** True if one of the Deployment's ReplicaSets made the pod, even one that is gone by now. */
export const isPodOf = (pod: Pod, deployment: Deployment, sets: readonly ReplicaSet[]): boolean => {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind !== 'ReplicaSet' || pod.metadata.labels?.[greenLabel] !== undefined) return false;
  return (
    owner.name === `${deployment.metadata.name}-${podHash(pod) ?? ''}` ||
    sets.some(({ metadata }) => metadata.uid === owner.uid && isOwnedBy(metadata, deployment))
  );
};

/** True if the Deployment controls the object. */
export const isOwnedBy = (metadata: ReplicaSet['metadata'], deployment: Deployment): boolean =>
  metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === deployment.metadata.uid,
  ) === true;

const serviceSelector = (service: Service | undefined): readonly string[] => {
  const { [hashLabel]: _, ...selector } = service?.spec.selector ?? {};
  return Object.keys(selector).length === 0 ? [] : [labelsText(selector)];
};

const labelsText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');

/** A selector as the query parameter `labelSelector` has it. */
const selectorText = ({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string =>
  [
    ...(Object.keys(matchLabels).length === 0 ? [] : [labelsText(matchLabels)]),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      switch (operator) {
        case 'In':
          return `${key} in (${values.join(',')})`;
        case 'NotIn':
          return `${key} notin (${values.join(',')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `!${key}`;
      }
    }),
  ].join(',');
