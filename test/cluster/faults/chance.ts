/** Chance that can be had again: `FAULT_SEED` in the environment repeats what a failed test has printed. */
export class Chance {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed;
    this.#state = seed;
  }

  /** A whole number from 0 to n - 1. */
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (this.#state >>> 8) % n;
  }

  /** True with a probability in percent. */
  in100(percent: number): boolean {
    return this.below(100) < percent;
  }
}
