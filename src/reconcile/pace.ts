/**
 * How soon a key is looked at again. After something was done: at once; but an action that is decided again and
 * again says that it has no effect, and must not become a hot loop. While it waits: as often as the decision
 * wants at first, less often the longer the same wait lasts, so that a thousand changes that wait for people ask
 * nobody anything. Watches wake what they see in either case.
 */
import type { Reason } from '../api/reasons.ts';
import type { Next } from './next.ts';

const freeRepeats = 3;
const slowestMs = 30_000;
// They take their time by themselves and are repeated by design.
const stretches: ReadonlySet<string> = new Set(['backfill', 'verify', 'archive']);
// Of a wait that has lasted so long, a tenth more goes unnoticed.
const shareOfWait = 10;
const slowestWaitMs = 60_000;
// What a person has to mend may wait for days.
const slowestStallMs = 300_000;

interface Last {
  readonly did: string;
  readonly times: number;
}

/** A wait that goes on: the same reason, and the same wish when to look. */
interface Wait {
  readonly reason: Reason;
  readonly recheckMs: number;
  readonly since: number;
}

/** Remembers, per key, what was done last and how often in a row, and what it waits for since when. */
export class Pace {
  readonly #last = new Map<string, Last>();
  readonly #waits = new Map<string, Wait>();

  /** Milliseconds until the next look, given the time now in ms; undefined: not before something changes. */
  after(key: string, next: Next, now: number): number | undefined {
    if (next.did === undefined) this.#last.delete(key);
    if (next.waits === undefined) this.#waits.delete(key);
    else return this.#patience(key, next.waits, now);
    return next.did === undefined ? next.afterMs : this.#brake(key, next.did, next.afterMs);
  }

  /** Forgets a key that is gone. */
  forget(key: string): void {
    this.#last.delete(key);
    this.#waits.delete(key);
  }

  #brake(key: string, did: string, afterMs: number | undefined): number | undefined {
    const last = this.#last.get(key);
    const times = last?.did === did ? last.times + 1 : 1;
    this.#last.set(key, { did, times });
    const excess = stretches.has(did) ? 0 : times - freeRepeats;
    const brake = excess <= 0 ? 0 : Math.min(slowestMs, 100 * 2 ** excess);
    return afterMs === undefined ? undefined : Math.max(afterMs, brake);
  }

  #patience(key: string, { reason, recheckMs, stalled }: NonNullable<Next['waits']>, now: number): number {
    const before = this.#waits.get(key);
    const goesOn = before?.reason === reason && before.recheckMs === recheckMs;
    const since = goesOn ? before.since : now;
    this.#waits.set(key, { reason, recheckMs, since });
    const slowest = Math.max(recheckMs, stalled ? slowestStallMs : slowestWaitMs);
    return Math.max(recheckMs, Math.min(slowest, (now - since) / shareOfWait));
  }
}
