/**
 * The ledger: one row of `segue.change` per run of a SchemaChange, the only memory of the phase machine.
 *
 * Every write is a compare-and-set in one transaction: advisory lock of the change, epoch, revision, then the
 * body. Whoever decided from an older revision is told so and decides anew.
 */
import type { ColumnFacts, TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { int, sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { outcomeOf } from './errors.ts';
import { checkFence, compareFence, shareFence, type Fence } from './fence.ts';
import { describeMutation, mutate, startsOver, type Memory, type Mutation } from './mutation.ts';
import { lockClass } from './schema.ts';
import type { Session, TransactionOptions } from './session.ts';

/** A change of which the caller knows the state: everything that writes takes one. */
export interface LedgerRef {
  readonly db: Database;
  readonly fence: Fence;
  readonly id: number;
  /** The revision that the caller decided from. */
  readonly revision: number;
}

/** What a change is begun with. */
export interface Beginning {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** `spec.change`, kept as it is now. */
  readonly change: unknown;
  readonly table: TableFacts;
  readonly oldColumns: readonly string[];
  readonly newColumns: readonly string[];
}

const stale: Outcome = {
  kind: 'stale',
  message: 'The ledger was written by somebody else in the meantime; the state is read anew.',
};

// int4: two numbers are what pg_advisory_xact_lock takes beside one bigint, and 2^31 changes are enough.
const lockOf = (id: number) => sql`SELECT pg_advisory_xact_lock(${int(lockClass)}, ${int(id)})`;

// Carries an outcome other than `done` out of a transaction, which is thereby rolled back.
class NotDone extends Error {
  override readonly name = 'NotDone';
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.message);
    this.outcome = outcome;
  }
}

/** What a transaction that holds a change found when it began. */
export interface Held {
  /** Where the WAL ended: at or after the end of every commit before. */
  readonly walEnd: string;
}

// Locks first, then epoch and revision in a statement of its own: who waited for a lock must see what whoever had
// it left behind.
const hold = async (session: Session, ref: LedgerRef, shared: boolean): Promise<Held> => {
  const id = int(ref.id);
  const change = shared
    ? sql`pg_advisory_xact_lock_shared(${int(lockClass)}, ${id})`
    : sql`pg_advisory_xact_lock(${int(lockClass)}, ${id})`;
  await session.run(sql`SELECT ${change}, ${shareFence}`);
  const { revision, walEnd, ...found } = await session.one<Fence & Held & { revision: number | null }>(
    sql`SELECT f.epoch, f.holder, c.revision, pg_current_wal_insert_lsn()::text AS "walEnd"
      FROM segue.fence f LEFT JOIN segue.change c ON c.id = $1 AND c.state = 'Active'`,
    [ref.id],
  );
  compareFence(found, ref.fence);
  if (revision !== ref.revision) throw new NotDone(stale);
  return { walEnd };
};

/** How a transaction that holds a change is run. */
export interface HoldOptions extends Omit<TransactionOptions, 'mode'> {
  readonly mode?: 'write' | 'rolledBack';
  /** Beside others that share the change: batches. Whoever writes the ledger waits for them, and they for it. */
  readonly shared?: boolean;
  /** For messages: a fragment such as "add column x". */
  readonly doing: string;
}

/**
 * Runs a transaction that holds the change without raising its revision; it is committed unless the body throws.
 * Throws DatabaseError, FencedError, and what `outcomeOfHold` makes an outcome of.
 */
export const held = <T>(
  ref: LedgerRef,
  options: HoldOptions,
  body: (session: Session, held: Held) => Promise<T>,
): Promise<T> =>
  ref.db.transaction({ ...options, mode: options.mode ?? 'write' }, async (session) =>
    body(session, await hold(session, ref, options.shared ?? false)),
  );

/** The outcome of what `held` threw. Bugs and FencedError are thrown on. */
export const outcomeOfHold = (error: unknown, doing: string): Outcome =>
  error instanceof NotDone ? error.outcome : outcomeOf(error, doing);

/** As `held`, for a body that ends in an outcome: it is committed only if that is `done`. Throws FencedError. */
export const holding = async (
  ref: LedgerRef,
  options: HoldOptions,
  body: (session: Session) => Promise<Outcome>,
): Promise<Outcome> => {
  try {
    return await held(ref, options, async (session) => {
      const outcome = await body(session);
      if (outcome.kind !== 'done') throw new NotDone(outcome);
      return outcome;
    });
  } catch (error) {
    return outcomeOfHold(error, options.doing);
  }
};

/** As `holding`, and raises the revision with it. */
export const writing = (
  ref: LedgerRef,
  options: HoldOptions,
  body: (session: Session) => Promise<Outcome>,
): Promise<Outcome> =>
  holding(ref, options, async (session) => {
    await session.run(
      sql`UPDATE segue.change SET revision = revision + 1, updated_at = clock_timestamp() WHERE id = $1`,
      [ref.id],
    );
    return body(session);
  });

const memoryColumns = sql`uid, state, phase, direction, history, proven_mark AS "provenMark", approvals,
  handled_retry AS "handledRetry", (extract(epoch FROM quarantine_started_at) * 1000)::double precision AS "quarantineStartedAt",
  last_use AS "lastUse", (extract(epoch FROM lock_wait_since) * 1000)::double precision AS "lockWaitSince", verification,
  handled_repair AS "handledRepair", repair_refused AS "repairRefused", repairing, rows_repaired AS "rowsRepaired",
  handled_verify AS "handledVerify", verify_refused AS "verifyRefused"`;

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** All rows are looked at anew: by the backfill, then by the verification. */
const compareAnew = (session: Session, id: number): Promise<number> =>
  session.run(sql`DELETE FROM segue.verification WHERE change_id = $1`, [id]);

const startRowsOver = async (session: Session, id: number): Promise<number> => {
  await session.run(sql`DELETE FROM segue.backfill WHERE change_id = $1`, [id]);
  await session.run(sql`DELETE FROM segue.backfill_pace WHERE change_id = $1`, [id]);
  return compareAnew(session, id);
};

/** Applies an event within a transaction that already holds the change. */
const remember = async (session: Session, id: number, mutation: Mutation): Promise<void> => {
  const { now, ...memory } = await session.one<Memory & { now: number }>(
    sql`SELECT ${memoryColumns}, floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now
      FROM segue.change WHERE id = $1`,
    [id],
  );
  const next = mutate(memory, mutation, now);
  await session.run(
    sql`UPDATE segue.change SET uid = $2, state = $3, phase = $4, direction = $5, history = $6, proven_mark = $7,
      approvals = $8, handled_retry = $9, quarantine_started_at = to_timestamp($10::double precision / 1000),
      last_use = $11, lock_wait_since = to_timestamp($12::double precision / 1000), verification = $13,
      handled_repair = $14, repair_refused = $15, repairing = $16, rows_repaired = $17,
      handled_verify = $18, verify_refused = $19
      WHERE id = $1`,
    [
      id,
      next.uid,
      next.state,
      next.phase,
      next.direction,
      json(next.history),
      next.provenMark,
      json(next.approvals),
      next.handledRetry,
      next.quarantineStartedAt,
      json(next.lastUse),
      next.lockWaitSince,
      json(next.verification),
      next.handledRepair,
      next.repairRefused,
      next.repairing,
      next.rowsRepaired,
      next.handledVerify,
      next.verifyRefused,
    ],
  );
  if (mutation.kind === 'distrust')
    await (startsOver(memory) ? startRowsOver(session, id) : compareAnew(session, id));
  if (mutation.kind === 'handleRetry' && startsOver(memory)) {
    await session.run(sql`DELETE FROM segue.dead_letter WHERE change_id = $1`, [id]);
    await session.run(sql`DELETE FROM segue.conflict WHERE change_id = $1`, [id]);
    await startRowsOver(session, id);
  }
  if (mutation.kind === 'handleVerify' && mutation.refused === undefined) await compareAnew(session, id);
  if (mutation.kind === 'handleRepair' && next.repairing) await startRowsOver(session, id);
};

/** Applies one event to a change's memory. */
export const applyMutation = (ref: LedgerRef, mutation: Mutation): Promise<Outcome> =>
  writing(ref, { doing: 'write the ledger' }, async (session) => {
    await remember(session, ref.id, mutation);
    return { kind: 'done', message: describeMutation(mutation) };
  });

const recordOf = <T>(
  { table, oldColumns }: Beginning,
  of: (column: ColumnFacts) => T,
): Readonly<Record<string, T>> =>
  Object.fromEntries(
    oldColumns.flatMap((column) => {
      const facts = table.columns[column];
      return facts ? [[column, of(facts)] as const] : [];
    }),
  );

/** Writes the first row of a change, in phase AddColumn. Refused while another change holds one of its columns. */
export const begin = async (db: Database, fence: Fence, beginning: Beginning): Promise<Outcome> => {
  const { table } = beginning;
  const doing = `begin ${beginning.namespace}/${beginning.name}`;
  try {
    return await db.transaction({ mode: 'write' }, async (session): Promise<Outcome> => {
      // 0: one beginning at a time, or two could each find the table free.
      await session.run(lockOf(0));
      await checkFence(session, fence);
      const others = await activeOn(session, table.oid);
      if (others.some(({ namespace, name }) => namespace === beginning.namespace && name === beginning.name))
        return stale;
      const mine = [...beginning.oldColumns, ...beginning.newColumns];
      const rival = others.find((other) => overlap(mine, [...other.oldColumns, ...other.newColumns]));
      if (rival)
        return {
          kind: 'deferred',
          reason: 'ConflictingChange',
          message: `SchemaChange ${rival.namespace}/${rival.name} is at work on the same columns of ${table.schema}.${table.name}; this one waits until it has ended.`,
          afterMs: 30_000,
        };
      await session.run(
        sql`INSERT INTO segue.change (uid, namespace, name, state, phase, direction, revision, change, table_schema,
          table_name, table_oid, attnums, column_types, old_columns, new_columns, old_not_null, history, approvals, handled_retry)
          VALUES ($1, $2, $3, 'Active', 'AddColumn', 'forward', 1, $4, $5, $6, $7, $8, $9, $10, $11, $12,
          jsonb_build_array(jsonb_build_object('phase', 'AddColumn', 'startedAt',
            floor(extract(epoch FROM clock_timestamp()) * 1000))), '[]', '')`,
        [
          beginning.uid,
          beginning.namespace,
          beginning.name,
          JSON.stringify(beginning.change),
          table.schema,
          table.name,
          table.oid,
          JSON.stringify(recordOf(beginning, ({ attnum }) => attnum)),
          JSON.stringify(recordOf(beginning, ({ type }) => type)),
          beginning.oldColumns,
          beginning.newColumns,
          beginning.oldColumns.filter((column) => table.columns[column]?.notNull),
        ],
      );
      return { kind: 'done', message: `began the change of ${table.schema}.${table.name}` };
    });
  } catch (error) {
    return outcomeOf(error, doing);
  }
};

/** True if two changes can't be at work at the same time: they share a column, or one claims all (`*`). */
export const overlap = (mine: readonly string[], others: readonly string[]): boolean =>
  mine.includes('*') || others.includes('*') || mine.some((column) => others.includes(column));

/** A change that is under way, as others need to know it. */
export interface ActiveChange {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly oldColumns: readonly string[];
  readonly newColumns: readonly string[];
}

const activeOn = (session: Session, tableOid: number): Promise<readonly ActiveChange[]> =>
  session.rows<ActiveChange>(
    sql`SELECT id, namespace, name, old_columns AS "oldColumns", new_columns AS "newColumns"
      FROM segue.change WHERE state = 'Active' AND table_oid = $1 ORDER BY id`,
    [tableOid],
  );

/** Changes under way on a table; empty where Segue was never at work. Throws DatabaseError. */
export const activeChanges = (db: Database, tableOid: number): Promise<readonly ActiveChange[]> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const { exists } = await session.one<{ exists: boolean }>(
      sql`SELECT to_regclass('segue.change') IS NOT NULL AS exists`,
    );
    return exists ? activeOn(session, tableOid) : [];
  });
