/** Whether the backfill may go on: one signal after the other, and the first that says no ends the stretch. */
import { judgeArchive, readArchive } from './archive.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import {
  judgeStreaming,
  readPosition,
  readStreaming,
  streamingLag,
  waitForReplicas,
  type Replica,
  type SawLag,
} from './replicas.ts';
import type { Session } from './session.ts';
import type { Verdict } from './verdict.ts';

/** What is asked, and how much of it is too much. */
export interface Limits {
  readonly replicas: readonly Replica[];
  readonly maxReplicaLagMs: number;
  /** Told of the furthest replica at each question. */
  readonly sawLag?: SawLag | undefined;
}

// After a fail-over the address may lead to a standby, of which none of this can be asked.
const primaryOnly = async (session: Session): Promise<void> => {
  const { standby } = await session.one<{ standby: boolean }>(sql`SELECT pg_is_in_recovery() AS standby`);
  // SQLSTATE read_only_sql_transaction.
  if (standby)
    throw new DatabaseError({ message: 'the server is a standby', code: '25006', severity: 'ERROR' });
};

/** Asks all signals. Throws DatabaseError if the primary does not answer, or the server is none. */
export const judge = async (
  db: Database,
  { replicas, maxReplicaLagMs, sawLag }: Limits,
): Promise<Verdict> => {
  const [streaming, archive, position] = await db.transaction({ mode: 'read' }, async (session) => {
    await primaryOnly(session);
    return [await readStreaming(session), await readArchive(session), await readPosition(session)];
  });
  const own = [judgeStreaming(streaming, maxReplicaLagMs), judgeArchive(archive)];
  const lags = [streamingLag(streaming)];
  const verdict =
    own.find(({ kind }) => kind === 'wait') ??
    (await waitForReplicas(replicas, position, maxReplicaLagMs, (lagMs) => lags.push(lagMs)));
  sawLag?.(Math.max(...lags));
  return verdict;
};
