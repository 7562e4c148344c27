/** How a trigger puts a write to an old column on record. */
import { int, lit, sql, type Sql } from '../sql/sql.ts';

/**
 * A PL/pgSQL statement for writes that meet a condition. Whoever wrote in this second already, under this application
 * name, is on record: that is seen from a setting of the session, without a call, a subtransaction or a table. The
 * rest is caught: somebody may have taken the right to use schema segue away.
 */
export const noteUse = (id: number, condition: Sql): Sql => sql`
  IF (${condition}) AND coalesce(pg_catalog.current_setting(${lit(`segue.noted_${id}`)}, true), '') OPERATOR(pg_catalog.<>)
      pg_catalog.concat(pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp())), ' ', pg_catalog.current_setting('application_name')) THEN
    BEGIN
      PERFORM segue.note_use(${int(id)});
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END IF;`;
