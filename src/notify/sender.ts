/**
 * Posts messages to one address, one after the other. Best effort: `send` never waits and never throws. The address is
 * a secret and is in no log line and in no error.
 */
import { Backoff } from '../kube/backoff.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import type { Message } from './message.ts';

/** Counts, for metrics; must not throw. */
export interface SenderObserver {
  sent(): void;
  /** Refused for good, or not taken for a quarter of an hour. */
  failed(): void;
  /** Too many were waiting: the oldest went. */
  dropped(): void;
}

export interface SenderOptions {
  readonly url: string;
  readonly log: Log;
  readonly observer: SenderObserver;
  readonly clock?: Clock | undefined;
  /** For each try, in ms; default 10 s. */
  readonly timeoutMs?: number | undefined;
}

const mostWaiting = 200;
const mostRemembered = 1_000;
/** Later, it is no news. */
const giveUpAfterMs = 15 * 60_000;
const longestRetryAfterMs = 5 * 60_000;
const backoff = { baseMs: 1_000, capMs: 60_000, resetAfterMs: giveUpAfterMs };

interface Waiting {
  readonly message: Message;
  readonly since: number;
}

type Try =
  | { readonly kind: 'taken' }
  /** `why` is a status or a code: nothing of the address. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'later'; readonly why: string; readonly afterMs: number };

/** See the file's head. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #clock: Clock;
  readonly #address: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #giveUp = new AbortController();
  /** Ids that were taken up before, oldest first. */
  readonly #known = new Set<string>();
  #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;
  #stopping = false;

  /** @throws if the address is none. */
  constructor(options: SenderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#address = new URL(options.url);
    const { username, password } = this.#address;
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    // fetch refuses an address with credentials in it.
    this.#address.username = '';
    this.#address.password = '';
    this.#headers =
      username === '' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
  }

  /** Has the message posted some time soon, if it can be. What was given under the same id before is not told again. */
  send(message: Message): void {
    if (this.#stopping || this.#known.has(message.id)) return;
    this.#known.add(message.id);
    for (const oldest of this.#known) {
      if (this.#known.size <= mostRemembered) break;
      this.#known.delete(oldest);
    }
    this.#waiting.push({ message, since: this.#clock.now() });
    if (this.#waiting.length > mostWaiting) {
      this.#waiting.shift();
      this.#options.observer.dropped();
    }
    this.#working ??= this.#work();
  }

  /** Posts what waits, for at most so long. */
  async stop(deadlineMs = 2_000): Promise<void> {
    this.#stopping = true;
    const over = new AbortController();
    const late = this.#clock.sleep(deadlineMs, over.signal).catch(() => {});
    await Promise.race([late, this.#working]);
    over.abort();
    this.#giveUp.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await this.#deliver(next);
    this.#working = undefined;
  }

  async #deliver({ message, since }: Waiting): Promise<void> {
    const { log, observer } = this.#options;
    const pause = new Backoff(backoff, this.#clock);
    for (let tries = 1; ; tries += 1) {
      const tried = await this.#try(message);
      if (tried.kind === 'taken') return observer.sent();
      const over =
        tried.kind === 'refused' ||
        this.#clock.now() + tried.afterMs - since > giveUpAfterMs ||
        !(await this.#wait(Math.max(tried.afterMs, pause.next())));
      if (!over) continue;
      observer.failed();
      log.warn({ id: message.id, tries, why: tried.why }, 'a notification was not delivered');
      return;
    }
  }

  /** False if it is stopped meanwhile. */
  async #wait(ms: number): Promise<boolean> {
    try {
      await this.#clock.sleep(ms, this.#giveUp.signal);
      return true;
    } catch {
      return false;
    }
  }

  async #try({ contentType, body }: Message): Promise<Try> {
    const { timeoutMs = 10_000 } = this.#options;
    try {
      const response = await fetch(this.#address, {
        method: 'POST',
        headers: { 'content-type': contentType, 'user-agent': 'segue', ...this.#headers },
        body,
        // Followed, it could carry the message to whoever it names.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#giveUp.signal]),
      });
      // What it says is of no use, and whether it comes does not matter any more.
      await response.body?.cancel().catch(() => {});
      return this.#judge(response);
    } catch (error) {
      return { kind: 'later', why: codeOf(error), afterMs: 0 };
    }
  }

  #judge({ ok, status, headers }: Response): Try {
    if (ok) return { kind: 'taken' };
    const why = `status ${status}`;
    if (status < 500 && status !== 429 && status !== 408) return { kind: 'refused', why };
    return { kind: 'later', why, afterMs: retryAfter(headers.get('retry-after'), this.#clock.date()) };
  }
}

/** Milliseconds of a Retry-After, which has seconds or a date; 0 without one that can be read. */
const retryAfter = (text: string | null, now: Date): number => {
  if (text === null) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now.getTime();
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), longestRetryAfterMs);
};

/** Why nobody answered, in one word. Messages of errors may name the address. */
const codeOf = (error: unknown): string => {
  const { name, cause } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly name?: unknown;
    readonly cause?: { readonly code?: unknown };
  };
  if (typeof cause?.code === 'string') return cause.code;
  return typeof name === 'string' ? name : 'unknown';
};
