/**
 * What pg_stat_statements has counted: statements whose calls have risen since the last look were executed since.
 * It keeps them with their constants replaced, so that no value of a row is in what is read here.
 */
import { ident, sql, type Sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import { ownMark } from './own-mark.ts';
import type { Session } from './session.ts';

/** Calls of one statement by one role. `queryid` is a 64-bit number as text. */
export interface StatementCalls {
  readonly userid: number;
  readonly queryid: string;
  readonly toplevel: boolean;
  readonly calls: number;
}

/** A statement that was executed since the last look. */
export interface RisenStatement extends StatementCalls {
  readonly role: string;
  readonly text: string;
}

/** How far the counts reached at a look; with another `statsReset` they say nothing of what came after it. */
export interface CountsBase {
  readonly statsReset: string;
  readonly evicted: number;
  readonly calls: readonly StatementCalls[];
}

/** What a source shows now. */
export type Counts =
  | {
      readonly kind: 'counted';
      readonly now: CountsBase;
      /** Empty without a base to compare with. */
      readonly risen: readonly RisenStatement[];
      /** What this source can't show, as sentences. */
      readonly blindSpots: readonly string[];
    }
  | { readonly kind: 'blind'; readonly why: string };

// A longer one is no statement that a person or a framework wrote for this table alone; it is judged by its names.
const longestText = 100_000;
// pg_stat_statements.max is 5,000 by default.
const mostStatements = 20_000;

interface Setting {
  readonly schema: string | null;
  readonly current: boolean;
  readonly loaded: boolean;
  readonly computes: boolean;
  readonly track: string | null;
  readonly all: boolean;
  readonly role: string;
}

const settingOf = (session: Session): Promise<Setting> =>
  session.one<Setting>(
    sql`SELECT n.nspname AS schema, current_user::text AS role,
      to_regprocedure(quote_ident(n.nspname) || '.pg_stat_statements_info()') IS NOT NULL AS current,
      current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded,
      current_setting('compute_query_id') <> 'off' AS computes,
      current_setting('pg_stat_statements.track', true) AS track,
      pg_has_role('pg_read_all_stats', 'USAGE') AS all
      FROM (SELECT) one LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
      LEFT JOIN pg_namespace n ON n.oid = e.extnamespace`,
  );

const whyBlind = (setting: Setting, label: string): string | undefined => {
  const { schema, loaded, current, computes, track } = setting;
  if (schema === null)
    return `pg_stat_statements is not installed in ${label} (shared_preload_libraries, then CREATE EXTENSION pg_stat_statements)`;
  if (!loaded) return `pg_stat_statements is not in shared_preload_libraries of ${label}`;
  if (!current)
    return `the extension pg_stat_statements of ${label} is too old (ALTER EXTENSION pg_stat_statements UPDATE)`;
  if (!computes) return `compute_query_id is off in ${label}`;
  return track === 'none' ? `pg_stat_statements.track is none in ${label}` : undefined;
};

const blindSpotsOf = ({ all, role, track }: Setting, label: string): readonly string[] => [
  ...(all
    ? []
    : [
        `Of ${label}, statements of other roles than ${role} are not seen: GRANT pg_read_all_stats TO ${ident(role).text}.`,
      ]),
  ...(track === 'all'
    ? []
    : [
        `Of ${label}, statements inside functions are not seen: pg_stat_statements.track is ${track ?? 'top'}.`,
      ]),
];

/** As LIKE takes them: a name as it is written bare, and with its quotes doubled. */
const patternsOf = (names: readonly string[]): readonly string[] =>
  names
    .flatMap((name) => [name, name.replaceAll('"', '""')])
    .map((name) => `%${name.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`);

const countsIn = (schema: string): Sql => sql`${ident(schema, 'pg_stat_statements')}(true)`;

const keyOf = ({ userid, queryid, toplevel }: StatementCalls): string => `${userid} ${queryid} ${toplevel}`;

const textsOf = async (
  session: Session,
  schema: string,
  risen: readonly StatementCalls[],
): Promise<readonly RisenStatement[]> => {
  if (risen.length === 0) return [];
  const rows = await session.rows<Omit<RisenStatement, 'calls'>>(
    sql`SELECT s.userid::bigint AS userid, s.queryid::text AS queryid, s.toplevel,
      coalesce(pg_get_userbyid(s.userid)::text, '') AS role, left(s.query, $2) AS text
      FROM ${countsIn(schema)} s WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND s.queryid = ANY ($1::bigint[])`,
    [[...new Set(risen.map(({ queryid }) => queryid))], longestText],
  );
  const found = new Map(rows.map((row) => [keyOf({ ...row, calls: 0 }), row]));
  return risen.flatMap((statement) => {
    const row = found.get(keyOf(statement));
    return row === undefined ? [] : [{ ...row, calls: statement.calls }];
  });
};

const countsOf = async (session: Session, schema: string, names: readonly string[]): Promise<CountsBase> => {
  const info = await session.one<Omit<CountsBase, 'calls'>>(
    sql`SELECT dealloc AS evicted, stats_reset::text AS "statsReset" FROM ${ident(schema, 'pg_stat_statements_info')}()`,
  );
  const calls = await session.rows<StatementCalls>(
    sql`SELECT userid::bigint AS userid, queryid::text AS queryid, toplevel, calls FROM ${countsIn(schema)}
      WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND queryid IS NOT NULL AND lower(query) LIKE ANY ($1) AND query NOT LIKE $2 LIMIT $3`,
    [patternsOf(names), `%${ownMark.text}%`, mostStatements],
  );
  return { ...info, calls };
};

/**
 * What has been executed since `base`, within a transaction: statements whose text names one of the tables. A base
 * from before a reset gives nothing risen: the caller sees another `statsReset`. Throws DatabaseError.
 */
export const countWithin = async (
  session: Session,
  names: readonly string[],
  base: CountsBase | undefined,
  label: string,
): Promise<Counts> => {
  const setting = await settingOf(session);
  const why = whyBlind(setting, label);
  if (why !== undefined || setting.schema === null) return { kind: 'blind', why: why ?? '' };
  const { schema } = setting;
  try {
    return await session.attempt(async () => {
      const now = await countsOf(session, schema, names);
      const before = new Map(base?.calls.map((statement) => [keyOf(statement), statement.calls]));
      const comparable = base?.statsReset === now.statsReset;
      const risen = comparable
        ? now.calls.filter((statement) => before.get(keyOf(statement)) !== statement.calls)
        : [];
      const full = now.calls.length === mostStatements;
      return {
        kind: 'counted',
        now,
        risen: await textsOf(session, schema, risen),
        blindSpots: [
          ...blindSpotsOf(setting, label),
          ...(full ? [`Of ${label}, only ${mostStatements} statements on the table are followed.`] : []),
          ...(comparable && base !== undefined && base.evicted !== now.evicted
            ? [
                `Of ${label}, pg_stat_statements has thrown statements away since the first look, and rare ones may have been among them: raise pg_stat_statements.max.`,
              ]
            : []),
        ],
      };
    });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.kind === 'unreachable') throw error;
    return { kind: 'blind', why: `pg_stat_statements of ${label} could not be read: ${error.message}` };
  }
};

/** As `countWithin`, in a transaction of its own. Throws DatabaseError. */
export const countStatements = (
  db: Database,
  names: readonly string[],
  base: CountsBase | undefined,
): Promise<Counts> =>
  db.transaction({ mode: 'read', statementTimeoutMs: 30_000 }, (session) =>
    countWithin(session, names, base, db.label),
  );

/** The base that the ledger keeps for a source; undefined before its first look. */
export const readBase = async (
  session: Session,
  id: number,
  source: string,
): Promise<CountsBase | undefined> => {
  const [row] = await session.rows<Omit<CountsBase, 'calls'>>(
    sql`SELECT stats_reset::text AS "statsReset", evicted FROM segue.statement_source
      WHERE change_id = $1 AND source = $2`,
    [id, source],
  );
  if (row === undefined) return undefined;
  const calls = await session.rows<StatementCalls>(
    sql`SELECT userid::bigint AS userid, queryid::text AS queryid, toplevel, calls FROM segue.statement_calls
      WHERE change_id = $1 AND source = $2`,
    [id, source],
  );
  return { ...row, calls };
};

/** Keeps a base, only what differs from the former one being written. */
export const writeBase = async (
  session: Session,
  id: number,
  source: string,
  base: CountsBase,
): Promise<void> => {
  await session.run(
    sql`INSERT INTO segue.statement_source AS s (change_id, source, stats_reset, evicted) VALUES ($1, $2, $3::timestamptz, $4)
      ON CONFLICT (change_id, source) DO UPDATE SET stats_reset = excluded.stats_reset,
        evicted = CASE WHEN s.stats_reset = excluded.stats_reset THEN s.evicted ELSE excluded.evicted END`,
    [id, source, base.statsReset, base.evicted],
  );
  const columns = [
    base.calls.map(({ userid }) => userid),
    base.calls.map(({ queryid }) => queryid),
    base.calls.map(({ toplevel }) => toplevel),
    base.calls.map(({ calls }) => calls),
  ];
  const now = sql`unnest($3::oid[], $4::bigint[], $5::boolean[], $6::bigint[]) AS n (userid, queryid, toplevel, calls)`;
  await session.run(
    sql`DELETE FROM segue.statement_calls c WHERE change_id = $1 AND source = $2 AND NOT EXISTS (
      SELECT FROM ${now} WHERE n.userid = c.userid AND n.queryid = c.queryid AND n.toplevel = c.toplevel)`,
    [id, source, ...columns],
  );
  await session.run(
    sql`INSERT INTO segue.statement_calls AS c (change_id, source, userid, queryid, toplevel, calls)
      SELECT $1, $2, n.userid, n.queryid, n.toplevel, n.calls FROM ${now}
      ON CONFLICT (change_id, source, userid, queryid, toplevel) DO UPDATE SET calls = excluded.calls
      WHERE c.calls <> excluded.calls`,
    [id, source, ...columns],
  );
};

/** Forgets a source that can no longer be read. */
export const dropBase = (session: Session, id: number, source: string): Promise<number> =>
  session.run(sql`DELETE FROM segue.statement_source WHERE change_id = $1 AND source = $2`, [id, source]);
