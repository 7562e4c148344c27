/**
 * One durable server for the whole run, and databases in it that are copies of a template, file by file: every
 * contender of every round finds the same pages in the same places.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { removePostgres, startPostgres, type Postgres } from '../dev/postgres.ts';
import { cpuSecondsOf } from './machine.ts';

/** A database of its own with the session that measures. */
export interface BenchDatabase {
  readonly name: string;
  readonly uri: string;
  readonly client: pg.Client;
}

/** What a piece of work came to, for each unit (a row, a statement) of it. */
export interface Sample {
  readonly perSecond: number;
  /** Processor time of all the server's processes; undefined where the system does not tell. */
  readonly cpuMicros: number | undefined;
  readonly walBytes: number;
}

/** What a server of this kind is told beyond its defaults: everything that matters for durability stays on. */
const settings = {
  max_connections: 50,
  shared_buffers: '1GB',
  // Checkpoints are ours: one before each measurement, and none forced by WAL in the middle of most.
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
} as const;

const reported = [
  'server_version',
  'shared_buffers',
  'max_wal_size',
  'checkpoint_timeout',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'wal_level',
  'wal_compression',
  'autovacuum',
  'work_mem',
  'jit',
  'io_method',
  'max_connections',
] as const;

/** A session; one that breaks while it is idle says so at its next statement. */
export const connect = async (uri: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: uri, application_name: 'bench' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

const prewarm = `SELECT sum(pg_prewarm(c.oid::regclass)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i')`;

/** The server of a run; end it with `stop`. */
export class BenchServer {
  readonly #admin: pg.Client;
  readonly #home: string;
  readonly #postgres: Postgres;
  #made = 0;
  #stopped: Promise<void> | undefined;

  private constructor(admin: pg.Client, home: string, postgres: Postgres) {
    this.#admin = admin;
    this.#home = home;
    this.#postgres = postgres;
  }

  static async start(): Promise<BenchServer> {
    const home = await mkdtemp(path.join(os.tmpdir(), 'segue-bench-'));
    await chmod(home, 0o755);
    try {
      const postgres = await startPostgres({ dataDir: path.join(home, 'data'), settings });
      return new BenchServer(await connect(postgres.uri), home, postgres);
    } catch (error) {
      await BenchServer.#remove(home);
      throw error;
    }
  }

  static async #remove(home: string): Promise<void> {
    await removePostgres(path.join(home, 'data'));
    await rm(home, { recursive: true, force: true });
  }

  /** The settings that bear on the figures. */
  async settings(): Promise<Readonly<Record<string, string>>> {
    const { rows } = await this.#admin.query<{ name: string; value: string }>(
      'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1) ORDER BY name',
      [reported],
    );
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }

  /** Makes a database from nothing, or from a closed one, to copy others from; gives its name. */
  async template(build: (database: BenchDatabase) => Promise<void>, from?: string): Promise<string> {
    const database = await this.#create(from);
    if (from === undefined) await database.client.query('CREATE EXTENSION pg_prewarm');
    await build(database);
    await database.client.query('VACUUM ANALYZE');
    await database.client.end();
    await this.#admin.query('CHECKPOINT');
    return database.name;
  }

  /** Copies a template, warms the copy up, lets `use` measure it, and removes it. */
  async copy<T>(template: string, use: (database: BenchDatabase) => Promise<T>): Promise<T> {
    const database = await this.#create(template);
    try {
      await database.client.query(prewarm);
      return await use(database);
    } finally {
      await database.client.end().catch(() => undefined);
      await this.drop(database.name);
    }
  }

  async drop(name: string): Promise<void> {
    await this.#admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  }

  /** Does work of so many units after a checkpoint, and tells what it came to. */
  async timed(units: number, work: () => Promise<unknown>): Promise<Sample> {
    await this.#admin.query('CHECKPOINT');
    const before = await this.#spent();
    const began = performance.now();
    await work();
    const seconds = (performance.now() - began) / 1_000;
    const after = await this.#spent();
    return {
      perSecond: units / seconds,
      cpuMicros:
        before.cpu === undefined || after.cpu === undefined
          ? undefined
          : ((after.cpu - before.cpu) * 1e6) / units,
      walBytes: (after.wal - before.wal) / units,
    };
  }

  /** Ends the server and removes its data. Ctrl-C asks for it, and so does the work that is thereby interrupted. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#end());
  }

  async #end(): Promise<void> {
    await this.#admin.end().catch(() => undefined);
    await BenchServer.#remove(this.#home);
  }

  async #spent(): Promise<{ readonly cpu: number | undefined; readonly wal: number }> {
    const { rows } = await this.#admin.query<{ bytes: string }>(
      "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes",
    );
    return { cpu: await cpuSecondsOf(this.#postgres.pid), wal: Number(rows[0]?.bytes) };
  }

  async #create(from?: string): Promise<BenchDatabase> {
    this.#made += 1;
    const name = `bench_${this.#made}`;
    await this.#admin.query(
      from === undefined
        ? `CREATE DATABASE ${name}`
        : `CREATE DATABASE ${name} TEMPLATE ${from} STRATEGY = FILE_COPY`,
    );
    const url = new URL(this.#postgres.uri);
    url.pathname = `/${name}`;
    return { name, uri: url.href, client: await connect(url.href) };
  }
}
