/** Runs the tests of a file side by side: each waits for pods and clocks most of its life. */
import { test } from '@jest/globals';

// A test that is run alone must not bring its neighbours with it.
const asked = process.argv.findIndex((word) => word === '-t' || word === '--testNamePattern');
const wanted = new RegExp(asked < 0 ? '' : (process.argv[asked + 1] ?? ''), 'i');
const limitMs = 25 * 60_000;

interface Scenario {
  readonly run: () => Promise<void>;
  result?: Promise<PromiseSettledResult<void>>;
}

export class Scenarios {
  readonly #all: Scenario[] = [];
  readonly #atOnce: number;
  #registered = 0;

  /** @param atOnce how many may run beside each other; all of them if not given. */
  constructor(atOnce = Number.POSITIVE_INFINITY) {
    this.#atOnce = atOnce;
  }

  /** Registers a test. `run` is given its number, which no other of the file has. */
  add(name: string, run: (number: number) => Promise<void>): void {
    this.#registered += 1;
    const number = this.#registered;
    const scenario: Scenario = { run: () => run(number) };
    const place = wanted.test(name) ? this.#all.push(scenario) - 1 : -1;
    test(
      name,
      async () => {
        const outcome = await this.#begun(place);
        if (outcome.status === 'rejected') throw outcome.reason as Error;
      },
      limitMs,
    );
  }

  /** Resolves when all that was begun has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#all.flatMap(({ result }) => result ?? []));
  }

  /** Sees to it that a scenario runs, and those after it that may run beside it. */
  async #begun(place: number): Promise<PromiseSettledResult<void>> {
    for (const scenario of this.#all.slice(place, place + this.#atOnce))
      // Rejections are looked at by each test; none may be taken for unhandled before.
      scenario.result ??= Promise.allSettled([scenario.run()]).then(([outcome]) => outcome);
    const result = this.#all[place]?.result;
    if (result === undefined) throw new Error('There is no such scenario.');
    return result;
  }
}
