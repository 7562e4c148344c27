/**
 * The backfill's place in one heap. It is written in the transaction of the batch that it follows, so that a
 * crash can neither lose nor repeat a committed batch. The page at which it ends is fixed when it is made: rows
 * written to later pages were written while the triggers stood.
 */
import type { HeapFacts } from '../api/facts.ts';
import { ident, sql, type Sql } from '../sql/sql.ts';
import { firstPages } from './pace.ts';
import type { Session } from './session.ts';

export interface HeapCursor {
  readonly nextPage: number;
  readonly endPage: number;
  /** Pages of the next batch. */
  readonly batchPages: number;
  readonly rowsPerSecond: number;
}

/** The heap's quoted name. */
export const heapIdent = (heap: HeapFacts): Sql => ident(heap.schema, heap.name);

/** The cursor of a heap, undefined before its first batch. */
export const findCursor = async (
  session: Session,
  id: number,
  heap: HeapFacts,
): Promise<HeapCursor | undefined> => {
  const [cursor] = await session.rows<HeapCursor>(
    sql`SELECT next_page AS "nextPage", end_page AS "endPage", batch_pages AS "batchPages",
      rows_per_second AS "rowsPerSecond" FROM segue.backfill WHERE change_id = $1 AND heap = $2`,
    [id, heap.oid],
  );
  return cursor;
};

/**
 * Sets the cursor to the heap's start. A verification made before it no longer counts. The lock keeps a rewrite
 * away between reading the file's number and its length.
 */
export const resetCursor = async (session: Session, id: number, heap: HeapFacts): Promise<void> => {
  await session.run(sql`LOCK TABLE ONLY ${heapIdent(heap)} IN ROW EXCLUSIVE MODE`);
  await session.run(
    sql`INSERT INTO segue.backfill (change_id, heap, filenode, next_page, end_page, batch_pages, rows_estimated)
      SELECT $1, c.oid, pg_relation_filenode(c.oid), 0,
        pg_relation_size(c.oid) / current_setting('block_size')::bigint, $3, greatest(c.reltuples, 0)
      FROM pg_class c WHERE c.oid = $2
      ON CONFLICT (change_id, heap) DO UPDATE SET filenode = excluded.filenode, next_page = 0,
        end_page = excluded.end_page, updated_at = clock_timestamp()`,
    [id, heap.oid, firstPages],
  );
  await session.run(
    sql`UPDATE segue.change SET verification = NULL WHERE id = $1 AND verification IS NOT NULL`,
    [id],
  );
};

/** What a batch leaves behind. */
export interface Advance {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly batchPages: number;
  readonly rowsPerSecond: number;
}

/**
 * Moves the cursor over a batch, after the batch has locked the heap. False if the heap was rewritten in the
 * meantime (VACUUM FULL, CLUSTER, TRUNCATE): its pages are others now, and the batch must be undone.
 */
export const advanceCursor = async (
  session: Session,
  id: number,
  heap: HeapFacts,
  by: Advance,
): Promise<boolean> => {
  const moved = await session.run(
    sql`UPDATE segue.backfill SET next_page = $4, rows_done = rows_done + $5, batch_pages = $6, rows_per_second = $7,
      throttled_by = '', updated_at = clock_timestamp()
      WHERE change_id = $1 AND heap = $2 AND next_page = $3 AND filenode = pg_relation_filenode($2::oid::regclass)`,
    [id, heap.oid, by.from, by.to, by.rows, by.batchPages, by.rowsPerSecond],
  );
  return moved === 1;
};
