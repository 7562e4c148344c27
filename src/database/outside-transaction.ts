/** One statement that PostgreSQL refuses inside a transaction block, with settings of its own. */
import type pg from 'pg';
import type { Sql } from '../sql/sql.ts';
import { DatabaseError, databaseError } from './errors.ts';
import { searchPathText } from './session.ts';

/** How such a statement is run. */
export interface OutsideOptions {
  readonly lockTimeoutMs: number;
  readonly searchPath: readonly string[];
  /** As slow as autovacuum would be (autovacuum_vacuum_cost_delay, autovacuum_vacuum_cost_limit). */
  readonly asAutovacuum?: boolean;
  /** Told the server process before it is run. */
  readonly began?: (pid: number) => void;
  /** The statement is cancelled when it fires. */
  readonly signal?: AbortSignal | undefined;
}

// As a transaction's (session.ts): no time-out of the role ends a build of hours, and a killed operator's does.
const settings = `SELECT pg_catalog.pg_backend_pid() AS pid,
  pg_catalog.set_config('lock_timeout', $1, false),
  pg_catalog.set_config('search_path', $2, false),
  pg_catalog.set_config('statement_timeout', '0', false),
  pg_catalog.set_config('row_security', 'off', false),
  pg_catalog.set_config('default_transaction_read_only', 'off', false),
  pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
  pg_catalog.set_config('default_transaction_deferrable', 'off', false),
  pg_catalog.set_config('standard_conforming_strings', 'on', false),
  pg_catalog.set_config('transform_null_equals', 'off', false),
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
    THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
  CASE WHEN pg_catalog.version() LIKE '%linux%'
    THEN pg_catalog.set_config('client_connection_check_interval', '2s', false) END`;

const cancelEveryMs = 500;

/**
 * Refuses a session that may be another one at the next statement. A server tells its process's number as it connects
 * (protocol, BackendKeyData); a pooler tells one of its own. Which mode it has can't be asked. To be refused where it
 * keeps a session for each client costs a direct address; to go on where it does not leaves `search_path` and the like
 * behind in sessions of the application (seen with PgBouncer 1.18).
 */
const mustBeDirect = async (client: pg.ClientBase): Promise<void> => {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  if (rows[0]?.pid === (client as { readonly processID?: number | null }).processID) return;
  throw new DatabaseError({
    message:
      'the connection leads through a pooler, where a statement outside a transaction would leave settings behind in sessions of the application; name an address of PostgreSQL itself in the Secret (docs/pgbouncer.md)',
    code: '0A000',
  });
};

// -1 says that the setting of the same name without "autovacuum" holds (manual, 19.10).
const autovacuumPace = ['vacuum_cost_delay', 'vacuum_cost_limit'].map(
  (name) =>
    `pg_catalog.set_config('${name}', CASE WHEN current_setting('autovacuum_${name}') = '-1'
    THEN current_setting('${name}') ELSE current_setting('autovacuum_${name}') END, false)`,
);

/** Runs it and takes the settings off again. `cancel` is called with the server process when the signal fires. */
export const runOutsideTransaction = async (
  client: pg.ClientBase,
  statement: Sql,
  { lockTimeoutMs, searchPath, asAutovacuum = false, began, signal }: OutsideOptions,
  cancel: (pid: number) => void,
): Promise<void> => {
  if (signal?.aborted) throw new DatabaseError({ message: 'interrupted', code: '57014' });
  try {
    await mustBeDirect(client);
  } catch (error) {
    throw databaseError(error);
  }
  let interrupt: (() => void) | undefined;
  let again: NodeJS.Timeout | undefined;
  try {
    const all = [settings, ...(asAutovacuum ? autovacuumPace : [])].join(', ');
    const { rows } = await client.query<{ pid: number }>(all, [
      `${lockTimeoutMs}ms`,
      searchPathText(searchPath),
    ]);
    const pid = rows[0]?.pid;
    if (pid !== undefined) {
      interrupt = () => {
        cancel(pid);
        // One that comes before the statement has begun is lost.
        again = setInterval(() => cancel(pid), cancelEveryMs);
      };
      signal?.addEventListener('abort', interrupt, { once: true });
      began?.(pid);
    }
    if (signal?.aborted) throw new DatabaseError({ message: 'interrupted', code: '57014' });
    await client.query({ text: statement.text, values: [], queryMode: 'extended' } as pg.QueryConfig);
  } catch (error) {
    throw databaseError(error);
  } finally {
    clearInterval(again);
    if (interrupt) signal?.removeEventListener('abort', interrupt);
    // Where even this fails the session is gone, and its settings with it.
    await client.query('RESET ALL').catch(() => undefined);
  }
};
