/** A real PostgreSQL server per test file, and a fresh database in it per test. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, chmod, chown, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import pg from 'pg';
import {
  removePostgres,
  serverUser,
  startPostgres,
  type Postgres,
  type PostgresOptions,
} from '../../dev/postgres.ts';

const run = promisify(execFile);

// A real server on a busy machine: the bounds that matter are asserted by the tests themselves.
jest.setTimeout(90_000);

/** One database, made for one test. */
export interface TestDatabase {
  readonly name: string;
  /** Of the superuser. */
  readonly uri: string;
  /** Rows of a statement, run as the superuser in a session of its own kind: `application_name` test. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Several statements without values. */
  script(text: string): Promise<void>;
  /** A session of its own, closed with the database. */
  connect(applicationName?: string): Promise<pg.Client>;
  /** A replication session that asks for nothing: listed in pg_stat_replication as a standby is. */
  replicate(): Promise<pg.Client>;
  /** Ends its sessions; the database goes with the server. */
  close(): Promise<void>;
}

export interface TestServer {
  readonly postgres: Postgres;
  database(): Promise<TestDatabase>;
  /** The URI of a database for another role. */
  uriFor(database: TestDatabase, user: string, password: string): string;
  /** Kills the server as a power cut would, and starts it again. */
  crash(): Promise<void>;
  /** Ends the server as an administrator would; `begin` starts it again at the same address. */
  end(): Promise<void>;
  begin(): Promise<void>;
  /** Copies the server's data while it stands; what it gives puts them back, as a restored backup does. */
  backup(): Promise<() => Promise<void>>;
  /** A streaming standby, made of a copy of the server's data. The server is restarted for it. */
  standby(): Promise<TestStandby>;
  stop(): Promise<void>;
}

export interface TestStandby {
  /** The address of a database of the standby. */
  uriOf(database: TestDatabase): string;
  /** A session of the superuser in a database of the standby. */
  connect(database: TestDatabase): Promise<pg.Client>;
  /** Ends it; what the primary writes from then on it does not have. */
  end(): Promise<void>;
  /** Kills the primary and starts the standby at its address, still a standby. The primary never comes back. */
  takeOver(): Promise<void>;
}

const databaseUri = (server: Postgres, name: string): string => {
  const url = new URL(server.uri);
  url.pathname = `/${name}`;
  return url.href;
};

const connected = async (uri: string, applicationName: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: uri, application_name: applicationName });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

/** Starts a server for one test file; end it in afterAll. */
export const startServer = async (settings: PostgresOptions['settings'] = {}): Promise<TestServer> => {
  const home = await mkdtemp(path.join(os.tmpdir(), 'segue-test-'));
  await chmod(home, 0o755);
  const options: PostgresOptions = {
    dataDir: path.join(home, 'data'),
    durable: false,
    // Another major needs its binaries as an npm alias: see dev/postgres.ts.
    ...(process.env['PG_MAJOR'] === undefined ? {} : { major: Number(process.env['PG_MAJOR']) }),
    // autovacuum off: a test that needs a page to be as it left it must not race with it.
    settings: { max_connections: 60, autovacuum: 'off', deadlock_timeout: '100ms', ...settings },
  };
  const postgres = await startPostgres(options);

  const database = async (): Promise<TestDatabase> => {
    const name = `t_${randomBytes(5).toString('hex')}`;
    const maintenance = await connected(postgres.uri, 'test');
    await maintenance.query(`CREATE DATABASE ${name}`);
    await maintenance.end();
    const uri = databaseUri(postgres, name);
    const clients: pg.Client[] = [];
    const connect = async (applicationName = 'test'): Promise<pg.Client> => {
      const client = await connected(uri, applicationName);
      clients.push(client);
      return client;
    };
    let own = await connect();
    const query = async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
      const answer = await own.query(text, [...values]).catch(async (error: unknown) => {
        // After a crash of the server a new session is needed; an SQL error is the test's business.
        if (error instanceof Error && /terminat|not queryable/i.test(error.message)) {
          own = await connect();
          return own.query(text, [...values]);
        }
        throw error;
      });
      return answer.rows as Row[];
    };
    return {
      name,
      uri,
      query,
      script: async (text) => {
        await own.query(text);
      },
      connect,
      replicate: async () => {
        const options = { connectionString: uri, application_name: 'standby', replication: 'database' };
        const client = new pg.Client(options);
        client.on('error', () => undefined);
        await client.connect();
        clients.push(client);
        return client;
      },
      close: async () => {
        await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
      },
    };
  };

  let running = postgres;
  return {
    postgres,
    database,
    uriFor: (of, user, password) => {
      const url = new URL(of.uri);
      url.username = user;
      url.password = password;
      return url.href;
    },
    crash: async () => {
      await running.kill9();
      running = await startPostgres({ ...options, port: postgres.port });
    },
    end: () => running.stop(),
    begin: async () => {
      running = await startPostgres({ ...options, port: postgres.port });
    },
    backup: async () => {
      const copy = `${options.dataDir}.backup`;
      const copied = (from: string, to: string) => run('cp', ['-a', from, to]);
      const offline = async (work: () => Promise<unknown>): Promise<void> => {
        await running.stop();
        await work();
        running = await startPostgres({ ...options, port: postgres.port });
      };
      await offline(() => copied(options.dataDir, copy));
      return () =>
        offline(async () => {
          await rm(options.dataDir, { recursive: true });
          await copied(copy, options.dataDir);
        });
    },
    standby: async () => {
      const copy: PostgresOptions = {
        ...options,
        dataDir: path.join(home, 'standby'),
        settings: { ...options.settings, primary_conninfo: `${postgres.uri}?application_name=standby` },
      };
      await running.stop();
      for (const suffix of ['', '.password'])
        await run('cp', ['-a', `${options.dataDir}${suffix}`, `${copy.dataDir}${suffix}`]);
      const signal = path.join(copy.dataDir, 'standby.signal');
      await writeFile(signal, '');
      const user = await serverUser();
      if (user) await chown(signal, user.uid, user.gid);
      running = await startPostgres({ ...options, port: postgres.port });
      let second = await startPostgres(copy);
      const uriOf = (of: TestDatabase): string => databaseUri(second, of.name);
      return {
        uriOf,
        connect: (of) => connected(uriOf(of), 'test'),
        end: () => second.stop(),
        takeOver: async () => {
          await running.kill9();
          await second.stop();
          second = await startPostgres({ ...copy, port: postgres.port });
          running = second;
        },
      };
    },
    stop: async () => {
      await removePostgres(path.join(home, 'standby'));
      await removePostgres(options.dataDir);
      await rm(home, { recursive: true, force: true });
    },
  };
};
