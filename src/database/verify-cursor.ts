/**
 * The verification's place in each heap, and what it has found. Ranges may be compared out of order; their results
 * are written in order, so that everything before the cursor has been compared. A range that was compared and not
 * written is compared again, which harms nobody.
 */
import type { HeapFacts } from '../api/facts.ts';
import { int, sql } from '../sql/sql.ts';
import { heapIdent } from './heap-cursor.ts';
import type { Session } from './session.ts';
import { firstRangePages } from './verify-plan.ts';
import { watchedBy } from './verify-range.ts';

export interface VerifyCursor {
  readonly heap: HeapFacts;
  readonly filenode: number;
  readonly watched: string;
  readonly nextPage: number;
  readonly endPage: number;
  readonly rangePages: number;
  /** True if the backfill set rows of this heap aside. */
  readonly hasBadRows: boolean;
}

interface Found extends Omit<VerifyCursor, 'heap'> {
  readonly oid: number;
  /** False for a heap whose trigger is missing or disabled. */
  readonly guarded: boolean;
  readonly begun: boolean;
  /** False if the heap was rewritten, or the share of it that is to be compared is another. */
  readonly sameHeap: boolean;
  readonly sameTrigger: boolean;
}

const find = (session: Session, id: number, heaps: readonly HeapFacts[], share: number) =>
  session.rows<Found>(
    sql`SELECT h.oid, t.watched <> '' AS guarded, v.heap IS NOT NULL AS begun,
        coalesce(v.filenode = pg_relation_filenode(h.oid::oid::regclass) AND v.share = $3, false) AS "sameHeap",
        coalesce(v.watched = t.watched, true) AS "sameTrigger",
        v.filenode, v.watched, v.next_page AS "nextPage", v.end_page AS "endPage", v.range_pages AS "rangePages",
        EXISTS (SELECT FROM segue.dead_letter d WHERE d.change_id = $1 AND d.heap = h.oid) AS "hasBadRows"
      FROM unnest($2::bigint[]) AS h (oid)
      CROSS JOIN LATERAL (SELECT ${watchedBy(id, sql`h.oid::oid`)} AS watched) t
      LEFT JOIN segue.verification v ON v.change_id = $1 AND v.heap = h.oid`,
    [id, heaps.map(({ oid }) => oid), share],
  );

/**
 * Sets the cursor to the heap's start. It ends where the heap ends now: later pages hold only what was written
 * while the triggers stood. The lock keeps a rewrite away between reading the file's number and its length.
 */
const reset = async (session: Session, id: number, heap: HeapFacts, share: number): Promise<void> => {
  await session.run(sql`LOCK TABLE ONLY ${heapIdent(heap)} IN ACCESS SHARE MODE`);
  await session.run(
    sql`INSERT INTO segue.verification (change_id, heap, filenode, watched, share, next_page, end_page, range_pages)
      SELECT $1, c.oid, pg_relation_filenode(c.oid), ${watchedBy(id, sql`c.oid`)}, $3, 0,
        pg_relation_size(c.oid) / current_setting('block_size')::bigint, $4
      FROM pg_class c WHERE c.oid = $2
      ON CONFLICT (change_id, heap) DO UPDATE SET filenode = excluded.filenode, watched = excluded.watched,
        share = excluded.share, next_page = 0, end_page = excluded.end_page, rows_compared = 0, unlisted = 0,
        updated_at = clock_timestamp()`,
    [id, heap.oid, share, firstRangePages],
  );
};

/**
 * The cursor of each heap, made where there is none and set back where what was compared no longer counts. Undefined
 * if a heap has no compare trigger. A trigger that is not the one of the start sets all back: a row may have left
 * its heap unseen.
 */
export const openCursors = async (
  session: Session,
  id: number,
  heaps: readonly HeapFacts[],
  share: number,
): Promise<readonly VerifyCursor[] | undefined> => {
  const found = await find(session, id, heaps, share);
  if (found.some(({ guarded }) => !guarded)) return undefined;
  const tampered = found.some(({ begun, sameTrigger }) => begun && !sameTrigger);
  const stale = found.filter(({ sameHeap }) => tampered || !sameHeap);
  for (const { oid } of stale) {
    const heap = heaps.find((candidate) => candidate.oid === oid);
    if (heap) await reset(session, id, heap, share);
  }
  const opened = stale.length === 0 ? found : await find(session, id, heaps, share);
  return heaps.flatMap((heap) => {
    const cursor = opened.find(({ oid }) => oid === heap.oid);
    return cursor === undefined ? [] : [{ ...cursor, heap }];
  });
};

/** Forgets how far a heap, or without one the whole verification, has come. */
export const forget = async (session: Session, id: number, heap?: HeapFacts): Promise<void> => {
  const which = heap === undefined ? sql`true` : sql`heap = ${int(heap.oid)}`;
  await session.run(sql`DELETE FROM segue.verification WHERE change_id = $1 AND ${which}`, [id]);
};

/** What consecutive ranges of a heap came to. */
export interface Advance {
  readonly from: number;
  readonly to: number;
  readonly rangePages: number;
  readonly rows: number;
  readonly keys: readonly string[];
  readonly unlisted: number;
}

// Enough for a person to work through and for counting each row once; more is a matter of the expression.
const maxListed = 10_000;

/** Keeps the keys of rows that differ, each once: a row may be met twice, here and where it moved. Gives how many were left out. */
const list = async (session: Session, id: number, keys: readonly string[]): Promise<number> => {
  const { listed } = await session.one<{ listed: number }>(
    sql`SELECT count(*) AS listed FROM (SELECT FROM segue.conflict WHERE change_id = $1 AND side = 'verify' LIMIT ${int(maxListed)}) c`,
    [id],
  );
  const fresh = await session.rows<{ key: string }>(
    sql`SELECT DISTINCT f.key FROM unnest($2::text[]) AS f (key) WHERE NOT EXISTS (
      SELECT FROM segue.conflict c WHERE c.change_id = $1 AND c.side = 'verify' AND md5(c.key::text) = md5(f.key))`,
    [id, keys],
  );
  const kept = fresh.slice(0, Math.max(0, maxListed - listed)).map(({ key }) => key);
  await session.run(
    sql`INSERT INTO segue.conflict (change_id, side, key, sqlstate, at, application_name, usr)
      SELECT $1, 'verify', key::jsonb, '', clock_timestamp(), current_setting('application_name'), session_user
      FROM unnest($2::text[]) AS kept (key)`,
    [id, kept],
  );
  return fresh.length - kept.length;
};

/** Moves the cursor over ranges that were compared. False if it is not where they begin any more. */
export const advance = async (
  session: Session,
  id: number,
  heap: HeapFacts,
  by: Advance,
): Promise<boolean> => {
  const leftOut = by.keys.length === 0 ? 0 : await list(session, id, by.keys);
  const moved = await session.run(
    sql`UPDATE segue.verification SET next_page = $4, range_pages = $5, rows_compared = rows_compared + $6,
      unlisted = unlisted + $7, updated_at = clock_timestamp()
      WHERE change_id = $1 AND heap = $2 AND next_page = $3`,
    [id, heap.oid, by.from, by.to, by.rangePages, by.rows, by.unlisted + leftOut],
  );
  return moved === 1;
};

/** The tally over all heaps. */
export interface Tally {
  readonly rowsCompared: number;
  readonly mismatches: number;
  /** Keys of some of the rows that differ, as JSON text. */
  readonly sampleKeys: readonly string[];
}

// From SwitchReads on new code may write what the old side can't hold: such a row differs by right, and the sync
// trigger has noted it.
const counts = sql`c.change_id = $1 AND c.side = 'verify' AND NOT (
  EXISTS (SELECT FROM segue.change WHERE id = $1 AND phase IN ('SwitchReads', 'Quarantine', 'Drop'))
  AND EXISTS (SELECT FROM segue.conflict l WHERE l.change_id = $1 AND l.side = 'lossy' AND md5(l.key::text) = md5(c.key::text)))`;

/** What has been found so far, by ranges and by the trigger. */
export const tallyOf = (session: Session, id: number): Promise<Tally> =>
  session.one<Tally>(
    sql`SELECT coalesce(sum(rows_compared), 0)::bigint AS "rowsCompared",
        (coalesce(sum(unlisted), 0) + (SELECT count(*) FROM segue.conflict c WHERE ${counts}))::bigint AS mismatches,
        ARRAY(SELECT key::text FROM segue.conflict c WHERE ${counts} AND key IS NOT NULL ORDER BY at LIMIT 10) AS "sampleKeys"
      FROM segue.verification WHERE change_id = $1`,
    [id],
  );
