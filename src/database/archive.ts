/**
 * WAL that waits to be archived. A backfill writes more WAL than the application does; where the archive falls
 * behind, it fills the disk and puts point-in-time recovery off.
 */
import { sql } from '../sql/sql.ts';
import type { Session } from './session.ts';
import type { Verdict } from './verdict.ts';

/** GitLab's batched migrations stop above so many (Gitlab::Database::HealthStatus, WAL archival). */
const maxSegments = 42;

/** What the server says of its archive. */
export interface ArchiveReading {
  readonly archiving: boolean;
  /** Segments marked as ready; null where the role may not list them. */
  readonly ready: number | null;
  /** The segment that is being written. */
  readonly current: string;
  readonly segmentBytes: number;
  /** Null if nothing was archived since the statistics were reset, as a crash does. */
  readonly lastArchived: string | null;
  /** True if the last try was in vain. */
  readonly failing: boolean;
}

/** Reads it; the list of ready segments only where the role may (pg_monitor). */
export const readArchive = async (session: Session): Promise<ArchiveReading> => {
  const { listable, ...reading } = await session.one<ArchiveReading & { listable: boolean }>(
    sql`SELECT current_setting('archive_mode') <> 'off' AS archiving, NULL AS ready,
      pg_walfile_name(pg_current_wal_lsn()) AS current,
      pg_size_bytes(current_setting('wal_segment_size')) AS "segmentBytes", last_archived_wal AS "lastArchived",
      coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
      has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') AS listable
      FROM pg_stat_archiver`,
  );
  if (!reading.archiving || !listable) return reading;
  const { ready } = await session.one<{ ready: number }>(
    sql`SELECT count(*) AS ready FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`,
  );
  return { ...reading, ready };
};

// Timeline, then the position's upper 32 bits, then the segment within them: 8 hexadecimal digits each.
const segmentNumber = (file: string, segmentBytes: number): number | undefined => {
  const [, upper, lower] = /^[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})/.exec(file) ?? [];
  if (upper === undefined || lower === undefined) return undefined;
  return Number.parseInt(upper, 16) * (2 ** 32 / segmentBytes) + Number.parseInt(lower, 16);
};

/**
 * Segments that wait. Without the right to list them, those between the last that was archived and the one at
 * work, which everybody may read; undefined if nothing is known to have been archived yet.
 */
const backlog = (reading: ArchiveReading): number | undefined => {
  if (reading.ready !== null) return reading.ready;
  const current = segmentNumber(reading.current, reading.segmentBytes);
  const last = segmentNumber(reading.lastArchived ?? '', reading.segmentBytes);
  return current === undefined || last === undefined ? undefined : Math.max(0, current - last - 1);
};

/** Where nothing is archived there is nothing to wait for. */
export const judgeArchive = (reading: ArchiveReading): Verdict => {
  if (!reading.archiving) return { kind: 'go' };
  const segments = backlog(reading);
  if (segments === undefined)
    return reading.failing
      ? {
          kind: 'wait',
          reason: 'Throttled',
          message:
            'WAL can not be archived and nobody can tell how much waits: mend archive_command, or GRANT pg_monitor to Segue’s role',
        }
      : { kind: 'go' };
  if (segments <= maxSegments) return { kind: 'go' };
  return {
    kind: 'wait',
    reason: 'Throttled',
    message: `${segments} WAL segments wait to be archived (limit ${maxSegments}); it goes on once archive_command has caught up`,
  };
};
