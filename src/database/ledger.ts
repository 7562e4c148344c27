/**
 * The ledger: one row of `segue.change` per run of a SchemaChange, the only memory of the phase machine.
 *
 * Every write is a compare-and-set in one transaction: advisory lock of the change, epoch, revision, then the
 * body. Whoever decided from an older revision is told so and decides anew.
 */
import type { TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { int, sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { outcomeOf } from './errors.ts';
import { checkFence, type Fence } from './fence.ts';
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

// Locks, epoch, revision, in this order: who waits for the change's lock sees the revision of whoever had it.
const hold = async (session: Session, ref: LedgerRef): Promise<void> => {
  await session.run(lockOf(ref.id));
  await checkFence(session, ref.fence);
  const [row] = await session.rows<{ revision: number }>(
    sql`SELECT revision FROM segue.change WHERE id = $1 AND state = 'Active'`,
    [ref.id],
  );
  if (row?.revision !== ref.revision) throw new NotDone(stale);
};

/** How a transaction that holds a change is run. */
export interface HoldOptions extends Omit<TransactionOptions, 'mode'> {
  readonly mode?: 'write' | 'rolledBack';
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
  body: (session: Session) => Promise<T>,
): Promise<T> =>
  ref.db.transaction({ ...options, mode: options.mode ?? 'write' }, async (session) => {
    await hold(session, ref);
    return body(session);
  });

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
  last_use AS "lastUse", (extract(epoch FROM lock_wait_since) * 1000)::double precision AS "lockWaitSince", verification`;

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

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
      last_use = $11, lock_wait_since = to_timestamp($12::double precision / 1000), verification = $13
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
    ],
  );
  if (mutation.kind === 'handleRetry' && startsOver(memory)) {
    await session.run(sql`DELETE FROM segue.backfill WHERE change_id = $1`, [id]);
    await session.run(sql`DELETE FROM segue.dead_letter WHERE change_id = $1`, [id]);
    await session.run(sql`DELETE FROM segue.conflict WHERE change_id = $1`, [id]);
  }
};

/** Applies one event to a change's memory. */
export const applyMutation = (ref: LedgerRef, mutation: Mutation): Promise<Outcome> =>
  writing(ref, { doing: 'write the ledger' }, async (session) => {
    await remember(session, ref.id, mutation);
    return { kind: 'done', message: describeMutation(mutation) };
  });

const attnumsOf = (beginning: Beginning): Readonly<Record<string, number>> =>
  Object.fromEntries(
    beginning.oldColumns.flatMap((column) => {
      const facts = beginning.table.columns[column];
      return facts ? [[column, facts.attnum] as const] : [];
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
      const mine = new Set([...beginning.oldColumns, ...beginning.newColumns]);
      const rival = others.find((other) =>
        [...other.oldColumns, ...other.newColumns].some((c) => mine.has(c)),
      );
      if (rival)
        return {
          kind: 'deferred',
          reason: 'ConflictingChange',
          message: `SchemaChange ${rival.namespace}/${rival.name} is at work on the same columns of ${table.schema}.${table.name}; this one waits until it has ended.`,
          afterMs: 30_000,
        };
      await session.run(
        sql`INSERT INTO segue.change (uid, namespace, name, state, phase, direction, revision, change, table_schema,
          table_name, table_oid, attnums, old_columns, new_columns, old_not_null, history, approvals, handled_retry)
          VALUES ($1, $2, $3, 'Active', 'AddColumn', 'forward', 1, $4, $5, $6, $7, $8, $9, $10, $11,
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
          JSON.stringify(attnumsOf(beginning)),
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
