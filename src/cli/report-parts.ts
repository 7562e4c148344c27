/** What a report is gathered from. Each part is read by itself: what may not be read is named, and the rest still helps. */
import type { SchemaChange, Workload } from '../api/schema-change.ts';
import { ApiError } from '../kube/api-error.ts';
import type { Cluster } from '../kube/client.ts';
import { selects } from '../kube/label-selector.ts';
import {
  cronJobs,
  daemonSets,
  deployments,
  events,
  httpRoutes,
  leases,
  pods,
  replicaSets,
  rollouts,
  services,
  statefulSets,
  type Resource,
} from '../kube/resources.ts';
import type {
  ContainerStatus,
  Deployment,
  KubeEvent,
  KubeObject,
  LabelSelector,
  Pod,
  Service,
} from '../kube/types.ts';
import { findOperators } from './operators.ts';

/** A part of a report: objects, or why there are none. */
export type Part = readonly KubeObject[] | { readonly notRead: string };

interface Source {
  readonly cluster: Cluster;
  readonly signal: AbortSignal;
}

const reading = async (read: () => Promise<readonly KubeObject[]>): Promise<Part> => {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiError) return { notRead: error.message };
    throw error;
  }
};

const kinds: Readonly<Record<NonNullable<Workload['kind']>, Resource>> = {
  Deployment: deployments,
  StatefulSet: statefulSets,
  DaemonSet: daemonSets,
  ReplicaSet: replicaSets,
  Rollout: rollouts,
  CronJob: cronJobs,
};

const present = <T>(found: T | undefined): readonly T[] => (found === undefined ? [] : [found]);

/** The label that Segue gives to what it makes beside a Deployment. */
const greenLabel = 'segue.dev/green';

const workloadsOf = async (
  { cluster, signal }: Source,
  change: SchemaChange,
): Promise<readonly KubeObject[]> => {
  const { namespace, name } = change.metadata;
  const found = await Promise.all(
    change.spec.workloads.map(({ kind = 'Deployment', deployment }) =>
      cluster.get({ resource: kinds[kind], namespace, name: deployment }, { signal }),
    ),
  );
  const beside = await cluster.list(deployments, {
    namespace,
    labelSelector: `${greenLabel}=${name}`,
    signal,
  });
  return [...found.flatMap(present), ...beside.items];
};

const namesOfServices = ({ spec }: SchemaChange): readonly string[] => [
  ...new Set(
    spec.workloads.flatMap(({ service, services = [], strategy }) => [
      ...present(service),
      ...services,
      ...present(strategy?.blueGreen?.preview),
    ]),
  ),
];

const servicesOf = async ({ cluster, signal }: Source, change: SchemaChange): Promise<readonly Service[]> => {
  const { namespace } = change.metadata;
  const found = await Promise.all(
    namesOfServices(change).map((name) => cluster.get({ resource: services, namespace, name }, { signal })),
  );
  return found.flatMap(present);
};

const routesOf = async (
  { cluster, signal }: Source,
  change: SchemaChange,
): Promise<readonly KubeObject[]> => {
  const { namespace } = change.metadata;
  const names = change.spec.workloads.flatMap(({ strategy }) => present(strategy?.canary?.httpRoute));
  const found = await Promise.all(
    [...new Set(names)].map((name) => cluster.get({ resource: httpRoutes, namespace, name }, { signal })),
  );
  return found.flatMap(present);
};

/** Which pods are meant: those that a workload or a Service selects. */
const selectorsOf = (objects: readonly KubeObject[]): readonly LabelSelector[] =>
  objects.flatMap((object) => {
    const { selector } = (object as { spec?: { selector?: LabelSelector } }).spec ?? {};
    if (selector === undefined) return [];
    return object.kind === 'Service' || !('matchLabels' in selector || 'matchExpressions' in selector)
      ? [{ matchLabels: selector as Readonly<Record<string, string>> }]
      : [selector];
  });

/** Without the application's own last words, which may hold anything. */
const containerOf = ({ name, image, ready, restartCount, state, lastState }: ContainerStatus) => {
  const plain = (of: ContainerStatus['state']) => ({
    ...(of?.waiting === undefined ? {} : { waiting: { reason: of.waiting.reason } }),
    ...(of?.running === undefined ? {} : { running: of.running }),
    ...(of?.terminated === undefined
      ? {}
      : {
          terminated: {
            exitCode: of.terminated.exitCode,
            reason: of.terminated.reason,
            finishedAt: of.terminated.finishedAt,
          },
        }),
  });
  return { name, image, ready, restartCount, state: plain(state), lastState: plain(lastState) };
};

/** Of a pod, what says whose it is and how it fares. */
const podOf = ({ apiVersion, kind, metadata, spec, status }: Pod): KubeObject =>
  ({
    apiVersion,
    kind,
    metadata,
    spec: { nodeName: spec.nodeName },
    status: {
      phase: status?.phase,
      conditions: status?.conditions,
      containerStatuses: status?.containerStatuses?.map(containerOf),
      initContainerStatuses: status?.initContainerStatuses?.map(containerOf),
    },
  }) as KubeObject;

const podsOf = async (
  { cluster, signal }: Source,
  namespace: string,
  selectors: readonly LabelSelector[],
): Promise<readonly KubeObject[]> => {
  const { items } = await cluster.list(pods, { namespace, signal });
  return items
    .filter(({ metadata }) => selectors.some((selector) => selects(selector, metadata.labels ?? {})))
    .map(podOf);
};

const eventsOf = async (
  { cluster, signal }: Source,
  namespace: string,
  names: ReadonlySet<string>,
): Promise<readonly KubeEvent[]> => {
  const { items } = await cluster.list(events, { namespace, signal });
  return items.filter(({ regarding }) => names.has(`${regarding?.kind}/${regarding?.name}`));
};

const leasesOf = async (
  { cluster, signal }: Source,
  operators: readonly Deployment[],
): Promise<readonly KubeObject[]> => {
  const found = await Promise.all(
    operators.map(({ metadata }) =>
      cluster.get({ resource: leases, namespace: metadata.namespace, name: metadata.name }, { signal }),
    ),
  );
  return found.flatMap(present);
};

const objectsOf = (part: Part): readonly KubeObject[] => ('notRead' in part ? [] : part);

/** Everything that a report shows, before anything is taken out of it. */
export const gather = async (
  cluster: Cluster,
  change: SchemaChange,
  { operatorNamespace, signal }: { operatorNamespace: string | undefined; signal: AbortSignal },
): Promise<Readonly<Record<string, Part>>> => {
  const source: Source = { cluster, signal };
  const { namespace, name } = change.metadata;
  const [workloads, behind, routes, operators] = await Promise.all([
    reading(() => workloadsOf(source, change)),
    reading(() => servicesOf(source, change)),
    reading(() => routesOf(source, change)),
    reading(() => findOperators(cluster, operatorNamespace, signal)),
  ]);
  const selecting = [
    ...objectsOf(workloads),
    ...objectsOf(behind).map((object) => ({ kind: 'Service', ...object })),
  ];
  const found = await reading(() => podsOf(source, namespace, selectorsOf(selecting)));
  const told = new Set([
    `SchemaChange/${name}`,
    ...[...objectsOf(workloads), ...objectsOf(found)].map(({ kind, metadata }) => `${kind}/${metadata.name}`),
  ]);
  const [said, held] = await Promise.all([
    reading(() => eventsOf(source, namespace, told)),
    reading(() => leasesOf(source, objectsOf(operators) as readonly Deployment[])),
  ]);
  return {
    events: said,
    workloads,
    services: behind,
    httpRoutes: routes,
    pods: found,
    operators,
    leases: held,
  };
};
