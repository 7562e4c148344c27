import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';

export type Connection = 'new' | 'kept';

/** What came back of a request. Everything but an answer with a status of 200 to 299 is a failed request. */
export type Exchange =
  | { readonly kind: 'answered'; readonly version: string; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: 'failed'; readonly cause: string };

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly path: string;
  readonly body?: Readonly<Record<string, string>>;
}

const timeoutMs = 5_000;

function causeOf(error: NodeJS.ErrnoException, reused: boolean): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  const cause = error.code ?? error.message;
  return reused ? `${cause} on a kept connection` : cause;
}

/** A client that sends one request at a time, either each over a connection of its own or all over one. */
export class HttpClient {
  readonly #base: URL;
  readonly #agent: Agent;

  constructor(base: URL, connection: Connection) {
    this.#base = base;
    this.#agent = new Agent(
      connection === 'kept' ? { keepAlive: true, maxSockets: 1 } : { keepAlive: false },
    );
  }

  /** Never throws and never tries again: whatever goes wrong is what the caller is here to count. */
  async send(call: Call): Promise<Exchange> {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const message = request(new URL(call.path, this.#base), {
      method: call.method,
      agent: this.#agent,
      signal: AbortSignal.timeout(timeoutMs),
      headers:
        body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    // Once the response is there, an error shows in reading it; the request then reports it a second time.
    message.on('error', () => undefined);
    try {
      const answer = once(message, 'response') as Promise<[IncomingMessage]>;
      message.end(body);
      const [response] = await answer;
      const version = String(response.headers['x-shop-version'] ?? 'unknown');
      const content = (await json(response)) as Record<string, unknown>;
      const status = response.statusCode ?? 0;
      return status >= 200 && status < 300
        ? { kind: 'answered', version, body: content }
        : { kind: 'failed', cause: `status ${status} from version ${version}` };
    } catch (error) {
      return { kind: 'failed', cause: causeOf(error as Error, message.reusedSocket) };
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
