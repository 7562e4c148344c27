/**
 * VACUUM beside the backfill. Each row that is filled leaves its old version, and a table that is filled within
 * minutes has doubled before autovacuum looks (once in autovacuum_naptime, a minute): what is freed on the way is
 * what the next batches fill.
 *
 * It runs in a session of its own, over several stretches of the backfill, as slowly as autovacuum would, and only
 * as long as stretch follows stretch: suspended, throttled, outside its window, led by another or at its end, the
 * backfill has none. Nobody waits for it: it gives way to whoever asks for a lock that it holds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HeapFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { heapIdent } from './heap-cursor.ts';
import type { LedgerRef } from './ledger.ts';
import { countWaiters } from './waiters.ts';

/** From when on it pays. */
export interface VacuumLimits {
  /** Dead rows, as a share of those alive. */
  readonly share: number;
  /** Smaller heaps are left to autovacuum. */
  readonly fromBytes: number;
}

// The share is autovacuum's own (autovacuum_vacuum_scale_factor): it only comes a minute earlier.
const usualLimits: VacuumLimits = { share: 0.2, fromBytes: 64 * 1024 ** 2 };
// How long after a stretch the next one must have begun.
const leaseMs = 5_000;
const watchEveryMs = 250;
// After one that was made to end early.
const restMs = 60_000;

/** A heap with as many dead rows as are worth a VACUUM, and what would keep it from taking them away. */
interface Worth {
  readonly heap: number;
  /** The next transaction's number, and how many transactions ago the oldest began whose snapshot still counts. */
  readonly nextXid: number;
  readonly heldBack: number;
}

// age() of a snapshot's xmin: rows that died since are kept for it. Those of the databases' other sessions do not
// count, those of standbys (hot_standby_feedback) have no database. A VACUUM holds back no other. The lock that
// another VACUUM has, or an autovacuum, is one that keeps ours from beginning.
const worth = sql`
SELECT c.oid::bigint AS heap, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "nextXid",
  (SELECT coalesce(max(age(xmin)), 0)::bigint FROM (
    SELECT unnest(ARRAY[backend_xmin, backend_xid]) AS xmin FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND coalesce(datname, current_database()) = current_database()
      AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
    UNION ALL SELECT xmin FROM pg_replication_slots
    UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
  ) holding WHERE xmin IS NOT NULL) AS "heldBack"
FROM pg_class c
WHERE c.oid = ANY ($1::oid[]) AND pg_stat_get_dead_tuples(c.oid) > $2::double precision * pg_stat_get_live_tuples(c.oid)
  AND pg_stat_get_dead_tuples(c.oid) > 0 AND pg_relation_size(c.oid) >= $3
  AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
ORDER BY pg_stat_get_dead_tuples(c.oid) DESC LIMIT 1`;

// TRUNCATE would ask for ACCESS EXCLUSIVE. TOAST has nothing dead: values out of line stay where they are.
const vacuum = (heap: HeapFacts) =>
  sql`VACUUM (TRUNCATE false, INDEX_CLEANUP AUTO, SKIP_LOCKED, PROCESS_TOAST false, PARALLEL 0) ${heapIdent(heap)}`;

/** One VACUUM under way. */
interface Running {
  /** Fires when it is to end. */
  readonly stopped: AbortController;
  /** Settles once it has ended. */
  readonly over: Promise<void>;
  /** It ends unless a stretch has begun by then. */
  until: number;
}

/** What one backfill has VACUUM do in its database: one heap at a time. */
class Tidying {
  readonly #db: Database;
  #running: Running | undefined;
  /** Which transaction was next when a heap was first seen to be worth it. */
  readonly #since = new Map<number, number>();
  #restUntil = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Goes on with what runs, and begins what is due. */
  async look(
    heaps: readonly HeapFacts[],
    limits: VacuumLimits,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#running) {
      this.#running.until = Date.now() + leaseMs;
      return;
    }
    const now = Date.now();
    if (now < this.#restUntil || signal?.aborted) return;
    const [found] = await this.#db.transaction({ mode: 'read' }, (session) =>
      session.rows<Worth>(worth, [heaps.map(({ oid }) => oid), limits.share, limits.fromBytes]),
    );
    const heap = heaps.find(({ oid }) => oid === found?.heap);
    if (found === undefined || heap === undefined) return this.#since.clear();
    const since = this.#since.get(heap.oid) ?? found.nextXid;
    this.#since.set(heap.oid, since);
    // A snapshot from before would have it read the table for nothing.
    if (found.heldBack > found.nextXid - since || found.nextXid === since) return;
    this.#since.delete(heap.oid);
    this.#begin(heap, signal);
  }

  /** Ends what runs; resolves once it has. */
  async end(): Promise<void> {
    this.#running?.stopped.abort();
    await this.#running?.over;
  }

  #begin(heap: HeapFacts, signal: AbortSignal | undefined): void {
    const stopped = new AbortController();
    this.#running = {
      stopped,
      until: Date.now() + leaseMs,
      over: this.#run(heap, stopped, signal),
    };
  }

  async #run(heap: HeapFacts, stopped: AbortController, signal: AbortSignal | undefined): Promise<void> {
    const began = Date.now();
    const stop = (): void => stopped.abort();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.#db.outsideTransaction(vacuum(heap), {
        lockTimeoutMs: 100,
        searchPath: [],
        asAutovacuum: true,
        began: (pid) => void this.#watch(pid, stopped),
        signal: stopped.signal,
      });
      this.#restUntil = 2 * Date.now() - began;
    } catch {
      // The backfill goes on without it, whatever it was.
      this.#restUntil = Date.now() + restMs;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#running = undefined;
    }
  }

  /** Stops it once nobody goes on with the backfill, or somebody waits for its lock. */
  async #watch(pid: number, stopped: AbortController): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    while (this.#running === running && !stopped.signal.aborted) {
      const waiting = await countWaiters(this.#db, [pid], 0).catch(() => 1);
      if (waiting > 0 || Date.now() > running.until) stopped.abort();
      else await sleep(watchEveryMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }
}

// By database and change. Nothing that a restart would miss: the next process looks anew.
const tidying = new WeakMap<Database, Map<number, Tidying>>();

const tidyingOf = (db: Database, id: number): Tidying => {
  const changes = tidying.get(db) ?? new Map<number, Tidying>();
  if (!tidying.has(db))
    db.beforeClose(async () => void (await Promise.all([...changes.values()].map((each) => each.end()))));
  tidying.set(db, changes);
  const own = changes.get(id) ?? new Tidying(db);
  changes.set(id, own);
  return own;
};

/** The heaps of a change's table, looked at once a second while its backfill runs. Throws DatabaseError. */
export const vacuumIfDue = async (
  { db, id }: LedgerRef,
  heaps: readonly HeapFacts[],
  signal: AbortSignal | undefined,
  limits: VacuumLimits = usualLimits,
): Promise<void> => {
  await tidyingOf(db, id).look(heaps, limits, signal);
};

/** Ends what a change's backfill has VACUUM do: before anything else is done to its table. Resolves once it has ended. */
export const endVacuum = async ({ db, id }: LedgerRef): Promise<void> => {
  const changes = tidying.get(db);
  const own = changes?.get(id);
  changes?.delete(id);
  await own?.end();
};
