/**
 * The keys that want work: client-go's work queue, with its numbers.
 *
 * A key is queued once, however often it is added; at most one worker has it; one that is added while a
 * worker has it is queued again when the worker is done. So a worker must look at the whole state each
 * time, and nothing is lost by forgetting which event brought the key.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, systemClock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

/** Sees what the queue does, for metrics; must not throw. */
export interface QueueObserver {
  depth(keys: number): void;
  waited(ms: number): void;
  worked(ms: number): void;
  retried(): void;
  /** The worker threw, which it should not: the key is retried. */
  threw(key: string, error: unknown): void;
}

/** Does what a key wants. The signal aborts when its time is up or a drain has lost patience. */
export type Worker = (key: string, signal: AbortSignal) => Promise<void>;

export interface QueueOptions {
  readonly clock?: Clock | undefined;
  readonly observer?: Partial<QueueObserver> | undefined;
  /** The first wait of `retry`, doubled with each further failure of the key, in ms; default 5. */
  readonly retryBaseMs?: number | undefined;
  /** The longest wait of `retry`, in ms; default 1000 s. */
  readonly retryCapMs?: number | undefined;
  /** Retries of all keys together; default 10 a second after a burst of 100. */
  readonly retriesPerSecond?: number | undefined;
  readonly retryBurst?: number | undefined;
}

export interface RunOptions {
  /** Keys worked on at the same time. */
  readonly workers: number;
  /** A worker's signal aborts after this long, in ms; its key stays taken until it returns. */
  readonly timeoutMs?: number | undefined;
}

interface Delayed {
  readonly dueAt: number;
  readonly cancel: AbortController;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #observer: Partial<QueueObserver>;
  readonly #retryBaseMs: number;
  readonly #retryCapMs: number;
  readonly #retries: TokenBucket;
  /** Keys to be worked on, in order, with the time each was added. */
  readonly #waiting = new Map<string, number>();
  /** Keys that a worker has, with what aborts its signal. */
  readonly #taken = new Map<string, AbortController>();
  /** Keys that were added while a worker had them, with the time of it. */
  readonly #again = new Map<string, number>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  #worker: Worker | undefined;
  #options: RunOptions = { workers: 0 };
  #draining = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: QueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#observer = options.observer ?? {};
    this.#retryBaseMs = options.retryBaseMs ?? 5;
    this.#retryCapMs = options.retryCapMs ?? 1_000_000;
    this.#retries = new TokenBucket(
      { perSecond: options.retriesPerSecond ?? 10, burst: options.retryBurst ?? 100 },
      this.#clock,
    );
  }

  /** Lets workers have the keys, those added before too. Once only. */
  run(worker: Worker, options: RunOptions): void {
    if (this.#worker !== undefined) throw new Error('A queue runs once.');
    if (!(options.workers >= 1)) throw new Error('A queue without workers does nothing.');
    this.#worker = worker;
    this.#options = options;
    this.#dispatch();
  }

  /** Wants work on the key as soon as may be. Does nothing once a drain has begun. */
  add(key: string): void {
    if (this.#draining) return;
    const since = this.#clock.now();
    if (this.#taken.has(key)) {
      if (!this.#again.has(key)) this.#again.set(key, since);
    } else if (!this.#waiting.has(key)) {
      this.#waiting.set(key, since);
      this.#reportDepth();
      this.#dispatch();
    }
  }

  /** Wants work on the key after `ms`. Of several such wishes the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#draining) return;
    if (ms <= 0) return this.add(key);
    const dueAt = this.#clock.now() + ms;
    const earlier = this.#delayed.get(key);
    if (earlier !== undefined && earlier.dueAt <= dueAt) return;
    earlier?.cancel.abort();
    const delayed: Delayed = { dueAt, cancel: new AbortController() };
    this.#delayed.set(key, delayed);
    void this.#addLater(key, ms, delayed);
  }

  /** Wants work on a key that failed, after its back-off. */
  retry(key: string): void {
    if (this.#draining) return;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const own = Math.min(this.#retryCapMs, this.#retryBaseMs * 2 ** failures);
    this.#observer.retried?.();
    this.addAfter(key, Math.max(own, this.#retries.reserve()));
  }

  /** The key did not fail: its next back-off starts from the beginning. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often `retry` was called for the key since the last `forget`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Keys that could be worked on now, were there a worker. */
  get depth(): number {
    return this.#waiting.size;
  }

  /**
   * Takes no more keys, drops those that wait (whoever starts next lists everything anew), and gives the
   * workers until the deadline; then their signals abort, and after `graceMs` more it returns.
   * @returns the keys whose workers have not returned: then a lease must not be released.
   */
  async drain(deadlineMs: number, graceMs = 1000): Promise<{ readonly unfinished: readonly string[] }> {
    this.#draining = true;
    for (const { cancel } of this.#delayed.values()) cancel.abort();
    for (const keys of [this.#delayed, this.#waiting, this.#again]) keys.clear();
    this.#reportDepth();
    if (this.#taken.size === 0) this.#idle.resolve();
    if (!(await this.#idleWithin(deadlineMs))) {
      const late = new Error('The operator is stopping and can wait no longer.');
      for (const taken of this.#taken.values()) taken.abort(late);
      await this.#idleWithin(graceMs);
    }
    return { unfinished: [...this.#taken.keys()] };
  }

  async #idleWithin(ms: number): Promise<boolean> {
    const over = new AbortController();
    const time = this.#clock.sleep(ms, over.signal).catch(() => {});
    await Promise.race([this.#idle.promise, time]);
    over.abort();
    return this.#taken.size === 0;
  }

  async #addLater(key: string, ms: number, delayed: Delayed): Promise<void> {
    try {
      await this.#clock.sleep(ms, delayed.cancel.signal);
    } catch {
      return; // a wish for an earlier time took its place, or the queue drains
    }
    if (this.#delayed.get(key) !== delayed) return;
    this.#delayed.delete(key);
    this.add(key);
  }

  #dispatch(): void {
    if (this.#worker === undefined) return;
    for (const [key, since] of this.#waiting) {
      if (this.#taken.size >= this.#options.workers) return;
      this.#waiting.delete(key);
      this.#reportDepth();
      const abort = new AbortController();
      this.#taken.set(key, abort);
      void this.#work(this.#worker, { key, since, abort });
    }
  }

  async #work(worker: Worker, item: { key: string; since: number; abort: AbortController }): Promise<void> {
    const { key, since, abort } = item;
    // Workers that never wait would otherwise starve timers and sockets, the lease's renewal among them.
    await nextTurn();
    if (this.#draining) return this.#release(key);
    const startedAt = this.#clock.now();
    this.#observer.waited?.(startedAt - since);
    const stopTimer = this.#limit(abort);
    try {
      await worker(key, abort.signal);
    } catch (error) {
      this.retry(key);
      this.#observer.threw?.(key, error);
    } finally {
      stopTimer();
      this.#observer.worked?.(this.#clock.now() - startedAt);
      this.#release(key);
    }
  }

  #limit(abort: AbortController): () => void {
    const { timeoutMs } = this.#options;
    if (timeoutMs === undefined) return () => {};
    const done = new AbortController();
    this.#clock.sleep(timeoutMs, done.signal).then(
      () => abort.abort(new Error(`Work on this resource took more than ${timeoutMs} ms.`)),
      () => {},
    );
    return () => done.abort();
  }

  #release(key: string): void {
    this.#taken.delete(key);
    const since = this.#again.get(key);
    this.#again.delete(key);
    if (since !== undefined) {
      this.#waiting.set(key, since);
      this.#reportDepth();
    }
    if (this.#draining && this.#taken.size === 0) this.#idle.resolve();
    this.#dispatch();
  }

  #reportDepth(): void {
    this.#observer.depth?.(this.#waiting.size);
  }
}
