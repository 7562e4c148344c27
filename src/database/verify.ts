/**
 * Compares every row's old columns with the new ones, in one snapshot.
 *
 * One snapshot, because rows move: two page ranges read with two snapshots could both miss a row that went
 * from the second to the first in between. It is read in ranges all the same, so that it can be interrupted;
 * what it holds is an ACCESS SHARE lock and the horizon of VACUUM, for as long as it takes.
 */
import type { HeapFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { int, sql, type Sql } from '../sql/sql.ts';
import { rowKey, type RowWork } from './batch.ts';
import { searchPathOf } from './catalog.ts';
import { isRowFault, outcomeOf } from './errors.ts';
import { heapIdent } from './heap-cursor.ts';
import { applyMutation, type LedgerRef } from './ledger.ts';
import { nextPages } from './pace.ts';
import type { Session } from './session.ts';
import { bisect, pageRange, tidText, type TidRange } from './tid-range.ts';

/** What to verify. */
export interface VerifyWork extends RowWork {
  /** Leave out the rows that the backfill kept as bad: `onBadRow: Skip`. */
  readonly skipBadRows?: boolean;
}

interface Tally {
  rows: number;
  mismatches: number;
  faults: number;
  readonly keys: string[];
}

const firstPages = 256;
const targetMs = 500;
const maxKeys = 10;
// Each costs a search; so many are no matter of single rows any more, and reads won't switch anyway.
const tooManyFaults = 1_000;

const within = sql`ctid >= $1::tid AND ctid < $2::tid`;

const exempted = (work: VerifyWork, heap: HeapFacts, changeId: number): Sql =>
  work.skipBadRows
    ? sql`EXISTS (SELECT FROM segue.dead_letter d WHERE d.change_id = ${int(changeId)}
        AND d.heap = ${int(heap.oid)} AND d.key = ${rowKey(work.table)})`
    : sql`false`;

const bounds = (range: TidRange): readonly [string, string] => [tidText(range.from), tidText(range.to)];

/** One heap of a verification. */
interface Pass {
  readonly session: Session;
  readonly work: VerifyWork;
  readonly heap: Sql;
  /** True for a row that doesn't count. */
  readonly exempt: Sql;
  readonly tally: Tally;
}

const keep = async ({ session, work, heap, tally }: Pass, range: TidRange, which: Sql): Promise<void> => {
  if (tally.keys.length >= maxKeys) return;
  const keys = await session.rows<{ key: string }>(
    sql`SELECT (${rowKey(work.table)})::text AS key FROM ONLY ${heap} WHERE ${within} AND ${which} LIMIT $3`,
    [...bounds(range), maxKeys - tally.keys.length],
  );
  tally.keys.push(...keys.map(({ key }) => key));
};

const compare = async (pass: Pass, range: TidRange): Promise<void> => {
  const wrong = sql`(${pass.work.rows.mismatch}) AND NOT ${pass.exempt}`;
  const counted = await pass.session.one<{ rows: number; mismatches: number }>(
    sql`SELECT count(*) AS rows, count(*) FILTER (WHERE ${wrong}) AS mismatches FROM ONLY ${pass.heap} WHERE ${within}`,
    bounds(range),
  );
  if (counted.mismatches > 0) await keep(pass, range, wrong);
  pass.tally.rows += counted.rows;
  pass.tally.mismatches += counted.mismatches;
};

/** A row that can't even be compared: it differs, unless it is exempt. */
const uncomparable = async (pass: Pass, row: TidRange): Promise<void> => {
  const counts = sql`NOT ${pass.exempt}`;
  const { mismatches } = await pass.session.one<{ mismatches: number }>(
    sql`SELECT count(*) AS mismatches FROM ONLY ${pass.heap} WHERE ${within} AND ${counts}`,
    bounds(row),
  );
  if (mismatches > 0) await keep(pass, row, counts);
  pass.tally.rows += 1;
  pass.tally.faults += 1;
  pass.tally.mismatches += mismatches;
};

const compareHeap = async (pass: Pass, oid: number): Promise<void> => {
  const { session, tally } = pass;
  const { pages, blockSize } = await session.one<{ pages: number; blockSize: number }>(
    sql`SELECT pg_relation_size($1::oid::regclass) / b.size AS pages, b.size::int AS "blockSize"
      FROM (SELECT current_setting('block_size')::bigint AS size) b`,
    [oid],
  );
  let size = firstPages;
  for (let page = 0; page < pages && tally.faults < tooManyFaults;) {
    const to = Math.min(page + size, pages);
    const began = performance.now();
    await bisect(pageRange(page, to), {
      blockSize,
      isFault: (error) => isRowFault(error) && tally.faults < tooManyFaults,
      attempt: (range) => session.attempt(() => compare(pass, range)),
      found: (row) => uncomparable(pass, row),
    });
    size = nextPages(size, performance.now() - began, targetMs);
    page = to;
  }
};

const compareAll = (ref: LedgerRef, work: VerifyWork, signal: AbortSignal | undefined): Promise<Tally> =>
  ref.db.transaction(
    { mode: 'snapshot', statementTimeoutMs: 0, searchPath: searchPathOf(work.table), signal },
    async (session) => {
      const tally: Tally = { rows: 0, mismatches: 0, faults: 0, keys: [] };
      for (const heap of work.table.heaps) {
        const exempt = exempted(work, heap, ref.id);
        await compareHeap({ session, work, heap: heapIdent(heap), exempt, tally }, heap.oid);
      }
      return tally;
    },
  );

// Read after the snapshot: whatever it saw was written before.
const position = (ref: LedgerRef): Promise<{ readonly at: number; readonly lsn: string }> =>
  ref.db.transaction({ mode: 'read' }, (session) =>
    session.one(
      sql`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision AS at,
        pg_current_wal_lsn()::text AS lsn`,
    ),
  );

/**
 * Compares all rows and records the result in the ledger: `done` whatever it is, the gate judges it. A row that
 * the expression can't convert counts as a mismatch. Runs to its end, or until the signal. Throws FencedError.
 */
export const verify = async (ref: LedgerRef, work: VerifyWork, signal?: AbortSignal): Promise<Outcome> => {
  try {
    const { rows, mismatches, keys } = await compareAll(ref, work, signal);
    return await applyMutation(ref, {
      kind: 'recordVerification',
      verification: { ...(await position(ref)), rowsCompared: rows, mismatches, sampleKeys: keys },
    });
  } catch (error) {
    return outcomeOf(error, `compare the rows of ${work.table.schema}.${work.table.name}`);
  }
};
