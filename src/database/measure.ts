/** Measures for the analysis of a roll-out: a query of the resource's author, and what the server counts by itself. */
import type { DatabaseSigns, SignsBase } from '../api/analysis-facts.ts';
import type { TableName } from '../changes/change.ts';
import { sql, userSql } from '../sql/sql.ts';
import { searchPathOf } from './catalog.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';

/** What a query came to. */
export type QueryResult =
  | { readonly kind: 'value'; readonly value: unknown }
  /** No result. A clause. */
  | { readonly kind: 'error'; readonly message: string };

// JSON has no such numbers, and PostgreSQL writes them as texts into it.
const numbers: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const noResult = (message: string): QueryResult => ({ kind: 'error', message });

/** How the query is asked: in one read-only transaction. */
interface Asked {
  /** Names without a schema are looked up where this table is, and in public. */
  readonly table: TableName;
  readonly timeoutMs: number;
}

/**
 * Runs a query that gives one row of one column; an empty list stands for no row at all. As a subquery it can be
 * nothing but a query, and in a transaction that is read-only it writes nothing.
 */
export const measureQuery = async (
  db: Database,
  query: string,
  { table, timeoutMs }: Asked,
): Promise<QueryResult> => {
  try {
    const rows = await db.transaction(
      {
        mode: 'read',
        searchPath: searchPathOf(table),
        statementTimeoutMs: timeoutMs,
        lockTimeoutMs: timeoutMs,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (session) =>
        // The line break ends a comment at the query's end.
        session.rows<{ readonly row: Readonly<Record<string, unknown>> }>(
          sql`SELECT to_json(measured) AS row FROM (${userSql(`${query}\n`)}) measured LIMIT 2`,
        ),
    );
    if (rows.length > 1) return noResult('the query gives several rows, and one is needed');
    const [first] = rows;
    if (first === undefined) return { kind: 'value', value: [] };
    const columns = Object.values(first.row);
    return columns.length === 1
      ? { kind: 'value', value: numbers.get(columns[0]) ?? columns[0] }
      : noResult(`the query gives ${columns.length} columns, and one is needed`);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return noResult(`the query failed: ${error.message}`);
  }
};

interface SignsRow extends Omit<DatabaseSigns, 'stuck'> {
  readonly stuck: Readonly<Record<string, number>> | null;
}

/**
 * What the database shows while new code is rolled out. PostgreSQL counts commits, rollbacks and deadlocks of a whole
 * database alone (manual, 27.2.19: pg_stat_database); by session there is but its present state, which a role sees
 * of its own sessions, or of all with pg_read_all_stats.
 * @throws DatabaseError.
 */
export const readSigns = (
  db: Database,
  changeId: number,
  asked: { readonly base: SignsBase | undefined; readonly addresses: readonly string[] },
): Promise<DatabaseSigns> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const row = await session.one<SignsRow>(
      sql`WITH moment AS (
          SELECT clock_timestamp() AS now, coalesce(to_timestamp($2::double precision / 1000), clock_timestamp()) AS base
        ), noted AS (
          SELECT count(*) FILTER (WHERE c.at > m.base) AS since,
            count(*) FILTER (WHERE c.at <= m.base AND c.at > m.base - (m.now - m.base)) AS before
          FROM moment m LEFT JOIN segue.conflict c ON c.change_id = $1 AND c.side IN ('forward', 'backward', 'both')
        )
        SELECT floor(extract(epoch FROM m.now) * 1000)::double precision AS at,
          d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks,
          n.since AS conflicts, n.before AS "conflictsBefore",
          (SELECT json_object_agg(address, sessions) FROM (
            SELECT host(client_addr) AS address, count(*) AS sessions FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction (aborted)'
              AND state_change < m.now - interval '10 seconds' AND host(client_addr) = ANY ($3::text[])
            GROUP BY 1) stuck) AS stuck
        FROM moment m, noted n, pg_stat_database d WHERE d.datname = current_database()`,
      [changeId, asked.base?.at ?? null, [...asked.addresses]],
    );
    return { ...row, stuck: row.stuck ?? {} };
  });
