/** All changes as the API server had them a moment ago. */
import { ApiError } from '../kube/api-error.ts';
import type { Cluster } from '../kube/client.ts';
import type { Log } from '../kube/log.ts';
import { schemaChanges } from '../kube/resources.ts';
import { inOrder, viewOf, type ChangeView } from './view.ts';

/** The changes, or why nobody knows them now. */
export type Reading =
  | { readonly kind: 'known'; readonly changes: readonly ChangeView[] }
  | { readonly kind: 'unknown'; readonly trouble: string };

export interface RecentOptions {
  readonly cluster: Pick<Cluster, 'list'>;
  /** Empty reads all namespaces. */
  readonly namespaces: readonly string[];
  readonly log: Pick<Log, 'warn'>;
  /** In ms, of a clock that never goes back; default the process's. */
  readonly now?: () => number;
}

const leastMs = 1_000;
const timeoutMs = 5_000;
/** A list that takes long is asked for so much more seldom, up to so long. */
const restShare = 10;
const mostMs = 15_000;

/**
 * Lists only when somebody asks: whether this replica leads does not matter, nothing is kept up to date for nobody,
 * and what is shown is never older than it says. However many look, it lists once a second at most.
 */
export class Recent {
  readonly #options: RecentOptions;
  readonly #now: () => number;
  #reading: Promise<Reading> | undefined;
  #freshUntil = 0;

  constructor(options: RecentOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Never rejects. */
  read(): Promise<Reading> {
    if (this.#reading === undefined || this.#now() >= this.#freshUntil) {
      const startedAt = this.#now();
      this.#freshUntil = Infinity; // whoever asks meanwhile waits for the same list
      this.#reading = this.#list().finally(() => {
        const now = this.#now();
        this.#freshUntil = now + Math.min(mostMs, Math.max(leastMs, restShare * (now - startedAt)));
      });
    }
    return this.#reading;
  }

  async #list(): Promise<Reading> {
    const { cluster, namespaces, log } = this.#options;
    try {
      const lists = await Promise.all(
        (namespaces.length === 0 ? [undefined] : namespaces).map((namespace) =>
          cluster.list(schemaChanges, { namespace, timeoutMs }),
        ),
      );
      return { kind: 'known', changes: inOrder(lists.flatMap(({ items }) => items.map(viewOf))) };
    } catch (error) {
      log.warn({ err: error }, 'the changes could not be listed for the dashboard');
      // Whoever asks is not logged in: of the error they are told only that the API server refused.
      return {
        kind: 'unknown',
        trouble:
          error instanceof ApiError
            ? `The API server refuses to list SchemaChanges (${error.status}); the operator's log says why.`
            : "The API server does not answer; the operator's log says why.",
      };
    }
  }
}
