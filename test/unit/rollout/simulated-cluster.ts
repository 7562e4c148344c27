import { ApiError } from '../../../src/kube/api-error.ts';
import type { Cluster, DeleteOptions, List, ListOptions, Partially } from '../../../src/kube/client.ts';
import type { Ref, Resource } from '../../../src/kube/resources.ts';
import type {
  ContainerStatus,
  Deployment,
  HttpRoute,
  KubeObject,
  Labels,
  Pod,
  PodTemplate,
  ReplicaSet,
  Service,
} from '../../../src/kube/types.ts';
import { fingerprint } from '../../../src/rollout/fingerprint.ts';
import { hashLabel, sameTemplate } from '../../../src/rollout/overlay.ts';
import { greenLabel } from '../../../src/rollout/record.ts';

/** What becomes of a pod, by its image: see `SimulatedCluster.behaviour`. */
export type Behaviour =
  | 'good'
  | 'crashes'
  | 'unpullable'
  | 'never ready'
  /** Becomes ready, and crashes for good 20 s after its start. */
  | 'breaks'
  /** Ready and unready in turn, so that the Deployment's own deadline never comes. */
  | 'flaps';

export type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
type Json = Record<string, unknown>;

const readyAfterMs = 2_000;
const restartEveryMs = 10_000;
/** How long a pod lives on after it was told to end; longer than any propagation, as a preStop sleep makes it. */
const graceMs = 10_000;

/**
 * A cluster in one variable: Deployments, ReplicaSets, kubelets, garbage collection and a kube-proxy that is
 * behind by `proxyDelayMs`, each advanced by hand. It keeps resource versions and refuses what a real API server
 * refuses, as far as roll-outs go; test/cluster has the real one.
 */
export class SimulatedCluster {
  now = Date.parse('2026-01-01T00:00:00Z');
  behaviour: (image: string, isGreen: boolean) => Behaviour = () => 'good';
  proxyDelayMs = 1_000;
  /** Refuses new pods of these, as a quota does. */
  refusesPods: (isGreen: boolean, image: string) => boolean = () => false;
  /** Kinds that the API server knows. */
  readonly kinds = new Set([
    'Deployment',
    'ReplicaSet',
    'Pod',
    'Service',
    'HTTPRoute',
    'HorizontalPodAutoscaler',
  ]);
  readonly writes: string[] = [];
  readonly #objects = new Map<string, Mutable<KubeObject>>();
  readonly #lastProgress = new Map<string, { at: number; seen: string }>();
  #version = 0;
  readonly #endpoints = new Map<string, { readonly at: number; readonly pods: readonly string[] }[]>();

  /** The port that the code under test is given. */
  get cluster(): Cluster {
    const port = {
      get: (ref: Ref) => Promise.resolve(this.#read(keyOf(ref.resource, ref.name))),
      list: async (resource: Resource, options: ListOptions = {}) => {
        await Promise.resolve();
        if (!this.kinds.has(resource.kind)) throw new ApiError('not found', { status: 404 });
        return this.#list(resource, options);
      },
      create: async (ref: Ref, object: Partially<KubeObject>) => {
        await Promise.resolve();
        if (this.#objects.has(keyOf(ref.resource, ref.name))) throw new ApiError('exists', { status: 409 });
        this.writes.push(`create ${ref.resource.kind} ${ref.name}`);
        return this.put(ref.resource.kind, ref.name, object);
      },
      patch: async (ref: Ref, body: object) => {
        await Promise.resolve();
        const key = keyOf(ref.resource, ref.name);
        const old = this.#objects.get(key);
        if (old === undefined) throw new ApiError('not found', { status: 404 });
        const { resourceVersion } = (body as { metadata: { resourceVersion?: string } }).metadata;
        if (resourceVersion !== old.metadata.resourceVersion) throw new ApiError('conflict', { status: 409 });
        this.writes.push(`patch ${ref.resource.kind} ${ref.name}`);
        this.edit(ref.resource.kind, ref.name, body as Json);
        return this.#read(key);
      },
      delete: async (ref: Ref, options: DeleteOptions) => {
        await Promise.resolve();
        const old = this.#objects.get(keyOf(ref.resource, ref.name));
        if (old === undefined) return false;
        const { uid, resourceVersion } = old.metadata;
        if (options.uid !== uid || options.resourceVersion !== resourceVersion)
          throw new ApiError('conflict', { status: 409 });
        this.writes.push(`delete ${ref.resource.kind} ${ref.name}`);
        if (ref.resource.kind === 'Deployment') this.deleteForeground('Deployment', ref.name);
        else this.remove(ref.resource.kind, ref.name);
        return true;
      },
    };
    return port as unknown as Cluster;
  }

  get deployments(): readonly Mutable<Deployment>[] {
    return this.#kind<Deployment>('Deployment');
  }

  get pods(): readonly Mutable<Pod>[] {
    return this.#kind<Pod>('Pod');
  }

  deployment(name: string): Mutable<Deployment> | undefined {
    return this.#objects.get(`Deployment/${name}`) as Mutable<Deployment> | undefined;
  }

  object(kind: string, name: string): KubeObject | undefined {
    return this.#read(`${kind}/${name}`);
  }

  service(name: string): Mutable<Service> {
    return this.#objects.get(`Service/${name}`) as Mutable<Service>;
  }

  get services(): readonly Mutable<Service>[] {
    return this.#kind<Service>('Service');
  }

  /** Pods that the Service's selector selects and that are ready: where new connections are meant to go. */
  selected(name: string): readonly Mutable<Pod>[] {
    const service = this.#objects.get(`Service/${name}`) as Mutable<Service> | undefined;
    const selector = service?.spec.selector;
    return this.pods.filter(
      (pod) => selector !== undefined && matches(pod.metadata.labels, selector) && isReady(pod),
    );
  }

  /** Pods that new connections to a Service really go to, for kube-proxy is behind. */
  routed(service = 'shop'): readonly string[] {
    const known = this.#endpoints.get(service) ?? [];
    return known.findLast(({ at }) => at <= this.now - this.proxyDelayMs)?.pods ?? [];
  }

  route(name: string): Mutable<HttpRoute> | undefined {
    return this.#objects.get(`HTTPRoute/${name}`) as Mutable<HttpRoute> | undefined;
  }

  /** What a controller writes to the status of an object; it counts no generation. */
  writeStatus(kind: string, name: string, status: object): void {
    const object = this.#objects.get(`${kind}/${name}`) as (Mutable<KubeObject> & Json) | undefined;
    if (object === undefined || JSON.stringify(object['status']) === JSON.stringify(status)) return;
    object['status'] = structuredClone(status);
    this.#touch(object);
  }

  /** Gone at once, as anybody may remove an object that owns nothing. */
  remove(kind: string, name: string): void {
    this.#objects.delete(`${kind}/${name}`);
    this.#route();
  }

  put(kind: string, name: string, object: Json): Mutable<KubeObject> {
    this.#version += 1;
    const metadata = {
      ...(object['metadata'] as Json | undefined),
      name,
      namespace: 'shop',
      uid: `uid-${this.#version}`,
      resourceVersion: String(this.#version),
      generation: 1,
      creationTimestamp: this.#time(),
    };
    const stored = { ...structuredClone(object), kind, metadata } as unknown as Mutable<KubeObject>;
    this.#objects.set(`${kind}/${name}`, stored);
    return stored;
  }

  /** A merge patch, as anybody may send one. */
  edit(kind: string, name: string, body: Json): void {
    const key = `${kind}/${name}`;
    const old = this.#objects.get(key);
    if (old === undefined) return;
    const next = merge(old, body) as unknown as Mutable<KubeObject>;
    const changed =
      JSON.stringify((old as unknown as Json)['spec']) !== JSON.stringify((next as unknown as Json)['spec']);
    this.#objects.set(key, next);
    if (changed) next.metadata.generation = (next.metadata.generation ?? 0) + 1;
    this.#touch(next);
  }

  deleteForeground(kind: string, name: string): void {
    const object = this.#objects.get(`${kind}/${name}`);
    if (object === undefined) return;
    object.metadata.deletionTimestamp ??= this.#time();
    this.#touch(object);
  }

  /** One round of every controller and kubelet. */
  settle(): void {
    this.#collectGarbage();
    for (const deployment of this.deployments) this.#syncDeployment(deployment);
    for (const set of this.#kind<ReplicaSet>('ReplicaSet')) this.#syncReplicaSet(set);
    for (const pod of this.pods) this.#syncPod(pod);
    for (const deployment of this.deployments) this.#writeStatus(deployment);
  }

  advance(ms: number): void {
    for (let left = ms; left > 0; left -= 500) {
      this.now += Math.min(500, left);
      for (const pod of this.pods) this.#syncPod(pod);
      this.#route();
    }
  }

  #kind<T extends KubeObject>(kind: string): readonly Mutable<T>[] {
    return [...this.#objects]
      .filter(([key]) => key.startsWith(`${kind}/`))
      .map(([, object]) => object as unknown as Mutable<T>);
  }

  #read(key: string): KubeObject | undefined {
    const object = this.#objects.get(key);
    return object === undefined ? undefined : (structuredClone(object) as KubeObject);
  }

  #list(resource: Resource, { labelSelector = '' }: ListOptions): List<KubeObject> {
    const wanted = Object.fromEntries(
      labelSelector
        .split(',')
        .filter((term) => term !== '')
        .map((term) => term.split('=') as [string, string]),
    );
    const items = this.#kind<KubeObject>(resource.kind)
      .filter(({ metadata }) => matches(metadata.labels, wanted))
      .map((object) => structuredClone(object) as KubeObject);
    return { items, resourceVersion: String(this.#version) };
  }

  #touch(object: Mutable<KubeObject>): void {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    this.#route();
  }

  #time(): string {
    return `${new Date(this.now).toISOString().slice(0, 19)}Z`;
  }

  #route(): void {
    for (const service of this.#kind<Service>('Service')) {
      const { name } = service.metadata;
      const known = this.#endpoints.get(name) ?? [];
      known.push({ at: this.now, pods: this.selected(name).map(({ metadata }) => metadata.name) });
      this.#endpoints.set(name, known.length > 400 ? known.slice(-200) : known);
    }
    // What a Service led to that is gone is forgotten as late as the rest is learnt.
    for (const [name, known] of this.#endpoints)
      if (!this.#objects.has(`Service/${name}`) && known.at(-1)?.pods.length !== 0)
        known.push({ at: this.now, pods: [] });
  }

  #setsOf(deployment: Mutable<Deployment>): readonly Mutable<ReplicaSet>[] {
    return this.#kind<ReplicaSet>('ReplicaSet').filter((set) => isOwnedBy(set, deployment));
  }

  #podsOf(set: Mutable<ReplicaSet>): readonly Mutable<Pod>[] {
    return this.pods.filter((pod) => isOwnedBy(pod, set));
  }

  #collectGarbage(): void {
    const uids = new Set(this.deployments.map(({ metadata }) => metadata.uid));
    for (const deployment of this.deployments) {
      const owner = deployment.metadata.ownerReferences?.[0];
      if (owner !== undefined && !uids.has(owner.uid))
        this.deleteForeground('Deployment', deployment.metadata.name);
      const sets = this.#setsOf(deployment);
      if (deployment.metadata.deletionTimestamp === undefined) continue;
      for (const set of sets) this.deleteForeground('ReplicaSet', set.metadata.name);
      if (sets.length === 0) this.#objects.delete(`Deployment/${deployment.metadata.name}`);
    }
    for (const set of this.#kind<ReplicaSet>('ReplicaSet')) {
      const pods = this.#podsOf(set);
      if (set.metadata.deletionTimestamp === undefined) continue;
      for (const pod of pods) this.deleteForeground('Pod', pod.metadata.name);
      if (pods.length === 0) this.#objects.delete(`ReplicaSet/${set.metadata.name}`);
    }
  }

  #syncDeployment(deployment: Mutable<Deployment>): void {
    if (deployment.metadata.deletionTimestamp !== undefined) return;
    const present = this.#currentSet(deployment) ?? this.#makeSet(deployment);
    const sets = this.#setsOf(deployment);
    const wanted = deployment.spec.replicas ?? 1;
    const surge = Math.ceil(wanted / 4);
    const minAvailable = wanted - Math.floor(wanted / 4);
    const total = () => sum(sets.map(({ spec }) => spec.replicas ?? 0));
    const available = (set: Mutable<ReplicaSet>) => this.#podsOf(set).filter(isReady).length;
    const size = present.spec.replicas ?? 0;
    const room = wanted + surge - total();
    if (size > wanted) this.#scale(present, wanted);
    else if (size < wanted && room > 0) this.#scale(present, Math.min(wanted, size + room));
    const missing = Math.max(0, (present.spec.replicas ?? 0) - available(present));
    let spare = total() - minAvailable - missing;
    for (const set of sets.filter((candidate) => candidate !== present)) {
      const count = set.spec.replicas ?? 0;
      const drop = Math.min(count - available(set), spare);
      if (drop > 0) {
        this.#scale(set, count - drop);
        spare -= drop;
      }
    }
    spare = Math.min(spare, sum(sets.map(available)) - minAvailable);
    for (const set of sets.filter((candidate) => candidate !== present)) {
      const drop = Math.min(set.spec.replicas ?? 0, spare);
      if (drop > 0) {
        this.#scale(set, (set.spec.replicas ?? 0) - drop);
        spare -= drop;
      }
    }
  }

  #currentSet(deployment: Mutable<Deployment>): Mutable<ReplicaSet> | undefined {
    return this.#setsOf(deployment).find((set) =>
      sameTemplate(set.spec.template as PodTemplate, deployment.spec.template as PodTemplate),
    );
  }

  #makeSet(deployment: Mutable<Deployment>): Mutable<ReplicaSet> {
    const { name, uid } = deployment.metadata;
    const hash = fingerprint(deployment.spec.template).slice(0, 8);
    const template = structuredClone(deployment.spec.template);
    const labels = { ...template.metadata?.labels, [hashLabel]: hash };
    return this.put('ReplicaSet', `${name}-${hash}`, {
      metadata: { labels, ownerReferences: [{ kind: 'Deployment', name, uid, controller: true }] },
      spec: {
        replicas: 0,
        selector: { matchLabels: { ...deployment.spec.selector.matchLabels, [hashLabel]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    }) as Mutable<ReplicaSet>;
  }

  #scale(set: Mutable<ReplicaSet>, replicas: number): void {
    set.spec.replicas = replicas;
    this.#touch(set);
  }

  #writeStatus(deployment: Mutable<Deployment>): void {
    const { name, generation = 1 } = deployment.metadata;
    const present = this.#currentSet(deployment);
    const wanted = deployment.spec.replicas ?? 1;
    const living = (sets: readonly Mutable<ReplicaSet>[]) =>
      sets.flatMap((set) => this.#podsOf(set)).filter(isLiving);
    const all = living(this.#setsOf(deployment));
    const updated = present === undefined ? [] : living([present]);
    const ready = all.filter(isReady);
    const isComplete = updated.length === wanted && all.length === wanted && ready.length === wanted;
    const seen = `${fingerprint(deployment.spec.template)} ${updated.length} ${all.length} ${ready.length}`;
    const last = this.#lastProgress.get(name);
    if (last?.seen !== seen) this.#lastProgress.set(name, { at: this.now, seen });
    const deadline = (deployment.spec.progressDeadlineSeconds ?? 600) * 1_000;
    const isLate = !isComplete && last?.seen === seen && this.now - last.at > deadline;
    const refused = present !== undefined && this.#isRefused(present) && updated.length < wanted;
    const status = {
      observedGeneration: generation,
      replicas: all.length,
      updatedReplicas: updated.length,
      readyReplicas: ready.length,
      availableReplicas: ready.length,
      conditions: [
        this.#condition(deployment, 'Progressing', !isLate, isLate ? 'ProgressDeadlineExceeded' : 'Progress'),
        this.#condition(deployment, 'ReplicaFailure', refused, 'FailedCreate'),
      ],
    };
    if (JSON.stringify(status) === JSON.stringify(deployment.status)) return;
    deployment.status = status;
    this.#touch(deployment);
  }

  #condition(deployment: Mutable<Deployment>, type: string, holds: boolean, reason: string) {
    const status = holds ? ('True' as const) : ('False' as const);
    const before = deployment.status?.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : this.#time();
    return { type, status, reason, message: reason, lastTransitionTime: lastTransitionTime ?? this.#time() };
  }

  #isRefused(set: Mutable<ReplicaSet>): boolean {
    const template = set.spec.template as PodTemplate;
    const isGreen = template.metadata?.labels?.[greenLabel] !== undefined;
    return this.refusesPods(isGreen, template.spec.containers[0]?.image ?? '');
  }

  #syncReplicaSet(set: Mutable<ReplicaSet>): void {
    if (set.metadata.deletionTimestamp !== undefined) return;
    const pods = this.#podsOf(set).filter(isLiving);
    const wanted = set.spec.replicas ?? 0;
    for (let count = pods.length; count < wanted && !this.#isRefused(set); count += 1) this.#makePod(set);
    const surplus = [...pods.filter((pod) => !isReady(pod)), ...pods.filter(isReady)].slice(
      0,
      Math.max(0, pods.length - wanted),
    );
    for (const pod of surplus) this.deleteForeground('Pod', pod.metadata.name);
  }

  #makePod(set: Mutable<ReplicaSet>): void {
    const { name, uid } = set.metadata;
    const template = structuredClone(set.spec.template) as Mutable<PodTemplate>;
    this.put('Pod', `${name}-${this.#version + 1}`, {
      metadata: {
        labels: template.metadata?.labels,
        ownerReferences: [{ kind: 'ReplicaSet', name, uid, controller: true }],
      },
      spec: template.spec,
      status: { phase: 'Pending', conditions: [], containerStatuses: [] },
    });
    this.#route();
  }

  #syncPod(pod: Mutable<Pod>): void {
    const { name, deletionTimestamp, creationTimestamp, labels } = pod.metadata;
    if (deletionTimestamp !== undefined) {
      if (this.now >= Date.parse(deletionTimestamp) + graceMs) this.#objects.delete(`Pod/${name}`);
      return;
    }
    const age = this.now - Date.parse(creationTimestamp);
    const image = pod.spec.containers[0]?.image ?? '';
    const behaviour = this.behaviour(image, labels?.[greenLabel] !== undefined);
    const { ready, container } = live(behaviour, age, { image, finishedAt: this.#time() });
    const before = pod.status?.conditions?.find(({ type }) => type === 'Ready');
    const status = ready ? ('True' as const) : ('False' as const);
    if (
      before?.status === status &&
      pod.status?.containerStatuses?.[0]?.restartCount === container.restartCount
    )
      return;
    pod.status = {
      phase: 'Running',
      conditions: [
        {
          type: 'Ready',
          status,
          lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? '') : this.#time(),
        },
      ],
      containerStatuses: [container],
    };
    this.#touch(pod);
  }
}

const keyOf = (resource: Resource, name: string): string => `${resource.kind}/${name}`;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

const isReady = (pod: Mutable<Pod> | Pod): boolean =>
  isLiving(pod) &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

const isLiving = (pod: Mutable<Pod> | Pod): boolean => pod.metadata.deletionTimestamp === undefined;

const isOwnedBy = (object: Mutable<KubeObject>, owner: Mutable<KubeObject>): boolean =>
  object.metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === owner.metadata.uid,
  ) === true;

const matches = (labels: Labels | undefined, selector: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels?.[key] === value);

const live = (
  behaviour: Behaviour,
  age: number,
  { image, finishedAt }: { readonly image: string; readonly finishedAt: string },
): { readonly ready: boolean; readonly container: Mutable<ContainerStatus> } => {
  const container = { name: 'app', image, ready: false, restartCount: 0 };
  const crashed = (restartCount: number) => ({
    ready: false,
    container: {
      ...container,
      restartCount,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error', finishedAt } },
    },
  });
  const isUp = age >= readyAfterMs;
  switch (behaviour) {
    case 'good':
      return { ready: isUp, container: { ...container, ready: isUp, state: { running: {} } } };
    case 'crashes':
      return crashed(1 + Math.floor(age / restartEveryMs));
    case 'unpullable':
      return {
        ready: false,
        container: { ...container, state: { waiting: { reason: 'ImagePullBackOff' } } },
      };
    case 'never ready':
      return { ready: false, container: { ...container, state: { running: {} } } };
    case 'breaks':
      return age < 20_000
        ? { ready: isUp, container: { ...container, ready: isUp, state: { running: {} } } }
        : crashed(1 + Math.floor((age - 20_000) / restartEveryMs));
    case 'flaps': {
      const ready = Math.floor(age / 15_000) % 2 === 1;
      return { ready, container: { ...container, ready, state: { running: {} } } };
    }
  }
};

const merge = (base: object, change: Json): Json => {
  const result: Json = { ...(base as Json) };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete result[name];
    else if (typeof value === 'object' && !Array.isArray(value))
      result[name] = merge((result[name] as Json | undefined) ?? {}, value as Json);
    else if (value !== undefined) result[name] = structuredClone(value);
  }
  return result;
};
