import { expect } from '@jest/globals';
import type { Servers } from './servers.ts';
import type { SeenRequest } from '../../support/fates.ts';
import { WholeChange, type EndState } from './whole-change.ts';

/** How a change ends that nobody disturbs, and what was told of it. */
interface Undisturbed {
  readonly end: EndState;
  readonly told: readonly string[];
}

/** What may be told beside what an undisturbed run tells: why it waited meanwhile, or what did not get through. */
const alsoTold =
  /^Normal (ClusterUnreachable|DatabaseUnreachable|LockNotAvailable|InQuarantine|RollingOut) (Wait|Rollout):/;

const windowMs = 5_000;

/**
 * What no window may have more of, whatever goes wrong. Seen were 5 to 43, the most where nothing is in its way; a loop
 * that never waits has hundreds.
 */
const mostPerSecond = 100;

/** The most requests in any 5 s, per second; renewals of the Lease and watches left out. */
const busiest = (requests: readonly SeenRequest[]): number => {
  const times = requests
    .filter(({ url }) => !url.includes('/leases') && !url.includes('watch=true'))
    .map(({ at }) => at);
  let [most, first] = [0, 0];
  for (const [last, at] of times.entries()) {
    while (at - (times[first] ?? at) > windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return (most * 1_000) / windowMs;
};

/** Has whole changes lived through on shared servers, each in a place of its own, and compares their ends. */
export class Stand {
  readonly #servers: Servers;
  #places = 0;
  #undisturbed: Promise<Undisturbed> | undefined;

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  /** Opens a whole change, has it lived through, and clears it away. */
  async during<T>(live: (whole: WholeChange) => Promise<T>): Promise<T> {
    this.#places += 1;
    const whole = await WholeChange.open(this.#servers, `faults-${this.#places}`);
    try {
      const outcome = await live(whole);
      const perSecond = busiest(whole.proxy.requests);
      process.stdout.write(`${whole.namespace}: at most ${perSecond} requests per second\n`);
      expect(perSecond).toBeLessThan(mostPerSecond);
      return outcome;
    } finally {
      await whole.stop();
    }
  }

  /** Run once, with the first test that asks. */
  undisturbed(): Promise<Undisturbed> {
    this.#undisturbed ??= this.during(async (whole) => {
      whole.startOperator();
      await whole.apply();
      await whole.reached('Completed');
      return { end: await whole.endState(), told: await whole.told() };
    });
    return this.#undisturbed;
  }

  /** The end is that of an undisturbed run, and so is what was told, but for words about the fault. */
  async expectUndisturbedEnd(whole: WholeChange): Promise<void> {
    const expected = await this.undisturbed();
    expect(await whole.endState()).toEqual(expected.end);
    const told = await whole.told();
    expect(told.filter((line) => !expected.told.includes(line) && !alsoTold.test(line))).toEqual([]);
    // No process says a thing twice as two Events.
    const lives = 1 + whole.operator.ends;
    expect(told.filter((line) => told.filter((other) => other === line).length > lives)).toEqual([]);
  }
}
