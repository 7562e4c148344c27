/**
 * The server's log, where it is kept as CSV and the role may read it: the only place in which a statement shows that
 * failed because a column is not there. What is read is judged and thrown away; it holds values.
 */
import { sql } from '../sql/sql.ts';
import { DatabaseError } from './errors.ts';
import { ownMark } from './own-mark.ts';
import type { Session } from './session.ts';

/** How far the log has been read. */
export interface LogPosition {
  readonly file: string;
  readonly offset: number;
}

/** A statement that failed. */
export interface LoggedError {
  readonly role: string;
  readonly application: string;
  readonly message: string;
  /** Empty where log_min_error_statement keeps it out. */
  readonly statement: string;
  /** True if the error arose within a function or trigger. */
  readonly inFunction: boolean;
}

/** What of the log is new. */
export type LogReading =
  | { readonly kind: 'read'; readonly position: LogPosition; readonly errors: readonly LoggedError[] }
  | { readonly kind: 'unreadable'; readonly why: string };

const chunkBytes = 1_000_000;
const chunksAtOnce = 8;

/** Records of CSV text, with quoted fields that may hold line ends; what follows the last whole record is left. */
export const csvRecords = (
  text: string,
): { readonly records: readonly (readonly string[])[]; readonly rest: string } => {
  const records: string[][] = [];
  let record: string[] = [];
  let end = 0;
  const field = /(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/y;
  for (let match = field.exec(text); match !== null; match = field.exec(text)) {
    record.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] !== '\n') continue;
    records.push(record);
    record = [];
    end = field.lastIndex;
  }
  return { records, rest: text.slice(end) };
};

// Manual, "Using CSV-Format Log Output": columns by their place, the same since PostgreSQL 14.
const place = { role: 1, database: 2, code: 12, message: 13, context: 18, statement: 19, application: 22 };

// undefined_column, and a prepared SELECT * whose result is no longer what it was.
const codes: ReadonlySet<string> = new Set(['42703', '0A000']);

const errorsIn = (records: readonly (readonly string[])[], database: string): readonly LoggedError[] =>
  records
    .filter((record) => record[place.database] === database && codes.has(record[place.code] ?? ''))
    .map((record) => ({
      role: record[place.role] ?? '',
      application: record[place.application] ?? '',
      message: record[place.message] ?? '',
      statement: record[place.statement] ?? '',
      inFunction: (record[place.context] ?? '') !== '',
    }))
    .filter(({ statement }) => !statement.includes(ownMark.text));

interface Standing {
  readonly database: string;
  readonly file: string | null;
}

const readable = sql`SELECT has_function_privilege('pg_current_logfile(text)', 'EXECUTE')
    AND has_function_privilege('pg_ls_logdir()', 'EXECUTE') AS listed,
  has_function_privilege('pg_read_binary_file(text,bigint,bigint,boolean)', 'EXECUTE') AS read,
  current_setting('log_min_messages') NOT IN ('log', 'fatal', 'panic') AS kept,
  current_user::text AS role`;

const whyUnreadable = async (session: Session): Promise<string | undefined> => {
  const may = await session.one<{ listed: boolean; read: boolean; kept: boolean; role: string }>(readable);
  if (!may.kept) return 'log_min_messages leaves errors out of the log';
  if (may.listed && may.read) return undefined;
  return `role ${may.role} may not read it (GRANT pg_monitor, and GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean))`;
};

const chunk = async (session: Session, { file, offset }: LogPosition): Promise<Buffer | undefined> => {
  const { bytes } = await session.one<{ bytes: Buffer | null }>(
    sql`SELECT pg_read_binary_file($1, $2, $3, true) AS bytes`,
    [file, offset, chunkBytes],
  );
  return bytes ?? undefined;
};

/** Reads a file to its end, or as far as one look may; records that are not yet whole are left for the next. */
const readOn = async (
  session: Session,
  from: LogPosition,
  database: string,
): Promise<{ readonly errors: readonly LoggedError[]; readonly offset: number; readonly full: boolean }> => {
  let { offset } = from;
  const errors: LoggedError[] = [];
  for (let n = 0; n < chunksAtOnce; n += 1) {
    const bytes = await chunk(session, { ...from, offset });
    if (bytes === undefined || bytes.length === 0) return { errors, offset, full: true };
    // Latin-1 keeps every byte one character, so that the length of what is left over is its length in the file.
    const { records, rest } = csvRecords(bytes.toString('latin1'));
    errors.push(
      ...errorsIn(
        records.map((record) => record.map((value) => Buffer.from(value, 'latin1').toString('utf8'))),
        database,
      ),
    );
    offset += bytes.length - rest.length;
    if (rest.length === bytes.length) return { errors, offset, full: bytes.length < chunkBytes };
  }
  return { errors, offset, full: false };
};

const standing = sql`SELECT current_database()::text AS database, pg_current_logfile('csvlog') AS file`;

const endOf = async (session: Session, file: string): Promise<number> => {
  const [row] = await session.rows<{ size: number }>(
    sql`SELECT size FROM pg_ls_logdir() WHERE $1 = name OR right($1, length(name) + 1) = '/' || name`,
    [file],
  );
  return row?.size ?? 0;
};

/** Reads what was logged since a position; without one it only says where the log ends now. */
export const readLog = async (session: Session, since: LogPosition | undefined): Promise<LogReading> => {
  const why = await whyUnreadable(session);
  if (why !== undefined) return { kind: 'unreadable', why };
  try {
    return await session.attempt(async (): Promise<LogReading> => {
      const { database, file } = await session.one<Standing>(standing);
      if (file === null)
        return { kind: 'unreadable', why: 'log_destination has no csvlog, or logging_collector is off' };
      if (since === undefined)
        return { kind: 'read', position: { file, offset: await endOf(session, file) }, errors: [] };
      const first = await readOn(session, since, database);
      if (since.file === file || !first.full)
        return { kind: 'read', position: { ...since, offset: first.offset }, errors: first.errors };
      const next = await readOn(session, { file, offset: 0 }, database);
      return {
        kind: 'read',
        position: { file, offset: next.offset },
        errors: [...first.errors, ...next.errors],
      };
    });
  } catch (error) {
    // Class 58 is of the file, not of the way to the server.
    if (!(error instanceof DatabaseError)) throw error;
    if (error.kind === 'unreachable' && !error.code?.startsWith('58')) throw error;
    return { kind: 'unreadable', why: error.message };
  }
};
