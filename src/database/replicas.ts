/** What read replicas have seen: the backfill waits for them, and reads switch only where the data already is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import type { Session } from './session.ts';
import type { Verdict } from './verdict.ts';

/** True if the replica has replayed the WAL up to `lsn`; a server that is no replica has by definition. Throws DatabaseError. */
export const replayed = (db: Database, lsn: string): Promise<boolean> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const { replayed } = await session.one<{ replayed: boolean }>(
      sql`SELECT NOT pg_is_in_recovery() OR coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS replayed`,
      [lsn],
    );
    return replayed;
  });

/** What the primary says of those that stream from it. */
export interface Standing {
  readonly connected: number;
  readonly hidden: number;
  readonly catchingUp: number;
  readonly lagMs: number;
}

// Base backups and standbys that are still being copied are no readers. To a role without pg_monitor the rows
// are there and their columns NULL: a lag that can't be read counts as too long. replay_lag is NULL for a
// standby that has nothing left to replay, and also for one that still fetches old WAL (state "catchup").
const streaming = sql`
SELECT count(*) AS connected, count(*) FILTER (WHERE state IS NULL) AS hidden,
  count(*) FILTER (WHERE state = 'catchup') AS "catchingUp",
  coalesce(max(extract(epoch FROM replay_lag) * 1000), 0)::double precision AS "lagMs"
FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND state IS DISTINCT FROM 'startup'`;

/** Reads what pg_stat_replication shows. */
export const readStreaming = (session: Session): Promise<Standing> => session.one<Standing>(streaming);

const lagging = (message: string): Verdict => ({ kind: 'wait', reason: 'ReplicaLagging', message });

/** Whether streaming replicas keep up. No replica connected is no lag. */
export const judgeStreaming = (
  { connected, hidden, catchingUp, lagMs }: Standing,
  maxLagMs: number,
): Verdict => {
  if (hidden > 0)
    return lagging(
      `the lag of ${hidden} of ${connected} replicas cannot be read: GRANT pg_monitor to Segue's role`,
    );
  if (catchingUp > 0) return lagging(`${catchingUp} of ${connected} replicas are catching up`);
  if (lagMs > maxLagMs)
    return lagging(
      `a replica lags ${Math.round(lagMs)} ms behind (limit ${maxLagMs} ms); it goes on once that has caught up`,
    );
  return { kind: 'go' };
};

/** Told how far a replica lags, in ms; NaN where that can't be read. */
export type SawLag = (lagMs: number) => void;

/** How far the furthest of those that stream lags. */
export const streamingLag = ({ hidden, catchingUp, lagMs }: Standing): number =>
  hidden > 0 || catchingUp > 0 ? Number.NaN : lagMs;

/** A read replica that is asked itself. */
export interface Replica {
  /** Name of its Secret, for messages. */
  readonly name: string;
  readonly db: Database;
}

/** The end of the primary's WAL on disk, which is what standbys are sent, and its clock. */
export interface Position {
  readonly lsn: string;
  readonly at: number;
}

/** Reads the primary's position. */
export const readPosition = (session: Session): Promise<Position> =>
  session.one<Position>(
    sql`SELECT pg_current_wal_flush_lsn()::text AS lsn,
      (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS at`,
  );

/** What a replica says of itself. */
export interface ReplicaReading {
  /** True if it has replayed all that the primary had when it was asked, or is no replica. */
  readonly replayed: boolean;
  /** When the last transaction that it replayed was committed, by the primary's clock; null if there was none since it started. */
  readonly replayedTo: number | null;
}

const readReplica = (db: Database, { lsn }: Position): Promise<ReplicaReading> =>
  db.transaction({ mode: 'read' }, (session) =>
    session.one<ReplicaReading>(
      sql`SELECT NOT pg_is_in_recovery() OR coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS replayed,
        (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::double precision AS "replayedTo"`,
      [lsn],
    ),
  );

const lagOf = ({ replayed, replayedTo }: ReplicaReading, { at }: Position): number =>
  replayed ? 0 : Math.max(0, at - (replayedTo ?? Number.NaN));

/**
 * Whether a replica keeps up. One that has replayed everything does, however long ago that was written: an idle
 * primary is no lag.
 */
export const judgeReplica = (
  name: string,
  reading: ReplicaReading,
  { at }: Position,
  maxLagMs: number,
): Verdict => {
  if (reading.replayed) return { kind: 'go' };
  if (reading.replayedTo === null)
    return lagging(
      `replica ${name} has replayed no transaction since it was started, and how far it lags is unknown`,
    );
  const lagMs = at - reading.replayedTo;
  if (lagMs <= maxLagMs) return { kind: 'go' };
  return lagging(
    `replica ${name} lags ${Math.round(lagMs)} ms behind (limit ${maxLagMs} ms); it goes on once that has caught up`,
  );
};

// The first write after an idle hour finds a replica that lacks it, whose last transaction is an hour old.
const secondLookMs = 100;

const askReplica = async (
  replica: Replica,
  position: Position,
  maxLagMs: number,
  sawLag: SawLag,
): Promise<Verdict> => {
  try {
    let reading = await readReplica(replica.db, position);
    if (judgeReplica(replica.name, reading, position, maxLagMs).kind === 'wait') {
      await sleep(secondLookMs);
      reading = await readReplica(replica.db, position);
    }
    sawLag(lagOf(reading, position));
    return judgeReplica(replica.name, reading, position, maxLagMs);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    sawLag(Number.NaN);
    return lagging(
      `replica ${replica.name} cannot be asked how far it lags: ${error.message}. It goes on once it answers, or is taken out of spec.database.replicas`,
    );
  }
};

/** Asks every read replica; the first that lags has the word. */
export const waitForReplicas = async (
  replicas: readonly Replica[],
  position: Position,
  maxLagMs: number,
  sawLag: SawLag,
): Promise<Verdict> => {
  const verdicts = await Promise.all(
    replicas.map((replica) => askReplica(replica, position, maxLagMs, sawLag)),
  );
  return verdicts.find(({ kind }) => kind === 'wait') ?? { kind: 'go' };
};
