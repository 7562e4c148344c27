import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Code, FromClient, ToClient, TrafficPlan } from './messages.ts';

type Report = Extract<FromClient, { kind: 'report' }>;

const finishMs = 30_000;

/** The traffic, in a process of its own: what the driver is busy with must not slow it down. */
export class Traffic {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #report: Report | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'exit').catch(() => undefined);
    child.on('message', (message: FromClient) => {
      if (message.kind === 'report') this.#report = message;
    });
  }

  /** Resolves once its connections stand. The URI goes by the environment: an argument is there for all to read. */
  static async start(uri: string, plan: TrafficPlan): Promise<Traffic> {
    const child = fork(join(import.meta.dirname, 'client.ts'), [JSON.stringify(plan)], {
      env: { ...process.env, DATABASE_URL: uri },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const traffic = new Traffic(child);
    await Promise.race([once(child, 'message'), traffic.#ended]);
    if (child.exitCode !== null) throw new Error(`The traffic did not start (exit code ${child.exitCode}).`);
    return traffic;
  }

  /** Names the stretch that statements due from now on belong to. */
  enter(name: string): void {
    this.#tell({ kind: 'stretch', name });
  }

  /** From now on statements name the columns of this code. */
  runCode(code: Code): void {
    this.#tell({ kind: 'code', code });
  }

  /** @throws if the client died or did not report in time */
  async finish(): Promise<Report> {
    this.#tell({ kind: 'stop' });
    await Promise.race([this.#ended, sleep(finishMs, undefined, { ref: false })]);
    if (!this.#report)
      throw new Error(`The traffic ended without a report (exit code ${this.#child.exitCode}).`);
    return this.#report;
  }

  /** Ends the process now, if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #tell(message: ToClient): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
