/**
 * Compares every row's old columns with the new ones, range by range, each in a snapshot of its own, so that
 * nothing holds back VACUUM for long and a kill costs the ranges under way. Rows that move meanwhile are compared
 * by the trigger of src/changes/compare-trigger.ts; why none can be missed is in docs/safety.md.
 *
 * It keeps nothing in memory between calls: whoever calls next goes on at the committed cursor.
 */
import type { Outcome } from '../api/outcome.ts';
import { sql } from '../sql/sql.ts';
import type { RowWork } from './batch.ts';
import { DatabaseError, jitteredDelayMs } from './errors.ts';
import { applyMutation, held, outcomeOfHold, type LedgerRef } from './ledger.ts';
import type { Replica, SawLag } from './replicas.ts';
import { judge } from './throttle.ts';
import { advance, forget, openCursors, tallyOf, type VerifyCursor } from './verify-cursor.ts';
import { nextRangePages, nextStretch, type PageStretch } from './verify-plan.ts';
import { compareRange, tooManyFaults, type RangeResult } from './verify-range.ts';

/** A stretch of a verification. */
export interface VerifyWork extends RowWork {
  /** Percent of the pages to compare: 100 is all, 0 records that nothing was compared. */
  readonly share: number;
  /** Ranges that are compared at the same time, each on a connection of its own. */
  readonly workers: number;
  /** Read replicas that are asked for their lag. */
  readonly replicas: readonly Replica[];
  readonly maxReplicaLagMs: number;
  /** Told how far they lag. */
  readonly sawLag?: SawLag | undefined;
  /** Leave out the rows that the backfill kept as bad: `onBadRow: Skip`. */
  readonly skipBadRows: boolean;
  /** Rows that the repair before it computed anew, to be recorded with the result. */
  readonly rowsRepaired: number;
  /** Return after about so long, so that the caller can look at the world anew. */
  readonly budgetMs: number;
}

// SQLSTATE too_many_connections.
const noSession = '53300';
const lagCheckEveryMs = 1_000;

interface Done {
  readonly range: PageStretch;
  readonly result: RangeResult;
}

/** A heap in this stretch. */
interface Run {
  readonly cursor: VerifyCursor;
  /** First page that no worker has taken. */
  nextPage: number;
  /** First page that is not written to the ledger as compared. */
  written: number;
  rangePages: number;
  /** Compared, and waiting for those before them. */
  readonly waiting: Map<number, Done>;
}

/** Why a stretch ended before its time. */
type Halt =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  /** So many rows can't be compared that the rest need not be. */
  | { readonly kind: 'hopeless' }
  | { readonly kind: 'error'; readonly error: unknown };

interface Taken {
  readonly run: Run;
  readonly range: PageStretch;
}

interface Stretch {
  readonly ref: LedgerRef;
  readonly work: VerifyWork;
  readonly signal: AbortSignal | undefined;
  readonly until: number;
  readonly blockSize: number;
  readonly runs: readonly Run[];
  /** Ranges of workers that got no session, for the others. */
  readonly returned: Taken[];
  halt: Halt | undefined;
  /** Ranges that were taken: one at least, or a stretch whose time is up at once would never get anywhere. */
  taken: number;
  faults: number;
  lagCheckedAt: number;
  /** One write to the ledger at a time, while the workers go on. */
  writing: Promise<void>;
}

const take = (stretch: Stretch): Taken | undefined => {
  if (stretch.halt || stretch.signal?.aborted) return undefined;
  if (stretch.taken > 0 && Date.now() >= stretch.until) return undefined;
  const returned = stretch.returned.shift();
  if (returned) return returned;
  for (const run of stretch.runs) {
    const place = { nextPage: run.nextPage, endPage: run.cursor.endPage, share: stretch.work.share };
    const range = nextStretch(place, run.rangePages);
    if (range === undefined) continue;
    run.nextPage = range.next;
    stretch.taken += 1;
    return { run, range };
  }
  return undefined;
};

const startAnew = async (stretch: Stretch, run: Run, result: RangeResult): Promise<void> => {
  const { heap, watched } = run.cursor;
  // Another trigger than that of the start: rows of any heap may have left it unseen.
  const which = result.watched === watched ? heap : undefined;
  await held(stretch.ref, { doing: 'start the verification anew' }, (session) =>
    forget(session, stretch.ref.id, which),
  );
  stretch.halt ??= {
    kind: 'outcome',
    outcome: {
      kind: 'done',
      message: `${heap.schema}.${heap.name} or its trigger was altered meanwhile; it is compared anew`,
    },
  };
};

/** Writes what has been compared without a gap. */
const write = async (stretch: Stretch, run: Run): Promise<void> => {
  const ready: Done[] = [];
  let to = run.written;
  for (let next = run.waiting.get(to); next; next = run.waiting.get(to)) {
    run.waiting.delete(to);
    ready.push(next);
    to = next.range.next;
  }
  if (ready.length === 0 || stretch.halt?.kind === 'error') return;
  const { filenode, watched, heap } = run.cursor;
  const altered = ready.find(({ result }) => result.filenode !== filenode || result.watched !== watched);
  if (altered) return startAnew(stretch, run, altered.result);
  const results = ready.map(({ result }) => result);
  const count = (of: (result: RangeResult) => number): number => results.reduce((n, one) => n + of(one), 0);
  const moved = await held(stretch.ref, { doing: 'record what was compared' }, (session) =>
    advance(session, stretch.ref.id, heap, {
      from: run.written,
      to,
      rangePages: run.rangePages,
      rows: count(({ rows }) => rows),
      keys: results.flatMap(({ keys }) => keys),
      unlisted: count(({ unlisted }) => unlisted),
    }),
  );
  if (!moved)
    stretch.halt ??= {
      kind: 'outcome',
      outcome: { kind: 'stale', message: 'Another went on with the verification; it is read anew.' },
    };
  run.written = to;
};

const settle = (stretch: Stretch, run: Run, done: Done): void => {
  run.waiting.set(done.range.from, done);
  stretch.faults += done.result.faults;
  stretch.writing = stretch.writing
    .then(() => write(stretch, run))
    .catch((error: unknown) => {
      stretch.halt ??= { kind: 'error', error };
    });
  if (stretch.faults >= tooManyFaults) stretch.halt ??= { kind: 'hopeless' };
};

const throttle = async (stretch: Stretch): Promise<void> => {
  if (Date.now() - stretch.lagCheckedAt < lagCheckEveryMs) return;
  stretch.lagCheckedAt = Date.now();
  const verdict = await judge(stretch.ref.db, stretch.work);
  if (verdict.kind === 'go') return;
  stretch.halt ??= {
    kind: 'outcome',
    outcome: {
      kind: 'deferred',
      reason: verdict.reason,
      message: `The verification waits: ${verdict.message}.`,
      afterMs: jitteredDelayMs(),
    },
  };
};

const worker = async (stretch: Stretch, number: number): Promise<void> => {
  const { ref, work, signal, blockSize } = stretch;
  let taken: Taken | undefined;
  try {
    for (;;) {
      await throttle(stretch);
      taken = take(stretch);
      if (!taken) return;
      const { run, range } = taken;
      const began = performance.now();
      const { heap, hasBadRows } = run.cursor;
      const exempting = work.skipBadRows && hasBadRows;
      const within = { ...work, db: ref.db, id: ref.id, heap, exempting, blockSize, signal };
      const result = await compareRange(within, range.from, range.to);
      run.rangePages = nextRangePages(range.to - range.from, performance.now() - began);
      settle(stretch, run, { range, result });
      taken = undefined;
    }
  } catch (error) {
    // So many workers are too many; the first goes on by itself.
    const tooMany = number > 0 && error instanceof DatabaseError && error.code === noSession;
    if (!tooMany) stretch.halt ??= { kind: 'error', error };
    else if (taken) stretch.returned.push(taken);
  }
};

const open = (ref: LedgerRef, work: VerifyWork) =>
  held(ref, { doing: 'begin the verification' }, async (session) => {
    const cursors = await openCursors(session, ref.id, work.table.heaps, work.share);
    const { blockSize } = await session.one<{ blockSize: number }>(
      sql`SELECT current_setting('block_size')::int AS "blockSize"`,
    );
    return { cursors, blockSize };
  });

const isOver = ({ runs }: Stretch): boolean => runs.every(({ cursor, written }) => written >= cursor.endPage);

// Read after the last range: whatever that saw was inserted into the WAL before, if not yet written to disk.
const position = (ref: LedgerRef) =>
  ref.db.transaction({ mode: 'read' }, async (session) => ({
    ...(await session.one<{ at: number; lsn: string }>(
      sql`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision AS at,
        pg_current_wal_insert_lsn()::text AS lsn`,
    )),
    ...(await tallyOf(session, ref.id)),
  }));

const record = async (ref: LedgerRef, { share, rowsRepaired }: VerifyWork): Promise<Outcome> =>
  applyMutation(ref, {
    kind: 'recordVerification',
    verification: { ...(await position(ref)), share },
    rowsRepaired,
  });

const compareAll = async (
  ref: LedgerRef,
  work: VerifyWork,
  signal: AbortSignal | undefined,
): Promise<Outcome> => {
  const { cursors, blockSize } = await open(ref, work);
  if (cursors === undefined)
    return { kind: 'stale', message: 'The trigger that watches rows move is not there; it is made anew.' };
  const stretch: Stretch = {
    ref,
    work,
    signal,
    blockSize,
    until: Date.now() + work.budgetMs,
    runs: cursors.map((cursor) => ({
      cursor,
      nextPage: cursor.nextPage,
      written: cursor.nextPage,
      rangePages: cursor.rangePages,
      waiting: new Map(),
    })),
    returned: [],
    halt: undefined,
    taken: 0,
    faults: 0,
    lagCheckedAt: 0,
    writing: Promise.resolve(),
  };
  await Promise.all(Array.from({ length: work.workers }, (_, number) => worker(stretch, number)));
  await stretch.writing;
  const { halt } = stretch;
  if (halt?.kind === 'error') throw halt.error;
  if (halt?.kind === 'outcome') return halt.outcome;
  if (halt?.kind === 'hopeless' || isOver(stretch)) return record(ref, work);
  return { kind: 'done', message: 'compared a stretch of rows' };
};

/**
 * Compares for about `budgetMs`, or until all is compared: then the result is recorded in the ledger, whatever it
 * is; the gate judges it. A row that the expression can't convert counts as a mismatch. Throws FencedError.
 */
export const verify = async (ref: LedgerRef, work: VerifyWork, signal?: AbortSignal): Promise<Outcome> => {
  try {
    return work.share === 0 ? await record(ref, work) : await compareAll(ref, work, signal);
  } catch (error) {
    return outcomeOfHold(error, `compare the rows of ${work.table.schema}.${work.table.name}`);
  }
};
