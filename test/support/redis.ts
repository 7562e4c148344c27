/** A real Redis on the loopback that keeps nothing: Argo CD's cache. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { installPackages } from '../../dev/cluster/prerequisites.ts';
import { installedProgram } from './debian-program.ts';
import { eventually } from './eventually.ts';

/**
 * The machine's own, or that of Debian's redis-tools, which brings no service with it: the server and the check of its
 * files are one program, which goes by the name that it is called by.
 */
const program = async (directory: string): Promise<string> => {
  const installed = await installedProgram('redis-server');
  if (installed !== undefined) return installed;
  if ((await installedProgram('redis-check-rdb')) === undefined) await installPackages(['redis-tools']);
  const check = await installedProgram('redis-check-rdb');
  if (check === undefined) throw new Error('There is no Redis; install redis-server, or apt-get.');
  const server = join(directory, 'redis-server');
  symlinkSync(check, server);
  return server;
};

export class Redis {
  /** `127.0.0.1:<port>`. */
  readonly address: string;
  readonly #child: ChildProcess;

  private constructor(address: string, child: ChildProcess) {
    this.address = address;
    this.#child = child;
  }

  /** Starts it on a free port; `directory` is the caller's to remove. */
  static async start(directory: string): Promise<Redis> {
    const [port = 0] = await freePorts(1);
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', directory];
    const path = await program(directory);
    // The kernel ends it when this process ends, however that happens.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', path, ...args], { stdio: 'ignore' });
    child.on('error', () => undefined);
    await eventually(async () => {
      const socket = createConnection(port, '127.0.0.1');
      try {
        await once(socket, 'connect');
      } finally {
        socket.destroy();
      }
    }, 30_000);
    return new Redis(`127.0.0.1:${port}`, child);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
