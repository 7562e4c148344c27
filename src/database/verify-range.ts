/** Compares the rows of one range of pages, in a snapshot of its own. */
import type { HeapFacts } from '../api/facts.ts';
import { compareTriggerName } from '../changes/compare-trigger.ts';
import { int, lit, sql, type Sql } from '../sql/sql.ts';
import { bounds, rowKey, type RowWork } from './batch.ts';
import { searchPathOf } from './catalog.ts';
import type { Database } from './databases.ts';
import { DatabaseError, isRowFault } from './errors.ts';
import { heapIdent } from './heap-cursor.ts';
import type { Session } from './session.ts';
import { bisect, pageRange, type TidRange } from './tid-range.ts';

/** What is compared, and in which heap. */
export interface RangeWork extends RowWork {
  readonly db: Database;
  readonly id: number;
  readonly heap: HeapFacts;
  /** True where rows that the backfill set aside don't count: there are some, and the resource says Skip. */
  readonly exempting: boolean;
  readonly blockSize: number;
  readonly signal: AbortSignal | undefined;
}

/** What a range came to. */
export interface RangeResult {
  readonly rows: number;
  /** Keys of rows that differ, as JSON text. */
  readonly keys: readonly string[];
  /** Rows that differ beyond those. */
  readonly unlisted: number;
  /** Rows among them that could not even be compared. */
  readonly faults: number;
  /** The heap's file and its compare trigger, as the snapshot saw them. */
  readonly filenode: number;
  readonly watched: string;
}

/** So many rows that can't be compared say that the expression is wrong: each costs a search. */
export const tooManyFaults = 200;
const maxKeys = 1_000;
const statementTimeoutMs = 10_000;

const within = sql`ctid >= $1::tid AND ctid < $2::tid`;

/** The identity of the trigger on a heap: another one once it was replaced, disabled or dropped, if only for a while. */
export const watchedBy = (id: number, heap: Sql): Sql =>
  sql`coalesce((SELECT oid || ':' || xmin FROM pg_trigger
    WHERE tgrelid = ${heap} AND tgname = ${lit(compareTriggerName(id))} AND tgenabled IN ('O', 'A')), '')`;

// CASE, because an exempt row is one whose comparison fails. The list is read once a statement, into a hash table.
const differs = ({ table, rows, exempting, id, heap }: RangeWork): Sql =>
  exempting
    ? sql`CASE WHEN ${rowKey(table)} IN (SELECT key FROM segue.dead_letter
        WHERE change_id = ${int(id)} AND heap = ${int(heap.oid)}) THEN false ELSE (${rows.mismatch}) END`
    : sql`(${rows.mismatch})`;

const keysOf = async (
  session: Session,
  work: RangeWork,
  range: TidRange,
  which: Sql,
): Promise<readonly string[]> => {
  const found = await session.rows<{ key: string }>(
    sql`SELECT (${rowKey(work.table)})::text AS key FROM ONLY ${heapIdent(work.heap)} WHERE ${within} AND ${which} LIMIT $3`,
    [...bounds(range), maxKeys],
  );
  return found.map(({ key }) => key);
};

const compare = async (session: Session, work: RangeWork, range: TidRange): Promise<RangeResult> => {
  const oid = int(work.heap.oid);
  const { mismatches, ...seen } = await session.one<
    Pick<RangeResult, 'rows' | 'filenode' | 'watched'> & { mismatches: number }
  >(
    sql`SELECT count(*) AS rows, count(*) FILTER (WHERE ${differs(work)}) AS mismatches,
      pg_relation_filenode(${oid}::oid::regclass)::bigint AS filenode, ${watchedBy(work.id, oid)} AS watched
      FROM ONLY ${heapIdent(work.heap)} WHERE ${within}`,
    bounds(range),
  );
  const keys = mismatches > 0 ? await keysOf(session, work, range, differs(work)) : [];
  return { ...seen, keys, unlisted: mismatches - keys.length, faults: 0 };
};

const sum = (a: RangeResult, b: RangeResult): RangeResult => ({
  ...b,
  rows: a.rows + b.rows,
  keys: [...a.keys, ...b.keys],
  unlisted: a.unlisted + b.unlisted,
  faults: a.faults + b.faults,
});

const inSnapshot = <T>(work: RangeWork, body: (session: Session) => Promise<T>): Promise<T> =>
  work.db.transaction(
    { mode: 'snapshot', statementTimeoutMs, searchPath: searchPathOf(work.table), signal: work.signal },
    body,
  );

/** Finds the rows that can't be compared; each differs. Stops where there are too many. */
const search = (work: RangeWork, range: TidRange): Promise<RangeResult> =>
  inSnapshot(work, async (session) => {
    let found: RangeResult = { rows: 0, keys: [], unlisted: 0, faults: 0, filenode: 0, watched: '' };
    await bisect(range, {
      blockSize: work.blockSize,
      isFault: isRowFault,
      attempt: async (part) => {
        if (found.faults >= tooManyFaults) return;
        found = sum(found, await session.attempt(() => compare(session, work, part)));
      },
      found: async (row) => {
        const keys = await keysOf(session, work, row, sql`true`);
        found = sum(found, { ...found, rows: 1, keys, unlisted: 1 - keys.length, faults: 1 });
      },
    });
    // Afterwards, because the heap is locked only from the first statement that does not fail.
    const seen = await session.one<Pick<RangeResult, 'filenode' | 'watched'>>(
      sql`SELECT pg_relation_filenode(${int(work.heap.oid)}::oid::regclass)::bigint AS filenode,
        ${watchedBy(work.id, int(work.heap.oid))} AS watched`,
    );
    return { ...found, ...seen };
  });

const tookTooLong = (error: unknown, signal: AbortSignal | undefined): boolean =>
  error instanceof DatabaseError && error.code === '57014' && signal?.aborted !== true;

const compareWithin = async (work: RangeWork, range: TidRange): Promise<RangeResult> => {
  try {
    return await inSnapshot(work, (session) => compare(session, work, range));
  } catch (error) {
    if (isRowFault(error)) return search(work, range);
    const pages = range.to.page - range.from.page;
    if (!tookTooLong(error, work.signal) || pages <= 1) throw error;
    const middle = range.from.page + Math.floor(pages / 2);
    const first = await compareWithin(work, pageRange(range.from.page, middle));
    const second = await compareWithin(work, pageRange(middle, range.to.page));
    return first.filenode === second.filenode && first.watched === second.watched
      ? sum(first, second)
      : { ...sum(first, second), watched: '' };
  }
};

/**
 * Compares the rows of pages `from` up to `to`: one statement, and a search only where a row makes it fail. A range
 * that takes too long is halved. Throws DatabaseError.
 */
export const compareRange = (work: RangeWork, from: number, to: number): Promise<RangeResult> =>
  compareWithin(work, pageRange(from, to));
