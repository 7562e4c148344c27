/**
 * List, then watch, then go on for ever: the loop of client-go's reflector for one namespace or for all.
 *
 * It ends only when its signal aborts. A gap in the events is either closed by the server (a watch from a
 * version replays what came after) or answered with 410, and then with a new list. Where it is uncertain
 * that a version can be gone on from, it lists: a list too many costs a request, a list too few leaves us
 * blind until the next periodic one. (So would an etcd that was put back to an earlier state: a server whose
 * version is behind ours never says so.)
 */

import { ApiError, UnreachableError, isExpired, isForbidden } from './api-error.ts';
import { Backoff, type BackoffOptions, watchBackoff } from './backoff.ts';
import type { Cluster } from './client.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Resource } from './resources.ts';
import type { KubeObject } from './types.ts';

export interface WatchTiming {
  /** The server ends each watch after a random time between these, in s, so that not all end together. */
  readonly watchSeconds: readonly [number, number];
  /** See WatchOptions.silenceMs. */
  readonly silenceMs: number;
  /** A new list this long after the last one, in ms, whatever the watch says: belt and braces. */
  readonly relistMs: number;
  readonly backoff: BackoffOptions;
}

export const defaultWatchTiming: WatchTiming = {
  watchSeconds: [300, 600],
  silenceMs: 100_000,
  relistMs: 600_000,
  backoff: watchBackoff,
};

export type RelistReason = 'start' | 'expired' | 'failed' | 'periodic';

/** Counts what happens; must not throw. */
export interface WatchObserver {
  relisted(plural: string, reason: RelistReason): void;
  /** A watch ended otherwise than the server announced, or could not be opened. */
  restarted(plural: string, reason: string): void;
  received(plural: string, type: string): void;
}

/** Where the objects go. */
export interface ObjectSink<T extends KubeObject> {
  /** These are all there are. */
  replace(items: readonly T[]): void;
  put(object: T): void;
  remove(object: T): void;
}

export interface ListWatchOptions<T extends KubeObject> {
  readonly cluster: Cluster;
  readonly resource: Resource<T>;
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** What is kept of each object. */
  readonly keep: ((object: T) => T) | undefined;
  readonly sink: ObjectSink<T>;
  /** Told why the server refuses to list or to watch, and with nothing once it does both. */
  readonly onRefusal: (message: string | undefined) => void;
  readonly timing: WatchTiming;
  readonly observer: WatchObserver;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
}

const same = <T>(object: T): T => object;

/** A watch that ends this soon and brings nothing counts as failed (client-go: a very short watch). */
const veryShortMs = 1000;

/** How a watch ended: whether its version is still good, and whether to hurry. */
type End =
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'failed';
      readonly why: string;
      readonly relist?: RelistReason;
      readonly error?: unknown;
    };

export class ListWatch<T extends KubeObject> {
  readonly #options: ListWatchOptions<T>;
  readonly #backoff: Backoff;
  /** Where to go on from; undefined: list first. */
  #version: string | undefined;
  #listedAt = 0;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#backoff = new Backoff(options.timing.backoff, options.clock, options.random);
  }

  /** Resolves once the signal has aborted, never before, and never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let relist: RelistReason = 'start';
    while (!signal.aborted) {
      const end = await this.#step(relist, signal);
      if (signal.aborted) return;
      if (end.kind === 'ended') {
        relist = 'periodic';
        continue;
      }
      if (end.relist !== undefined) {
        this.#version = undefined;
        relist = end.relist;
      }
      await this.#pause(end, signal);
    }
  }

  /** Lists if that is due, then watches until the watch ends. */
  async #step(relist: RelistReason, signal: AbortSignal): Promise<End> {
    try {
      if (this.#version === undefined || this.#untilRelistMs() <= 0)
        this.#version = await this.#list(relist, signal);
    } catch (error) {
      this.#noteRefusal(error);
      return { kind: 'failed', why: 'list failed', relist, error };
    }
    return await this.#watch(signal);
  }

  #noteRefusal(error: unknown): void {
    if (isForbidden(error)) this.#options.onRefusal(error.message);
  }

  async #list(reason: RelistReason, signal: AbortSignal): Promise<string> {
    const { cluster, resource, namespace, labelSelector, fieldSelector, keep, sink, observer, clock } =
      this.#options;
    const startedAt = clock.now();
    const list = await cluster.list(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      keep,
      signal,
    });
    this.#listedAt = startedAt;
    sink.replace(list.items);
    observer.relisted(resource.plural, reason);
    return list.resourceVersion;
  }

  async #watch(signal: AbortSignal): Promise<End> {
    const { clock, keep = same } = this.#options;
    const startedAt = clock.now();
    let received = 0;
    try {
      for await (const event of this.#open(signal)) {
        received += 1;
        this.#options.observer.received(this.#options.resource.plural, event.type);
        switch (event.type) {
          case 'ADDED':
          case 'MODIFIED':
            this.#options.sink.put(keep(event.object));
            this.#version = event.object.metadata.resourceVersion;
            break;
          case 'DELETED':
            this.#options.sink.remove(keep(event.object));
            this.#version = event.object.metadata.resourceVersion;
            break;
          case 'BOOKMARK':
            this.#version = event.resourceVersion;
            break;
          case 'ERROR':
            return endOf(event.error, true);
        }
      }
    } catch (error) {
      this.#noteRefusal(error);
      return endOf(error, false);
    }
    const short = received === 0 && clock.now() - startedAt < veryShortMs;
    return short ? { kind: 'failed', why: 'very short' } : { kind: 'ended' };
  }

  #open(signal: AbortSignal) {
    const { cluster, resource, namespace, labelSelector, fieldSelector, timing, random } = this.#options;
    const [least, most] = timing.watchSeconds;
    const seconds = least + random() * (most - least);
    return cluster.watch(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion: this.#version ?? '',
      timeoutSeconds: Math.max(1, Math.ceil(Math.min(seconds, this.#untilRelistMs() / 1000))),
      silenceMs: timing.silenceMs,
      signal,
      onOpen: () => this.#options.onRefusal(undefined),
    });
  }

  async #pause(end: Extract<End, { kind: 'failed' }>, signal: AbortSignal): Promise<void> {
    const { observer, resource, namespace, log, clock } = this.#options;
    const waitMs = this.#backoff.next();
    observer.restarted(resource.plural, end.why);
    const fields = {
      resource: resource.plural,
      namespace,
      why: end.why,
      err: end.error,
      waitMs: Math.round(waitMs),
    };
    // Nothing to worry about: old versions expire, and where nothing happens nothing is heard.
    if (end.error === undefined || end.why === 'expired' || end.why === 'silent')
      log.debug(fields, 'watch ended early, going on');
    else log.warn(fields, 'the API server could not be watched, trying again');
    await clock.sleep(waitMs, signal).catch(() => {}); // aborted: the loop sees it
  }

  #untilRelistMs(): number {
    return this.#listedAt + this.#options.timing.relistMs - this.#options.clock.now();
  }
}

/** What a failed watch means for the version it started from. */
function endOf(error: unknown, inStream: boolean): End {
  if (isExpired(error)) return { kind: 'failed', why: 'expired', relist: 'expired', error };
  if (error instanceof ApiError) {
    // Refused for now (401, 429, 5xx): the version is as good as before. Anything else, such as 400 for a version from
    // before a restored etcd, or an error within the stream, is not. Who may list and not watch (403) lists.
    const keeps = !inStream && ([401, 429].includes(error.status) || error.status >= 500);
    return keeps
      ? { kind: 'failed', why: `${error.status}`, error }
      : { kind: 'failed', why: `${error.status}`, relist: 'failed', error };
  }
  if (error instanceof UnreachableError) {
    return { kind: 'failed', why: error.code === 'SILENT' ? 'silent' : 'cut', error };
  }
  return { kind: 'failed', why: 'unexpected', relist: 'failed', error };
}
