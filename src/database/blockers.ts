/** Who holds what a statement waits for: told to a person, and never ended by us. */
import type { Step, TableName } from '../changes/change.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';

/** Whoever stands in the way, as `status.blockedBy` says it. */
export interface BlockedBy {
  readonly kind: 'Lock';
  readonly message: string;
}

/** What was waited for: a table lock of that mode, or a row. */
export type Wanted = Step['lock'] | 'row';

interface Blocker {
  readonly pid: number;
  readonly application: string | null;
  readonly state: string | null;
  readonly seconds: number | null;
  readonly mode: string;
  readonly relation: string;
}

const writers = [
  'RowExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

// Manual 13.3.1, table 13.2: which modes stand in the way of the one that is asked for. A row lock is not in
// pg_locks, but whoever holds one holds one of these on its table.
const conflicting: Readonly<Record<Wanted, readonly string[]>> = {
  row: ['RowShareLock', 'RowExclusiveLock'],
  AccessShareLock: ['AccessExclusiveLock'],
  RowExclusiveLock: writers.slice(1),
  ShareUpdateExclusiveLock: ['ShareUpdateExclusiveLock', ...writers.slice(1)],
  ShareRowExclusiveLock: ['ShareUpdateExclusiveLock', ...writers],
  AccessExclusiveLock: ['AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock', ...writers],
};

// The oldest transaction first: it is the one that lasts.
const query = sql`
WITH target AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
)
SELECT l.pid, a.application_name AS application, a.state, l.mode, c.relname::text AS relation,
  extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS seconds
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT oid FROM target UNION SELECT t.relid FROM target, pg_partition_tree(target.oid::regclass) t)
  AND l.mode = ANY ($3)
ORDER BY a.xact_start NULLS LAST, l.mode DESC LIMIT 1`;

const span = (seconds: number): string => {
  if (seconds < 60) return `${Math.round(seconds)}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  return `${Math.floor(seconds / 3_600)}h`;
};

const phrase = (blocker: Blocker, wanted: Wanted): string => {
  const { pid, application, state, seconds, mode, relation } = blocker;
  const details = [
    application ? `app=${application}` : '',
    state && seconds !== null ? `${state} ${span(seconds)}` : (state ?? ''),
  ].filter((part) => part !== '');
  const who = details.length === 0 ? `pid ${pid}` : `pid ${pid} (${details.join(', ')})`;
  return wanted === 'row' ? `${who} may hold rows of ${relation}` : `${who} holds ${mode} on ${relation}`;
};

/**
 * Names the oldest session that holds a lock in the way, as it is right after the wait; undefined if it has
 * gone by then, or may not be seen.
 */
export const findBlocker = async (
  db: Database,
  table: TableName,
  wanted: Wanted,
): Promise<BlockedBy | undefined> => {
  try {
    const [blocker] = await db.transaction({ mode: 'read', lockTimeoutMs: 200 }, (session) =>
      session.rows<Blocker>(query, [table.schema, table.name, conflicting[wanted]]),
    );
    return blocker && { kind: 'Lock', message: phrase(blocker, wanted) };
  } catch (error) {
    // Only a courtesy: the outcome that it would adorn stands without it.
    if (error instanceof DatabaseError) return undefined;
    throw error;
  }
};
