/**
 * Epoch fencing: an operator that lost its lease and does not know yet is refused by the database itself.
 *
 * One row holds the epoch. Whoever takes over raises it; every transaction that writes reads it FOR SHARE and
 * compares. The row lock makes a takeover wait for transactions of the former epoch, so that none of them
 * commits afterwards (M. Kleppmann, "How to do distributed locking", 2016: a lease alone can't give that).
 */
import { FencedError, type Outcome } from '../api/outcome.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { outcomeOf } from './errors.ts';
import { ensureSchema } from './schema.ts';
import type { Session } from './session.ts';

/** A claim on one database, good until somebody claims it anew. */
export interface Fence {
  readonly epoch: number;
  /** Who claimed, such as a pod's name: for the message that the other one gets. */
  readonly holder: string;
}

/** What came of a claim. */
export type Claim = { readonly kind: 'claimed'; readonly fence: Fence } | Outcome;

/** Makes schema `segue` if need be and raises the epoch by one. Every former holder is refused from then on. */
export const claim = async (db: Database, holder: string): Promise<Claim> => {
  const schema = await ensureSchema(db);
  if (schema.kind !== 'done') return schema;
  try {
    return await db.transaction({ mode: 'write' }, async (session) => {
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

/** Throws FencedError unless the fence still stands; holds it in place until the transaction ends. */
export const checkFence = async (session: Session, fence: Fence): Promise<void> => {
  const found = await session.one<Fence>(sql`SELECT epoch, holder FROM segue.fence FOR SHARE`);
  if (found.epoch !== fence.epoch)
    throw new FencedError(
      `The database was taken over by ${found.holder === '' ? 'nobody known' : found.holder} (epoch ${found.epoch}); ` +
        `epoch ${fence.epoch} of ${fence.holder} may no longer write.`,
    );
};
