/** A real PgBouncer before a server, as Debian packages it. */
import { globSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePorts } from '../../dev/cluster/ports.ts';
import { installedProgram, unpacked } from './debian-program.ts';
import { eventually } from './eventually.ts';
import { OwnProcess } from './own-process.ts';

const program = {
  packages: ['pgbouncer', 'libevent-2.1-7', 'libc-ares2'],
  path: 'usr/sbin/pgbouncer',
} as const;

/** See the file's head. */
export class PgBouncer {
  readonly #process: OwnProcess;
  readonly #directory: string;
  readonly #port: number;

  private constructor(own: OwnProcess, directory: string, port: number) {
    this.#process = own;
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
    // It does not run as root.
    const args = process.getuid?.() === 0 ? ['-u', 'nobody', settings] : [settings];
    const own = new OwnProcess(installed ?? join(home, program.path), args, {
      LD_LIBRARY_PATH: globSync(join(home, 'usr/lib/*-linux-gnu'))[0],
    });
    const bouncer = new PgBouncer(own, directory, ownPort);
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
    await this.#process.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
