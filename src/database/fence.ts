/**
 * Epoch fencing: an operator that lost its lease and does not know yet is refused by the database itself.
 *
 * One row holds the epoch. Whoever takes over raises it; every transaction that writes reads it and compares. Both
 * take an advisory lock, so that a takeover waits for transactions of the former epoch and none of them commits
 * afterwards (M. Kleppmann, "How to do distributed locking", 2016: a lease alone can't give that). A lock of the
 * lock manager, not of the row: it queues fairly, and workers that share it without end can't keep a takeover out.
 */
import { FencedError, type Outcome } from '../api/outcome.ts';
import { int, sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError, outcomeOf } from './errors.ts';
import { ensureSchema, fenceLock, lockClass } from './schema.ts';
import type { Session } from './session.ts';

/** A claim on one database, good until somebody claims it anew. */
export interface Fence {
  readonly epoch: number;
  /** Who claimed, such as a pod's name: for the message that the other one gets. */
  readonly holder: string;
}

/** What came of a claim. */
export type Claim = { readonly kind: 'claimed'; readonly fence: Fence } | Outcome;

/** Keeps takeovers away until the transaction ends: an expression, to be evaluated before the epoch is read. */
export const shareFence = sql`pg_advisory_xact_lock_shared(${int(lockClass)}, ${int(fenceLock)})`;

/** Makes schema `segue` if need be and raises the epoch by one. Every former holder is refused from then on. */
export const claim = async (db: Database, holder: string): Promise<Claim> => {
  const schema = await ensureSchema(db);
  if (schema.kind !== 'done') return schema;
  try {
    return await db.transaction({ mode: 'write' }, async (session) => {
      await session.run(sql`SELECT pg_advisory_xact_lock(${int(lockClass)}, ${int(fenceLock)})`);
      const { epoch } = await session.one<{ epoch: number }>(
        sql`UPDATE segue.fence SET epoch = epoch + 1, holder = $1, claimed_at = clock_timestamp() RETURNING epoch`,
        [holder],
      );
      return { kind: 'claimed', fence: { epoch, holder } };
    });
  } catch (error) {
    return outcomeOf(error, `take over database ${db.label}`);
  }
};

/** Throws FencedError unless what was found, with the fence held in place, is the fence. */
export const compareFence = (found: Fence, fence: Fence): void => {
  if (found.epoch !== fence.epoch)
    throw new FencedError(
      `The database was taken over by ${found.holder === '' ? 'nobody known' : found.holder} (epoch ${found.epoch}); ` +
        `epoch ${fence.epoch} of ${fence.holder} may no longer write.`,
    );
};

/** Throws FencedError unless the fence still stands; holds it in place until the transaction ends. */
export const checkFence = async (session: Session, fence: Fence): Promise<void> => {
  await session.run(sql`SELECT ${shareFence}`);
  const [found] = await session
    .rows<Fence>(sql`SELECT epoch, holder FROM segue.fence`)
    .catch((error: unknown): readonly Fence[] => {
      // Undefined table, invalid schema name: somebody has dropped the ledger.
      if (error instanceof DatabaseError && (error.code === '42P01' || error.code === '3F000')) return [];
      throw error;
    });
  if (found === undefined) throw new FencedError('The ledger in the database is gone, and the claim on it.');
  compareFence(found, fence);
};
