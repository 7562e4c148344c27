import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/kube/clock.ts';

/** Lets everything that is ready to go on do so; it is never about time. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i += 1) await nextTurn();
}

interface Sleeper {
  readonly dueAt: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #startedAt = Date.parse('2026-01-02T03:04:05.678Z');
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#startedAt + this.#now);
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper: Sleeper = {
        dueAt: this.#now + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      if (signal?.aborted === true) abort();
      else {
        signal?.addEventListener('abort', abort, { once: true });
        this.#sleepers.add(sleeper);
      }
    });
  }

  /** Moves time on, waking sleepers in the order in which they are due. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    for (;;) {
      await settle();
      const next = [...this.#sleepers].sort((a, b) => a.dueAt - b.dueAt)[0];
      if (next === undefined || next.dueAt > target) break;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.wake();
    }
    this.#now = target;
    await settle();
  }
}
