import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../src/kube/client.ts';
import type { Ref, Resource } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { eventually } from './eventually.ts';

interface Application extends KubeObject {
  readonly spec: object;
  readonly status?: {
    readonly sync?: { readonly status?: string; readonly revision?: string };
    readonly health?: { readonly status?: string };
    readonly operationState?: {
      readonly phase?: string;
      readonly message?: string;
      readonly syncResult?: { readonly revision?: string };
    };
    readonly history?: readonly { readonly revision?: string }[];
    readonly resources?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly status?: string;
    }[];
  };
}

const applications: Resource<Application> = {
  group: 'argoproj.io',
  version: 'v1alpha1',
  plural: 'applications',
  kind: 'Application',
  namespaced: true,
};

const roundMs = 200;

/** An Application, watched all the time for what should never be seen of it. */
export class WatchedApplication {
  /** Each time that it was OutOfSync though its last sync had made it Synced to the same commit, in words. */
  readonly drifted: string[] = [];
  readonly #cluster: Cluster;
  readonly #ref: Ref<Application>;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  readonly #synced = new Set<string>();

  private constructor(cluster: Cluster, ref: Ref<Application>) {
    this.#cluster = cluster;
    this.#ref = ref;
    this.#done = this.#watch();
  }

  static async create(cluster: Cluster, manifest: KubeObject): Promise<WatchedApplication> {
    const { name, namespace = '' } = manifest.metadata;
    const ref = { resource: applications, namespace, name };
    await cluster.create(ref, manifest);
    return new WatchedApplication(cluster, ref);
  }

  async #watch(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const { sync, resources = [] } = (await this.read().catch(() => undefined)) ?? {};
      const revision = sync?.revision ?? '';
      if (sync?.status === 'Synced') this.#synced.add(revision);
      else if (sync?.status === 'OutOfSync' && this.#synced.has(revision)) {
        const what = resources.filter(({ status }) => status === 'OutOfSync');
        this.drifted.push(`${revision}: ${what.map(({ kind, name }) => `${kind} ${name}`).join(', ')}`);
      }
      await sleep(roundMs);
    }
  }

  /** Its status. */
  async read(): Promise<NonNullable<Application['status']>> {
    return (await this.#cluster.get(this.#ref))?.status ?? {};
  }

  /** Has Argo CD look at Git now, as a webhook of a Git server would. */
  async refresh(): Promise<void> {
    await this.#cluster.patch(
      this.#ref,
      { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'normal' } } },
      { type: 'merge' },
    );
  }

  /** Waits until a commit has been synced and all is well. @throws with its last status. */
  async healthyAt(revision: string, withinMs: number): Promise<void> {
    await eventually(async () => {
      const { sync, health, operationState } = await this.read();
      const isDone =
        sync?.status === 'Synced' &&
        sync.revision === revision &&
        health?.status === 'Healthy' &&
        operationState?.phase === 'Succeeded' &&
        operationState.syncResult?.revision === revision;
      if (isDone) return;
      throw new Error(`Not there at ${revision}: ${JSON.stringify({ sync, health, operationState })}`);
    }, withinMs);
  }

  /** Commits that were synced, in order. */
  async synced(): Promise<readonly string[]> {
    return ((await this.read()).history ?? []).map(({ revision = '' }) => revision);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }
}
