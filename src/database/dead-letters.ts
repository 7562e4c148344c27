/**
 * Rows that the backfill could not convert, by their keys. They are tried again from time to time: a row leaves the
 * dead letters once it is filled, needs nothing any more, or is gone.
 */
import type { Outcome } from '../api/outcome.ts';
import { tableIdent } from '../changes/column-sync.ts';
import { ident, int, join, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import { bounds, fill, type RowWork } from './batch.ts';
import { searchPathOf } from './catalog.ts';
import { DatabaseError, isRowFault } from './errors.ts';
import { held, outcomeOfHold, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';

const perCall = 200;
const lockTimeoutMs = 200;

/** True for a letter that may be tried again now: an expression over segue.dead_letter. */
export const isDue = sql`tried_at < clock_timestamp() - interval '1 minute'`;

const due = (ref: LedgerRef): Promise<readonly { readonly number: number }[]> =>
  held(ref, { doing: 'choose rows to try again' }, (session) =>
    session.rows(
      sql`UPDATE segue.dead_letter SET tried_at = clock_timestamp() WHERE number IN (
          SELECT number FROM segue.dead_letter WHERE change_id = $1 AND ${isDue} ORDER BY tried_at LIMIT ${int(perCall)}
        ) RETURNING number`,
      [ref.id],
    ),
  );

interface Place {
  readonly heap: number;
  readonly page: number;
  readonly line: number;
}

// By column, so that the primary key's index serves; an array's text in JSON is no array's text in SQL.
const sameKey = ({ table }: RowWork): Sql =>
  join(
    table.primaryKey.map((column) => {
      const type = table.columns[column]?.type ?? 'text';
      return type.endsWith('[]')
        ? sql`to_jsonb(t.${ident(column)}) = d.key -> ${lit(column)}`
        : sql`t.${ident(column)} = CAST(d.key ->> ${lit(column)} AS ${userSql(type)})`;
    }),
    sql` AND `,
  );

/** Where the row is now, locked so that it stays there; asked of the whole table, for it may be in another partition. */
const find = async (session: Session, work: RowWork, number: number): Promise<Place | undefined> => {
  const { table } = work;
  const only = table.partitioned ? nothing : sql`ONLY `;
  const [place] = await session.rows<Place>(
    sql`SELECT t.tableoid::bigint AS heap, (t.ctid::text::point)[0]::bigint AS page, (t.ctid::text::point)[1]::int AS line
      FROM segue.dead_letter d, ${only}${tableIdent(table)} t
      WHERE d.number = $1 AND ${sameKey(work)} FOR NO KEY UPDATE OF t`,
    [number],
  );
  return place;
};

/** True if nothing is left to be done for the row. */
const mended = async (session: Session, work: RowWork, number: number): Promise<boolean> => {
  const place = await find(session, work, number);
  const heap = work.table.heaps.find(({ oid }) => oid === place?.heap);
  if (place === undefined || heap === undefined) return true;
  const range = { from: place, to: { page: place.page, line: place.line + 1 } };
  try {
    await session.attempt(() => session.run(fill(work, heap), bounds(range)));
    return true;
  } catch (error) {
    if (isRowFault(error)) return false;
    throw error;
  }
};

const retry = async (ref: LedgerRef, work: RowWork, number: number): Promise<boolean> => {
  const options = {
    doing: 'try a row again',
    shared: true,
    lockTimeoutMs,
    searchPath: searchPathOf(work.table),
  };
  try {
    return await held(ref, options, async (session) => {
      if (!(await mended(session, work, number))) return false;
      await session.run(sql`DELETE FROM segue.dead_letter WHERE number = $1`, [number]);
      return true;
    });
  } catch (error) {
    // Somebody is at work on it; its turn comes again.
    if (error instanceof DatabaseError && (error.kind === 'lock' || error.kind === 'serialization'))
      return false;
    throw error;
  }
};

/**
 * Tries rows again that could not be converted, some hundreds at most. Without a primary key a row can't be found
 * again once it has moved, and its letter stays. Throws FencedError.
 */
export const retryDeadLetters = async (
  ref: LedgerRef,
  work: RowWork,
  signal?: AbortSignal,
): Promise<Outcome> => {
  try {
    const letters = await due(ref);
    let left = 0;
    if (work.table.primaryKey.length > 0)
      for (const { number } of letters) {
        if (signal?.aborted) break;
        if (await retry(ref, work, number)) left += 1;
      }
    return {
      kind: 'done',
      message: `${left} of ${letters.length} rows that could not be converted are mended`,
    };
  } catch (error) {
    return outcomeOfHold(error, 'try rows again that could not be converted');
  }
};
