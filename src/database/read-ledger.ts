/**
 * Reads what the ledger knows of a resource's change into facts, in one snapshot. Nothing is cached: an
 * operator that has just started knows as much as one that has run for weeks.
 */
import type { BackfillFacts, LedgerFacts, UseFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import type { Memory } from './mutation.ts';
import { installedSchema, isUsable, schemaVersion } from './schema.ts';
import type { Session } from './session.ts';
import { latestWrite } from './usage.ts';

/** A resource's name. */
export interface ResourceName {
  readonly namespace: string;
  readonly name: string;
}

interface ChangeRow extends Memory {
  readonly id: number;
  readonly revision: number;
  readonly change: unknown;
  readonly tableOid: number;
  readonly attnums: Readonly<Record<string, number>>;
  readonly oldNotNull: readonly string[];
  readonly presentMark: string | null;
  readonly readAt: number;
}

// A finished change is found too: its resource must not start over because the operator was restarted.
const changeOf = async (session: Session, resource: ResourceName): Promise<ChangeRow | undefined> => {
  const [row] = await session.rows<ChangeRow>(
    sql`SELECT id, uid, state, phase, direction, revision, change, table_oid AS "tableOid", attnums,
      old_not_null AS "oldNotNull", history, proven_mark AS "provenMark", approvals,
      handled_retry AS "handledRetry", last_use AS "lastUse", verification,
      (extract(epoch FROM quarantine_started_at) * 1000)::double precision AS "quarantineStartedAt",
      (extract(epoch FROM lock_wait_since) * 1000)::double precision AS "lockWaitSince",
      (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS "readAt",
      (SELECT obj_description(p.oid, 'pg_proc') FROM pg_proc p
        WHERE p.pronamespace = 'segue'::regnamespace AND p.proname = 'sync_' || c.id) AS "presentMark"
      FROM segue.change c WHERE namespace = $1 AND name = $2
      ORDER BY (state = 'Active') DESC, id DESC LIMIT 1`,
    [resource.namespace, resource.name],
  );
  return row;
};

// A heap whose cursor is missing is not done: a partition may have been attached since. An empty one is.
const backfillOf = async (session: Session, id: number, tableOid: number): Promise<BackfillFacts> => {
  const facts = await session.one<Omit<BackfillFacts, 'badRows' | 'sampleBadKeys'>>(
    sql`WITH heap AS (
        SELECT c.oid, c.reltuples FROM pg_class c WHERE c.oid = $2::oid AND c.relkind = 'r'
        UNION ALL
        SELECT c.oid, c.reltuples FROM pg_partition_tree($2::oid) t JOIN pg_class c ON c.oid = t.relid
        WHERE t.isleaf AND c.relkind = 'r' AND c.oid <> $2::oid
      ), work AS (
        SELECT b.*, heap.oid, b.change_id IS NOT NULL AS begun,
          CASE WHEN b.change_id IS NULL AND $1 <> 0 THEN greatest(heap.reltuples, 0)::bigint ELSE b.rows_estimated END AS estimated,
          CASE WHEN b.change_id IS NULL THEN
            pg_relation_size(heap.oid::regclass) / current_setting('block_size')::bigint ELSE b.end_page END AS pages
        FROM heap LEFT JOIN segue.backfill b ON b.heap = heap.oid::bigint AND b.change_id = $1
      )
      SELECT coalesce(sum(next_page), 0)::bigint AS "pagesDone",
        coalesce(sum(pages), 0)::bigint AS "pagesTotal",
        coalesce(sum(rows_done), 0)::bigint AS "rowsDone",
        greatest(sum(estimated), sum(rows_done), 0)::bigint AS "rowsTotal",
        coalesce((array_agg(rows_per_second ORDER BY updated_at DESC) FILTER (WHERE begun))[1], 0) AS "rowsPerSecond",
        coalesce((array_agg(throttled_by ORDER BY updated_at DESC) FILTER (WHERE begun))[1], '') AS "throttledBy",
        coalesce(bool_or(begun) AND bool_and(CASE WHEN begun THEN next_page >= end_page ELSE pages = 0 END), false) AS done
      FROM work`,
    [id, tableOid],
  );
  const bad = await session.one<{ badRows: number; sampleBadKeys: readonly string[] }>(
    sql`SELECT (SELECT count(*) FROM segue.dead_letter WHERE change_id = $1) AS "badRows",
      ARRAY(SELECT key::text FROM segue.dead_letter WHERE change_id = $1 ORDER BY number LIMIT 10) AS "sampleBadKeys"`,
    [id],
  );
  return { ...facts, ...bad };
};

/** The backfill of a change as it stands. */
export const readBackfill = (db: Database, id: number, tableOid: number): Promise<BackfillFacts> =>
  db.transaction({ mode: 'read' }, (session) => backfillOf(session, id, tableOid));

// Enough to tell "none" from "some" and from "a flood" without counting a flood.
const conflictsOf = async (session: Session, id: number): Promise<number> => {
  const { conflicts } = await session.one<{ conflicts: number }>(
    sql`SELECT count(*) AS conflicts FROM (SELECT FROM segue.conflict WHERE change_id = $1 LIMIT 10000) noted`,
    [id],
  );
  return conflicts;
};

const later = (a: UseFacts | undefined, b: UseFacts | undefined): UseFacts | undefined =>
  a && b ? (a.at >= b.at ? a : b) : (a ?? b);

/**
 * The change of a resource: the one under way, else the latest that ended; undefined if there never was one.
 * Throws DatabaseError, also where a newer Segue wrote the ledger.
 */
export const readLedger = (db: Database, resource: ResourceName): Promise<LedgerFacts | undefined> =>
  db.transaction({ mode: 'snapshot' }, async (session) => {
    const installed = await installedSchema(session);
    if (installed === undefined || installed === 'foreign') return undefined;
    if (!isUsable(installed))
      throw new DatabaseError({
        message: `the ledger in ${db.label} was written by a newer Segue (schema version ${installed.version}, this one knows ${schemaVersion})`,
      });
    const row = await changeOf(session, resource);
    if (row === undefined) return undefined;
    const { presentMark, provenMark, quarantineStartedAt, lockWaitSince, verification, lastUse, ...rest } =
      row;
    const use = later(lastUse ?? undefined, await latestWrite(session, row.id, quarantineStartedAt));
    return {
      ...rest,
      triggersProven: provenMark !== null && provenMark === presentMark,
      backfill: await backfillOf(session, row.id, row.tableOid),
      conflicts: await conflictsOf(session, row.id),
      ...(verification === null ? {} : { verification }),
      ...(quarantineStartedAt === null ? {} : { quarantineStartedAt }),
      ...(lockWaitSince === null ? {} : { lockWaitSince }),
      ...(use === undefined ? {} : { lastUse: use }),
    };
  });
