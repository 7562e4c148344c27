/**
 * One transaction: settings that hold for it alone, one statement at a time.
 *
 * Everything is SET LOCAL or transaction-level, so that PgBouncer in transaction mode may stand between. The
 * extended protocol takes one statement per message: text from a resource can't smuggle in a second.
 */
import type pg from 'pg';
import { ident, sql, type Sql } from '../sql/sql.ts';
import { ownMark } from './own-mark.ts';
import { DatabaseError, databaseError } from './errors.ts';

/** What a transaction may do and how long it may take. */
export interface TransactionOptions {
  /** `snapshot` is REPEATABLE READ READ ONLY; `rolledBack` writes, and leaves nothing behind. */
  readonly mode: 'read' | 'snapshot' | 'write' | 'rolledBack';
  /** Longest wait for any lock. Default 2 s. */
  readonly lockTimeoutMs?: number;
  /** Longest statement; 0 is no bound. Default 10 s. */
  readonly statementTimeoutMs?: number;
  /** Schemas in which names of the user's expressions are looked up; without it everything must be qualified. */
  readonly searchPath?: readonly string[];
  /** Cancels the running statement and rolls back. */
  readonly signal?: AbortSignal | undefined;
}

const defaultLockTimeoutMs = 2_000;
const defaultStatementTimeoutMs = 10_000;
// Of an operator that froze or lost its network the server learns by this alone; until then the rows and the table
// that it locked are out of the application's reach. Our statements follow each other in milliseconds, and a
// transaction that was ended too early is only run again. A snapshot locks nobody out, and is dear to lose.
const idleInTransactionTimeoutMs = {
  read: 5_000,
  write: 5_000,
  rolledBack: 5_000,
  snapshot: 60_000,
} as const;
// How much longer than the server's own bound the client waits for an answer before it gives the session up.
const answerGraceMs = 10_000;

/** Statements within one transaction. */
export interface Session {
  /** The server process that runs it. */
  readonly pid: number;
  /** Rows of a query. */
  rows<Row>(statement: Sql, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** The only row of a query that always has one. */
  one<Row>(statement: Sql, values?: readonly unknown[]): Promise<Row>;
  /** Runs a statement and gives the number of rows it touched. */
  run(statement: Sql, values?: readonly unknown[]): Promise<number>;
  /** Runs `body` behind a savepoint: if it throws, what it did is undone and the transaction goes on. */
  attempt<T>(body: () => Promise<T>): Promise<T>;
}

const begin: Readonly<Record<TransactionOptions['mode'], Sql>> = {
  read: sql`BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY`,
  snapshot: sql`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`,
  write: sql`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`,
  rolledBack: sql`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`,
};

// Whatever the role or the database has for defaults, these hold.
// row_security off: a policy that would hide rows from us must be an error, not a gap in the backfill.
// client_connection_check_interval: a statement of a killed operator ends, instead of holding its locks.
// synchronous_commit: a phase that is lost in a crash would leave code in the cluster that its schema is not ready
// for. standard_conforming_strings, transform_null_equals: the user's expressions mean what the manual says.
// extra_float_digits: times are read as floating-point milliseconds, and a few digits less are hours.
// session_replication_role: with "replica" no trigger would act for us; who may not set it is told in preflight.
const settings = sql`SELECT pg_catalog.pg_backend_pid() AS pid,
  pg_catalog.set_config('search_path', $1, true),
  pg_catalog.set_config('lock_timeout', $2, true),
  pg_catalog.set_config('statement_timeout', $3, true),
  pg_catalog.set_config('idle_in_transaction_session_timeout', $4, true),
  pg_catalog.set_config('row_security', 'off', true),
  pg_catalog.set_config('jit', 'off', true),
  pg_catalog.set_config('DateStyle', 'ISO, YMD', true),
  pg_catalog.set_config('extra_float_digits', '1', true),
  pg_catalog.set_config('standard_conforming_strings', 'on', true),
  pg_catalog.set_config('transform_null_equals', 'off', true),
  pg_catalog.set_config('quote_all_identifiers', 'off', true),
  CASE WHEN pg_catalog.current_setting('synchronous_commit') = 'off'
    THEN pg_catalog.set_config('synchronous_commit', 'on', true) END,
  CASE WHEN pg_catalog.current_setting('session_replication_role') <> 'origin'
    AND pg_catalog.current_setting('is_superuser') = 'on'
    THEN pg_catalog.set_config('session_replication_role', 'origin', true) END,
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
    THEN pg_catalog.set_config('transaction_timeout', '0', true) END,
  CASE WHEN pg_catalog.version() LIKE '%linux%'
    THEN pg_catalog.set_config('client_connection_check_interval', '2s', true) END`;

/** `search_path` that sees these schemas after the system's own. */
export const searchPathText = (schemas: readonly string[] | undefined): string =>
  // pg_temp last: where it is not named it is searched first, and a temporary table would shadow ours.
  // pg_catalog where nothing else is: unnamed it is searched first all the same, and named it would be the schema
  // in which a script's CREATE TABLE puts its table (manual, 5.10.5).
  [...new Set([...(schemas ?? ['pg_catalog']), 'pg_temp'])].map((schema) => ident(schema).text).join(', ');

type Send = (statement: Sql, values: readonly unknown[]) => Promise<pg.QueryResult>;

const sender = (client: pg.ClientBase, statementTimeoutMs: number, signal: AbortSignal | undefined): Send => {
  return async (statement, values) => {
    if (signal?.aborted) throw new DatabaseError({ message: 'interrupted', code: '57014' });
    const query = {
      text: statement.text,
      values: [...values],
      queryMode: 'extended',
      ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + answerGraceMs } : {}),
    };
    try {
      return await client.query(query);
    } catch (error) {
      throw databaseError(error);
    }
  };
};

const marked = (statement: Sql): Sql => sql`${statement} ${ownMark}`;

const sessionOver = (send: Send, pid: number): Session => {
  const rows = async <Row>(statement: Sql, values: readonly unknown[] = []) =>
    (await send(marked(statement), values)).rows as readonly Row[];
  return {
    pid,
    rows,
    async one<Row>(statement: Sql, values: readonly unknown[] = []) {
      const [row] = await rows<Row>(statement, values);
      if (row === undefined) throw new Error('A query that always has a row had none.');
      return row;
    },
    async run(statement, values = []) {
      return (await send(marked(statement), values)).rowCount ?? 0;
    },
    async attempt(body) {
      await send(sql`SAVEPOINT segue`, []);
      try {
        const result = await body();
        await send(sql`RELEASE SAVEPOINT segue`, []);
        return result;
      } catch (error) {
        await send(sql`ROLLBACK TO SAVEPOINT segue`, []);
        await send(sql`RELEASE SAVEPOINT segue`, []);
        throw error;
      }
    },
  };
};

/** A transaction on a client; `cancel` is called with the server process to interrupt when the signal fires. */
export const inTransaction = async <T>(
  client: pg.ClientBase,
  options: TransactionOptions,
  cancel: (pid: number) => void,
  body: (session: Session) => Promise<T>,
): Promise<T> => {
  const statementTimeoutMs = options.statementTimeoutMs ?? defaultStatementTimeoutMs;
  const send = sender(client, statementTimeoutMs, options.signal);
  const finish = sender(client, defaultStatementTimeoutMs, undefined);
  await send(begin[options.mode], []).catch((error: unknown) => {
    // To begin a transaction that writes is "not supported" on a standby; to write in one is what 25006 is for.
    throw error instanceof DatabaseError && error.code === '0A000'
      ? new DatabaseError({ message: error.verbatim(), code: '25006', severity: 'ERROR' })
      : error;
  });
  let interrupt: (() => void) | undefined;
  try {
    const { rows } = await send(settings, [
      searchPathText(options.searchPath),
      `${options.lockTimeoutMs ?? defaultLockTimeoutMs}ms`,
      `${statementTimeoutMs}ms`,
      `${idleInTransactionTimeoutMs[options.mode]}ms`,
    ]);
    const { pid } = rows[0] as { readonly pid: number };
    interrupt = () => cancel(pid);
    options.signal?.addEventListener('abort', interrupt, { once: true });
    const result = await body(sessionOver(send, pid));
    await finish(options.mode === 'rolledBack' ? sql`ROLLBACK` : sql`COMMIT`, []);
    return result;
  } catch (error) {
    // Where even this fails the session is gone, and its transaction with it.
    await finish(sql`ROLLBACK`, []).catch(() => undefined);
    throw error;
  } finally {
    if (interrupt) options.signal?.removeEventListener('abort', interrupt);
  }
};
