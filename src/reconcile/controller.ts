/**
 * From watches to looks: what changed becomes a key, a key becomes one reconcile at a time. Holds nothing that
 * a restart would lose.
 */
import { FencedError } from '../api/outcome.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { WorkQueue } from '../kube/queue.ts';
import { Reflector } from '../kube/reflector.ts';
import { deployments, pods, schemaChanges, services, type Resource } from '../kube/resources.ts';
import type { KubeObject } from '../kube/types.ts';
import { Pace } from './pace.ts';
import type { Ports } from './ports.ts';
import { reconcile } from './reconcile.ts';

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
const reconcileTimeoutMs = 30 * 60_000;
const drainMs = 20_000;

/** Watches, queues and works until stopped. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #pace = new Pace();
  readonly #changes: Reflector<SchemaChange & KubeObject>;
  readonly #workloads: readonly Reflector<KubeObject>[];

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { metrics } = options.ports;
    this.#queue = new WorkQueue({ observer: metrics.queueObserver, retryBaseMs: 200, retryCapMs: 30_000 });
    this.#changes = this.#reflect(schemaChanges, (key) => this.#queue.add(key));
    const wake = (_: string, previous: KubeObject | undefined, current: KubeObject | undefined): void =>
      this.#wake((current ?? previous)?.metadata.namespace);
    this.#workloads = [
      this.#reflect<KubeObject>(deployments, wake),
      this.#reflect<KubeObject>(services, wake),
      this.#reflect<KubeObject>(pods, wake),
    ];
  }

  /** True once all has been listed: only then is silence no news. */
  get synced(): boolean {
    return [this.#changes, ...this.#workloads].every(({ hasSynced }) => hasSynced);
  }

  /** Begins to watch and to work. */
  start(): void {
    for (const reflector of this.#workloads) reflector.start();
    this.#changes.start();
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
    await Promise.all([this.#changes, ...this.#workloads].map((reflector) => reflector.stop()));
    return unfinished;
  }

  #reflect<T extends KubeObject>(
    resource: Resource<T>,
    onChange: (key: string, previous: T | undefined, current: T | undefined) => void,
  ): Reflector<T> {
    const { ports, namespaces } = this.#options;
    return new Reflector<T>({
      cluster: ports.cluster,
      resource,
      namespaces: namespaces.length === 0 ? undefined : namespaces,
      onChange,
      observer: ports.metrics.reflectorObserver,
      log: ports.log,
    });
  }

  /** Something of a workload changed: the namespace's changes that are under way are looked at. */
  #wake(namespace: string | undefined): void {
    for (const { metadata, status } of this.#changes.list(namespace)) {
      if (status?.phase === 'Completed' || status?.phase === 'RolledBack') continue;
      this.#queue.addAfter(`${metadata.namespace}/${metadata.name}`, gatherMs);
    }
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    const { ports, onFenced } = this.#options;
    const started = performance.now();
    const done = (outcome: string): void =>
      ports.metrics.reconcileSeconds.observe({ outcome }, (performance.now() - started) / 1000);
    try {
      const next = await reconcile(ports, key, signal);
      done('success');
      this.#queue.forget(key);
      const afterMs = this.#pace.after(key, next);
      if (afterMs === undefined) this.#pace.forget(key);
      else this.#queue.addAfter(key, afterMs);
    } catch (error) {
      done('error');
      if (error instanceof FencedError) return onFenced(error);
      ports.metrics.reconcileErrors.inc();
      ports.log.warn({ resource: key, err: error }, 'a reconcile failed and is tried again');
      this.#queue.retry(key);
    }
  }
}
