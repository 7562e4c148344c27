/** What read replicas have seen: the backfill waits for them, and reads switch only where the data already is. */
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';

/** True if the replica has replayed the WAL up to `lsn`; a server that is no replica has by definition. Throws DatabaseError. */
export const replayed = (db: Database, lsn: string): Promise<boolean> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const { replayed } = await session.one<{ replayed: boolean }>(
      sql`SELECT NOT pg_is_in_recovery() OR coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS replayed`,
      [lsn],
    );
    return replayed;
  });

/** Why the backfill has to wait for replicas: empty if it has not. */
export type LagVerdict = { readonly kind: 'go' } | { readonly kind: 'wait'; readonly message: string };

interface Standing {
  readonly connected: number;
  readonly hidden: number;
  readonly catchingUp: number;
  readonly lagMs: number;
}

// Base backups and standbys that are still being copied are no readers. To a role without pg_monitor the rows
// are there and their columns NULL: a lag that can't be read counts as too long. replay_lag is NULL for a
// standby that has nothing left to replay, and also for one that still fetches old WAL (state "catchup").
const standing = sql`
SELECT count(*) AS connected, count(*) FILTER (WHERE state IS NULL) AS hidden,
  count(*) FILTER (WHERE state = 'catchup') AS "catchingUp",
  coalesce(max(extract(epoch FROM replay_lag) * 1000), 0)::double precision AS "lagMs"
FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND state IS DISTINCT FROM 'startup'`;

/** Whether streaming replicas keep up. No replica connected is no lag. Throws DatabaseError. */
export const judgeLag = async (db: Database, maxLagMs: number): Promise<LagVerdict> => {
  const { connected, hidden, catchingUp, lagMs } = await db.transaction({ mode: 'read' }, (session) =>
    session.one<Standing>(standing),
  );
  if (hidden > 0)
    return {
      kind: 'wait',
      message: `the lag of ${hidden} of ${connected} replicas cannot be read: GRANT pg_monitor to Segue's role`,
    };
  if (catchingUp > 0)
    return { kind: 'wait', message: `${catchingUp} of ${connected} replicas are catching up` };
  if (lagMs > maxLagMs)
    return { kind: 'wait', message: `a replica lags ${Math.round(lagMs)} ms behind (limit ${maxLagMs} ms)` };
  return { kind: 'go' };
};
