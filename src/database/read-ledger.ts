/**
 * Reads what the ledger knows of a resource's change into facts, in one snapshot. Nothing is cached: an
 * operator that has just started knows as much as one that has run for weeks.
 */
import type { VerifyingFacts } from '../api/comparison-facts.ts';
import type { BackfillFacts, LedgerFacts, LookFacts, UseFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import { archiveOf } from './archive-rows.ts';
import type { Database } from './databases.ts';
import { isDue } from './dead-letters.ts';
import { DatabaseError } from './errors.ts';
import type { Memory } from './mutation.ts';
import { leftMs, rateOf, type Sample } from './progress.ts';
import type { Scaling } from './scaling.ts';
import { installedSchema, isUsable, schemaVersion } from './schema.ts';
import type { Session } from './session.ts';
import { latestUse, usersOf } from './usage.ts';
import { tallyOf } from './verify-cursor.ts';

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
  readonly columnTypes: Readonly<Record<string, string>>;
  readonly oldNotNull: readonly string[];
  readonly presentMark: string | null;
  readonly look: LookFacts | null;
  readonly hiddenAt: number | null;
  readonly rehearsedAt: number | null;
  readonly readAt: number;
}

// A finished change is found too: its resource must not start over because the operator was restarted.
const changeOf = async (session: Session, resource: ResourceName): Promise<ChangeRow | undefined> => {
  const [row] = await session.rows<ChangeRow>(
    sql`SELECT id, uid, state, phase, direction, revision, change, table_oid AS "tableOid", attnums, column_types AS "columnTypes",
      old_not_null AS "oldNotNull", history, proven_mark AS "provenMark", approvals,
      handled_retry AS "handledRetry", last_use AS "lastUse", verification, look,
      handled_repair AS "handledRepair", repair_refused AS "repairRefused", repairing, rows_repaired AS "rowsRepaired",
      handled_verify AS "handledVerify", verify_refused AS "verifyRefused",
      (extract(epoch FROM quarantine_started_at) * 1000)::double precision AS "quarantineStartedAt",
      (extract(epoch FROM hidden_at) * 1000)::double precision AS "hiddenAt",
      (extract(epoch FROM rehearsed_at) * 1000)::double precision AS "rehearsedAt",
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

interface Progress extends Omit<
  BackfillFacts,
  'badRows' | 'sampleBadKeys' | 'badRowsDue' | 'rowsPerSecond' | 'leftMs' | 'workers'
> {
  readonly at: number;
  readonly scaling: Scaling | null;
  readonly samples: readonly Sample[] | null;
}

// A heap whose cursor is missing is not done: a partition may have been attached since. An empty one is.
const backfillOf = async (session: Session, id: number, tableOid: number): Promise<BackfillFacts> => {
  const { at, samples, scaling, ...facts } = await session.one<Progress>(
    sql`WITH heap AS (
        SELECT c.oid, c.reltuples FROM pg_class c WHERE c.oid = $2::oid AND c.relkind = 'r'
        UNION ALL
        SELECT c.oid, c.reltuples FROM pg_partition_tree($2::oid) t JOIN pg_class c ON c.oid = t.relid
        WHERE t.isleaf AND c.relkind = 'r' AND c.oid <> $2::oid
      ), range AS (
        SELECT heap, sum(end_page - next_page) AS pages, sum(rows_done) AS rows
        FROM segue.backfill_range WHERE change_id = $1 GROUP BY heap
      ), work AS (
        SELECT b.change_id IS NOT NULL AS begun,
          b.next_page - coalesce(range.pages, 0) AS pages_done, b.rows_done + coalesce(range.rows, 0) AS rows_done,
          CASE WHEN b.change_id IS NULL AND $1 <> 0 THEN greatest(heap.reltuples, 0)::bigint ELSE b.rows_estimated END AS estimated,
          CASE WHEN b.change_id IS NULL THEN
            pg_relation_size(heap.oid::regclass) / current_setting('block_size')::bigint ELSE b.end_page END AS pages
        FROM heap LEFT JOIN segue.backfill b ON b.heap = heap.oid::bigint AND b.change_id = $1
          LEFT JOIN range ON range.heap = heap.oid::bigint
      )
      SELECT coalesce(sum(pages_done), 0)::bigint AS "pagesDone",
        coalesce(sum(pages), 0)::bigint AS "pagesTotal",
        coalesce(sum(rows_done), 0)::bigint AS "rowsDone",
        greatest(sum(estimated), sum(rows_done), 0)::bigint AS "rowsTotal",
        coalesce(bool_or(begun) AND bool_and(CASE WHEN begun THEN pages_done >= pages ELSE pages = 0 END), false) AS done,
        (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS at,
        coalesce((SELECT throttled_by FROM segue.backfill_pace WHERE change_id = $1), '') AS "throttledBy",
        (SELECT scaling FROM segue.backfill_pace WHERE change_id = $1) AS scaling,
        (SELECT samples FROM segue.backfill_pace WHERE change_id = $1) AS samples
      FROM work`,
    [id, tableOid],
  );
  const rate = rateOf(samples ?? [], { at, pages: facts.pagesDone, rows: facts.rowsDone });
  const left = leftMs(rate, facts.pagesTotal - facts.pagesDone);
  const bad = await session.one<Pick<BackfillFacts, 'badRows' | 'sampleBadKeys' | 'badRowsDue'>>(
    sql`SELECT (SELECT count(*) FROM segue.dead_letter WHERE change_id = $1) AS "badRows",
      EXISTS (SELECT FROM segue.dead_letter WHERE change_id = $1 AND ${isDue}) AS "badRowsDue",
      ARRAY(SELECT key::text FROM segue.dead_letter WHERE change_id = $1 ORDER BY number LIMIT 10) AS "sampleBadKeys"`,
    [id],
  );
  return {
    ...facts,
    ...bad,
    rowsPerSecond: rate?.rowsPerSecond ?? 0,
    workers: scaling?.workers ?? 0,
    ...(left === undefined ? {} : { leftMs: left }),
  };
};

const verifyingOf = async (session: Session, id: number): Promise<VerifyingFacts> => ({
  ...(await session.one<{ pagesDone: number; pagesTotal: number }>(
    sql`SELECT coalesce(sum(next_page), 0)::bigint AS "pagesDone", coalesce(sum(end_page), 0)::bigint AS "pagesTotal"
      FROM segue.verification WHERE change_id = $1`,
    [id],
  )),
  ...(await tallyOf(session, id)),
});

// Enough to tell "none" from "some" and from "a flood" without counting a flood.
const conflictsOf = async (session: Session, id: number): Promise<number> => {
  const { conflicts } = await session.one<{ conflicts: number }>(
    sql`SELECT count(*) AS conflicts FROM (SELECT FROM segue.conflict WHERE change_id = $1 AND side <> 'verify' LIMIT 10000) noted`,
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
    const { presentMark, provenMark, quarantineStartedAt, lockWaitSince, verification, lastUse, ...others } =
      row;
    const { handledRepair, repairRefused, repairing, rowsRepaired, ...more } = others;
    const { look, hiddenAt, rehearsedAt, ...rest } = more;
    const backfill = await backfillOf(session, row.id, row.tableOid);
    const verifying = await verifyingOf(session, row.id);
    const use = later(lastUse ?? undefined, await latestUse(session, row.id, quarantineStartedAt));
    const archive = await archiveOf(session, row.id);
    return {
      ...rest,
      ...(archive === undefined ? {} : { archive }),
      triggersProven: provenMark !== null && provenMark === presentMark,
      backfill,
      repair: {
        handled: handledRepair,
        ...(repairRefused === null ? {} : { refused: repairRefused }),
        running: repairing,
        rows: rowsRepaired + (repairing ? backfill.rowsDone : 0),
      },
      ...(verifying.pagesTotal === 0 ? {} : { verifying }),
      conflicts: await conflictsOf(session, row.id),
      uses: await usersOf(session, row.id),
      ...(look === null ? {} : { look }),
      ...(hiddenAt === null ? {} : { hiddenAt }),
      ...(rehearsedAt === null ? {} : { rehearsedAt }),
      ...(verification === null ? {} : { verification }),
      ...(quarantineStartedAt === null ? {} : { quarantineStartedAt }),
      ...(lockWaitSince === null ? {} : { lockWaitSince }),
      ...(use === undefined ? {} : { lastUse: use }),
    };
  });
