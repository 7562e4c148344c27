import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { runChild, startChild } from './child.ts';

interface ObjectMeta {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
}

export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

const commandTimeoutMs = 60_000;
const rewatchMs = 500;

/**
 * The demo speaks to the cluster as its reader would: through kubectl, with a kubeconfig that is given, never
 * with one that happens to lie about.
 */
export class Kubectl {
  readonly #program: string;
  readonly #kubeconfig: string;
  readonly #signal: AbortSignal;

  /** @param signal ends every command that is under way, and all later ones */
  constructor(program: string, kubeconfig: string, signal: AbortSignal) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
    this.#signal = signal;
  }

  /** A kubectl that goes on working when the run is being given up: for what has to be said or tidied then. */
  detached(): Kubectl {
    return new Kubectl(this.#program, this.#kubeconfig, new AbortController().signal);
  }

  /**
   * Runs kubectl to its end and returns what it printed.
   * @throws with its arguments and its error message
   */
  run(args: readonly string[], input = '', timeoutMs = commandTimeoutMs): Promise<string> {
    return runChild(this.#program, this.#with(args), { signal: this.#signal, input, timeoutMs });
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '--output=json'])) as T;
  }

  async apply(manifest: string): Promise<void> {
    await this.run(['apply', '--filename=-'], manifest);
  }

  /**
   * Every version of the objects under an API path, one after the other, until the signal. A watch that ends,
   * as each does when the API server says so or is gone for a moment, is begun anew.
   */
  async *watch<T extends KubernetesObject>(path: string, signal: AbortSignal): AsyncGenerator<T> {
    // Also whoever stops listening ends the watch.
    const left = new AbortController();
    const ended = AbortSignal.any([this.#signal, signal, left.signal]);
    const query = `${path}${path.includes('?') ? '&' : '?'}watch=true`;
    try {
      while (!ended.aborted) {
        const child = startChild(this.#program, this.#with(['get', '--raw', query]), { signal: ended });
        child.stdin.end();
        child.stderr.resume();
        const closed = once(child, 'close').catch(() => undefined);
        for await (const line of createInterface({ input: child.stdout })) {
          const event = JSON.parse(line) as WatchEvent;
          if (event.type === 'ADDED' || event.type === 'MODIFIED') yield event.object as T;
        }
        await closed;
        await delay(rewatchMs, undefined, { signal: ended }).catch(() => undefined);
      }
    } finally {
      left.abort();
    }
  }

  #with(args: readonly string[]): readonly string[] {
    return [`--kubeconfig=${this.#kubeconfig}`, ...args];
  }
}
