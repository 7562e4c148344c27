/**
 * One request to the API server: credentials, time limit, and the few repetitions that are safe.
 *
 * A request is repeated only where doing it twice is the same as once: never a create after a lost answer.
 * The exception is 429, which the server gives before it has looked at the request.
 */

import { type Dispatcher, request as httpRequest } from 'undici';
import { ApiError, type Status, UnreachableError, refusal, statusFrom } from './api-error.ts';
import type { Clock } from './clock.ts';
import type { Connection } from './connection.ts';
import type { Resource } from './resources.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'delete';

export interface Request {
  readonly verb: Verb;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly resource: Resource | undefined;
  readonly path: string;
  /** Names the object in errors: `Deployment shop/shop`. */
  readonly what: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  readonly contentType?: string;
}

/** Sees every try, for metrics. `status` is `error` where there was no answer. */
export interface RequestObserver {
  requested(verb: Verb, plural: string, status: string, ms: number): void;
}

export interface RequestsOptions {
  readonly timeoutMs: number;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly observer: RequestObserver | undefined;
}

interface Limits {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Tries in all, when the server asks us to come back later. */
const mostTries = 4;
/** A server that asks for more than this is left to the caller, who has other keys to see to. */
const longestRetryAfterMs = 5_000;

/** The socket died before an answer: mostly a kept connection that the server was just closing. */
const cutCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

export class Requests {
  readonly #connection: Connection;
  readonly #options: RequestsOptions;

  constructor(connection: Connection, options: RequestsOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Sends a request and reads its JSON. @throws ApiError, UnreachableError, or the signal's reason. */
  async send<T>(request: Request, limits: Limits = {}): Promise<T> {
    let cuts = 0;
    for (let tries = 1; ; tries += 1) {
      try {
        return (await this.#once(request, limits)) as T;
      } catch (error) {
        limits.signal?.throwIfAborted();
        if (error instanceof UnreachableError && cutCodes.has(error.code)) cuts += 1;
        const waitMs = repeatAfterMs(request.verb, error, cuts);
        if (waitMs === undefined || tries === mostTries) throw error;
        await this.#options.clock.sleep(waitMs, limits.signal);
      }
    }
  }

  /**
   * Opens a response that goes on, for as long as its pieces come less than `silenceMs` apart.
   * @throws ApiError, UnreachableError, or the signal's reason.
   */
  async open(
    request: Request,
    signal: AbortSignal,
    silenceMs: number,
  ): Promise<Dispatcher.ResponseData['body']> {
    const timeoutMs = this.#options.timeoutMs;
    const started = performance.now();
    try {
      const response = await this.#dispatch(request, {
        signal,
        headersTimeout: timeoutMs,
        bodyTimeout: silenceMs,
      });
      if (response.statusCode !== 200) throw await this.#refused(request, response);
      this.#observe(request, '200', started);
      // Whoever reads the body gets its error; one that comes while nobody reads must not end the process.
      response.body.on('error', () => {});
      return response.body;
    } catch (error) {
      throw this.#failed(request, { error, started, signal, timeoutMs });
    }
  }

  /** Turns what undici throws into what this folder promises to throw. */
  explain(request: Request, error: unknown, timeoutMs: number): Error {
    if (error instanceof ApiError || error instanceof UnreachableError) return error;
    const code = codeOf(error);
    const where = `The API server at ${this.#connection.server}`;
    const doing = `${request.verb} ${request.what}`;
    switch (code) {
      case 'UND_ERR_HEADERS_TIMEOUT':
      case 'UND_ERR_ABORTED':
        return new UnreachableError(
          `${where} did not answer within ${timeoutMs} ms (${doing}).`,
          'TIMEOUT',
          error,
        );
      case 'UND_ERR_BODY_TIMEOUT':
        return new UnreachableError(`${where} fell silent (${doing}).`, 'SILENT', error);
      default: {
        const why = error instanceof Error ? error.message : String(error);
        return new UnreachableError(`${where} can't be reached: ${why} (${doing}).`, code, error);
      }
    }
  }

  async #once(request: Request, limits: Limits): Promise<unknown> {
    const timeoutMs = limits.timeoutMs ?? this.#options.timeoutMs;
    const limit = new AbortController();
    const end = () => limit.abort();
    const timer = setTimeout(end, timeoutMs);
    limits.signal?.addEventListener('abort', end, { once: true });
    const started = performance.now();
    try {
      limits.signal?.throwIfAborted();
      const response = await this.#dispatch(request, { signal: limit.signal });
      if (response.statusCode >= 300) throw await this.#refused(request, response);
      const text = await response.body.text();
      this.#observe(request, String(response.statusCode), started);
      return JSON.parse(text);
    } catch (error) {
      throw this.#failed(request, { error, started, signal: limits.signal, timeoutMs });
    } finally {
      clearTimeout(timer);
      limits.signal?.removeEventListener('abort', end);
    }
  }

  async #dispatch(
    request: Request,
    options: { signal: AbortSignal; headersTimeout?: number; bodyTimeout?: number },
  ): Promise<Dispatcher.ResponseData> {
    const { dispatcher, headers } = await unlessAborted(this.#connection.access(), options.signal);
    return await httpRequest(this.#connection.server + request.path + queryOf(request), {
      ...options,
      dispatcher,
      method: request.method,
      headers: {
        ...headers,
        accept: acceptedOf(request),
        'user-agent': this.#options.userAgent,
        ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
      },
      body: request.body === undefined ? null : JSON.stringify(request.body),
    });
  }

  async #refused(request: Request, response: Dispatcher.ResponseData): Promise<ApiError> {
    const status: Status = statusFrom(await response.body.text());
    const { 'retry-after': retryAfter } = response.headers;
    const after = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
    if (response.statusCode === 401) this.#connection.distrust();
    return refusal(`${request.verb} ${request.what}`, response.statusCode, status, after);
  }

  #failed(
    request: Request,
    attempt: { error: unknown; started: number; signal: AbortSignal | undefined; timeoutMs: number },
  ): unknown {
    if (attempt.signal?.aborted === true) return attempt.signal.reason;
    const error = this.explain(request, attempt.error, attempt.timeoutMs);
    if (error instanceof UnreachableError) this.#connection.distrust();
    this.#observe(request, error instanceof ApiError ? String(error.status) : 'error', attempt.started);
    return error;
  }

  #observe(request: Request, status: string, started: number): void {
    const plural = request.resource?.plural ?? '';
    this.#options.observer?.requested(request.verb, plural, status, performance.now() - started);
  }
}

/** PartialObjectMetadata where no more is wanted; a server that can't answer so answers 406. */
function acceptedOf({ verb, resource }: Request): string {
  const kind = verb === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  const partial = resource?.metadataOnly === true && (verb === 'list' || verb === 'watch');
  return partial ? `application/json;as=${kind};g=meta.k8s.io;v=v1` : 'application/json';
}

/** The ms to wait before the request may be sent again; undefined: not at all. */
function repeatAfterMs(verb: Verb, error: unknown, cuts: number): number | undefined {
  const idempotent = verb !== 'create' && verb !== 'patch';
  if (error instanceof UnreachableError) {
    return idempotent && cuts === 1 && cutCodes.has(error.code) ? 0 : undefined;
  }
  if (!(error instanceof ApiError) || error.retryAfterMs === undefined) return undefined;
  if (error.retryAfterMs > longestRetryAfterMs) return undefined;
  return error.status === 429 || (error.status >= 500 && idempotent) ? error.retryAfterMs : undefined;
}

/** A credential plugin may hang; the request's limit holds for it too. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function queryOf(request: Request): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

function codeOf(error: unknown): string {
  const { code, cause, name } = error as { code?: unknown; cause?: { code?: unknown }; name?: unknown };
  if (typeof code === 'string') return code;
  if (typeof cause?.code === 'string') return cause.code;
  return name === 'AbortError' ? 'UND_ERR_ABORTED' : 'UNKNOWN';
}
