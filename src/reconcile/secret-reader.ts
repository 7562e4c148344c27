/**
 * Secrets as they were a moment ago. They are not watched, for that would be a right to all of a namespace's Secrets;
 * and changes of one database name one Secret. So where a thousand of them wake together, or a hundred wait for the same
 * one to be made, it is asked for once in a few seconds and not by each.
 */
import { systemClock, type Clock } from '../kube/clock.ts';
import type { Cluster } from '../kube/client.ts';
import { secrets } from '../kube/resources.ts';
import type { Secret } from '../kube/types.ts';

/**
 * How old a reading may be, in ms. Longer, and a new password, or a Secret that was made at last, is noticed late;
 * shorter, and it spares nothing.
 */
export const secretFreshMs = 3_000;

interface Kept {
  readonly askedAt: number;
  readonly reading: Promise<Secret | undefined>;
}

/** See the file's head. */
export class SecretReader {
  readonly #cluster: Pick<Cluster, 'get'>;
  readonly #clock: Clock;
  /** By namespace and name, oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(cluster: Pick<Cluster, 'get'>, clock: Clock = systemClock) {
    this.#cluster = cluster;
    this.#clock = clock;
  }

  /** A Secret, or undefined where there is none. @throws as `Cluster.get` does; what failed is asked for anew. */
  read(namespace: string, name: string): Promise<Secret | undefined> {
    const now = this.#clock.now();
    // Credentials stay in memory no longer than they serve.
    for (const [key, { askedAt }] of this.#kept) {
      if (now - askedAt < secretFreshMs) break;
      this.#kept.delete(key);
    }
    const key = `${namespace}/${name}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept.reading;
    const reading = this.#cluster.get({ resource: secrets, namespace, name });
    this.#kept.set(key, { askedAt: now, reading });
    reading.catch(() => {
      if (this.#kept.get(key)?.reading === reading) this.#kept.delete(key);
    });
    return reading;
  }
}
