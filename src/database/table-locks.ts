/**
 * The table lock of a step, taken before its statements so that nobody queues behind it for longer than allowed.
 *
 * A request for a strong lock holds up everybody who comes after it, also while it waits itself. Hence one bound for
 * all that a step waits for: what the first lock took is no longer there for the next.
 */
import type { Step, TableName } from '../changes/change.ts';
import { ident, sql, type Sql } from '../sql/sql.ts';
import { DatabaseError } from './errors.ts';
import type { Session } from './session.ts';

const modes = {
  AccessExclusiveLock: sql`ACCESS EXCLUSIVE`,
  ShareRowExclusiveLock: sql`SHARE ROW EXCLUSIVE`,
  ShareUpdateExclusiveLock: sql`SHARE UPDATE EXCLUSIVE`,
} as const satisfies Partial<Record<Step['lock'], Sql>>;

const isLocked = (lock: Step['lock']): lock is keyof typeof modes => lock in modes;

const setting = (session: Session, name: 'lock_timeout' | 'statement_timeout', ms: number): Promise<number> =>
  session.run(sql`SELECT pg_catalog.set_config($1, $2, true)`, [name, `${Math.ceil(ms)}ms`]);

const beyondDeadlockCheckMs = 500;

// PostgreSQL ends an autovacuum in the way of a lock, but only when the waiter looks for a deadlock: after
// deadlock_timeout, which is longer than a strong lock may be waited for (storage/lmgr/proc.c, ProcSleep). One that
// is to prevent wraparound is not ended.
const deadlockCheckMs = async (session: Session): Promise<number> => {
  const { ms } = await session.one<{ ms: number }>(
    sql`SELECT (extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000)::double precision AS ms`,
  );
  return ms;
};

const lock = async (session: Session, table: TableName, mode: Sql): Promise<void> => {
  await session.run(sql`LOCK TABLE ${ident(table.schema, table.name)} IN ${mode} MODE`);
};

// A foreign key to a table takes no more than REFERENCES on it, LOCK TABLE takes more: the statement itself then
// takes the lock, later.
const lockAsMay = async (session: Session, table: TableName, mode: Sql): Promise<void> => {
  try {
    await session.attempt(() => lock(session, table, mode));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.kind !== 'privilege') throw error;
  }
};

/** A statement that was ended by its time-out while it took locks has met one that did not come. */
const asLockTimeout = (error: unknown, signal: AbortSignal | undefined): unknown =>
  error instanceof DatabaseError && error.code === '57014' && signal?.aborted !== true
    ? new DatabaseError({
        message: 'canceling statement due to lock timeout',
        code: '55P03',
        severity: 'ERROR',
      })
    : error;

/** How long a step may keep others waiting. */
export interface LockLimits {
  readonly table: TableName;
  /** For all locks of the step together. */
  readonly lockTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes the lock that a step needs, and leaves `lock_timeout` at what is left for other tables. Throws DatabaseError
 * of kind `lock` where it does not come in time.
 */
export const takeLock = async (session: Session, step: Step, limits: LockLimits): Promise<void> => {
  if (!isLocked(step.lock)) return;
  const { table, signal } = limits;
  const checkMs = await deadlockCheckMs(session);
  // Whoever writes one of several tables may come to wait for us on the other, and we for them: we give up before
  // PostgreSQL looks for the deadlock, for it might end the application's transaction and not ours. So all are
  // taken at once, with nothing done between them.
  const others = step.alongside ?? [];
  const lockTimeoutMs =
    others.length === 0 ? limits.lockTimeoutMs : Math.min(limits.lockTimeoutMs, 0.7 * checkMs);
  // It holds up neither readers nor writers, so it may wait for an autovacuum to be ended; no other one begins then.
  await setting(session, 'lock_timeout', Math.max(limits.lockTimeoutMs, checkMs + beyondDeadlockCheckMs));
  await lock(session, table, modes.ShareUpdateExclusiveLock);
  if (step.lock === 'ShareUpdateExclusiveLock') return;
  await setting(session, 'lock_timeout', lockTimeoutMs);
  // lock_timeout is for one lock; a partitioned table has one for each partition.
  await setting(session, 'statement_timeout', lockTimeoutMs);
  const began = performance.now();
  const leftMs = (): number => Math.max(lockTimeoutMs - (performance.now() - began), 1);
  try {
    await lock(session, table, modes[step.lock]);
    for (const other of others) {
      await setting(session, 'lock_timeout', leftMs());
      await setting(session, 'statement_timeout', leftMs());
      await lockAsMay(session, other, modes[step.lock]);
    }
  } catch (error) {
    throw asLockTimeout(error, signal);
  }
  await setting(session, 'statement_timeout', 0);
  await setting(session, 'lock_timeout', leftMs());
};
