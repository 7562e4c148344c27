import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodAnswer } from './pod-network.ts';

/** One request on a connection of its own. A failure is its status, 0 where there was no answer. */
export const send = (
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<PodAnswer | number> =>
  new Promise((resolve) => {
    const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('error', () => resolve(0));
      response.on('end', () => {
        const { statusCode = 0 } = response;
        resolve(statusCode === 200 ? (JSON.parse(text) as PodAnswer) : statusCode);
      });
    });
    outgoing.on('error', () => resolve(0));
    outgoing.end();
  });

/** Requests without an end, one after another, and what became of them. */
export class RequestLoad {
  readonly failures: number[] = [];
  count = 0;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  #current: Promise<unknown> = Promise.resolve();
  #paused = false;

  constructor(port: number) {
    this.#done = this.#run(port);
  }

  /** Does something while none of these requests is under way. */
  async whilePaused<T>(body: () => Promise<T>): Promise<T> {
    this.#paused = true;
    try {
      await this.#current;
      return await body();
    } finally {
      this.#paused = false;
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #run(port: number): Promise<void> {
    while (!this.#end.signal.aborted) {
      if (!this.#paused) {
        const current = send(port, '/');
        this.#current = current;
        const answer = await current;
        this.count += 1;
        if (typeof answer === 'number') this.failures.push(answer);
      }
      await sleep(10);
    }
  }
}
