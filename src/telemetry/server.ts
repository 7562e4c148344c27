/**
 * `/metrics`, `/healthz` and `/readyz`, and the routes of others.
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
  /** What else is answered here; the first that fits. */
  readonly routes?: readonly Route[] | undefined;
}

/** What a route is told of a request. */
export interface RouteRequest {
  readonly method: string;
  /** Its path and query; the host is of no meaning. */
  readonly url: URL;
  /** Aborts when whoever asked has gone. */
  readonly signal: AbortSignal;
}

export interface Route {
  /** Exact, or every path that begins with it where it ends in `/`. */
  readonly path: string;
  /** Judges the method, too. An error is answered with 500 and not told to whoever asked. */
  answer(request: RouteRequest): Promise<Answer>;
}

export interface TelemetryServer {
  readonly port: number;
  /** Accepts nothing more, lets what is under way finish for so long (default 1 s), then cuts it. */
  close(deadlineMs?: number): Promise<void>;
}

export interface Answer {
  readonly status: number;
  /** Its media type; default plain text. */
  readonly type?: string;
  /** Names in lower case. With an `etag`, whoever has that answer already gets 304 instead. */
  readonly headers?: Readonly<Record<string, string>>;
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
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answer = await answerTo(options, request, gone.signal);
  const { type = 'text/plain; charset=utf-8', headers, body } = answer;
  if (isKnown(answer, request)) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(answer.status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** True if whoever asks has this very answer already. A proxy that packs it makes its tag a weak one. */
function isKnown({ status, headers }: Answer, request: IncomingMessage): boolean {
  const etag = headers?.['etag'];
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//u, ''));
  return status === 200 && etag !== undefined && known?.includes(etag) === true;
}

async function answerTo(
  options: ServerOptions,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const { method = 'GET' } = request;
  const url = URL.parse(request.url ?? '', 'http://localhost');
  if (url === null) return { status: 400, body: 'The path can not be read.\n' };
  const { routes = [] } = options;
  const route = routes.find(({ path }) =>
    path.endsWith('/') ? url.pathname.startsWith(path) : url.pathname === path,
  );
  if (route !== undefined) return await answerOf(route, { method, url, signal });
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'Only GET and HEAD.\n' };
  switch (url.pathname) {
    case '/healthz':
      return { status: 200, body: 'ok\n' };
    case '/readyz':
      return await readiness(options);
    case '/metrics':
      return await scrape(options.metrics);
    default: {
      const paths = ['/metrics', '/healthz', '/readyz', ...routes.map(({ path }) => path)];
      return { status: 404, body: `Try ${paths.slice(0, -1).join(', ')} or ${paths.at(-1)}.\n` };
    }
  }
}

async function answerOf(route: Route, request: RouteRequest): Promise<Answer> {
  try {
    return await route.answer(request);
  } catch {
    return { status: 500, body: 'The answer could not be made.\n' };
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
