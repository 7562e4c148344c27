import { ApiError } from '../../src/kube/api-error.ts';
import type {
  ApplyOptions,
  CallOptions,
  Cluster,
  List,
  ListItemsOptions,
  Partially,
  PatchOptions,
} from '../../src/kube/client.ts';
import { type Ref, type Resource, keyOf, objectPath } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import type { WatchEvent } from '../../src/kube/watch.ts';

type Json = Record<string, unknown>;

const refuse = (status: number, reason: string): ApiError =>
  new ApiError(`refused: ${reason}`, { status, reason });

function merge(base: Json, change: Json): Json {
  const result: Json = { ...base };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete result[name];
    else if (typeof value === 'object' && !Array.isArray(value)) {
      result[name] = merge((result[name] as Json | undefined) ?? {}, value as Json);
    } else if (value !== undefined) result[name] = value;
  }
  return result;
}

/**
 * Objects in memory, with resource versions and conflicts, for tests in which time is turned by hand. What
 * the API server really does is tested against a real one.
 */
export class MemoryCluster implements Cluster {
  readonly namespace = 'segue';
  readonly objects = new Map<string, KubeObject>();
  readonly calls: string[] = [];
  /** Called before each request is done; may throw, or never resolve. */
  before: (call: string, signal: AbortSignal | undefined) => Promise<void> = () => Promise.resolve();
  /** Called after each request was done; what it throws is a lost answer. */
  after: (call: string) => void = () => {};
  #version = 0;

  async get<T extends KubeObject>(ref: Ref<T>, options: CallOptions = {}): Promise<T | undefined> {
    return await this.#call('get', ref, options, () => this.objects.get(objectPath(ref)) as T | undefined);
  }

  async create<T extends KubeObject>(
    ref: Ref<T>,
    object: Partially<T>,
    options: CallOptions = {},
  ): Promise<T> {
    return await this.#call('create', ref, options, () => {
      if (this.objects.has(objectPath(ref))) throw refuse(409, 'AlreadyExists');
      return this.#store(ref, object, `uid-${this.#version + 1}`);
    });
  }

  async patch<T extends KubeObject>(ref: Ref<T>, body: object, options: PatchOptions): Promise<T> {
    if (options.type !== 'merge') throw new Error('Only merge patches are done in memory.');
    return await this.#call('patch', ref, options, () => {
      const old = this.objects.get(objectPath(ref));
      if (old === undefined) throw refuse(404, 'NotFound');
      const { resourceVersion } = (body as { metadata?: { resourceVersion?: string } }).metadata ?? {};
      if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
        throw refuse(409, 'Conflict');
      }
      return this.#store(ref, merge(old as unknown as Json, body as Json), old.metadata.uid);
    });
  }

  async delete(ref: Ref, options: CallOptions = {}): Promise<boolean> {
    return await this.#call('delete', ref, options, () => this.objects.delete(objectPath(ref)));
  }

  /** By namespace, and by labels of the form `key=value`. */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: ListItemsOptions<T> = {},
  ): Promise<List<T>> {
    const { namespace, labelSelector } = options;
    const wanted = (labelSelector ?? '').split(',').flatMap((term) => {
      const [key = '', value] = term.split('=');
      return key === '' ? [] : [[key, value] as const];
    });
    return await this.#call('list', { resource, namespace, name: '' }, options, () => {
      const items = [...this.objects].flatMap(([path, { metadata }]) =>
        path === objectPath({ resource, namespace: metadata.namespace, name: metadata.name }) &&
        (namespace === undefined || metadata.namespace === namespace) &&
        wanted.every(([key, value]) => metadata.labels?.[key] === value)
          ? [this.objects.get(path) as T]
          : [],
      );
      return { items, resourceVersion: String(this.#version) };
    });
  }

  /** Of a status alone, which is taken as a whole. */
  async apply<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options: ApplyOptions): Promise<T> {
    if (options.subresource !== 'status') throw new Error('Only statuses are applied in memory.');
    return await this.#call('apply', ref, options, () => {
      const old = this.objects.get(objectPath(ref));
      if (old === undefined) throw refuse(404, 'NotFound');
      const { status } = object as { readonly status?: Json };
      return this.#store(ref, { ...old, status }, old.metadata.uid);
    });
  }

  watch<T extends KubeObject>(): AsyncGenerator<WatchEvent<T>> {
    throw new Error('Not done in memory.');
  }

  version(): Promise<string> {
    return Promise.resolve('v0.0.0-memory');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #call<R>(verb: string, ref: Ref, options: CallOptions, act: () => R): Promise<R> {
    const call = `${verb} ${ref.resource.plural}`;
    this.calls.push(call);
    options.signal?.throwIfAborted();
    await this.before(call, options.signal);
    const result = act();
    this.after(call);
    return result;
  }

  #store<T extends KubeObject>(ref: Ref<T>, object: Json, uid: string): T {
    this.#version += 1;
    const stored = merge(object, {
      metadata: { name: ref.name, namespace: ref.namespace, uid, resourceVersion: String(this.#version) },
    }) as unknown as T;
    this.objects.set(objectPath(ref), stored);
    return stored;
  }

  /** The names of what there is. */
  get keys(): string[] {
    return [...this.objects.values()].map(keyOf);
  }
}
