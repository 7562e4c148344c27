/** What each kind is called in the API server's paths, and how a single object is named. */

import { group, kind, plural, version } from '../api/names.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import type {
  ConfigMap,
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  HttpRoute,
  HorizontalPodAutoscaler,
  Job,
  KubeEvent,
  KubeObject,
  Lease,
  Namespace,
  Pod,
  ReplicaSet,
  Rollout,
  Secret,
  Service,
  StatefulSet,
} from './types.ts';

declare const objectType: unique symbol;

/** A kind, and the type of its objects. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** True where lists and watches bring the objects' metadata and nothing else of them; see `metadataOf`. */
  readonly metadataOnly?: true;
  /** Never there at run time; it lets `get(ref)` know what it returns. */
  readonly [objectType]?: T;
}

/** One object: `{ resource: deployments, namespace: 'shop', name: 'shop' }`. */
export interface Ref<T extends KubeObject = KubeObject> {
  readonly resource: Resource<T>;
  /** Needed if, and only if, the resource is namespaced. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

const namespaced = <T extends KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): Resource<T> => ({ group, version, plural, kind, namespaced: true });

export const deployments = namespaced<Deployment>('apps', 'v1', 'deployments', 'Deployment');
export const replicaSets = namespaced<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet');
export const statefulSets = namespaced<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet');
export const daemonSets = namespaced<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet');
export const controllerRevisions = namespaced<ControllerRevision>(
  'apps',
  'v1',
  'controllerrevisions',
  'ControllerRevision',
);
export const cronJobs = namespaced<CronJob>('batch', 'v1', 'cronjobs', 'CronJob');
export const jobs = namespaced<Job>('batch', 'v1', 'jobs', 'Job');
/** Of Argo Rollouts; a cluster need not have it. */
export const rollouts = namespaced<Rollout>('argoproj.io', 'v1alpha1', 'rollouts', 'Rollout');
export const horizontalPodAutoscalers = namespaced<HorizontalPodAutoscaler>(
  'autoscaling',
  'v2',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const services = namespaced<Service>('', 'v1', 'services', 'Service');
/** Of the Gateway API, whose CRDs a cluster may not have: every request is answered with 404 then. */
export const httpRoutes = namespaced<HttpRoute>('gateway.networking.k8s.io', 'v1', 'httproutes', 'HTTPRoute');
export const pods = namespaced<Pod>('', 'v1', 'pods', 'Pod');
export const configMaps = namespaced<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const secrets = namespaced<Secret>('', 'v1', 'secrets', 'Secret');
export const leases = namespaced<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const events = namespaced<KubeEvent>('events.k8s.io', 'v1', 'events', 'Event');
export const namespaces: Resource<Namespace> = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export const schemaChanges = namespaced<SchemaChange>(group, version, plural, kind);

/**
 * The same kind, listed and watched by metadata alone: of a pod that is a tenth of what would be sent, parsed and thrown
 * away (Kubernetes API concepts, "Metadata-only fetches"). An object that is read by itself is whole.
 */
export const metadataOf = ({ group, version, plural, kind, namespaced }: Resource): Resource => ({
  group,
  version,
  plural,
  kind,
  namespaced,
  metadataOnly: true,
});

/** `apps/v1`, or `v1` for the core group. */
export const apiVersionOf = (resource: Resource): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;

/** The path of a collection; without a namespace, of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  return namespace !== undefined && resource.namespaced
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${resource.plural}`
    : `${root}/${resource.plural}`;
}

/**
 * The path of one object, or of a subresource of it.
 * @throws if the name is empty (the path would be that of the collection, and a delete would empty it), or
 * if a namespace is missing or superfluous.
 */
export function objectPath(ref: Ref, subresource?: string): string {
  const { resource, namespace, name } = ref;
  if (name === '') throw new Error(`A ${resource.kind} without a name can't be addressed.`);
  if (resource.namespaced !== (namespace !== undefined && namespace !== '')) {
    throw new Error(
      resource.namespaced
        ? `${resource.kind} "${name}" can't be addressed without its namespace.`
        : `${resource.kind} "${name}" has no namespace; leave it out.`,
    );
  }
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `namespace/name`, or `name` where there is no namespace: what queues and caches go by. */
export const keyOf = (object: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string => {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
};

/** The reference that a key stands for. */
export function refOf<T extends KubeObject>(resource: Resource<T>, key: string): Ref<T> {
  const slash = key.indexOf('/');
  return slash < 0
    ? { resource, name: key }
    : { resource, namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
