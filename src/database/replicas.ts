/** What read replicas have seen: reads switch only where the data already is. */
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
