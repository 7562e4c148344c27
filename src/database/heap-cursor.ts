/**
 * The backfill's place in each heap. A heap's row says how far its pages have been handed out; ranges of them are
 * in work, each with a row of its own that moves on in the transaction of the batch that filled it. So a crash can
 * neither lose nor repeat a committed batch, and workers never write the same row.
 *
 * The page at which a heap ends is fixed when its row is made: rows of later pages were written while the triggers
 * stood.
 */
import type { HeapFacts } from '../api/facts.ts';
import { ident, sql, type Sql } from '../sql/sql.ts';
import { firstPages } from './pace.ts';
import type { Session } from './session.ts';
import type { Tid } from './tid-range.ts';

/** How far the pages of a heap have been handed out. */
export interface HeapCursor {
  readonly heap: number;
  /** The first page that nobody has. */
  readonly nextPage: number;
  readonly endPage: number;
  /** Planner's estimate; 0 where the heap was never analysed. */
  readonly rowsPerPage: number;
  /** True if the heap was rewritten since (VACUUM FULL, CLUSTER, TRUNCATE): its pages are others now. */
  readonly rewritten: boolean;
}

/** Pages that one worker fills. */
export interface RangeCursor {
  readonly heap: number;
  /** Names the range within its heap. */
  readonly firstPage: number;
  readonly next: Tid;
  readonly endPage: number;
  /** Size of the next batch. */
  readonly batchPages: number;
}

/** The heap's quoted name. */
export const heapIdent = (heap: HeapFacts): Sql => ident(heap.schema, heap.name);

/** The heaps that were begun. */
export const findHeaps = (session: Session, id: number): Promise<readonly HeapCursor[]> =>
  session.rows<HeapCursor>(
    sql`SELECT heap, next_page AS "nextPage", end_page AS "endPage",
      rows_estimated::double precision / greatest(end_page, 1) AS "rowsPerPage",
      filenode IS DISTINCT FROM pg_relation_filenode(heap::oid::regclass) AS rewritten
      FROM segue.backfill WHERE change_id = $1`,
    [id],
  );

interface RangeRow extends Omit<RangeCursor, 'next'> {
  readonly nextPage: number;
  readonly nextLine: number;
}

const rangeColumns = sql`heap, first_page AS "firstPage", next_page AS "nextPage", next_line AS "nextLine",
  end_page AS "endPage", batch_pages AS "batchPages"`;

const cursorOf = ({ nextPage, nextLine, ...range }: RangeRow): RangeCursor => ({
  ...range,
  next: { page: nextPage, line: nextLine },
});

/** The ranges that are not finished: whoever had them may be gone. */
export const findRanges = async (session: Session, id: number): Promise<readonly RangeCursor[]> => {
  const rows = await session.rows<RangeRow>(
    sql`SELECT ${rangeColumns} FROM segue.backfill_range WHERE change_id = $1 ORDER BY heap, first_page`,
    [id],
  );
  return rows.map(cursorOf);
};

/**
 * Begins a heap, or begins it anew. A verification made before it no longer counts. The caller has the change to
 * itself; the table's lock keeps a rewrite away between reading the file's number and its length.
 */
export const beginHeap = async (session: Session, id: number, heap: HeapFacts): Promise<void> => {
  await session.run(sql`LOCK TABLE ONLY ${heapIdent(heap)} IN ROW EXCLUSIVE MODE`);
  await session.run(sql`DELETE FROM segue.backfill_range WHERE change_id = $1 AND heap = $2`, [id, heap.oid]);
  await session.run(
    sql`INSERT INTO segue.backfill (change_id, heap, filenode, next_page, end_page, batch_pages, rows_estimated)
      SELECT $1, c.oid, pg_relation_filenode(c.oid), 0,
        pg_relation_size(c.oid) / current_setting('block_size')::bigint, $3, greatest(c.reltuples, 0)
      FROM pg_class c WHERE c.oid = $2
      ON CONFLICT (change_id, heap) DO UPDATE SET filenode = excluded.filenode, next_page = 0,
        end_page = excluded.end_page`,
    [id, heap.oid, firstPages],
  );
  await session.run(
    sql`UPDATE segue.change SET verification = NULL WHERE id = $1 AND verification IS NOT NULL`,
    [id],
  );
};

/** How many pages to take for a worker whose batches have `batchPages`, with so many pages left and so many workers. */
export type Portion = (batchPages: number, pagesLeft: number) => number;

/** Hands out the next pages of a heap; undefined if all have been. The heap's row makes workers take turns. */
export const takeRange = async (
  session: Session,
  id: number,
  heap: number,
  portion: Portion,
): Promise<RangeCursor | undefined> => {
  const [free] = await session.rows<{ nextPage: number; endPage: number; batchPages: number }>(
    sql`SELECT next_page AS "nextPage", end_page AS "endPage", batch_pages AS "batchPages"
      FROM segue.backfill WHERE change_id = $1 AND heap = $2 AND next_page < end_page FOR NO KEY UPDATE`,
    [id, heap],
  );
  if (free === undefined) return undefined;
  const left = free.endPage - free.nextPage;
  const to = free.nextPage + Math.min(left, Math.max(1, Math.floor(portion(free.batchPages, left))));
  await session.run(sql`UPDATE segue.backfill SET next_page = $3 WHERE change_id = $1 AND heap = $2`, [
    id,
    heap,
    to,
  ]);
  const made = await session.one<RangeRow>(
    sql`INSERT INTO segue.backfill_range (change_id, heap, first_page, next_page, next_line, end_page, batch_pages)
      VALUES ($1, $2, $3, $3, 0, $4, $5) RETURNING ${rangeColumns}`,
    [id, heap, free.nextPage, to, free.batchPages],
  );
  return cursorOf(made);
};

/** What a batch leaves behind. */
export interface Advance {
  readonly range: RangeCursor;
  readonly to: Tid;
  readonly rows: number;
  /** Where the WAL ended when the batch began. */
  readonly walEnd: string;
}

// A commit that waits for the disk waits with the batch's rows locked. One need not wait if the commit before it is
// on disk already: a crash of the server then undoes one batch of each worker at most, with its cursor, and that one
// is done again. Off is the weakest there is, so nothing is made to wait longer than the role's own setting says;
// where a standby is to confirm commits, it stays as it is.
const unwaited = sql`CASE WHEN current_setting('synchronous_standby_names') = '' AND pg_current_wal_flush_lsn() >= $7::pg_lsn
  THEN set_config('synchronous_commit', 'off', true) END`;

/**
 * Moves a range over a batch, after the batch has locked the heap; a range that is thereby finished goes. False if
 * the heap was rewritten meanwhile, or begun anew: the batch must be undone.
 */
export const advance = async (session: Session, id: number, by: Advance): Promise<boolean> => {
  const { range, to } = by;
  const moved = await session.run(
    sql`UPDATE segue.backfill_range r SET next_page = $4, next_line = $5, rows_done = r.rows_done + $6, batch_pages = $8
      FROM segue.backfill b
      WHERE r.change_id = $1 AND r.heap = $2 AND r.first_page = $3 AND r.next_page = $9 AND r.next_line = $10
        AND b.change_id = $1 AND b.heap = $2 AND b.filenode = pg_relation_filenode($2::oid::regclass)
      RETURNING ${unwaited}`,
    [
      id,
      range.heap,
      range.firstPage,
      to.page,
      to.line,
      by.rows,
      by.walEnd,
      range.batchPages,
      range.next.page,
      range.next.line,
    ],
  );
  if (moved === 1 && to.page >= range.endPage)
    await session.run(
      sql`WITH done AS (
          DELETE FROM segue.backfill_range WHERE change_id = $1 AND heap = $2 AND first_page = $3
          RETURNING rows_done, batch_pages
        )
        UPDATE segue.backfill b SET rows_done = b.rows_done + done.rows_done, batch_pages = done.batch_pages
        FROM done WHERE b.change_id = $1 AND b.heap = $2`,
      [id, range.heap, range.firstPage],
    );
  return moved === 1;
};
