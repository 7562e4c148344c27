/** Live reads of everything that belongs to a workload; never from a cache, which may be behind. */
import type { Workload } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import {
  configMaps,
  deployments,
  horizontalPodAutoscalers,
  pods,
  replicaSets,
  services,
} from '../kube/resources.ts';
import type {
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  KubeObject,
  LabelSelector,
  Labels,
  Pod,
  ReplicaSet,
  Service,
} from '../kube/types.ts';
import { canaryName, greenName } from './observed.ts';
import { podHash } from './pod.ts';
import { greenLabel, serviceAnnotation } from './record.ts';
import { readRouting } from './read-route.ts';
import type { Routing } from './routing.ts';
import { holdFor, ownSelector } from './services.ts';

/** A workload's objects, as they were within a few milliseconds. */
export interface Objects {
  readonly deployment: Deployment | undefined;
  /** The green Deployment or the canary of this change, or whatever has the name that it would get. */
  readonly green: Deployment | undefined;
  /** The one that leads: what is held for this workload by now comes before what the resource names. */
  readonly service: Service | undefined;
  /** What a canary's route has to do with it; undefined where none is named. */
  readonly routing: Routing | undefined;
  /** The one that toggles of the workload name. */
  readonly configMap: ConfigMap | undefined;
  /** All of the namespace. */
  readonly services: readonly Service[];
  /** What scales the Deployment; looked for only where green has more pods than it is to have. */
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
  /** Of both Deployments. */
  readonly replicaSets: readonly ReplicaSet[];
  /** Selected by the Deployment or by one of its Services as it was before it was held to one side. */
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
  const [deployment, ...twins] = await Promise.all(
    [workload.deployment, greenName(workload.deployment), canaryName(workload.deployment)].map((name) =>
      cluster.get({ resource: deployments, namespace, name }),
    ),
  );
  // The strategy may have been edited: what stands there from before comes to its end first.
  const expected = workload.strategy?.canary === undefined ? twins[0] : twins[1];
  const green = twins.find((twin) => twin?.metadata.labels?.[greenLabel] === change.name) ?? expected;
  const { items: all } = await cluster.list(services, { namespace });
  const ofTwin =
    green?.metadata.labels?.[greenLabel] === change.name
      ? green.metadata.annotations?.[serviceAnnotation]
      : undefined;
  const held = all.filter((service) => holdFor(service, change.name, workload.deployment) !== undefined);
  const leading = held.find(
    (service) => holdFor(service, change.name, workload.deployment)?.role === undefined,
  );
  const named = (name: string | undefined) => all.find(({ metadata }) => metadata.name === name);
  const service = leading ?? named(ofTwin ?? workload.service);
  const behind = [service, ...held, ...(workload.services ?? []).map(named)];
  const routing = await readRouting(cluster, namespace, workload, service);
  const selectors = [
    ...(deployment === undefined ? [] : [selectorText(deployment.spec.selector)]),
    ...behind.flatMap((one) => (one === undefined ? [] : serviceSelector(one))),
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
  const configMapName = workload.releases.find(({ toggle }) => toggle !== undefined)?.toggle?.configMap;
  const configMap =
    configMapName === undefined
      ? undefined
      : await cluster.get({ resource: configMaps, namespace, name: configMapName });
  // Pods last: what is decided by is above all whether they are ready.
  const selected = await readPods(cluster, namespace, selectors);
  return {
    deployment,
    green,
    service,
    routing,
    configMap,
    services: all,
    autoscaler: await autoscalerOf(cluster, namespace, deployment, green),
    replicaSets: sets,
    pods: selected,
    strangers: selected.filter(
      (pod) =>
        (deployment === undefined || !isPodOf(pod, deployment, sets)) &&
        pod.metadata.labels?.[greenLabel] === undefined,
    ),
  };
};

/** Every pod that one of the selectors selects, each once. @throws ApiError, UnreachableError. */
export const readPods = async (
  cluster: Cluster,
  namespace: string,
  selectors: readonly string[],
): Promise<readonly Pod[]> => {
  const found = await Promise.all(
    [...new Set(selectors)].map((labelSelector) => cluster.list(pods, { namespace, labelSelector })),
  );
  return [...new Map(found.flatMap(({ items }) => items.map((pod) => [pod.metadata.uid, pod]))).values()];
};

const autoscalerOf = async (
  cluster: Cluster,
  namespace: string,
  deployment: Deployment | undefined,
  green: Deployment | undefined,
): Promise<HorizontalPodAutoscaler | undefined> => {
  const { name } = deployment?.metadata ?? { name: '' };
  const isGreen = green?.metadata.name === greenName(name);
  if (!isGreen || (green?.spec.replicas ?? 1) <= (deployment?.spec.replicas ?? 1)) return undefined;
  const { items } = await cluster.list(horizontalPodAutoscalers, { namespace });
  return items.find(
    ({ spec: { scaleTargetRef } }) => scaleTargetRef.kind === 'Deployment' && scaleTargetRef.name === name,
  );
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

/** True if the owner controls the object. */
export const isOwnedBy = (metadata: KubeObject['metadata'], owner: KubeObject): boolean =>
  metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === owner.metadata.uid,
  ) === true;

/** Argo Rollouts' key, by which it holds a Service to one ReplicaSet. */
export const rolloutsHashLabel = 'rollouts-pod-template-hash';

/** The Service's selector without what a roll-out narrows it by; empty if it selects nothing. */
export const serviceSelector = (service: Service | undefined): readonly string[] => {
  const { [rolloutsHashLabel]: _, ...selector } = service === undefined ? {} : ownSelector(service);
  return Object.keys(selector).length === 0 ? [] : [labelsText(selector)];
};

const labelsText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');

/** A selector as the query parameter `labelSelector` has it. */
export const selectorText = ({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string =>
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
