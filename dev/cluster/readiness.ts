import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { KeyPair } from './certificates.ts';

const pollMs = 100;
const requestTimeoutMs = 5_000;

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the error's message. */
  readonly what: string;
  /** Why waiting on is pointless, for example because the process ended; undefined while it makes sense. */
  readonly givenUp?: () => string | undefined;
}

/**
 * Asks again and again until the answer is true; an error counts as "not yet".
 * @throws after the timeout or as soon as it is pointless, with the last error's message
 */
export async function waitUntil(check: () => Promise<boolean>, options: WaitOptions): Promise<void> {
  const { timeoutMs, what, givenUp } = options;
  const deadline = performance.now() + timeoutMs;
  let lastError = '';
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      lastError = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    const reason = givenUp?.();
    if (reason !== undefined) throw new Error(`${what} will not be ready: ${reason}`);
    if (performance.now() > deadline) {
      throw new Error(`${what} is not ready after ${Math.round(timeoutMs / 1000)} s${lastError}`);
    }
    await delay(pollMs);
  }
}

/** The HTTP status of a GET request with a client certificate. */
export function statusOf(url: string, authority: string, client: KeyPair): Promise<number> {
  return new Promise((resolve, reject) => {
    const get = request(
      url,
      {
        ca: readFileSync(authority),
        cert: readFileSync(client.certificate),
        key: readFileSync(client.key),
        agent: false,
        timeout: requestTimeoutMs,
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    get.on('timeout', () => get.destroy(new Error(`no answer from ${url} for ${requestTimeoutMs} ms`)));
    get.on('error', reject);
    get.end();
  });
}

/** Waits until an API server says that it is ready and has made the namespace `default`. */
export async function waitForApiServer(
  url: string,
  authority: string,
  client: KeyPair,
  options: WaitOptions,
): Promise<void> {
  await waitUntil(
    async () =>
      (await statusOf(`${url}/readyz`, authority, client)) === 200 &&
      (await statusOf(`${url}/api/v1/namespaces/default`, authority, client)) === 200,
    options,
  );
}
