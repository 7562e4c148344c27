/** One watch request: newline-separated JSON, read as it comes. */

import { type Status, ApiError, refusal } from './api-error.ts';
import type { Request, Requests } from './requests.ts';
import { type Resource, collectionPath } from './resources.ts';
import type { KubeObject } from './types.ts';

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing changed up to this version. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  /** The server gives up this watch; 410 means that the version is too old. */
  | { readonly type: 'ERROR'; readonly error: ApiError };

export interface WatchOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Where to go on from, as a list or an earlier event said. */
  readonly resourceVersion: string;
  /** The server ends the watch after this long, in seconds. */
  readonly timeoutSeconds: number;
  /**
   * A connection that brings nothing for this long, not even a bookmark, is given up, in ms: it may be dead, or
   * nothing of this kind has happened. A server sends a bookmark about every minute, but (seen with 1.36) none
   * for a version that is not past the one that the watch began with. So it is no failure, and costs a request.
   */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** Told once the server has taken the watch, which may be long before the first event; must not throw. */
  readonly onOpen?: (() => void) | undefined;
}

interface RawEvent {
  readonly type: string;
  readonly object: unknown;
}

/**
 * The events of one watch; ends when the server ends it.
 * @throws ApiError if it is refused; UnreachableError if it is cut, or `SILENT`; the signal's reason.
 */
export async function* watchLines<T extends KubeObject>(
  requests: Requests,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds, signal } = options;
  const request: Request = {
    verb: 'watch',
    method: 'GET',
    resource,
    path: collectionPath(resource, namespace),
    what: `${resource.plural} in ${namespace ?? 'all namespaces'}`,
    query: {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
      labelSelector,
      fieldSelector,
    },
  };
  const body = await requests.open(request, signal, options.silenceMs);
  options.onOpen?.();
  try {
    for await (const line of linesOf(body)) yield eventFrom<T>(JSON.parse(line) as RawEvent, request.what);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof SyntaxError) {
      throw new ApiError(`The API server sent a line that is not JSON (watch ${request.what}).`, {
        status: 200,
      });
    }
    throw requests.explain(request, error, options.silenceMs);
  } finally {
    body.destroy();
  }
}

function eventFrom<T extends KubeObject>(raw: RawEvent, what: string): WatchEvent<T> {
  switch (raw.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: raw.type, object: raw.object as T };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: (raw.object as T).metadata.resourceVersion };
    default: {
      const status = raw.object as Status;
      return { type: 'ERROR', error: refusal(`go on with watch ${what}`, status.code ?? 500, status) };
    }
  }
}

/** Complete lines; a last one without its newline was cut off, and is dropped. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const pieces = decoder.decode(chunk, { stream: true }).split('\n');
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = rest + piece;
      rest = '';
      if (line !== '') yield line;
    }
    rest += last;
  }
}
