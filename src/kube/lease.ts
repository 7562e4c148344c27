/**
 * Leader election by a Lease: client-go's rules and numbers.
 *
 * Whether another's Lease has run out is judged only by how long we have seen it unchanged, by our own
 * monotonic clock; its timestamps come from another machine's. A Lease is no fence: a leader that was
 * stopped for a minute does not know yet that it lost. What must not be done by two is fenced in the
 * database by `transitions`, which grows with every new leader.
 */

import { randomUUID } from 'node:crypto';
import { isConflict, isNotFound } from './api-error.ts';
import type { Cluster } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Log, silentLog } from './log.ts';
import { microTime } from './micro-time.ts';
import { type Ref, leases } from './resources.ts';
import type { Lease } from './types.ts';

export interface ElectionTiming {
  /** Others wait this long, unrenewed, before they take over, in ms. A whole number of seconds. */
  readonly durationMs: number;
  /** A leader that could not renew for this long, in ms, gives up. Shorter than the duration, with room. */
  readonly renewDeadlineMs: number;
  /** Between tries to acquire or renew, in ms. */
  readonly retryMs: number;
}

const defaultElectionTiming: ElectionTiming = {
  durationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryMs: 2_000,
};

export interface ElectionOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** The Lease's name. */
  readonly name: string;
  /** Who we are, for people: the pod's name. A random part is added, since no two lives may be taken for one. */
  readonly identity: string;
  readonly timing?: ElectionTiming | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  readonly log?: Log | undefined;
  /** Told when we begin and cease to lead, for metrics; must not throw. */
  readonly onLeading?: ((leading: boolean) => void) | undefined;
}

export interface CandidacyOptions {
  /** Ends the wait for the lead. Once leading, it is `onStarted` that must end. */
  readonly signal: AbortSignal;
  /**
   * What a leader does. `signal` aborts when the lead is lost: the process should then exit, since another may
   * lead already. To stop in good order, finish all work and return: the Lease is renewed until then, and then
   * released, so that the next leader need not wait. If work may still be going on, exit without returning.
   */
  readonly onStarted: (signal: AbortSignal, transitions: number) => Promise<void>;
}

/** `released`: led, and stopped in good order. `stopped`: never led. `lost`: exit the process. */
export type CandidacyEnd = 'released' | 'stopped' | 'lost';

interface Held {
  readonly version: string;
  readonly transitions: number;
  /** When the last successful renewal was sent, by our clock. */
  readonly renewedAt: number;
}

/** client-go's JitterFactor. */
const jitter = 1.2;
/** Less than client-go's: a candidate sees a renewal up to one try late, and takes over that much later. */
const candidateJitter = 0.5;

/** 2020-01-01: see `firstTransitions`. */
const epochMs = 1_577_836_800_000;

export class Election {
  /** What the Lease says when we hold it. */
  readonly identity: string;
  readonly #cluster: Cluster;
  readonly #ref: Ref<Lease>;
  readonly #timing: ElectionTiming;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #onLeading: (leading: boolean) => void;
  #held: Held | undefined;
  #trouble: string | undefined;
  /** Another's Lease as last seen, and when we first saw it so. */
  #seen = { version: '', at: 0 };
  /** When that one runs out, if nobody renews it. */
  #freeAt = 0;

  constructor(options: ElectionOptions) {
    const timing = options.timing ?? defaultElectionTiming;
    const { durationMs, renewDeadlineMs, retryMs } = timing;
    if (!(durationMs > renewDeadlineMs && renewDeadlineMs > retryMs * jitter && durationMs % 1000 === 0)) {
      throw new Error(
        'A Lease needs duration > renew deadline > 1.2 × retry, and a duration in whole seconds; it has ' +
          `${durationMs}, ${renewDeadlineMs} and ${retryMs} ms.`,
      );
    }
    this.identity = `${options.identity}_${randomUUID()}`;
    this.#cluster = options.cluster;
    this.#ref = { resource: leases, namespace: options.namespace, name: options.name };
    this.#timing = timing;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLog;
    this.#onLeading = options.onLeading ?? (() => {});
  }

  /** The Lease's count of leaders while we lead, else undefined. */
  get transitions(): number | undefined {
    return this.#held?.transitions;
  }

  /** Why the Lease could not be asked for at the last try; undefined if it could. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * Asks the server whether we still lead.
   * @throws ApiError or UnreachableError where it can't be asked: that is neither a yes nor a no.
   */
  async stillHeld(signal?: AbortSignal): Promise<boolean> {
    if (this.#held === undefined) return false;
    const lease = await this.#cluster.get(this.#ref, { signal });
    return this.#held !== undefined && lease?.spec?.holderIdentity === this.identity;
  }

  /** Waits for the lead, leads, and tells how it ended. Rejects only with what `onStarted` rejects with. */
  async run(options: CandidacyOptions): Promise<CandidacyEnd> {
    const held = await this.#acquire(options.signal);
    if (held === undefined) return 'stopped';
    if (options.signal.aborted) {
      await this.#release();
      return 'stopped';
    }
    this.#log.info({ lease: this.#ref.name, transitions: held.transitions }, 'became leader');
    this.#onLeading(true);
    const lost = new AbortController();
    const done = new AbortController();
    const renewal = this.#renewUntil(done.signal);
    try {
      const work = options.onStarted(lost.signal, held.transitions);
      work.catch(() => {}); // after a loss nobody listens any more
      if ((await Promise.race([renewal, work.then(() => 'finished' as const)])) === 'finished')
        return 'released';
      this.#held = undefined;
      lost.abort(new Error('The lead was lost; another operator may act now.'));
      return 'lost';
    } finally {
      done.abort();
      await renewal;
      this.#onLeading(false);
      await this.#release();
    }
  }

  async #acquire(signal: AbortSignal): Promise<Held | undefined> {
    const { renewDeadlineMs, retryMs } = this.#timing;
    while (!signal.aborted) {
      try {
        this.#held = await this.#within(renewDeadlineMs, signal, (limit) => this.#tryAcquire(limit));
        this.#trouble = undefined;
        if (this.#held !== undefined) return this.#held;
      } catch (error) {
        this.#trouble = error instanceof Error ? error.message : String(error);
        if (!signal.aborted)
          this.#log.warn({ lease: this.#ref.name, err: error }, 'could not ask for the lead');
      }
      const retry = retryMs * (1 + this.#random() * candidateJitter);
      const leftMs = this.#freeAt - this.#clock.now();
      // Not a whole try later than it runs out.
      await this.#clock.sleep(leftMs > 0 ? Math.min(retry, leftMs + 1) : retry, signal).catch(() => {});
    }
    return undefined;
  }

  async #tryAcquire(signal: AbortSignal): Promise<Held | undefined> {
    const lease = await this.#cluster.get(this.#ref, { signal });
    const sentAt = this.#clock.now();
    const now = microTime(this.#clock.date());
    const spec = {
      holderIdentity: this.identity,
      leaseDurationSeconds: this.#timing.durationMs / 1000,
      acquireTime: now,
      renewTime: now,
    };
    if (lease === undefined) {
      const leaseTransitions = firstTransitions(this.#clock.date());
      return await this.#write(sentAt, () =>
        this.#cluster.create(this.#ref, { spec: { ...spec, leaseTransitions } }, { signal }),
      );
    }
    if (!this.#isFree(lease, sentAt)) return undefined;
    // Ours already if only the answer to an earlier try was lost.
    const ours = lease.spec?.holderIdentity === this.identity;
    const leaseTransitions = (lease.spec?.leaseTransitions ?? 0) + (ours ? 0 : 1);
    return await this.#write(sentAt, () =>
      this.#patch(lease.metadata.resourceVersion, { ...spec, leaseTransitions }, signal),
    );
  }

  #isFree(lease: Lease, now: number): boolean {
    const version = lease.metadata.resourceVersion;
    if (this.#seen.version !== version) this.#seen = { version, at: now };
    const { holderIdentity = '', leaseDurationSeconds = 0 } = lease.spec ?? {};
    if (holderIdentity === '' || holderIdentity === this.identity) return true;
    this.#freeAt = this.#seen.at + leaseDurationSeconds * 1000;
    return now > this.#freeAt;
  }

  /** Resolves with `lost` when the deadline has passed without a renewal, or another holds the Lease. */
  async #renewUntil(done: AbortSignal): Promise<'lost' | 'finished'> {
    const { renewDeadlineMs, retryMs } = this.#timing;
    while (!done.aborted && this.#held !== undefined) {
      const leftMs = this.#held.renewedAt + renewDeadlineMs - this.#clock.now();
      if (leftMs <= 0) {
        this.#log.error({ lease: this.#ref.name }, 'lost the lead: it could not be renewed in time');
        return 'lost';
      }
      await this.#clock.sleep(Math.min(retryMs, leftMs), done).catch(() => {});
      if (done.aborted) break;
      // Half of the deadline, so that one connection that hangs leaves time for another.
      const tryMs = Math.min(renewDeadlineMs / 2, this.#held.renewedAt + renewDeadlineMs - this.#clock.now());
      try {
        if (!(await this.#within(tryMs, done, (limit) => this.#renew(limit)))) {
          this.#log.error({ lease: this.#ref.name }, 'lost the lead: the Lease is gone, or another holds it');
          return 'lost';
        }
      } catch (error) {
        if (!done.aborted) this.#log.warn({ lease: this.#ref.name, err: error }, 'could not renew the lead');
      }
    }
    return 'finished';
  }

  /** False if the Lease is not ours any more. @throws if that could not be found out. */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const held = this.#held;
    if (held === undefined) return false;
    const sentAt = this.#clock.now();
    const renewTime = microTime(this.#clock.date());
    const renewed = await this.#write(sentAt, () => this.#patch(held.version, { renewTime }, signal));
    if (renewed !== undefined) {
      this.#held = renewed;
      return true;
    }
    // Changed or gone. Perhaps only somebody's label, or a renewal of ours whose answer was lost.
    const lease = await this.#cluster.get(this.#ref, { signal });
    if (lease?.spec?.holderIdentity !== this.identity) return false;
    this.#held = { ...held, version: lease.metadata.resourceVersion };
    return true;
  }

  /** Undefined if somebody else was faster, or the Lease is gone. */
  async #write(sentAt: number, send: () => Promise<Lease>): Promise<Held | undefined> {
    try {
      const lease = await send();
      return {
        version: lease.metadata.resourceVersion,
        transitions: lease.spec?.leaseTransitions ?? 0,
        renewedAt: sentAt,
      };
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return undefined;
      throw error;
    }
  }

  #patch(resourceVersion: string, spec: object, signal: AbortSignal): Promise<Lease> {
    return this.#cluster.patch(this.#ref, { metadata: { resourceVersion }, spec }, { type: 'merge', signal });
  }

  /** Lets the next leader in at once; if that fails, it waits until the Lease runs out. */
  async #release(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    const never = new AbortController().signal;
    try {
      await this.#within(this.#timing.renewDeadlineMs / 2, never, (limit) => this.#giveBack(held, limit));
      this.#log.info({ lease: this.#ref.name }, 'released the lead');
    } catch (error) {
      this.#log.warn(
        { lease: this.#ref.name, err: error },
        'could not release the lead; it runs out by itself',
      );
    }
  }

  async #giveBack(held: Held, signal: AbortSignal): Promise<void> {
    const now = microTime(this.#clock.date());
    const spec = { holderIdentity: null, leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    if ((await this.#write(0, () => this.#patch(held.version, spec, signal))) !== undefined) return;
    // A renewal that was given up when we stopped may have been done all the same.
    const lease = await this.#cluster.get(this.#ref, { signal });
    if (lease?.spec?.holderIdentity === this.identity)
      await this.#patch(lease.metadata.resourceVersion, spec, signal);
  }

  /** Gives a request so long, whatever it is that hangs. */
  async #within<T>(ms: number, signal: AbortSignal, send: (limit: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController();
    const over = new AbortController();
    const forward = () => limit.abort(signal.reason);
    if (signal.aborted) forward();
    signal.addEventListener('abort', forward, { once: true });
    const late = this.#clock.sleep(ms, over.signal).then(() => {
      const error = new Error(`The API server did not answer within ${Math.round(ms)} ms.`);
      limit.abort(error);
      throw error;
    });
    late.catch(() => {});
    try {
      return await Promise.race([send(limit.signal), late]);
    } finally {
      over.abort();
      signal.removeEventListener('abort', forward);
    }
  }
}

/**
 * Where the count begins in a new Lease: the seconds since 2020, an int32 until 2088. Were it 0, a Lease that
 * somebody deleted would give the next leader a lower number than the database has seen, and the fence
 * would refuse it for ever.
 */
const firstTransitions = (date: Date): number => Math.floor((date.getTime() - epochMs) / 1000);
