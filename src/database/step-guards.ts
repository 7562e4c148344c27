/** What must still be true, inside the transaction of a step, for the step to be carried out. */
import type { TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import type { TableName } from '../changes/change.ts';
import { sql } from '../sql/sql.ts';
import type { Session } from './session.ts';

/** What the ledger recorded of the table when the change began, and when new columns were made. */
export interface Recorded {
  readonly tableOid: number;
  readonly attnums: Readonly<Record<string, number>>;
  readonly direction: 'forward' | 'back';
  readonly waitedForLock: boolean;
}

/** Reads the record of a change. */
export const recordedOf = (session: Session, id: number): Promise<Recorded> =>
  session.one(
    sql`SELECT table_oid AS "tableOid", attnums, direction, lock_wait_since IS NOT NULL AS "waitedForLock"
      FROM segue.change WHERE id = $1`,
    [id],
  );

const refuse = (what: string): Outcome => ({
  kind: 'refused',
  reason: 'TableChanged',
  message: `${what} Nothing was done. If that is as it should be, delete the SchemaChange and make a new one.`,
});

/** The refusal if the table, or for a destructive step one of its columns, is not the one recorded. */
export const otherTable = (
  name: TableName,
  table: TableFacts | undefined,
  recorded: Recorded,
  destructive: boolean,
): Outcome | undefined => {
  const label = `${name.schema}.${name.name}`;
  if (table === undefined) return refuse(`Table ${label} is gone since the change began.`);
  if (table.oid !== recorded.tableOid)
    return refuse(
      `Table ${label} was made anew since the change began (OID ${table.oid}, was ${recorded.tableOid}).`,
    );
  if (!destructive) return undefined;
  const other = Object.entries(recorded.attnums).find(([column, attnum]) => {
    const found = table.columns[column];
    return found !== undefined && found.attnum !== attnum;
  });
  return (
    other && refuse(`Column "${other[0]}" of ${label} was dropped and made anew since the change began.`)
  );
};

/**
 * The deferral if an old column was written since the quarantine clock started. The gate before Drop was judged
 * a moment ago; a writer that was in its transaction then has committed by the time that the table is locked.
 */
export const usedMeanwhile = async (session: Session, id: number): Promise<Outcome | undefined> => {
  const [use] = await session.rows<{ by: string }>(
    sql`SELECT u.usr || ' (' || u.application_name || ')' AS by FROM segue.column_use u
      JOIN segue.change c ON c.id = u.change_id
      WHERE c.id = $1 AND c.direction = 'forward' AND u.at > c.quarantine_started_at LIMIT 1`,
    [id],
  );
  return (
    use && {
      kind: 'deferred',
      reason: 'ColumnInUse',
      message: `${use.by} wrote the old columns just before they were to be dropped. Nothing was dropped.`,
      afterMs: 1_000,
    }
  );
};
