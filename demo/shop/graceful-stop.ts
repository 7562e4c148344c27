import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface StopTimes {
  /** How long new connections are served at least: as long as kube-proxy may still send some. */
  readonly serveMs: number;
  /** After this time kept connections that asked for nothing more are closed from this side. */
  readonly drainMs: number;
}

const pollMs = 100;
/** Requests in flight end by themselves within the database's statement timeout. */
const lastRequestsMs = 10_000;

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

/**
 * Stops a server without resetting anybody. From the moment of the call on, the server has to answer with
 * `Connection: close` (`closing` in server.ts), so that a client on a kept connection gets its answer and
 * opens its next one elsewhere. `server.close()` comes last, because it ends idle connections at once, and a
 * request that is just then on its way would be answered with a reset.
 */
export async function stopGracefully(server: Server, times: StopTimes): Promise<void> {
  const started = performance.now();
  const elapsed = (): number => performance.now() - started;
  while (elapsed() < times.serveMs || (elapsed() < times.drainMs && (await connectionsOf(server)) > 0)) {
    await delay(pollMs);
  }
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await Promise.race([closed, delay(lastRequestsMs, undefined, { ref: false })]);
}
