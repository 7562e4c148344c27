/** One statement that PostgreSQL refuses inside a transaction block, with settings of its own. */
import type pg from 'pg';
import type { Sql } from '../sql/sql.ts';
import { DatabaseError, databaseError } from './errors.ts';
import { searchPathText } from './session.ts';

/** How such a statement is run. */
export interface OutsideOptions {
  readonly lockTimeoutMs: number;
  readonly searchPath: readonly string[];
  /** The statement is cancelled when it fires. */
  readonly signal?: AbortSignal | undefined;
}

// As a transaction's (session.ts): no time-out of the role ends a build of hours, and a killed operator's does.
const settings = `SELECT pg_catalog.pg_backend_pid() AS pid,
  pg_catalog.set_config('lock_timeout', $1, false),
  pg_catalog.set_config('search_path', $2, false),
  pg_catalog.set_config('statement_timeout', '0', false),
  pg_catalog.set_config('row_security', 'off', false),
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
    THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
  CASE WHEN pg_catalog.version() LIKE '%linux%'
    THEN pg_catalog.set_config('client_connection_check_interval', '2s', false) END`;

/** Runs it and takes the settings off again. `cancel` is called with the server process when the signal fires. */
export const runOutsideTransaction = async (
  client: pg.ClientBase,
  statement: Sql,
  { lockTimeoutMs, searchPath, signal }: OutsideOptions,
  cancel: (pid: number) => void,
): Promise<void> => {
  if (signal?.aborted) throw new DatabaseError({ message: 'interrupted', code: '57014' });
  let interrupt: (() => void) | undefined;
  try {
    const { rows } = await client.query<{ pid: number }>(settings, [
      `${lockTimeoutMs}ms`,
      searchPathText(searchPath),
    ]);
    const pid = rows[0]?.pid;
    if (pid !== undefined) {
      interrupt = () => cancel(pid);
      signal?.addEventListener('abort', interrupt, { once: true });
    }
    await client.query({ text: statement.text, values: [], queryMode: 'extended' } as pg.QueryConfig);
  } catch (error) {
    throw databaseError(error);
  } finally {
    if (interrupt) signal?.removeEventListener('abort', interrupt);
    // Where even this fails the session is gone, and its settings with it.
    await client.query('RESET ALL').catch(() => undefined);
  }
};
