/** The port through which this folder sees time, so that tests can turn it by hand. */

export interface Clock {
  /** Milliseconds from an arbitrary start; never goes backwards. For durations. */
  now(): number;
  /** The time of day, which may jump. For what is written down, never for deciding. */
  date(): Date;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Node's timers fire at once when asked for more than this (about 24.8 days). */
const longestTimerMs = 2 ** 31 - 1;

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(handle);
      reject(signal?.reason as Error);
    };
    const handle = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  async sleep(ms, signal) {
    const end = performance.now() + ms;
    for (let left = ms; left > 0; left = end - performance.now()) {
      signal?.throwIfAborted();
      await timer(Math.min(left, longestTimerMs), signal);
    }
    signal?.throwIfAborted();
  },
};
