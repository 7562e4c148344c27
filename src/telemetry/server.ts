/**
 * `/metrics`, `/healthz` and `/readyz`.
 *
 * `/healthz` is answered as long as the event loop turns, and says nothing of PostgreSQL or of the API
 * server: were it tied to them, their failure would have every operator restarted for nothing.
 */

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What `/metrics` shows; a prom-client Registry fits. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
}

export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string };

export interface ServerOptions {
  /** 0 chooses a free one. */
  readonly port: number;
  /** Default: every address. */
  readonly host?: string | undefined;
  readonly metrics: MetricsSource;
  /** Whether caches have synced and the API server answers; never asks the database. */
  readonly ready: () => Readiness | Promise<Readiness>;
  /** A check that takes longer counts as not ready, in ms; default 2 s. */
  readonly readyTimeoutMs?: number | undefined;
}

export interface TelemetryServer {
  readonly port: number;
  /** Accepts nothing more, lets what is under way finish for so long (default 1 s), then cuts it. */
  close(deadlineMs?: number): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

/** Resolves once it listens. @throws if the port is taken. */
export async function startServer(options: ServerOptions): Promise<TelemetryServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    void respond(options, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: (deadlineMs = 1_000) => close(server, deadlineMs),
  };
}

function close(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

async function respond(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, type = 'text/plain; charset=utf-8', body } = await answerTo(options, request);
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answerTo(options: ServerOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'Only GET and HEAD.\n' };
  }
  const [path = ''] = (request.url ?? '').split('?');
  switch (path) {
    case '/healthz':
      return { status: 200, body: 'ok\n' };
    case '/readyz':
      return await readiness(options);
    case '/metrics':
      return await scrape(options.metrics);
    default:
      return { status: 404, body: 'Try /metrics, /healthz or /readyz.\n' };
  }
}

async function readiness(options: ServerOptions): Promise<Answer> {
  const { ready, readyTimeoutMs = 2_000 } = options;
  const late = Promise.withResolvers<Readiness>();
  const timer = setTimeout(
    () => late.resolve({ ready: false, reason: `The check took more than ${readyTimeoutMs} ms.` }),
    readyTimeoutMs,
  );
  try {
    const answer = await Promise.race([ready(), late.promise]);
    return answer.ready ? { status: 200, body: 'ok\n' } : { status: 503, body: `${answer.reason}\n` };
  } catch {
    // Whoever asks is not logged in: the error stays in the log.
    return { status: 503, body: 'The check failed.\n' };
  } finally {
    clearTimeout(timer);
  }
}

async function scrape(metrics: MetricsSource): Promise<Answer> {
  try {
    return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
  } catch {
    return { status: 500, body: 'The metrics could not be read.\n' };
  }
}
