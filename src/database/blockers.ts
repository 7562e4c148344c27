/** Who holds what a statement waits for: told to a person, and never ended by us. */
import type { Step, TableName } from '../changes/change.ts';
import { lit, sql } from '../sql/sql.ts';
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
  /** NULL for a prepared transaction, which belongs to no session. */
  readonly pid: number | null;
  /** Of a prepared transaction. */
  readonly gid: string | null;
  readonly role: string | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly autovacuum: boolean;
  readonly wraparound: boolean;
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

// The oldest transaction first: it is the one that lasts. A prepared transaction has no process: it is
// known by its transaction number, which it locks too.
const query = sql`
WITH target AS (
  SELECT c.oid FROM unnest($1::text[], $2::text[]) wanted (schema, name)
  JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
)
SELECT l.pid, p.gid, coalesce(p.owner, a.usename)::text AS role, a.application_name AS application, a.state, l.mode,
  c.relname::text AS relation, coalesce(a.backend_type = 'autovacuum worker', false) AS autovacuum,
  coalesce(a.query LIKE '%(to prevent wraparound)', false) AS wraparound,
  extract(epoch FROM clock_timestamp() - coalesce(p.prepared, a.xact_start))::double precision AS seconds
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
  AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT oid FROM target UNION SELECT t.relid FROM target, pg_partition_tree(target.oid::regclass) t)
  AND l.mode = ANY ($3)
ORDER BY coalesce(p.prepared, a.xact_start) NULLS LAST, l.mode DESC LIMIT 1`;

const span = (seconds: number): string => {
  if (seconds < 60) return `${Math.round(seconds)}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  return `${Math.floor(seconds / 3_600)}h`;
};

const who = ({ pid, gid, role, application, state, seconds, autovacuum, wraparound }: Blocker): string => {
  const age = seconds === null ? '' : span(seconds);
  const details = (...parts: readonly (string | null)[]): string => {
    const said = parts.filter((part) => part !== null && part !== '');
    return said.length === 0 ? '' : ` (${said.join(', ')})`;
  };
  if (gid !== null)
    return `prepared transaction ${lit(gid).text.trim()}${details(role && `role=${role}`, age)}`;
  if (autovacuum)
    return `autovacuum${wraparound ? ' to prevent wraparound' : ''} (pid ${pid}${age && `, ${age}`})`;
  const doing = state && age ? `${state} ${age}` : state;
  return `pid ${pid}${details(application && `app=${application}`, role && !application ? `role=${role}` : '', doing)}`;
};

/** How a person ends what does not end by itself. */
const wayOut = ({ gid, wraparound }: Blocker): string => {
  if (gid !== null) {
    const name = lit(gid).text.trim();
    return `; no session holds it: COMMIT PREPARED ${name} or ROLLBACK PREPARED ${name} ends it`;
  }
  return wraparound ? '; it ends by itself, and must not be stopped' : '';
};

const phrase = (blocker: Blocker, wanted: Wanted): string => {
  const { mode, relation } = blocker;
  const holds = wanted === 'row' ? `may hold rows of ${relation}` : `holds ${mode} on ${relation}`;
  return `${who(blocker)} ${holds}${wayOut(blocker)}`;
};

/**
 * Names the oldest session that holds a lock in the way, as it is right after the wait; undefined if it has
 * gone by then, or may not be seen.
 */
export const findBlocker = async (
  db: Database,
  tables: readonly TableName[],
  wanted: Wanted,
): Promise<BlockedBy | undefined> => {
  try {
    const [blocker] = await db.transaction({ mode: 'read', lockTimeoutMs: 200 }, (session) =>
      session.rows<Blocker>(query, [
        tables.map(({ schema }) => schema),
        tables.map(({ name }) => name),
        conflicting[wanted],
      ]),
    );
    return blocker && { kind: 'Lock', message: phrase(blocker, wanted) };
  } catch (error) {
    // Only a courtesy: the outcome that it would adorn stands without it.
    if (error instanceof DatabaseError) return undefined;
    throw error;
  }
};
