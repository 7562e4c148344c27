/**
 * How soon a key may be looked at again after something was done. The usual answer is at once; but an action
 * that is decided again and again says that it has no effect, and must not become a hot loop.
 */
import type { Next } from './reconcile.ts';

const freeRepeats = 3;
const slowestMs = 30_000;

/** Remembers, per key, what was done last and how often in a row. */
export class Pace {
  readonly #last = new Map<string, { readonly did: string; readonly times: number }>();

  /** Milliseconds until the next look; undefined: not before something changes. */
  after(key: string, next: Next): number | undefined {
    if (next.did === undefined) {
      this.#last.delete(key);
      return next.afterMs;
    }
    const last = this.#last.get(key);
    const times = last?.did === next.did ? last.times + 1 : 1;
    this.#last.set(key, { did: next.did, times });
    // The backfill takes its time by itself and is repeated by design.
    const excess = next.did === 'backfill' ? 0 : times - freeRepeats;
    const brake = excess <= 0 ? 0 : Math.min(slowestMs, 100 * 2 ** excess);
    return next.afterMs === undefined ? undefined : Math.max(next.afterMs, brake);
  }

  /** Forgets a key that is gone. */
  forget(key: string): void {
    this.#last.delete(key);
  }
}
