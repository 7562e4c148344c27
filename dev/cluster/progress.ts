const heartbeatMs = 15_000;

/** `850 ms`, `12 s`, `3 m 05 s`. */
export function formatElapsed(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/**
 * Progress goes to standard error, so that standard output stays usable by a shell
 * (`eval "$(make -s cluster-up)"`).
 */
export function report(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * Does one step and reports how long it took; while a long step runs, a line every 15 s says that it still
 * does.
 */
export async function step<T>(label: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const elapsed = (): string => formatElapsed(performance.now() - started);
  const heartbeat = setInterval(() => report(`  … ${label}: ${elapsed()}`), heartbeatMs);
  try {
    const result = await work();
    report(`  ✓ ${label} (${elapsed()})`);
    return result;
  } catch (error) {
    report(`  ✗ ${label} (${elapsed()})`);
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}
