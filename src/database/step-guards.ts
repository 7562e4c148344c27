/** What must still be true, inside the transaction of a step, for the step to be carried out. */
import type { TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import type { TableName } from '../changes/change.ts';
import { sql } from '../sql/sql.ts';
import type { Watch } from './judge-statement.ts';
import { usedSinceLook } from './look.ts';
import type { Session } from './session.ts';
import { latestUse } from './usage.ts';

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
 * The deferral if an old column was used since the quarantine clock started. The gate before Drop was judged a
 * moment ago; whoever was in a transaction then has committed by the time that the table is locked.
 */
export const usedMeanwhile = async (
  session: Session,
  id: number,
  watch: Watch | undefined,
): Promise<Outcome | undefined> => {
  const [change] = await session.rows<{ startedAt: number | null }>(
    sql`SELECT (extract(epoch FROM quarantine_started_at) * 1000)::double precision AS "startedAt"
      FROM segue.change WHERE id = $1 AND direction = 'forward'`,
    [id],
  );
  const startedAt = change?.startedAt ?? null;
  const use =
    (await latestUse(session, id, startedAt)) ??
    (watch === undefined || startedAt === null ? undefined : await usedSinceLook(session, id, watch));
  return (
    use && {
      kind: 'deferred',
      reason: 'ColumnInUse',
      message: `${use.by} used the old columns just before they were to be dropped (${use.kind}). Nothing was dropped.`,
      afterMs: 1_000,
    }
  );
};
