/**
 * Reads SchemaChanges for whoever asks. Nobody who asks is logged in, so what a caller can cost the API server is
 * bounded: answers are kept for a second, the same question is asked once at a time, and there are so many reads a second.
 */
import type { SchemaChange } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import type { Clock } from '../kube/clock.ts';
import { schemaChanges } from '../kube/resources.ts';
import { TokenBucket } from '../kube/token-bucket.ts';
import type { KubeObject } from '../kube/types.ts';

/** What came of a read. */
export type Reading =
  | { readonly kind: 'found'; readonly change: SchemaChange }
  | { readonly kind: 'absent' }
  /** The API server did not answer, or is not asked for now. */
  | { readonly kind: 'unreadable'; readonly why: string };

export interface ChangeReaderOptions {
  readonly cluster: Pick<Cluster, 'get'>;
  readonly clock: Clock;
  /** How old an answer may be, from when it was asked for, in ms; default 1 s. */
  readonly freshMs?: number | undefined;
}

const readTimeoutMs = 3_000;
const reads = { perSecond: 10, burst: 20 };
const mostAtOnce = 4;
const mostKept = 200;

interface Kept {
  readonly askedAt: number;
  readonly reading: Promise<Reading>;
}

/** See the file's head. */
export class ChangeReader {
  readonly #options: ChangeReaderOptions;
  readonly #bucket: TokenBucket;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #underWay = 0;

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(reads, options.clock);
  }

  /** A SchemaChange as the API server has it, or had it a moment ago. Never rejects. */
  async read(namespace: string, name: string): Promise<Reading> {
    const { clock, freshMs = 1_000 } = this.#options;
    const key = `${namespace}/${name}`;
    const kept = this.#kept.get(key);
    const now = clock.now();
    if (kept !== undefined && now - kept.askedAt <= freshMs) return kept.reading;
    if (this.#underWay >= mostAtOnce || !this.#bucket.tryTake())
      return { kind: 'unreadable', why: 'more is asked than the API server is to be burdened with' };
    const reading = this.#get(namespace, name);
    this.#kept.delete(key);
    this.#kept.set(key, { askedAt: now, reading });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= mostKept) break;
      this.#kept.delete(oldest);
    }
    return reading;
  }

  async #get(namespace: string, name: string): Promise<Reading> {
    this.#underWay += 1;
    try {
      const change = await this.#options.cluster.get<SchemaChange & KubeObject>(
        { resource: schemaChanges, namespace, name },
        { timeoutMs: readTimeoutMs },
      );
      return change === undefined ? { kind: 'absent' } : { kind: 'found', change };
    } catch {
      // Whoever asks is not logged in: the API server's words stay inside.
      return { kind: 'unreadable', why: 'the API server gave no answer that can be used' };
    } finally {
      this.#underWay -= 1;
    }
  }
}
