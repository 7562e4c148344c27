import { Client } from 'pg';
import { seedSql } from '../customers-table.ts';
import type { Expectations } from './expectations.ts';

export interface Comparison {
  /** Rows in the table. */
  readonly rows: number;
  /** Rows that are missing, that nobody wrote, or that hold anything but what was last acknowledged. */
  readonly mismatches: number;
  /** At most ten of their ids. */
  readonly sampleIds: readonly number[];
}

const statementTimeoutMs = 60_000;

/**
 * $1: rows seeded; $2: what was written, as JSON; $3: names of inserts whose outcome is unknown.
 * Whoever was not written to must still be as seeded.
 */
const compareSql = `
  WITH written AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS w (id bigint, names jsonb, cities jsonb)
  ), expected AS (
    SELECT id, names, cities FROM written
    UNION ALL
    SELECT id, to_jsonb(ARRAY[${seedSql.firstName} || ' ' || ${seedSql.lastName}]), to_jsonb(ARRAY[${seedSql.city}])
    FROM generate_series(1, $1::int) AS id
    WHERE id NOT IN (SELECT id FROM written)
  ), compared AS (
    SELECT id, c.id IS NOT NULL AS present,
           CASE WHEN e.id IS NULL THEN c.full_name = ANY ($3::text[])
                ELSE e.names ? c.full_name AND e.cities ? c.city END AS agrees
    FROM customers c FULL JOIN expected e USING (id)
  )
  SELECT count(*) FILTER (WHERE present)::int AS rows,
         count(*) FILTER (WHERE agrees IS NOT TRUE)::int AS mismatches,
         (array_agg(id::int ORDER BY id) FILTER (WHERE agrees IS NOT TRUE))[1:10] AS "sampleIds"
  FROM compared`;

/** Compares every row's `full_name` and `city` with what the load wrote and what the table was seeded with. */
export async function compareWithDatabase(
  databaseUrl: string,
  seededRows: number,
  expectations: Expectations,
): Promise<Comparison> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'shop-load-comparison',
    statement_timeout: statementTimeoutMs,
  });
  await client.connect();
  try {
    const { rows } = await client.query<{ rows: number; mismatches: number; sampleIds: number[] | null }>(
      compareSql,
      [seededRows, JSON.stringify(expectations.written()), expectations.namesPerhapsInserted()],
    );
    const [result] = rows;
    if (result === undefined) throw new Error('the comparison returned no row');
    return { ...result, sampleIds: result.sampleIds ?? [] };
  } finally {
    await client.end();
  }
}
