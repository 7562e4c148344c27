/** How late the event loop is: everything runs on it, the renewal of the Lease included. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Measures until it is stopped. */
export interface EventLoopWatch {
  /** The lag since the last reading. */
  read(): readonly { readonly quantile: string; readonly seconds: number }[];
  stop(): void;
}

/** Begins to measure. */
export function watchEventLoop(): EventLoopWatch {
  const resolutionMs = 20;
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    read() {
      const lags = [0.5, 0.99, 1].map((quantile) => {
        // It measures from one of its own timers to the next, so the interval itself is taken off.
        const seconds = histogram.percentile(quantile * 100) / 1e9 - resolutionMs / 1000;
        return { quantile: String(quantile), seconds: Math.max(0, seconds) };
      });
      histogram.reset();
      return lags;
    },
    stop: () => histogram.disable(),
  };
}
