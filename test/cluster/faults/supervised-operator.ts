import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export interface OperatorOptions {
  /** The operator in one file. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  /** Called when a process has ended and before the next one starts. */
  readonly onEnd?: () => Promise<void>;
}

/** The real operator, started again whenever it ends, as the kubelet does with its container. */
export class SupervisedOperator {
  readonly #options: OperatorOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #log: string[] = [];
  #child: ChildProcess | undefined;
  /** How often a process has ended so far. */
  ends = 0;

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** The end of what it has logged. */
  get log(): string {
    return this.#log.slice(-40).join('');
  }

  /** Ends the process in this very moment, as a power cut would. */
  kill9(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Ends it for good, in good order unless it does not listen. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#child?.kill('SIGTERM');
    const patience = setTimeout(() => this.kill9(), 30_000);
    await this.#done;
    clearTimeout(patience);
  }

  async #run(): Promise<void> {
    const { program, env, onEnd } = this.#options;
    while (!this.#stop.signal.aborted) {
      // The kernel ends it with the process that runs the tests, however that ends.
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, program], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      this.#child = child;
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => this.#note(text));
      const startedAt = performance.now();
      await new Promise((resolve) => child.once('exit', resolve));
      this.ends += 1;
      await onEnd?.();
      // One that ends at once would otherwise keep the machine busy.
      if (performance.now() - startedAt < 200) await sleep(500);
    }
  }

  #note(text: string): void {
    this.#log.push(text);
    if (this.#log.length > 400) this.#log.splice(0, 200);
  }
}
