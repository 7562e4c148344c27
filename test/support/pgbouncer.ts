/** A real PgBouncer before a server, as Debian packages it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePorts } from '../../dev/cluster/ports.ts';
import { serverUser } from '../../dev/postgres.ts';
import { installedProgram, unpacked } from './debian-program.ts';
import { eventually } from './eventually.ts';

const program = {
  packages: ['pgbouncer', 'libevent-2.1-7', 'libc-ares2'],
  path: 'usr/sbin/pgbouncer',
} as const;

/** See the file's head. */
export class PgBouncer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #port: number;

  private constructor(child: ChildProcess, directory: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.#port = port;
  }

  /** Starts it with a pool of so few sessions that clients take turns; `uri` is any of the server. */
  static async start(uri: string, poolMode: 'session' | 'transaction'): Promise<PgBouncer> {
    const { hostname, port, username, password } = new URL(uri);
    const [ownPort = 0] = await freePorts(1);
    const directory = await mkdtemp(join(tmpdir(), 'segue-pgbouncer-'));
    await chmod(directory, 0o755);
    const users = join(directory, 'users.txt');
    await writeFile(users, `"${username}" "${decodeURIComponent(password)}"\n`);
    const settings = join(directory, 'pgbouncer.ini');
    await writeFile(
      settings,
      `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${ownPort}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = 12
max_client_conn = 200
`,
    );
    const installed = await installedProgram('pgbouncer');
    const home = installed === undefined ? await unpacked(program) : '';
    const user = await serverUser();
    const args = [...(user === undefined ? [] : ['-u', 'postgres']), settings];
    // The kernel ends it when this process ends, however that happens.
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', installed ?? join(home, program.path), ...args],
      {
        stdio: 'ignore',
        env: { PATH: process.env['PATH'], LD_LIBRARY_PATH: globSync(join(home, 'usr/lib/*-linux-gnu'))[0] },
      },
    );
    child.on('error', () => undefined);
    const bouncer = new PgBouncer(child, directory, ownPort);
    await eventually(async () => {
      const client = new pg.Client({ connectionString: bouncer.uriOf(uri) });
      await client.connect();
      await client.end();
    }, 20_000);
    return bouncer;
  }

  /** The address of a database of the server through it. */
  uriOf(uri: string): string {
    const url = new URL(uri);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
