/**
 * From watches to looks: what changed becomes a key, a key becomes one look at a time. Holds nothing that a
 * restart would lose.
 */
import { FencedError } from '../api/outcome.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { isForbidden } from '../kube/api-error.ts';
import { WorkQueue } from '../kube/queue.ts';
import { Reflector } from '../kube/reflector.ts';
import { deployments, metadataOf, pods, schemaChanges, services, type Resource } from '../kube/resources.ts';
import type { Deployment, KubeObject, Service } from '../kube/types.ts';
import { concerns, stirredBy, type LastSeen, type Stirred } from '../rollout/concerns.ts';
import { glance } from './glance.ts';
import { keptOfDeployment, keptOfPod, keptOfService } from './kept.ts';
import type { ClusterSide } from './observe.ts';
import { Pace } from './pace.ts';
import type { Ports } from './ports.ts';
import type { Next } from './next.ts';
import { reconcile } from './reconcile.ts';
import { reportRefusal } from './refusal.ts';
import { isOver } from './resource.ts';

/** What the loop is told. */
export interface ControllerOptions {
  readonly ports: Ports;
  /** Empty watches all namespaces. */
  readonly namespaces: readonly string[];
  readonly workers: number;
  /** Called if another operator has taken over: this process must end. */
  readonly onFenced: (error: FencedError) => void;
}

// Pods change several times a second in a roll-out; one look a while later sees it all.
const gatherMs = 300;
// A change that rolls nothing out now only reports what pods there are.
const gatherLongMs = 10_000;
const reconcileTimeoutMs = 30 * 60_000;
const drainMs = 20_000;
// A Secret that names another database is not watched; whatever is done is decided by a whole look anyway.
const wholeLookEveryMs = 30 * 60_000;
/** A resource that a read does not find and the watch still knows: one of them lags behind. */
const goneRecheckMs = 15_000;

/** What a whole look left for the glances after it. */
interface Seen {
  readonly version: string | undefined;
  readonly memory: ClusterSide | undefined;
  /** When the next whole look is due, by `performance.now`. */
  readonly wholeAt: number;
}

/** Watches, queues and works until stopped. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #pace = new Pace();
  readonly #changes: Reflector<SchemaChange & KubeObject>;
  readonly #deployments: Reflector<Deployment>;
  readonly #services: Reflector<Service>;
  readonly #pods: Reflector<KubeObject>;
  readonly #seen = new Map<string, Seen>();
  /** Keys whose workloads stirred since the last whole look. */
  readonly #stirred = new Set<string>();
  /** Why nothing may be done for a key: its status could not be written, so nobody would know. */
  readonly #mute = new Map<string, string>();

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { metrics } = options.ports;
    this.#queue = new WorkQueue({ observer: metrics.queueObserver, retryBaseMs: 200, retryCapMs: 30_000 });
    this.#changes = this.#reflect(schemaChanges, { onChange: (key) => this.#queue.add(key) });
    this.#deployments = this.#reflect(deployments, {
      keep: keptOfDeployment,
      onChange: (_, before, now) => this.#wake('Deployment', before, now),
    });
    this.#services = this.#reflect(services, {
      keep: keptOfService,
      onChange: (_, before, now) => this.#wake('Service', before, now),
    });
    this.#pods = this.#reflect(metadataOf(pods), {
      keep: keptOfPod,
      onChange: (_, before, now) => this.#wake('Pod', before, now),
    });
  }

  /** True once all has been listed: only then is silence no news. */
  get synced(): boolean {
    return this.#reflectors.every(({ hasSynced }) => hasSynced);
  }

  /** What the API server refuses to list or to watch, in its own words; empty if nothing. */
  get refusals(): readonly string[] {
    return this.#reflectors.flatMap(({ refusal }) => refusal ?? []);
  }

  /** Begins to watch and to work. */
  start(): void {
    for (const reflector of this.#reflectors.toReversed()) reflector.start();
    this.#queue.run((key, signal) => this.#work(key, signal), {
      workers: this.#options.workers,
      timeoutMs: reconcileTimeoutMs,
    });
  }

  /**
   * Takes nothing more in, lets what runs come to its end, then stops watching. Resolves with the resources that
   * are still being worked on: while there are any, the lead must not be given away.
   */
  async stop(): Promise<readonly string[]> {
    const { unfinished } = await this.#queue.drain(drainMs);
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
    return unfinished;
  }

  get #reflectors(): readonly Pick<Reflector<never>, 'hasSynced' | 'refusal' | 'start' | 'stop'>[] {
    return [this.#changes, this.#deployments, this.#services, this.#pods];
  }

  #reflect<T extends KubeObject>(
    resource: Resource<T>,
    how: {
      readonly keep?: (object: T) => T;
      readonly onChange: (key: string, previous: T | undefined, current: T | undefined) => void;
    },
  ): Reflector<T> {
    const { ports, namespaces } = this.#options;
    return new Reflector<T>({
      cluster: ports.cluster,
      resource,
      namespaces: namespaces.length === 0 ? undefined : namespaces,
      ...how,
      observer: ports.metrics.reflectorObserver,
      log: ports.log,
    });
  }

  /** Something of a workload changed: the changes that it may concern are looked at, those under way soon. */
  #wake(kind: Stirred['kind'], before: KubeObject | undefined, now: KubeObject | undefined): void {
    // The first list is no news: every change is looked at anyway.
    if (!this.synced) return;
    const namespace = (now ?? before)?.metadata.namespace ?? '';
    // A pod whose labels changed may have left a workload or come to one.
    const stirred = [before, now].flatMap((object) => (object ? stirredBy(kind, object) : []));
    const seen: LastSeen = {
      deployment: (name) => this.#deployments.get(`${namespace}/${name}`),
      service: (name) => this.#services.get(`${namespace}/${name}`),
    };
    for (const { metadata, spec, status } of this.#changes.list(namespace)) {
      const key = `${namespace}/${metadata.name}`;
      if (status?.phase === 'Completed' || status?.phase === 'RolledBack') continue;
      if (kind === 'Pod' && this.#stirred.has(key)) continue;
      const change = { name: metadata.name, workloads: spec.workloads };
      if (!stirred.some((object) => concerns(change, object, seen))) continue;
      this.#stirred.add(key);
      const standsStill = kind === 'Pod' && (status?.phase === 'Pending' || spec.suspend);
      this.#queue.addAfter(key, standsStill ? gatherLongMs : gatherMs);
    }
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    const { ports, onFenced } = this.#options;
    const started = performance.now();
    const done = (outcome: string): void =>
      ports.metrics.reconcileSeconds.observe({ outcome }, (performance.now() - started) / 1000);
    try {
      const next = await this.#look(key, signal);
      done('success');
      this.#queue.forget(key);
      if (next === undefined) return;
      const isDoubtful = next.gone === true && this.#changes.get(key) !== undefined;
      const afterMs = isDoubtful ? goneRecheckMs : this.#pace.after(key, next, performance.now());
      if (afterMs === undefined) this.#pace.forget(key);
      else this.#queue.addAfter(key, afterMs);
    } catch (error) {
      done('error');
      this.#seen.delete(key);
      if (error instanceof FencedError) return onFenced(error);
      ports.metrics.reconcileErrors.inc();
      ports.log.warn({ resource: key, err: error }, 'a look failed and is tried again');
      if (isForbidden(error)) await this.#refused(key, error.message);
      this.#queue.retry(key);
    }
  }

  /** Looks at the key as thoroughly as there is reason to; undefined if there is none at all. */
  async #look(key: string, signal: AbortSignal): Promise<Next | undefined> {
    const { ports } = this.#options;
    const resource = this.#changes.get(key);
    const seen = this.#seen.get(key);
    const stirred = this.#stirred.has(key);
    if (resource !== undefined && isOver(resource)) {
      // As the watch has it: were it edited since, the watch would bring the key again.
      ports.metrics.changes.settle(resource.metadata, resource.status?.phase ?? '');
      this.#forget(key);
      return {};
    }
    const isSame =
      resource !== undefined && seen !== undefined && resource.metadata.resourceVersion === seen.version;
    if (stirred || !isSame || seen.memory === undefined || performance.now() >= seen.wholeAt)
      return this.#lookLive(key, signal);
    return (await glance(ports, resource, seen.memory, signal)) ?? this.#lookLive(key, signal);
  }

  async #lookLive(key: string, signal: AbortSignal): Promise<Next> {
    // Before it is read: what stirs meanwhile must be looked at again.
    this.#stirred.delete(key);
    const next = await reconcile(this.#options.ports, key, signal, { barred: this.#barred(key) });
    this.#mute.delete(key);
    const { version, waits } = next;
    if (next.afterMs === undefined) this.#forget(key);
    else
      this.#seen.set(key, {
        version,
        memory: waits?.memory,
        wholeAt: performance.now() + wholeLookEveryMs * (0.8 + 0.4 * Math.random()),
      });
    return next;
  }

  #forget(key: string): void {
    this.#seen.delete(key);
    this.#stirred.delete(key);
    this.#mute.delete(key);
  }

  /** What the operator may not see or say, so that nothing is done for the key. */
  #barred(key: string): string | undefined {
    const workloads = this.#changes.get(key)?.spec.workloads ?? [];
    const needed = workloads.length === 0 ? [this.#changes] : this.#reflectors;
    const [refusal] = needed.flatMap(({ refusal }) => refusal ?? []);
    return refusal === undefined ? this.#mute.get(key) : grant(refusal);
  }

  async #refused(key: string, message: string): Promise<void> {
    this.#mute.set(key, grant(message));
    const resource = this.#changes.get(key);
    if (resource !== undefined) await reportRefusal(this.#options.ports, resource, grant(message));
  }
}

const grant = (refusal: string): string =>
  `${refusal}. Grant Segue's service account that right, as the chart's Role does; it goes on by itself then.`;
