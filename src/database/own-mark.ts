import { sql } from '../sql/sql.ts';

/** Put behind each of our own statements, so that pg_stat_statements and the log can tell them from the application's. */
export const ownMark = sql`/* segue */`;
