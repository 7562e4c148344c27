/**
 * Evidence of use of the old columns: what `segue.note_use` and the looks into the server's records put on record.
 */
import type { UseFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import type { Session } from './session.ts';

interface UseRow extends Omit<UseFacts, 'statement'> {
  readonly statement: string | null;
}

const columns = sql`(extract(epoch FROM at) * 1000)::double precision AS at, kind, statement,
  usr || CASE WHEN application_name = '' THEN '' ELSE ' (' || application_name || ')' END AS by`;

const factsOf = ({ statement, ...use }: UseRow): UseFacts =>
  statement === null ? use : { ...use, statement };

/** The latest use of an old column since a time of the database's clock; undefined if there was none. */
export const latestUse = async (
  session: Session,
  changeId: number,
  sinceMs: number | null,
): Promise<UseFacts | undefined> => {
  if (sinceMs === null) return undefined;
  const [use] = await session.rows<UseRow>(
    sql`SELECT ${columns} FROM segue.column_use
      WHERE change_id = $1 AND at > to_timestamp($2::double precision / 1000)
      ORDER BY column_use.at DESC LIMIT 1`,
    [changeId, sinceMs],
  );
  return use && factsOf(use);
};

/** The latest use of each user, kind and statement, newest first, ten at most. */
export const usersOf = async (session: Session, changeId: number): Promise<readonly UseFacts[]> => {
  const rows = await session.rows<UseRow>(
    sql`SELECT * FROM (
        SELECT DISTINCT ON (usr, application_name, kind, statement) ${columns} FROM segue.column_use
        WHERE change_id = $1 ORDER BY usr, application_name, kind, statement, column_use.at DESC
      ) latest ORDER BY at DESC LIMIT 10`,
    [changeId],
  );
  return rows.map(factsOf);
};
