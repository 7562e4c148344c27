/**
 * What went wrong, as PostgreSQL and the network say it, and what it means for Segue.
 *
 * PostgreSQL puts row values into the primary message of some classes ("invalid input syntax for type
 * integer: \"…\""), so only classes known to be free of them are quoted; the rest are named by their SQLSTATE.
 * DETAIL, WHERE and the statement are never kept: they would reach logs through any error serialiser.
 */
import { FencedError, type Outcome } from '../api/outcome.ts';
import { unknown, type Fact } from '../api/facts.ts';
import type { Reason } from '../api/reasons.ts';

/** What an error calls for. */
export type ErrorKind =
  /** It may be gone at the next try: cancelled, timed out, every session busy. */
  | 'transient'
  /** A lock was not to be had within lock_timeout. */
  | 'lock'
  /** Deadlock or serialization failure: PostgreSQL undid us so that others could go on. */
  | 'serialization'
  /** A value of a row that an expression can't convert, or that a constraint refuses. */
  | 'conversion'
  | 'credentials'
  | 'privilege'
  | 'unreachable'
  /** The server has no space left. */
  | 'full'
  /** Trying again would only fail again. */
  | 'permanent';

// SQLSTATE or Node's error code, by longest prefix. https://www.postgresql.org/docs/18/errcodes-appendix.html
const kinds: Readonly<Record<string, ErrorKind>> = {
  '08': 'unreachable',
  '22': 'conversion',
  '23': 'conversion',
  '25006': 'unreachable', // read-only: a name that still points at a former primary
  '25P02': 'transient',
  '25P03': 'transient', // idle_in_transaction_session_timeout
  '25P04': 'transient', // transaction_timeout
  '28': 'credentials',
  '3D000': 'credentials',
  '40': 'serialization',
  '42501': 'privilege',
  '53': 'unreachable',
  '53100': 'full',
  '55P03': 'lock',
  '57014': 'transient',
  '57P0': 'unreachable',
  '58': 'unreachable',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  ECONNABORTED: 'unreachable',
  EPIPE: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  ETIMEDOUT: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ERR_STREAM: 'unreachable', // written to a connection that has just broken
};

// Errors that pg raises itself, without a code.
const driverErrors: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^timeout exceeded when trying to connect$/, 'transient'],
  [/^Query read timeout$/, 'unreachable'],
  [/^Connection terminated/, 'unreachable'],
  [/^timeout expired$/, 'unreachable'],
  [/connection error and is not queryable|was closed and is not queryable/, 'unreachable'],
  [/SSL connection/, 'unreachable'],
  [/certificate/i, 'unreachable'],
  [/SASL|password must be a string/, 'credentials'],
];

// Classes whose primary message speaks of the session, the catalog or the statement, never of a row.
const quotable = new Set([
  '08',
  '0A',
  '25',
  '28',
  '2B',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '54',
  '55',
  '57',
  '58',
]);

const conditionNames: Readonly<Record<string, string>> = {
  '22001': 'string data right truncation',
  '22003': 'numeric value out of range',
  '22007': 'invalid datetime format',
  '22008': 'datetime field overflow',
  '22012': 'division by zero',
  '22P02': 'invalid text representation',
  '23502': 'not-null violation',
  '23503': 'foreign key violation',
  '23505': 'unique violation',
  '23514': 'check violation',
  P0001: 'an exception raised by a function or trigger',
};

const kindOf = (code: string | undefined, message: string): ErrorKind => {
  if (code !== undefined) {
    for (let length = code.length; length >= 2; length--) {
      const kind = kinds[code.slice(0, length)];
      if (kind) return kind;
    }
  }
  return driverErrors.find(([pattern]) => pattern.test(message))?.[1] ?? 'permanent';
};

interface RawError {
  readonly message: string;
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly constraint?: unknown;
  readonly column?: unknown;
  readonly table?: unknown;
  readonly position?: unknown;
  readonly hint?: unknown;
  readonly errors?: readonly unknown[];
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const sentence = (raw: RawError, code: string | undefined): string => {
  const fromServer = raw.severity !== undefined && code !== undefined;
  if (!fromServer) return code === undefined ? raw.message : `${raw.message} (${code})`;
  const named = quotable.has(code.slice(0, 2)) ? raw.message : (conditionNames[code] ?? 'an error');
  const where = (['table', 'column', 'constraint'] as const).flatMap((part) => {
    const name = text(raw[part]);
    return name === undefined ? [] : [`${part} ${name}`];
  });
  return `${named}${where.length > 0 ? `, ${where.join(', ')}` : ''} (SQLSTATE ${code})`;
};

/** An error from PostgreSQL or on the way to it. Its message is safe to show; nothing else of the original is. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly kind: ErrorKind;
  /** SQLSTATE or Node's code. */
  readonly code: string | undefined;
  /** Where in the statement, counted from 1. */
  readonly position: number | undefined;
  // Private, so that no serialiser finds it.
  readonly #primary: string;
  readonly #hint: string | undefined;

  constructor(raw: RawError) {
    const code = text(raw.code);
    super(sentence(raw, code));
    this.code = code;
    this.kind = kindOf(code, raw.message);
    this.position = raw.position === undefined ? undefined : Number(raw.position);
    this.#primary = raw.message;
    this.#hint = text(raw.hint);
  }

  /** PostgreSQL's own message and hint: only for statements that can't have met a row. */
  verbatim(): string {
    return this.#hint === undefined ? this.#primary : `${this.#primary}. ${this.#hint}`;
  }
}

/**
 * True if a row is to blame, and the rows beside it may do better: a value that can't be converted, a constraint,
 * an exception raised by a function, a subquery with several rows, an index entry too long.
 */
export const isRowFault = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError &&
  (error.kind === 'conversion' || /^(?:21|38|39|54|P0)/.test(error.code ?? ''));

const isRaw = (error: unknown): error is RawError =>
  typeof error === 'object' && error !== null && typeof (error as RawError).message === 'string';

/** Wraps what pg or the network threw; errors of ours pass through. */
export const databaseError = (error: unknown): Error => {
  if (error instanceof DatabaseError || error instanceof FencedError) return error;
  if (!isRaw(error)) return new DatabaseError({ message: 'an unknown error' });
  // Node's error for "every address refused" has the reasons inside and no message of its own.
  const [first]: readonly unknown[] = error.errors ?? [];
  return first === undefined ? new DatabaseError(error) : databaseError(first);
};

const advice: Readonly<Record<ErrorKind, string>> = {
  transient: 'It is tried again.',
  lock: 'It is tried again.',
  serialization: 'It is tried again.',
  conversion: 'Mend the rows or the expression, then set the segue.dev/retry annotation.',
  credentials: 'Correct the user, password or database name in the secret.',
  privilege: 'Segue needs a role that owns the table and may create a schema in the database.',
  unreachable: 'It goes on by itself once the database answers.',
  full: 'The database server has no space left: free some, or grow its volume. What was under way is undone, nothing is lost, and it goes on by itself.',
  permanent: 'Mend the cause, then set the segue.dev/retry annotation.',
};

const takesNoWrites =
  'The address leads to a server that takes no writes, such as a replica or a primary that has failed over. It goes on by itself once it leads to the primary.';

const adviceByCode: Readonly<Record<string, string>> = {
  '25006': takesNoWrites,
  '53300':
    'Every connection is taken: let some go, or raise max_connections or the CONNECTION LIMIT of the role or the database. It goes on by itself.',
};

const adviceOf = (error: DatabaseError): string => adviceByCode[error.code ?? ''] ?? advice[error.kind];

const reasonOf: Readonly<Record<ErrorKind, Reason>> = {
  transient: 'Progressing',
  lock: 'LockNotAvailable',
  serialization: 'LockNotAvailable',
  conversion: 'StepFailed',
  credentials: 'InvalidCredentials',
  privilege: 'InsufficientPrivilege',
  unreachable: 'DatabaseUnreachable',
  full: 'DiskFull',
  permanent: 'StepFailed',
};

/** Between one and five seconds, so that several waiters don't come back at once. */
export const jitteredDelayMs = (): number => 1_000 + Math.floor(Math.random() * 4_000);

/** Turns an error met while doing something into an outcome; `doing` is a fragment such as "add column x". Bugs and fencing are thrown on. */
export const outcomeOf = (error: unknown, doing: string): Outcome => {
  if (!(error instanceof DatabaseError)) throw error;
  const reason = reasonOf[error.kind];
  const message = `Could not ${doing}: ${error.message}. ${adviceOf(error)}`;
  switch (error.kind) {
    case 'transient':
    case 'lock':
    case 'serialization':
    case 'unreachable':
    case 'full':
      return { kind: 'deferred', reason, message, afterMs: jitteredDelayMs() };
    case 'conversion':
    case 'credentials':
    case 'privilege':
    case 'permanent':
      return { kind: 'refused', reason, message };
  }
};

/** Runs a read; what PostgreSQL or the network refuses becomes an unknown fact. `what` is a fragment such as "table public.t". */
export const readFact = async <T>(what: string, read: () => Promise<T>): Promise<Fact<T>> => {
  try {
    return { known: true, value: await read() };
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return unknown(reasonOf[error.kind], `Could not read ${what}: ${error.message}. ${adviceOf(error)}`);
  }
};
