/** Sessions that a batch keeps waiting: what the backfill costs others, seen while it happens. */
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';

/**
 * How many sessions have waited so long for a lock that one of these server processes holds. pg_locks shows every session to every
 * role; pg_stat_activity would hide what others wait for. Throws DatabaseError.
 */
export const countWaiters = async (
  db: Database,
  pids: readonly number[],
  longerThanMs: number,
): Promise<number> => {
  if (pids.length === 0) return 0;
  const { waiting } = await db.transaction({ mode: 'read' }, (session) =>
    session.one<{ waiting: number }>(
      sql`SELECT count(*) AS waiting FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND pid <> ALL ($1::int[])
          AND waitstart < clock_timestamp() - $2::double precision * interval '1 millisecond') w
        WHERE pg_blocking_pids(w.pid) && $1::int[]`,
      [pids, longerThanMs],
    ),
  );
  return waiting;
};
