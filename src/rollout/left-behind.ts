/**
 * What a change began for Deployments that its resource names no more: the workload was taken out of the spec, or
 * named anew, in the middle of its roll-out. Found by the labels on what was made or held for it, and brought to
 * its end as it is where a resource is deleted.
 */
import { known, type Fact, type WorkloadFacts } from '../api/facts.ts';
import type { Workload } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import { deployments, services } from '../kube/resources.ts';
import { canaryName } from './observed.ts';
import { greenLabel, holdLabel, readHold } from './record.ts';
import { unreadable } from './unreadable.ts';
import { observeWorkload } from './workload.ts';

/** Which change, and which Deployments it still names. */
export interface LeftBehindInput {
  readonly namespace: string;
  readonly change: { readonly name: string; readonly uid: string };
  readonly named: readonly string[];
  /** As in WorkloadInput. */
  readonly retry: string;
  /** In ms since the epoch. */
  readonly now: number;
}

/** Looks at each of them, as at a workload that is to be brought to its end. Unknown where that can't be read. */
export const observeLeftBehind = async (
  cluster: Cluster,
  { named, ...input }: LeftBehindInput,
): Promise<Fact<readonly WorkloadFacts[]>> => {
  const { namespace, change } = input;
  try {
    const [held, twins] = await Promise.all([
      cluster.list(services, { namespace, labelSelector: `${holdLabel}=${change.name}` }),
      cluster.list(deployments, { namespace, labelSelector: `${greenLabel}=${change.name}` }),
    ]);
    const ofServices = held.items.flatMap((service) => {
      const hold = readHold(service);
      return typeof hold === 'object' && hold.change === change.name ? [hold.deployment] : [];
    });
    const ofTwins = twins.items.flatMap(({ metadata }) =>
      (metadata.ownerReferences ?? []).filter(({ kind }) => kind === 'Deployment').map(({ name }) => name),
    );
    const canaries = new Set(twins.items.map(({ metadata }) => metadata.name));
    const found: WorkloadFacts[] = [];
    for (const deployment of new Set([...ofServices, ...ofTwins])) {
      if (named.includes(deployment)) continue;
      const workload: Workload = {
        deployment,
        mode: 'Manage',
        strategy: canaries.has(canaryName(deployment))
          ? { canary: { steps: [] } }
          : { blueGreen: { settle: '0s' } },
        releases: [],
      };
      const fact = await observeWorkload(cluster, { ...input, workload, wanted: { kind: 'abandon' } });
      if (!fact.known) return fact;
      found.push(fact.value);
    }
    return known(found);
  } catch (error) {
    return unreadable(error, `what was begun for SchemaChange ${change.name}`);
  }
};
