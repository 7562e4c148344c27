/** What may become of a request to the API server on its way there and back, and of the lines of a watch. */
import type { IncomingHttpHeaders } from 'node:http';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** What was sent with it; empty for a GET. */
  readonly body: string;
  /** When it came in, by `performance.now()`. */
  readonly at: number;
}

/** What becomes of one request. */
export type Fate =
  /** It is passed on, and so is its answer, each after so long. */
  | { readonly kind: 'pass'; readonly requestDelayMs?: number; readonly answerDelayMs?: number }
  /** The server never hears of it; the connection is cut, or quietly left open. */
  | { readonly kind: 'lose-request'; readonly quietly?: boolean }
  /** The server does it, and the answer is lost. `done` is told its status before anybody can notice. */
  | {
      readonly kind: 'lose-answer';
      readonly quietly?: boolean;
      readonly done?: (status: number) => void;
    }
  /** The connection is cut in the middle of the answer's body. */
  | { readonly kind: 'break-answer' }
  /** The answer that the same GET had so long ago; the true one if there is none that old. */
  | { readonly kind: 'stale'; readonly ageMs: number }
  /** The proxy answers in the server's place. */
  | {
      readonly kind: 'answer';
      readonly answer: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** Takes the lines of one watch, in order, and hands on what is to arrive, in whatever order. */
export type Shuffler = (line: string, deliver: (line: string) => void) => void;

/** `METHOD /path?query`. */
export const lineOf = ({ method, url }: Pick<SeenRequest, 'method' | 'url'>): string => `${method} ${url}`;

/** True for a request that changes something; the Lease, which is renewed all the time, is not counted. */
export const isWrite = ({ method, url }: SeenRequest): boolean =>
  method !== 'GET' && !url.includes('/leases');
