import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemPath } from './command.ts';
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts';

export interface Daemon {
  readonly name: string;
  readonly program: string;
  readonly arguments: readonly string[];
}

/** The long-running processes of one cluster: started, recorded, and found again by any later process. */
export class Daemons {
  readonly #records: string;
  readonly #logs: string;

  constructor(directories: { readonly processes: string; readonly logs: string }) {
    this.#records = directories.processes;
    this.#logs = directories.logs;
  }

  logPath(name: string): string {
    return join(this.#logs, `${name}.log`);
  }

  /** Starts a process that outlives this one, and records it. */
  start({ name, program, arguments: args }: Daemon): void {
    mkdirSync(this.#records, { recursive: true });
    mkdirSync(this.#logs, { recursive: true });
    const log = openSync(this.logPath(name), 'a');
    const child = spawn(program, args, {
      // A session of its own: neither the terminal's signals nor its closing reach it.
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { PATH: systemPath(), HOME: homedir() },
    });
    closeSync(log);
    // A program that can't be started shows as one that ended.
    child.on('error', (error) => writeFileSync(this.logPath(name), `${error.message}\n`, { flag: 'a' }));
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    writeFileSync(join(this.#records, `${name}.json`), JSON.stringify(identity ?? null));
  }

  #read(name: string): ProcessIdentity | undefined {
    try {
      const text = readFileSync(join(this.#records, `${name}.json`), 'utf8');
      return (JSON.parse(text) as ProcessIdentity | null) ?? undefined;
    } catch {
      // A crash may have cut the record off; such a process is found by what it runs.
      return undefined;
    }
  }

  #names(): readonly string[] {
    if (!existsSync(this.#records)) return [];
    return readdirSync(this.#records).map((file) => file.replace(/\.json$/, ''));
  }

  /** All recorded processes that still run. */
  running(): readonly ProcessIdentity[] {
    return this.#names()
      .map((name) => this.#read(name))
      .filter((identity) => identity !== undefined)
      .filter(isRunning);
  }

  /** What to tell about the first process that has ended, with the end of its log; undefined if all run. */
  firstEnded(): string | undefined {
    for (const name of this.#names()) {
      const identity = this.#read(name);
      if (identity !== undefined && isRunning(identity)) continue;
      const log = existsSync(this.logPath(name)) ? readFileSync(this.logPath(name), 'utf8') : '';
      return `${name} has ended; the end of ${this.logPath(name)}:\n${log.split('\n').slice(-12).join('\n')}`;
    }
    return undefined;
  }
}
