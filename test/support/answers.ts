import type { IncomingHttpHeaders } from 'node:http';

/** An answer of the API server. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const mostPerUrl = 200;

/** What the API server has answered to each URL, and when: the views that a server which is behind may still give. */
export class Answers {
  readonly #byUrl = new Map<string, { readonly at: number; readonly answer: Answer }[]>();

  keep(url: string, answer: Answer): void {
    const kept = this.#byUrl.get(url) ?? [];
    this.#byUrl.set(url, kept);
    kept.push({ at: performance.now(), answer });
    if (kept.length > mostPerUrl) kept.shift();
  }

  /** The last answer from before a moment, by `performance.now()`. */
  asOf(url: string, at: number): Answer | undefined {
    return this.#byUrl.get(url)?.findLast((kept) => kept.at <= at)?.answer;
  }
}
