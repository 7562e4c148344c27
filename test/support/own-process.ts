/** A program that runs for as long as a test wants it, and no longer than this process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** See the file's head. */
export class OwnProcess {
  readonly #child: ChildProcess;
  #log = '';

  /** Starts it, with `PATH` and what is given for its environment. */
  constructor(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>> = {},
  ) {
    // The kernel ends it when this process ends, however that happens.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    this.#child.on('error', () => undefined);
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#log = `${this.#log}${data.toString()}`.slice(-20_000);
    });
  }

  /** The end of what it said, for the message of a test that fails. */
  get log(): string {
    return this.#log;
  }

  async stop(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
