/**
 * The API server as the rest of Segue sees it: JSON over plain REST paths.
 *
 * client-node's generated classes are not used: they turn dates into Date, drop fields they do not know,
 * and send JSON patches unless told otherwise. Every request but a watch has a time limit; a refusal is an
 * ApiError, no answer an UnreachableError.
 */

import { fieldManager } from '../api/names.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { ApiError, isExpired, isNotFound } from './api-error.ts';
import { type Clock, systemClock } from './clock.ts';
import { type RequestObserver, Requests } from './requests.ts';
import { type Ref, type Resource, apiVersionOf, collectionPath, objectPath } from './resources.ts';
import type { KubeObject } from './types.ts';
import { type WatchEvent, type WatchOptions, watchLines } from './watch.ts';

/** An object to send, with any of its fields. */
export type Partially<T> = T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined } : T;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For this request, in ms; default: the client's. */
  readonly timeoutMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects a page, 0 for all at once; default 500. All pages are fetched. */
  readonly pageSize?: number | undefined;
}

export interface ListItemsOptions<T> extends ListOptions {
  /** Makes of each object what is kept of it, page by page, so that a long list is never held as a whole. */
  readonly keep?: ((item: T) => T) | undefined;
}

export interface List<T> {
  readonly items: readonly T[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

export interface ApplyOptions extends CallOptions {
  /** True takes fields from other managers; right only for objects that are ours. False answers 409. */
  readonly force: boolean;
  readonly subresource?: string | undefined;
  /** Default: `segue`. */
  readonly fieldManager?: string | undefined;
  /** Only asks whether the server would take it. */
  readonly dryRun?: boolean | undefined;
}

export interface PatchOptions extends CallOptions {
  /** `strategic` merges lists by their keys, and is not for custom resources. */
  readonly type: 'json' | 'merge' | 'strategic';
  readonly subresource?: string | undefined;
  /** Default: `segue`. */
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** What becomes of the objects it owns; default Background. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  /** Deletes only this very object, not one made again under its name. Else 409. */
  readonly uid?: string | undefined;
  /** Deletes it only if nobody has changed it since. Else 409. */
  readonly resourceVersion?: string | undefined;
}

/** The port to the API server. */
export interface Cluster {
  /** Our own namespace, if the service account or the kubeconfig names one. */
  readonly namespace: string | undefined;
  /** A live, consistent read; undefined if there is no such object. */
  get<T extends KubeObject>(ref: Ref<T>, options?: CallOptions): Promise<T | undefined>;
  /** A consistent list, fetched in pages, or all at once where it took so long that a page expired. */
  list<T extends KubeObject>(resource: Resource<T>, options?: ListItemsOptions<T>): Promise<List<T>>;
  /** @throws ApiError 409 if it exists. Never repeated by itself, since no answer may still mean done. */
  create<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options?: CallOptions): Promise<T>;
  /**
   * Server-side apply: the object will have these fields, and lose those that we applied before and that are
   * no longer here. Makes the object if it is missing, unless `metadata.uid` is given.
   */
  apply<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options: ApplyOptions): Promise<T>;
  /** With `metadata.resourceVersion` in a merge patch: 409 if somebody else was faster. */
  patch<T extends KubeObject>(ref: Ref<T>, body: object, options: PatchOptions): Promise<T>;
  /** False if it was gone already. True may mean that finalizers still hold it. */
  delete(ref: Ref, options?: DeleteOptions): Promise<boolean>;
  /** One watch, until the server ends it or the signal aborts; see Reflector for one that goes on. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  /** The server's version, such as `v1.36.3`: the cheapest proof that it answers. */
  version(options?: CallOptions): Promise<string>;
  /** Cuts every connection. */
  close(): Promise<void>;
}

export interface ConnectOptions extends ConnectionOptions {
  /** For each request but watches, in ms; default 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Sent as User-Agent, and seen in audit logs; default `segue`. */
  readonly userAgent?: string | undefined;
  readonly observer?: RequestObserver | undefined;
  readonly clock?: Clock | undefined;
}

const defaultTimeoutMs = 10_000;
const defaultPageSize = 500;

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/** Reads the credentials' whereabouts; connects with the first request. @throws if they name no server. */
export function connect(options: ConnectOptions = {}): Cluster {
  const connection = new Connection(options);
  const requests = new Requests(connection, {
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    userAgent: options.userAgent ?? 'segue',
    clock: options.clock ?? systemClock,
    observer: options.observer,
  });
  return new RestCluster(connection, requests);
}

class RestCluster implements Cluster {
  readonly #connection: Connection;
  readonly #requests: Requests;

  constructor(connection: Connection, requests: Requests) {
    this.#connection = connection;
    this.#requests = requests;
  }

  get namespace(): string | undefined {
    return this.#connection.namespace;
  }

  async get<T extends KubeObject>(ref: Ref<T>, options: CallOptions = {}): Promise<T | undefined> {
    try {
      return await this.#requests.send<T>(
        { verb: 'get', method: 'GET', resource: ref.resource, path: objectPath(ref), what: named(ref) },
        options,
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: ListItemsOptions<T> = {},
  ): Promise<List<T>> {
    try {
      return await this.#pages(resource, options);
    } catch (error) {
      // The pages of one list expire together; without pages there is nothing to expire.
      if (isExpired(error) && options.pageSize !== 0)
        return await this.#pages(resource, { ...options, pageSize: 0 });
      throw error;
    }
  }

  async #pages<T extends KubeObject>(resource: Resource<T>, options: ListItemsOptions<T>): Promise<List<T>> {
    const { namespace, labelSelector, fieldSelector, pageSize = defaultPageSize, keep } = options;
    const what = `${resource.plural} in ${namespace ?? 'all namespaces'}`;
    const path = collectionPath(resource, namespace);
    const items: T[] = [];
    let token: string | undefined;
    for (;;) {
      const query = {
        limit: pageSize === 0 ? undefined : pageSize,
        continue: token,
        labelSelector,
        fieldSelector,
      };
      const page: Page<T> = await this.#requests.send<Page<T>>(
        { verb: 'list', method: 'GET', resource, path, what, query },
        options,
      );
      // Items of a list come without their kind.
      const typed = { apiVersion: apiVersionOf(resource), kind: resource.kind };
      for (const item of page.items ?? []) {
        const object = { ...typed, ...item };
        items.push(keep === undefined ? object : keep(object));
      }
      token = page.metadata.continue === '' ? undefined : page.metadata.continue;
      if (token === undefined) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  create<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options: CallOptions = {}): Promise<T> {
    objectPath(ref); // refuses a reference without its namespace
    return this.#requests.send<T>(
      {
        verb: 'create',
        method: 'POST',
        resource: ref.resource,
        path: collectionPath(ref.resource, ref.namespace),
        what: named(ref),
        query: { fieldManager },
        body: whole(ref, object),
      },
      options,
    );
  }

  apply<T extends KubeObject>(ref: Ref<T>, object: Partially<T>, options: ApplyOptions): Promise<T> {
    return this.#requests.send<T>(
      {
        verb: 'apply',
        method: 'PATCH',
        resource: ref.resource,
        path: objectPath(ref, options.subresource),
        what: named(ref, options.subresource),
        query: {
          fieldManager: options.fieldManager ?? fieldManager,
          force: options.force,
          dryRun: options.dryRun === true ? 'All' : undefined,
        },
        body: whole(ref, object),
        contentType: 'application/apply-patch+yaml', // JSON is YAML
      },
      options,
    );
  }

  patch<T extends KubeObject>(ref: Ref<T>, body: object, options: PatchOptions): Promise<T> {
    return this.#requests.send<T>(
      {
        verb: 'patch',
        method: 'PATCH',
        resource: ref.resource,
        path: objectPath(ref, options.subresource),
        what: named(ref, options.subresource),
        query: {
          fieldManager: options.fieldManager ?? fieldManager,
          dryRun: options.dryRun === true ? 'All' : undefined,
        },
        body,
        contentType: patchTypes[options.type],
      },
      options,
    );
  }

  async delete(ref: Ref, options: DeleteOptions = {}): Promise<boolean> {
    const { propagation = 'Background', uid, resourceVersion } = options;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: propagation,
      preconditions: { uid, resourceVersion },
    };
    try {
      await this.#requests.send(
        {
          verb: 'delete',
          method: 'DELETE',
          resource: ref.resource,
          path: objectPath(ref),
          what: named(ref),
          body,
        },
        options,
      );
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    return watchLines<T>(this.#requests, resource, options);
  }

  async version(options: CallOptions = {}): Promise<string> {
    const { gitVersion } = await this.#requests.send<{ gitVersion?: string }>(
      { verb: 'get', method: 'GET', resource: undefined, path: '/version', what: 'the version' },
      options,
    );
    if (gitVersion === undefined) {
      throw new ApiError(`${this.#connection.server} answers, but not as a Kubernetes API server does.`, {
        status: 200,
      });
    }
    return gitVersion;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

interface Page<T> {
  readonly items?: readonly T[] | null;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
}

function named(ref: Ref, subresource?: string): string {
  const { resource, namespace, name } = ref;
  const of = subresource === undefined ? '' : `${subresource} of `;
  return `${of}${resource.kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

/** The object with what its reference says of it. */
function whole<T extends KubeObject>(ref: Ref<T>, object: Partially<T>): object {
  const { metadata } = object as { metadata?: object };
  return {
    ...object,
    apiVersion: apiVersionOf(ref.resource),
    kind: ref.resource.kind,
    metadata: { ...metadata, name: ref.name, namespace: ref.namespace },
  };
}
