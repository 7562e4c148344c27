/**
 * One pool of sessions per database. A connection string is a secret: it is kept in memory, keyed by its
 * hash, and a database is spoken of by its label only.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { sql, type Sql } from '../sql/sql.ts';
import { DatabaseError, databaseError } from './errors.ts';
import { runOutsideTransaction, type OutsideOptions } from './outside-transaction.ts';
import { inTransaction, type Session, type TransactionOptions } from './session.ts';

// Looks and steps want some, and each worker of a backfill one (32 at most); they are opened as they are wanted.
const maxSessions = 3 + 32;
const connectTimeoutMs = 5_000;
const idleSessionMs = 10_000;
const idleDatabaseMs = 10 * 60_000;

// bigint as a number: ours are identities, counts and pages. Row values are never read as such.
const types = new pg.TypeOverrides();
types.setTypeParser(20, Number);

interface Address {
  readonly uri: string;
  /** host:port/database. */
  readonly label: string;
  /** True where the URI leaves it open whether TLS is used: libpq then prefers it (manual 34.19.3). */
  readonly prefersTls: boolean;
}

const parseAddress = (uri: string): Address => {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    // Not chained: the original error carries the URI with its password.
    throw new DatabaseError({
      message: 'the connection string is not a URI of the form postgresql://user:password@host:5432/database',
      code: '28000',
    });
  }
  const mode = url.searchParams.get('sslmode') ?? 'prefer';
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname);
  return {
    uri,
    label: `${host}:${url.port === '' ? '5432' : url.port}${url.pathname}`,
    // libpq uses no TLS over a Unix socket.
    prefersTls: (mode === 'prefer' || mode === 'allow') && !host.startsWith('/'),
  };
};

const withParameters = (uri: string, parameters: string): string =>
  // Appended as text, because the last one wins and serialising a URL anew could alter the password's encoding.
  `${uri}${uri.includes('?') ? '&' : '?'}${parameters}`;

/** One PostgreSQL database. Every use of it is a transaction, but for statements that PostgreSQL refuses in one. */
export class Database {
  /** host:port/database, for messages. */
  readonly label: string;
  readonly #address: Address;
  #pool: pg.Pool;
  // Settles once it is known whether the server does TLS, so that one caller finds out for all: a pool that is
  // replaced while others wait in it would leave them waiting.
  #settled: Promise<void> | undefined;
  #lastUse = Date.now();
  readonly #beforeClose: (() => Promise<void>)[] = [];

  constructor(uri: string) {
    this.#address = parseAddress(uri);
    this.label = this.#address.label;
    this.#settled = this.#address.prefersTls ? undefined : Promise.resolve();
    this.#pool = this.#makePool(this.#address.prefersTls ? 'sslmode=prefer&' : '');
  }

  /** Runs `body` in one transaction and commits, or rolls back if it throws. Throws DatabaseError. */
  async transaction<T>(options: TransactionOptions, body: (session: Session) => Promise<T>): Promise<T> {
    return this.#withClient((client) =>
      inTransaction(client, options, (pid) => void this.#cancel(pid), body),
    );
  }

  /**
   * Runs one statement outside a transaction block. Its settings can then be made for the session only, which a
   * pooler in transaction mode does not carry: such statements need a direct connection.
   */
  async outsideTransaction(statement: Sql, options: OutsideOptions): Promise<void> {
    await this.#withClient((client) =>
      runOutsideTransaction(client, statement, options, (pid) => void this.#cancel(pid)),
    );
  }

  /** The same database, opened anew if it was closed meanwhile. */
  reopened(databases: Databases): Database {
    return this.#pool.ending ? databases.open(this.#address.uri) : this;
  }

  /** True if nobody uses it and nobody has for a while. */
  isIdle(now: number): boolean {
    return this.#pool.totalCount === this.#pool.idleCount && now - this.#lastUse > idleDatabaseMs;
  }

  /** Has something ended before the sessions are closed, which otherwise waits for it. */
  beforeClose(end: () => Promise<void>): void {
    this.#beforeClose.push(end);
  }

  async close(): Promise<void> {
    await Promise.all(this.#beforeClose.map((end) => end()));
    if (!this.#pool.ending) await this.#pool.end();
  }

  #makePool(parameters: string): pg.Pool {
    const pool = new pg.Pool({
      // uselibpqcompat: sslmode means what libpq says it means, not what pg made of it.
      connectionString: withParameters(
        this.#address.uri,
        `${parameters}uselibpqcompat=true&application_name=segue`,
      ),
      max: maxSessions,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: idleSessionMs,
      keepAlive: true,
      types,
    });
    // A session that breaks while nobody uses it: the pool has already let it go, the next use opens another.
    pool.on('error', () => undefined);
    return pool;
  }

  /** Falls back to no TLS where the URI leaves it open and the server has none, as libpq does. */
  async #settle(): Promise<void> {
    try {
      (await this.#pool.connect()).release();
    } catch (error) {
      const wrapped = databaseError(error);
      if (wrapped.message !== 'The server does not support SSL connections') {
        this.#settled = undefined;
        throw wrapped;
      }
      if (this.#pool.ending) throw wrapped;
      await this.#pool.end();
      this.#pool = this.#makePool('sslmode=disable&');
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    this.#lastUse = Date.now();
    await (this.#settled ??= this.#settle());
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw databaseError(error);
    }
  }

  async #withClient<T>(use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    // pg emits this for a session that breaks between two statements; the next statement reports it.
    const ignore = (): void => undefined;
    client.on('error', ignore);
    try {
      const result = await use(client);
      client.off('error', ignore);
      client.release();
      return result;
    } catch (error) {
      client.off('error', ignore);
      // A session whose transaction did not end cleanly must not serve another: after a plain SQL error the
      // rollback has succeeded, and any other error closes it.
      client.release(
        !(error instanceof DatabaseError) || error.kind === 'unreachable' || error.kind === 'transient',
      );
      throw error;
    }
  }

  async #cancel(pid: number): Promise<void> {
    try {
      await this.#withClient((client) => client.query('SELECT pg_catalog.pg_cancel_backend($1)', [pid]));
    } catch {
      // The statement then ends by its own timeout.
    }
  }
}

/** Every database in use, by connection string. */
export class Databases {
  readonly #byHash = new Map<string, Database>();
  readonly #lastOf = new Map<string, Database>();

  /** The database of a URI; connects on first use only. Throws DatabaseError for a string that is no URI. */
  open(uri: string): Database {
    const hash = createHash('sha256').update(uri).digest('hex');
    this.#closeIdle(hash);
    const existing = this.#byHash.get(hash);
    if (existing) return existing;
    const database = new Database(uri);
    this.#byHash.set(hash, database);
    return database;
  }

  /** Notes which database a resource, by its key, is at work on. */
  remember(key: string, database: Database): void {
    this.#lastOf.set(key, database);
  }

  /** The database that a resource was last at work on, as far as this process knows. */
  lastOf(key: string): Database | undefined {
    return this.#lastOf.get(key)?.reopened(this);
  }

  /** Forgets what `remember` noted. */
  forget(key: string): void {
    this.#lastOf.delete(key);
  }

  /** Closes all; resolves once running transactions have ended. */
  async close(): Promise<void> {
    const all = [...this.#byHash.values()];
    this.#byHash.clear();
    await Promise.all(all.map((database) => database.close()));
  }

  #closeIdle(except: string): void {
    const now = Date.now();
    for (const [hash, database] of this.#byHash) {
      if (hash === except || !database.isIdle(now)) continue;
      this.#byHash.delete(hash);
      void database.close();
    }
  }
}

/** What kind of server answers. */
export interface ServerFacts {
  /** Such as 180004. */
  readonly version: number;
  /** True on a read replica. */
  readonly inRecovery: boolean;
}

/** Reads the server's version and role. Throws DatabaseError. */
export const readServer = (db: Database): Promise<ServerFacts> =>
  db.transaction({ mode: 'read' }, (session) =>
    session.one<ServerFacts>(
      sql`SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS "inRecovery"`,
    ),
  );
