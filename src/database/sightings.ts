/**
 * What shows of uses beside pg_stat_statements: the last statement of each session, errors in the server's log, and
 * how many transactions are rolled back. While columns are hidden these tell that somebody misses them.
 */
import type { UseFacts } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import { judge, namesOf, type Watch } from './judge-statement.ts';
import { ownMark } from './own-mark.ts';
import { readLog, type LoggedError, type LogPosition, type LogReading } from './server-log.ts';
import type { Session } from './session.ts';

interface Rollbacks {
  readonly at: number;
  readonly count: number;
}

/** What a sighting compares with: kept in the ledger from one look to the next. */
export interface SightingBase {
  readonly at: number;
  readonly log?: LogPosition;
  /** Rolled back transactions at the first look, and at the last one before columns were hidden. */
  readonly rollbacks?: { readonly from: Rollbacks; readonly to: Rollbacks };
}

/** What a sighting found. */
export interface Sighting {
  readonly base: SightingBase;
  readonly uses: readonly Omit<UseFacts, 'at'>[];
  readonly sees: readonly ('Activity' | 'ServerLog')[];
  readonly blindSpots: readonly string[];
  readonly cannotHide?: string;
}

interface Active {
  readonly role: string;
  readonly application: string;
  readonly text: string;
}

const byOf = ({ role, application }: { readonly role: string; readonly application: string }): string =>
  application === '' ? role : `${role} (${application})`;

/** Sessions whose last statement, begun since a time, used the columns. Their text has values: it stays here. */
const activityOf = async (
  session: Session,
  watch: Watch,
  sinceMs: number,
): Promise<readonly Omit<UseFacts, 'at'>[]> => {
  const rows = await session.rows<Active>(
    sql`SELECT DISTINCT usename::text AS role, application_name AS application, query AS text FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND query_start > to_timestamp($1::double precision / 1000) AND query NOT LIKE $2 AND usename IS NOT NULL
        AND EXISTS (SELECT FROM unnest($3::text[]) name WHERE position(lower(name) IN lower(query)) > 0)
      LIMIT 500`,
    [sinceMs, `%${ownMark.text}%`, namesOf(watch)],
  );
  return rows.flatMap((row) => {
    const use = judge(row.text, watch);
    return use === undefined ? [] : [{ kind: use.kind, by: byOf(row) }];
  });
};

/** True for an error that came of a hidden column: its message names one, and its statement is no other table's. */
const misses = ({ message, statement, inFunction }: LoggedError, watch: Watch): boolean => {
  if (inFunction || statement === '') return watch.columns.some((column) => message.includes(column));
  const use = judge(statement, watch);
  return (
    use !== undefined || (message.startsWith('record ') && watch.columns.some((c) => message.includes(c)))
  );
};

interface Standing {
  readonly now: number;
  readonly rollbacks: number;
  readonly all: boolean;
  readonly role: string;
  readonly published: string | null;
}

const standing = sql`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now,
  (SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()) AS rollbacks,
  pg_has_role('pg_read_all_stats', 'USAGE') AS all, current_user::text AS role,
  (SELECT string_agg(DISTINCT pubname::text, ', ') FROM pg_publication_tables
    WHERE schemaname = $1 AND tablename = ANY ($2)) AS published`;

/** More than twice what is usual, and a few on top: coarse, for what a database usually rolls back varies. */
const isFlood = (base: SightingBase['rollbacks'], now: number, count: number): boolean => {
  if (base === undefined || count < base.to.count) return false;
  const spanMs = Math.max(1, base.to.at - base.from.at);
  const usual = ((base.to.count - base.from.count) / spanMs) * (now - base.to.at);
  return count - base.to.count > 2 * usual + 3;
};

const nextRollbacks = (
  base: SightingBase['rollbacks'],
  hidden: boolean,
  now: Rollbacks,
): SightingBase['rollbacks'] => {
  // A lower count is another count: the statistics were reset.
  if (base === undefined || now.count < base.to.count) return { from: now, to: now };
  return hidden ? base : { from: base.from, to: now };
};

const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** What the role may not see, and whether that leaves enough to hide columns by. */
const limitsOf = (
  { all, role, published }: Standing,
  log: LogReading,
): Pick<Sighting, 'sees' | 'blindSpots' | 'cannotHide'> => {
  const sessions = `of sessions of other roles than ${role} nothing is seen (GRANT pg_read_all_stats)`;
  const failures =
    log.kind === 'read' ? undefined : `statements that fail are not seen in the server’s log: ${log.why}`;
  const blind = [...(all ? [] : [sessions]), ...(failures === undefined ? [] : [failures])];
  const cannotHide =
    published !== null
      ? `the table is published (${published}), and subscribers know columns by name`
      : !all && failures !== undefined
        ? blind.join('; ')
        : undefined;
  return {
    sees: ['Activity', ...(failures === undefined ? (['ServerLog'] as const) : [])],
    blindSpots: blind.map(capital),
    ...(cannotHide === undefined ? {} : { cannotHide }),
  };
};

/** Signs that a hidden column is missed. */
const missed = (log: LogReading, watch: Watch, flood: boolean): readonly Omit<UseFacts, 'at'>[] => [
  ...(log.kind === 'read'
    ? log.errors
        .filter((error) => misses(error, watch))
        .map((error) => ({ kind: 'Read' as const, by: byOf(error) }))
    : []),
  ...(flood ? [{ kind: 'Lost' as const, by: 'far more transactions than usual were rolled back' }] : []),
];

/** Looks once, within a transaction. `hiddenAt`: since when columns are hidden, if they are. */
export const sight = async (
  session: Session,
  watch: Watch,
  base: SightingBase | undefined,
  hiddenAt: number | undefined,
): Promise<Sighting> => {
  const now = await session.one<Standing>(standing, [watch.table.schema, namesOf(watch)]);
  const log = await readLog(session, base?.log);
  const hidden = hiddenAt !== undefined;
  const active = await activityOf(session, watch, Math.max(base?.at ?? now.now, hiddenAt ?? 0));
  const flood = isFlood(base?.rollbacks, now.now, now.rollbacks);
  const rollbacks = nextRollbacks(base?.rollbacks, hidden, { at: now.now, count: now.rollbacks });
  return {
    base: {
      at: now.now,
      ...(log.kind === 'read' ? { log: log.position } : {}),
      ...(rollbacks === undefined ? {} : { rollbacks }),
    },
    uses: hidden ? [...active, ...missed(log, watch, flood)] : active,
    ...limitsOf(now, log),
  };
};
