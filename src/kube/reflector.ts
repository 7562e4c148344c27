/**
 * A read-only copy of the objects of one kind, kept up to date, that tells which keys changed.
 *
 * The copy may lag behind the server by any amount while the API server is away: read live what a
 * destructive step hangs on. Handlers do nothing but put a key on a queue.
 */

import type { Cluster } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import {
  ListWatch,
  type ObjectSink,
  type WatchObserver,
  type WatchTiming,
  defaultWatchTiming,
} from './list-watch.ts';
import { type Log, silentLog } from './log.ts';
import { type Resource, keyOf } from './resources.ts';
import type { KubeObject } from './types.ts';

/** Counts what the reflector does, for metrics; must not throw. */
export interface ReflectorObserver extends WatchObserver {
  handlerFailed(plural: string): void;
}

/**
 * Told of every change, in order. `previous` is missing for a new object, `current` for a deleted one. One
 * that was deleted and made again is told as two changes, even if both happened while nobody watched.
 */
export type ChangeHandler<T> = (key: string, previous: T | undefined, current: T | undefined) => void;

export interface ReflectorOptions<T extends KubeObject> {
  readonly cluster: Cluster;
  readonly resource: Resource<T>;
  /** Default: all namespaces, by one watch; else one watch for each. */
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /**
   * Makes of each object what is kept of it: with thousands of pods that is most of the memory. Its `metadata` must
   * keep name, namespace, uid and resourceVersion.
   */
  readonly keep?: ((object: T) => T) | undefined;
  readonly onChange: ChangeHandler<T>;
  readonly observer?: ReflectorObserver | undefined;
  readonly log?: Log | undefined;
  readonly clock?: Clock | undefined;
  readonly timing?: Partial<WatchTiming> | undefined;
  readonly random?: (() => number) | undefined;
}

const noObserver: ReflectorObserver = {
  relisted: () => {},
  restarted: () => {},
  received: () => {},
  handlerFailed: () => {},
};

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #log: Log;
  readonly #observer: ReflectorObserver;
  readonly #scopes: readonly Scope<T>[];
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #running: Promise<unknown> | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#observer = options.observer ?? noObserver;
    const { namespaces } = options;
    if (namespaces?.length === 0) throw new Error(`No namespace to watch ${options.resource.plural} in.`);
    this.#scopes = (namespaces === undefined ? [undefined] : [...new Set(namespaces)]).map(
      (namespace) =>
        new Scope<T>(
          namespace,
          (key, previous, current) => this.#tell(key, previous, current),
          () => this.hasSynced && this.#synced.resolve(),
        ),
    );
    this.#synced.promise.catch(() => {}); // whoever waits is told; nobody has to wait
  }

  /** Begins to list and watch. Once only. */
  start(): void {
    if (this.#running !== undefined) throw new Error('A reflector starts once.');
    const { cluster, resource, labelSelector, fieldSelector, keep, timing, clock, random } = this.#options;
    this.#running = Promise.all(
      this.#scopes.map((scope) =>
        new ListWatch<T>({
          cluster,
          resource,
          namespace: scope.namespace,
          labelSelector,
          fieldSelector,
          keep,
          sink: scope,
          onRefusal: (message) => {
            scope.refusal = message;
          },
          timing: { ...defaultWatchTiming, ...timing },
          observer: this.#observer,
          log: this.#log,
          clock: clock ?? systemClock,
          random: random ?? Math.random,
        }).run(this.#stop.signal),
      ),
    );
  }

  /** Ends every watch; resolves when the last handler has been called. The copy stays readable. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#synced.reject(new Error(`The watch of ${this.#options.resource.plural} was stopped.`));
    await this.#running;
  }

  /** True once every namespace was listed, and its objects told to the handler. Stays true. */
  get hasSynced(): boolean {
    return this.#scopes.every((scope) => scope.hasSynced);
  }

  /** Why the API server refuses to list or to watch, in any of the namespaces; undefined if it does not. */
  get refusal(): string | undefined {
    return this.#scopes.find(({ refusal }) => refusal !== undefined)?.refusal;
  }

  /** Resolves when `hasSynced`, which may take for ever; rejects if stopped or aborted before. */
  async synced(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return await this.#synced.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** The object as last seen; not to be changed. */
  get(key: string): T | undefined {
    for (const scope of this.#scopes) {
      const object = scope.objects.get(key);
      if (object !== undefined) return object;
    }
    return undefined;
  }

  /** All objects as last seen, optionally of one namespace; not to be changed. */
  list(namespace?: string): T[] {
    const all = this.#scopes.flatMap((scope) => [...scope.objects.values()]);
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  #tell(key: string, previous: T | undefined, current: T | undefined): void {
    try {
      this.#options.onChange(key, previous, current);
    } catch (error) {
      const { plural } = this.#options.resource;
      this.#observer.handlerFailed(plural);
      this.#log.error(
        { resource: plural, key, err: error },
        'a change handler threw; the change was passed over',
      );
    }
  }
}

/** What one watch has brought: the objects of one namespace, or of all. */
class Scope<T extends KubeObject> implements ObjectSink<T> {
  readonly namespace: string | undefined;
  readonly objects = new Map<string, T>();
  readonly #tell: ChangeHandler<T>;
  readonly #onSynced: () => void;
  hasSynced = false;
  refusal: string | undefined;

  constructor(namespace: string | undefined, tell: ChangeHandler<T>, onSynced: () => void) {
    this.namespace = namespace;
    this.#tell = tell;
    this.#onSynced = onSynced;
  }

  replace(items: readonly T[]): void {
    const listed = new Set(items.map(keyOf));
    for (const [key, object] of this.objects) if (!listed.has(key)) this.remove(object);
    for (const item of items) this.put(item);
    this.hasSynced = true;
    this.#onSynced();
  }

  put(object: T): void {
    const key = keyOf(object);
    // Nobody reads who set which field from a copy, and it is often the larger half of an object.
    delete (object.metadata as { managedFields?: unknown }).managedFields;
    const previous = this.objects.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return; // told before
    this.objects.set(key, object);
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      this.#tell(key, previous, undefined);
      this.#tell(key, undefined, object);
    } else {
      this.#tell(key, previous, object);
    }
  }

  remove(object: T): void {
    const key = keyOf(object);
    const previous = this.objects.get(key);
    if (previous === undefined) return;
    this.objects.delete(key);
    // The last state carries the version of the deletion.
    this.#tell(key, object, undefined);
  }
}
