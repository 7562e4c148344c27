/** How long to wait after a failure: exponential, capped, with full jitter. */

import type { Clock } from './clock.ts';

export interface BackoffOptions {
  /** The first ceiling, in ms. */
  readonly baseMs: number;
  /** The highest ceiling, in ms. */
  readonly capMs: number;
  /** A failure that comes this long after the last one counts as the first again, in ms. */
  readonly resetAfterMs: number;
}

/**
 * client-go's reflector: 0.8 s, doubled up to 30 s, forgotten after 2 good minutes. With full jitter the
 * wait is anything between nothing and the ceiling, so that a fleet does not come back in step.
 */
export const watchBackoff: BackoffOptions = { baseMs: 800, capMs: 30_000, resetAfterMs: 120_000 };

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  #lastFailure = Number.NEGATIVE_INFINITY;

  constructor(options: BackoffOptions, clock: Clock, random: () => number = Math.random) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  /** Counts a failure; the ms to wait before the next try. */
  next(): number {
    const { baseMs, capMs, resetAfterMs } = this.#options;
    const now = this.#clock.now();
    if (now - this.#lastFailure > resetAfterMs) this.#failures = 0;
    this.#lastFailure = now;
    const ceiling = Math.min(capMs, baseMs * 2 ** this.#failures);
    this.#failures += 1;
    return this.#random() * ceiling;
  }
}
