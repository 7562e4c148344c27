/**
 * Evidence of use of the old columns: what `segue.note_use` put on record since the quarantine clock started.
 */
import type { UseFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import type { Session } from './session.ts';

/** The latest write to an old column since a time of the database's clock; undefined if there was none. */
export const latestWrite = async (
  session: Session,
  changeId: number,
  sinceMs: number | null,
): Promise<UseFacts | undefined> => {
  if (sinceMs === null) return undefined;
  const [use] = await session.rows<UseFacts>(
    sql`SELECT (extract(epoch FROM at) * 1000)::double precision AS at, kind,
      usr || CASE WHEN application_name = '' THEN '' ELSE ' (' || application_name || ')' END AS by
      FROM segue.column_use WHERE change_id = $1 AND at > to_timestamp($2::double precision / 1000)
      ORDER BY column_use.at DESC LIMIT 1`,
    [changeId, sinceMs],
  );
  return use;
};
