/**
 * Kubernetes Events (events.k8s.io/v1), for people who run `kubectl describe`.
 *
 * Best effort: `emit` never waits and never throws, and nothing is ever decided by an Event. The same thing
 * said again within ten minutes raises the count of the first Event instead of making another.
 */

import { randomBytes } from 'node:crypto';
import { isNotFound } from './api-error.ts';
import type { Cluster } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Log, silentLog } from './log.ts';
import { microTime } from './micro-time.ts';
import { type Ref, events } from './resources.ts';
import { type BucketOptions, TokenBucket } from './token-bucket.ts';
import type { KubeEvent, KubeObject } from './types.ts';

export const reportingController = 'segue.dev/operator';

export interface EventInput {
  /** What it is about; needs `apiVersion`, `kind`, name and uid. */
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in one CamelCase word that programs may go by. */
  readonly reason: string;
  /** What was done or tried, in one CamelCase word. */
  readonly action: string;
  /** A sentence for people. No secret, no row value. Cut to 1 kB. */
  readonly note: string;
}

/** Counts, for metrics; must not throw. */
export interface EventObserver {
  written(): void;
  failed(): void;
  /** Too many about one object, or too many waiting for a slow API server. */
  dropped(): void;
}

export interface EventRecorderOptions {
  readonly cluster: Cluster;
  /** The pod's name. */
  readonly instance: string;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly observer?: EventObserver | undefined;
  /** Repetitions are gathered this long before the count is written, in ms; default 5 s. */
  readonly gatherMs?: number | undefined;
  /** What one object may be the subject of; default 100, then one every 10 s. */
  readonly perObject?: BucketOptions | undefined;
}

/** Longer, and an old Event is raised from where nobody looks; shorter, and a list fills with repetitions. */
const sameWithinMs = 600_000;
/** The API server refuses longer notes. */
const longestNoteBytes = 1024;
const mostRemembered = 1000;
const mostPending = 500;

interface Series {
  readonly ref: Ref<KubeEvent>;
  readonly input: EventInput;
  readonly firstAt: Date;
  count: number;
  lastAt: Date;
  lastSeenAt: number;
  /** Whether a count is waiting to be written. */
  gathering: boolean;
}

export class EventRecorder {
  readonly #cluster: Cluster;
  readonly #instance: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #observer: EventObserver | undefined;
  readonly #gatherMs: number;
  readonly #perObject: BucketOptions;
  /** Least recently seen first. */
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #gathering = new Set<Promise<void>>();
  readonly #flush = new AbortController();
  readonly #giveUp = new AbortController();
  #pending = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: EventRecorderOptions) {
    this.#cluster = options.cluster;
    this.#instance = options.instance.slice(0, 128);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#observer = options.observer;
    this.#gatherMs = options.gatherMs ?? 5_000;
    this.#perObject = options.perObject ?? { perSecond: 0.1, burst: 100 };
  }

  /** Has the Event written some time soon, if it can be. */
  emit(input: EventInput): void {
    if (this.#flush.signal.aborted) return;
    const { uid } = input.regarding.metadata;
    const key = JSON.stringify([uid, input.type, input.reason, input.action, input.note]);
    const now = this.#clock.now();
    const known = this.#series.get(key);
    this.#series.delete(key);
    if (known !== undefined && now - known.lastSeenAt <= sameWithinMs) {
      this.#series.set(
        key,
        Object.assign(known, { lastSeenAt: now, lastAt: this.#clock.date(), count: known.count + 1 }),
      );
      this.#gather(known);
      return;
    }
    if (!this.#bucket(uid).tryTake()) {
      this.#observer?.dropped();
      return;
    }
    const series = this.#begin(input, now);
    this.#series.set(key, series);
    this.#forgetOldest();
    // Remembered even if this fails: the server may have made it, and an answer that is lost must not become a second Event.
    this.#enqueue(() => this.#create(series));
  }

  /** Writes what is waiting, for at most so long. Later Events are dropped. */
  async stop(deadlineMs = 2_000): Promise<void> {
    this.#flush.abort();
    const over = new AbortController();
    const late = this.#clock.sleep(deadlineMs, over.signal).catch(() => {});
    await Promise.race([late, Promise.all(this.#gathering).then(() => this.#tail)]);
    over.abort();
    this.#giveUp.abort(new Error('The operator is stopping.'));
    await this.#tail;
  }

  #begin(input: EventInput, now: number): Series {
    const { namespace = 'default', name } = input.regarding.metadata;
    const date = this.#clock.date();
    return {
      ref: { resource: events, namespace, name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}` },
      input,
      firstAt: date,
      count: 1,
      lastAt: date,
      lastSeenAt: now,
      gathering: false,
    };
  }

  #gather(series: Series): void {
    if (series.gathering) return;
    series.gathering = true;
    const gathered = this.#clock
      .sleep(this.#gatherMs, this.#flush.signal)
      .catch(() => {}) // stopping: write what there is
      .then(() => {
        series.gathering = false;
        this.#gathering.delete(gathered);
        return this.#enqueue(() => this.#raise(series));
      });
    this.#gathering.add(gathered);
  }

  async #create(series: Series): Promise<void> {
    const { regarding, type, reason, action, note } = series.input;
    const { name, namespace, uid } = regarding.metadata;
    await this.#cluster.create(
      series.ref,
      {
        eventTime: microTime(series.firstAt),
        reportingController,
        reportingInstance: this.#instance,
        type,
        reason,
        action,
        note: cut(note),
        regarding: { apiVersion: regarding.apiVersion, kind: regarding.kind, name, namespace, uid },
        ...(series.count > 1 ? { series: seriesOf(series) } : {}),
      },
      { signal: this.#giveUp.signal },
    );
  }

  async #raise(series: Series): Promise<void> {
    try {
      const body = { series: seriesOf(series) };
      await this.#cluster.patch(series.ref, body, { type: 'merge', signal: this.#giveUp.signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#create(series); // never made, or forgotten: the server keeps Events for an hour
    }
  }

  /** One after the other, so that a count never overtakes its Event. */
  #enqueue(write: () => Promise<void>): void {
    if (this.#pending >= mostPending) {
      this.#observer?.dropped();
      return;
    }
    this.#pending += 1;
    this.#tail = this.#writeAfter(this.#tail, write);
  }

  async #writeAfter(previous: Promise<void>, write: () => Promise<void>): Promise<void> {
    await previous;
    try {
      await write();
      this.#observer?.written();
    } catch (error) {
      this.#observer?.failed();
      this.#log.warn({ err: error }, 'an Event could not be written');
    } finally {
      this.#pending -= 1;
    }
  }

  #bucket(uid: string): TokenBucket {
    const bucket = this.#buckets.get(uid) ?? new TokenBucket(this.#perObject, this.#clock);
    this.#buckets.delete(uid);
    this.#buckets.set(uid, bucket);
    return bucket;
  }

  #forgetOldest(): void {
    for (const map of [this.#series, this.#buckets]) {
      for (const key of map.keys()) {
        if (map.size <= mostRemembered) break;
        map.delete(key);
      }
    }
  }
}

const seriesOf = (series: Series) => ({ count: series.count, lastObservedTime: microTime(series.lastAt) });

/** The API server counts bytes; a character is never cut in half. */
function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= longestNoteBytes) return note;
  let end = longestNoteBytes - Buffer.byteLength('…');
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1; // a continuation byte
  return `${bytes.subarray(0, end).toString()}…`;
}
