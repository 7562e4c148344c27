import type { SchemaChange } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import { Reflector } from '../kube/reflector.ts';
import { schemaChanges } from '../kube/resources.ts';

export interface Following {
  readonly cluster: Cluster;
  /** Undefined follows all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined follows all of the namespace. */
  readonly name: string | undefined;
  /** Once so many ms, also where nothing changed: times that are shown go on. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/**
 * The changes as they are now, and again whenever one of them differs, by one watch that survives cuts. Ends when the
 * signal aborts.
 * @throws if the API server refuses the watch.
 */
export async function* follow(following: Following): AsyncGenerator<readonly SchemaChange[]> {
  const { cluster, namespace, name, everyMs, signal } = following;
  let changed = Promise.withResolvers<void>();
  const reflector = new Reflector({
    cluster,
    resource: schemaChanges,
    namespaces: namespace === undefined ? undefined : [namespace],
    fieldSelector: name === undefined ? undefined : `metadata.name=${name}`,
    onChange: () => changed.resolve(),
  });
  const aborted = untilAborted(signal);
  reflector.start();
  try {
    while (!signal.aborted) {
      const tick = Promise.withResolvers<void>();
      const timer = setTimeout(() => tick.resolve(), everyMs);
      await Promise.race([changed.promise, tick.promise, aborted]);
      clearTimeout(timer);
      changed = Promise.withResolvers<void>();
      if (signal.aborted) return;
      if (reflector.refusal !== undefined) throw new Error(reflector.refusal);
      if (reflector.hasSynced) yield reflector.list();
    }
  } finally {
    await reflector.stop();
  }
}
