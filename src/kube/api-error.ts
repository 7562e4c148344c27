/** What can go wrong between us and the API server, without a word of what was sent. */

/** The server answered, and refused. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  /** The machine-readable reason, such as `Conflict` or `Forbidden`; empty if the server gave none. */
  readonly reason: string;
  /** How long the server asked us to stay away, in ms. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    answer: { status: number; reason?: string | undefined; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.status = answer.status;
    this.reason = answer.reason ?? '';
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/**
 * No answer: refused, cut, timed out, or silent. If the request was a write, whether it was done is unknown.
 * `code` is Node's or undici's, such as `ECONNREFUSED` or `UND_ERR_SOCKET`, or `TIMEOUT` or `SILENT`.
 */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

const hasStatus =
  (...statuses: readonly number[]) =>
  (error: unknown): error is ApiError =>
    error instanceof ApiError && statuses.includes(error.status);

export const isNotFound = hasStatus(404);
export const isForbidden = hasStatus(401, 403);
/** Somebody else changed the object, owns the field, or made the object first. */
export const isConflict = hasStatus(409);
/** The resource version or continue token is too old; only a new list helps. */
export const isExpired = hasStatus(410);
/** The server will never take this object as it is. */
export const isInvalid = hasStatus(400, 422);
export const isUnreachable = (error: unknown): error is UnreachableError => error instanceof UnreachableError;

/** metav1.Status, as far as it is used. */
export interface Status {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** Longest text of the server's that goes into a message; it may quote an object at length. */
const longestDetail = 1000;

/** The server's refusal as an error; `what` names the request, such as `get Secret shop/shop-db`. */
export function refusal(what: string, status: number, body: Status, retryAfter?: string): ApiError {
  const detail = typeof body.message === 'string' ? `: ${body.message.slice(0, longestDetail)}` : '';
  const seconds = Number(retryAfter ?? body.details?.retryAfterSeconds);
  return new ApiError(
    `The API server refused to ${what} (${status} ${body.reason ?? ''}`.trimEnd() + `)${detail}`,
    {
      status,
      reason: body.reason,
      retryAfterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined,
    },
  );
}

/** Reads a Status from a body that may be anything, such as a proxy's page of HTML. */
export function statusFrom(text: string): Status {
  try {
    const body = JSON.parse(text) as Status | null;
    return typeof body === 'object' && body !== null && body.kind === 'Status' ? body : {};
  } catch {
    return {};
  }
}
