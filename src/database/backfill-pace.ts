/** What the backfill keeps from one stretch to the next beside its cursors: how many workers, and how fast it was. */
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { held, type LedgerRef } from './ledger.ts';
import { withSample, type Sample } from './progress.ts';
import { oneWorker, type Scaling } from './scaling.ts';
import type { Session } from './session.ts';

/** As the ledger has it. */
export interface Pace {
  readonly scaling: Scaling;
  readonly badRows: number;
  readonly blockSize: number;
  /** False before the first stretch. */
  readonly begun: boolean;
}

/** Reads it. Throws DatabaseError. */
export const readPace = (db: Database, id: number): Promise<Pace> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const { scaling, ...pace } = await session.one<Omit<Pace, 'scaling'> & { scaling: Scaling | null }>(
      sql`SELECT (SELECT scaling FROM segue.backfill_pace WHERE change_id = $1) AS scaling,
        EXISTS (SELECT FROM segue.backfill_pace WHERE change_id = $1) AS begun,
        (SELECT count(*) FROM segue.dead_letter WHERE change_id = $1) AS "badRows",
        current_setting('block_size')::int AS "blockSize"`,
      [id],
    );
    return { ...pace, scaling: scaling ?? oneWorker };
  });

const sampleNow = (session: Session, id: number): Promise<Sample> =>
  session.one<Sample>(
    sql`SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS at,
      (SELECT coalesce(sum(next_page), 0) FROM segue.backfill WHERE change_id = $1)::bigint
        - coalesce(sum(r.end_page - r.next_page), 0)::bigint AS pages,
      (SELECT coalesce(sum(rows_done), 0) FROM segue.backfill WHERE change_id = $1)::bigint
        + coalesce(sum(r.rows_done), 0)::bigint AS rows
      FROM segue.backfill_range r WHERE r.change_id = $1`,
    [id],
  );

/** What a stretch leaves behind. */
export interface PaceNote {
  readonly scaling: Scaling;
  /** Why it stood still or was slowed down; empty if it was not. */
  readonly throttledBy: string;
  /** True if it got on: no lock is waited for any more. */
  readonly advanced: boolean;
}

/** Writes it, with a sample of how far the backfill has come. A report: its commit waits for no disk. Throws as `held` does. */
export const notePace = (ref: LedgerRef, note: PaceNote): Promise<void> =>
  held(ref, { doing: 'note the pace', shared: true }, async (session) => {
    const { id } = ref;
    await session.run(sql`SELECT set_config('synchronous_commit', 'off', true)`);
    const [before] = await session.rows<{ samples: readonly Sample[] }>(
      sql`SELECT samples FROM segue.backfill_pace WHERE change_id = $1`,
      [id],
    );
    const samples = withSample(before?.samples ?? [], await sampleNow(session, id));
    await session.run(
      sql`INSERT INTO segue.backfill_pace (change_id, scaling, samples, throttled_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (change_id) DO UPDATE SET scaling = excluded.scaling, samples = excluded.samples,
          throttled_by = excluded.throttled_by, updated_at = clock_timestamp()`,
      [id, JSON.stringify(note.scaling), JSON.stringify(samples), note.throttledBy],
    );
    if (note.advanced)
      await session.run(
        sql`UPDATE segue.change SET lock_wait_since = NULL WHERE id = $1 AND lock_wait_since IS NOT NULL`,
        [id],
      );
  });
