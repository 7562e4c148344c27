/**
 * Fills the new columns of rows that were there before the triggers, in physical order, by several workers. All
 * that it knows from one stretch to the next is in the ledger: whoever calls next, in this process or another, goes
 * on at the committed cursors.
 *
 * Rows that move while it runs are no concern of its own: the wide trigger fills a row on every UPDATE, so a
 * row that jumps to a page already passed arrives there converted.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../api/outcome.ts';
import { notePace, readPace } from './backfill-pace.ts';
import type { RowWork } from './batch.ts';
import { findBlocker } from './blockers.ts';
import { DatabaseError, jitteredDelayMs } from './errors.ts';
import { fillRanges, type Crew, type End } from './filling.ts';
import { applyMutation, outcomeOfHold, type LedgerRef } from './ledger.ts';
import { PageSupply } from './page-supply.ts';
import type { Replica, SawLag } from './replicas.ts';
import { scaled, type Scaling } from './scaling.ts';
import { judge } from './throttle.ts';
import { vacuumIfDue, type VacuumLimits } from './vacuum.ts';
import type { Verdict } from './verdict.ts';
import { countWaiters } from './waiters.ts';

/** `spec.backfill`, in numbers. */
export interface BackfillSettings {
  readonly targetBatchMs: number;
  /** Batches at the same time at most, each on a connection of its own. */
  readonly maxWorkers: number;
  /** Over all workers; 0 is no cap. */
  readonly maxRowsPerSecond: number;
  readonly maxReplicaLagMs: number;
  /** Hold stops at a thousand rows that can't be converted: the expression is wrong then, not the rows. */
  readonly onBadRow: 'Hold' | 'Skip';
}

/** A stretch of the backfill. */
export interface BackfillWork extends RowWork {
  readonly settings: BackfillSettings;
  /** Read replicas that are asked for their lag. */
  readonly replicas: readonly Replica[];
  /** Told how far they lag. */
  readonly sawLag?: SawLag | undefined;
  /** Return after about so long, so that the caller can look at the world anew. */
  readonly budgetMs: number;
  /** From when on a VACUUM pays; the usual if left out. */
  readonly vacuum?: VacuumLimits;
}

const signalsEveryMs = 1_000;
const waitersEveryMs = 250;
const pressureMs = 2_000;
// An interval of the scaling, in batches: fewer would judge a worker by its first ones.
const batchesPerInterval = 10;
const tooManyBadRows = 1_000;

/** A stretch at work. */
interface Stretch {
  readonly crew: Crew;
  readonly settings: BackfillSettings;
  readonly replicas: readonly Replica[];
  readonly sawLag: SawLag | undefined;
  readonly vacuum: VacuumLimits | undefined;
  readonly running: Set<number>;
  readonly ends: End[];
  /** Fires when the last worker has ended. */
  readonly over: AbortController;
  scaling: Scaling;
  /** Why others are spared; empty if nobody waits. */
  throttledBy: string;
  verdict: Verdict;
  readonly failures: unknown[];
}

/** Ends the stretch: each worker after its batch. */
const stop = ({ crew }: Stretch): void => {
  crew.until = 0;
};

const fail = (stretch: Stretch, error: unknown): void => {
  stretch.failures.push(error);
  stop(stretch);
};

/** True if there was no session to be had and fewer workers will do: their ranges wait in the ledger. */
const spares = (stretch: Stretch, error: unknown): boolean => {
  const { size } = stretch.running;
  if (size <= 1 || !(error instanceof DatabaseError) || error.code !== '53300') return false;
  stretch.scaling = scaled(stretch.scaling, { rowsPerSecond: 0, tookMs: 0, pressed: true }, size - 1);
  stretch.crew.workers = stretch.scaling.workers;
  return true;
};

const work = async (stretch: Stretch, worker: number): Promise<void> => {
  try {
    const end = await fillRanges(stretch.crew, worker);
    stretch.ends.push(end);
    if (end.kind === 'contended') stop(stretch);
  } catch (error) {
    if (!spares(stretch, error)) fail(stretch, error);
  }
};

/** Looks at something while the workers work, and lets some of them go if that is what it takes. */
const look = async (stretch: Stretch, at: (stretch: Stretch) => Promise<void>): Promise<void> => {
  try {
    await at(stretch);
  } catch (error) {
    if (!spares(stretch, error)) throw error;
  }
};

const start = (stretch: Stretch, worker: number): void => {
  const { running, over } = stretch;
  running.add(worker);
  void work(stretch, worker).finally(() => {
    running.delete(worker);
    if (running.size === 0) over.abort();
  });
};

const startWanted = (stretch: Stretch): void => {
  const { crew, running, scaling } = stretch;
  crew.workers = scaling.workers;
  for (let worker = 0; worker < crew.workers; worker++) if (!running.has(worker)) start(stretch, worker);
};

/** Looks whom the batches keep waiting for longer than one may take. */
const seeWaiters = async (stretch: Stretch): Promise<void> => {
  const { crew, settings } = stretch;
  const waiting = await countWaiters(crew.ref.db, [...crew.pids], settings.targetBatchMs);
  if (waiting === 0) return;
  crew.pressedUntil = Date.now() + pressureMs;
  stretch.throttledBy = `${waiting} sessions waited for rows of a batch; batches are smaller and further apart`;
};

const seeSignals = async (stretch: Stretch): Promise<void> => {
  const { crew, settings, replicas, sawLag } = stretch;
  const { maxReplicaLagMs } = settings;
  stretch.verdict = await judge(crew.ref.db, { replicas, maxReplicaLagMs, sawLag });
  if (stretch.verdict.kind === 'wait') stop(stretch);
};

/** Has the old versions of rows that were filled taken away; without it the table only grows more. */
const seeDeadRows = async ({ crew, vacuum }: Stretch): Promise<void> => {
  try {
    await vacuumIfDue(crew.ref, crew.work.table.heaps, crew.signal, vacuum);
  } catch (error) {
    // The batches meet what is wrong with the server by themselves.
    if (!(error instanceof DatabaseError) || error.kind === 'permanent' || error.kind === 'conversion')
      throw error;
  }
};

/** Calls each when its time has come, as long as workers run. */
const conduct = async (stretch: Stretch): Promise<void> => {
  const { crew, settings, running } = stretch;
  const intervalMs = batchesPerInterval * settings.targetBatchMs;
  let signalsAt = Date.now() + signalsEveryMs;
  let interval = { began: performance.now(), rows: crew.rows };
  while (running.size > 0) {
    const tick = sleep(Math.min(waitersEveryMs, intervalMs / 4), undefined, { signal: stretch.over.signal });
    await tick.catch(() => undefined);
    await look(stretch, seeWaiters);
    if (Date.now() >= signalsAt) {
      signalsAt = Date.now() + signalsEveryMs;
      await look(stretch, seeSignals);
      if (stretch.verdict.kind === 'go') await seeDeadRows(stretch);
    }
    const tookMs = performance.now() - interval.began;
    if (tookMs < intervalMs || Date.now() >= crew.until) continue;
    const rowsPerSecond = ((crew.rows - interval.rows) / tookMs) * 1_000;
    const pressed = Date.now() < crew.pressedUntil;
    stretch.scaling = scaled(stretch.scaling, { rowsPerSecond, tookMs, pressed }, settings.maxWorkers);
    interval = { began: performance.now(), rows: crew.rows };
    startWanted(stretch);
  }
};

const tooManyBad = (badRows: number): Outcome => ({
  kind: 'refused',
  reason: 'BadRows',
  message: `${badRows} rows could not be converted, and the backfill went no further: correct the expression rather than the rows, then set the segue.dev/retry annotation.`,
});

const inTheWay = async (ref: LedgerRef, end: Extract<End, { kind: 'contended' }>): Promise<Outcome> => {
  const { heap, error } = end;
  const blockedBy = await findBlocker(ref.db, [heap], 'row');
  const noted = await applyMutation(ref, { kind: 'noteLockWait' });
  if (noted.kind !== 'done') return noted;
  return {
    kind: 'deferred',
    reason: 'LockNotAvailable',
    message: `The backfill of ${heap.schema}.${heap.name} waits for rows that others hold: ${blockedBy?.message ?? error.message}. It is tried again.`,
    afterMs: jitteredDelayMs(),
    ...(blockedBy ? { blockedBy } : {}),
  };
};

/** What came of a stretch of which all workers have ended. */
const conclude = async (stretch: Stretch): Promise<Outcome> => {
  const { crew, verdict, failures, scaling } = stretch;
  const [failure] = failures;
  if (failure !== undefined) throw failure as Error;
  const contended = stretch.ends.find((end) => end.kind === 'contended');
  await notePace(crew.ref, {
    scaling:
      contended === undefined && verdict.kind === 'go'
        ? scaling
        : scaled(scaling, { rowsPerSecond: 0, tookMs: 0, pressed: true }, stretch.settings.maxWorkers),
    throttledBy: verdict.kind === 'wait' ? verdict.message : stretch.throttledBy,
    advanced: crew.rows > 0 && contended === undefined,
  });
  if (verdict.kind === 'wait')
    return {
      kind: 'deferred',
      reason: verdict.reason,
      message: `The backfill waits: ${verdict.message}.`,
      afterMs: jitteredDelayMs(),
    };
  if (contended !== undefined) return inTheWay(crew.ref, contended);
  if (crew.badRows >= crew.maxBadRows) return tooManyBad(crew.badRows);
  return { kind: 'done', message: `filled ${crew.rows} rows` };
};

const prepare = async (
  ref: LedgerRef,
  work: BackfillWork,
  signal: AbortSignal | undefined,
): Promise<Stretch> => {
  const { settings, replicas, sawLag, budgetMs } = work;
  const { scaling, badRows, blockSize, begun } = await readPace(ref.db, ref.id);
  if (!begun) await notePace(ref, { scaling, throttledBy: '', advanced: false });
  const workers = Math.min(scaling.workers, settings.maxWorkers);
  return {
    crew: {
      ref,
      work,
      supply: await PageSupply.open(ref, work.table.heaps),
      signal,
      targetBatchMs: settings.targetBatchMs,
      maxRowsPerSecond: settings.maxRowsPerSecond,
      maxBadRows: settings.onBadRow === 'Skip' ? Number.POSITIVE_INFINITY : tooManyBadRows,
      blockSize,
      workers,
      until: Date.now() + budgetMs,
      pressedUntil: 0,
      freeAt: 0,
      rows: 0,
      badRows,
      pids: new Set(),
    },
    settings,
    replicas,
    sawLag,
    vacuum: work.vacuum,
    running: new Set(),
    ends: [],
    over: new AbortController(),
    scaling: { ...scaling, workers },
    throttledBy: '',
    verdict: { kind: 'go' },
    failures: [],
  };
};

const run = async (stretch: Stretch): Promise<Outcome> => {
  const { crew } = stretch;
  if (crew.badRows >= crew.maxBadRows) return tooManyBad(crew.badRows);
  await seeSignals(stretch);
  if (stretch.verdict.kind === 'wait') return conclude(stretch);
  startWanted(stretch);
  try {
    await conduct(stretch);
  } catch (error) {
    fail(stretch, error);
    if (stretch.running.size > 0) await once(stretch.over.signal, 'abort');
  }
  return conclude(stretch);
};

/**
 * Works for about `budgetMs`, one batch at least, or until done; the ledger's facts tell how far it came. Bad rows
 * don't end it: they are kept by key. Throws FencedError.
 */
export const runBackfill = async (
  ref: LedgerRef,
  work: BackfillWork,
  signal?: AbortSignal,
): Promise<Outcome> => {
  try {
    return await run(await prepare(ref, work, signal));
  } catch (error) {
    return outcomeOfHold(error, 'fill the new columns');
  }
};
