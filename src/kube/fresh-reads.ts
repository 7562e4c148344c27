/**
 * Refuses what is older than what was seen before: reads that go back in time.
 *
 * An API server answers a read without a version from the newest state, but one that is cut off from etcd, or a proxy
 * that keeps answers, may not, and then our own last write seems not to have happened (Sun et al., "Automatic
 * Reliability Testing for Cluster Management Controllers", OSDI 2022: stale state). Such an answer is an
 * UnreachableError of code `STALE`, so that nothing is decided by it.
 *
 * Versions are compared as numbers, within one kind alone (KEP-5504): an object with itself, a list with all
 * that was seen of its kind before it was asked for. An etcd that was put back to an earlier state shows nothing but
 * older versions: after a while they are taken for what there is.
 */
import { UnreachableError } from './api-error.ts';
import type {
  ApplyOptions,
  CallOptions,
  Cluster,
  DeleteOptions,
  List,
  ListItemsOptions,
  Partially,
  PatchOptions,
} from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Ref, type Resource, collectionPath, objectPath } from './resources.ts';
import type { KubeObject } from './types.ts';
import type { WatchEvent, WatchOptions } from './watch.ts';

/** Shorter, and a server that lags is believed; longer, and a restored etcd holds everything up. */
const patienceMs = 60_000;
const mostRemembered = 10_000;

/** Counts what is refused, for metrics; must not throw. */
export interface ReadObserver {
  stale(): void;
}

interface Seen {
  readonly version: number;
  readonly uid: string;
}

export class FreshReads implements Cluster {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #observer: ReadObserver | undefined;
  /** By path of the object, least recently seen first. */
  readonly #objects = new Map<string, Seen>();
  /** The newest version seen of each kind, by path of its collection. */
  readonly #kinds = new Map<string, number>();
  /** Since when a path has shown nothing but older versions. */
  readonly #staleSince = new Map<string, number>();

  constructor(cluster: Cluster, observer?: ReadObserver, clock: Clock = systemClock) {
    this.#cluster = cluster;
    this.#observer = observer;
    this.#clock = clock;
  }

  get namespace(): string | undefined {
    return this.#cluster.namespace;
  }

  async get<T extends KubeObject>(ref: Ref<T>, options?: CallOptions): Promise<T | undefined> {
    const path = objectPath(ref);
    const before = this.#objects.get(path);
    const object = await this.#cluster.get(ref, options);
    if (object === undefined) return undefined;
    const version = Number(object.metadata.resourceVersion);
    // One that was made again under the name is another object, whatever its version.
    const least = before?.uid === object.metadata.uid ? before.version : 0;
    this.#expectFresh(path, version, least);
    this.#note(ref, object);
    return object;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options?: ListItemsOptions<T>): Promise<List<T>> {
    const path = collectionPath(resource, undefined);
    const least = this.#kinds.get(path) ?? 0;
    const list = await this.#cluster.list(resource, options);
    const version = Number(list.resourceVersion);
    this.#expectFresh(path, version, least);
    this.#raise(path, version);
    return list;
  }

  async create<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options?: CallOptions): Promise<T> {
    return this.#note(ref, await this.#cluster.create(ref, object, options));
  }

  async apply<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options: ApplyOptions): Promise<T> {
    const applied = await this.#cluster.apply(ref, object, options);
    return options.dryRun === true ? applied : this.#note(ref, applied);
  }

  async patch<T extends KubeObject>(ref: Ref<T>, body: object, options: PatchOptions): Promise<T> {
    const patched = await this.#cluster.patch(ref, body, options);
    return options.dryRun === true ? patched : this.#note(ref, patched);
  }

  delete(ref: Ref, options?: DeleteOptions): Promise<boolean> {
    return this.#cluster.delete(ref, options);
  }

  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    return this.#cluster.watch(resource, options);
  }

  version(options?: CallOptions): Promise<string> {
    return this.#cluster.version(options);
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }

  /** @throws UnreachableError if a version is older than what was seen before the question. */
  #expectFresh(path: string, version: number, least: number): void {
    if (!(version < least)) {
      this.#staleSince.delete(path);
      return;
    }
    const now = this.#clock.now();
    const since = this.#staleSince.get(path) ?? now;
    this.#staleSince.set(path, since);
    if (now - since <= patienceMs) {
      this.#observer?.stale();
      throw new UnreachableError(
        `The API server shows ${path} as of version ${version}, and has shown version ${least} before: it lags behind, ` +
          'and nothing is decided by what it shows. Look at its connection to etcd.',
        'STALE',
      );
    }
    // It was put back to an earlier state, and nothing that was seen before counts.
    for (const memory of [this.#staleSince, this.#objects, this.#kinds]) memory.clear();
  }

  #note<T extends KubeObject>(ref: Ref<T>, object: T): T {
    const path = objectPath(ref);
    const { uid, resourceVersion } = object.metadata;
    const version = Number(resourceVersion);
    const before = this.#objects.get(path);
    this.#objects.delete(path);
    // Answers overtake each other: the newest counts, not the last.
    const newest = before?.uid === uid ? Math.max(before.version, version) : version;
    this.#objects.set(path, { uid, version: newest });
    for (const oldest of this.#objects.keys()) {
      if (this.#objects.size <= mostRemembered) break;
      this.#objects.delete(oldest);
    }
    this.#raise(collectionPath(ref.resource, undefined), version);
    return object;
  }

  #raise(path: string, version: number): void {
    this.#kinds.set(path, Math.max(version, this.#kinds.get(path) ?? 0));
  }
}
