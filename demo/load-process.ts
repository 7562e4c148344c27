import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FromLoad, ToLoad } from './load/messages.ts';
import { before, type LoadProgress, type LoadReport, type Stretch } from './load/report.ts';

export interface LoadPlan {
  readonly url: string;
  readonly rate: number;
  readonly rows: number;
  /** The load ends by itself after this time, whatever becomes of the driver. */
  readonly limitMs: number;
  /** Handed over in the environment: an argument could be read by every user of the machine. */
  readonly databaseUrl: string;
}

const comparisonMs = 90_000;
const none: LoadProgress = { requests: 0, failedRequests: 0, staleAnswers: 0, answersByVersion: {} };

/** The load on the shop, in a process of its own: what the driver is busy with must not slow it down. */
export class LoadProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #stretch: Stretch = before;
  #progress = none;
  #report: LoadReport | undefined;

  constructor(plan: LoadPlan) {
    const seconds = Math.ceil(plan.limitMs / 1000);
    const options = { url: plan.url, rate: plan.rate, rows: plan.rows, seconds };
    this.#child = fork(
      join(import.meta.dirname, 'load.ts'),
      Object.entries(options).map(([name, value]) => `--${name}=${value}`),
      {
        env: { ...process.env, DATABASE_URL: plan.databaseUrl },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    this.#ended = once(this.#child, 'exit').catch(() => undefined);
    this.#child.on('message', (message: FromLoad) => {
      if (message.kind === 'progress') this.#progress = message.progress;
      else this.#report = message.report;
    });
  }

  /** Where the load stands, at most a second old. */
  get progress(): LoadProgress {
    return this.#progress;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Names the stretch of the run that requests from now on fall in. */
  enter(stretch: Stretch): void {
    if (stretch === this.#stretch) return;
    this.#stretch = stretch;
    this.#tell({ kind: 'stretch', stretch });
  }

  /**
   * Ends the load, lets it compare every row, and returns its report.
   * @throws if it died or did not report in time
   */
  async finish(): Promise<LoadReport> {
    this.#tell({ kind: 'stop' });
    await Promise.race([this.#ended, delay(comparisonMs, undefined, { ref: false })]);
    if (this.#report === undefined) {
      throw new Error(
        `the load ended without a report (exit code ${this.#child.exitCode}); see its errors above`,
      );
    }
    return this.#report;
  }

  /** Ends the process now, if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #tell(message: ToLoad): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
