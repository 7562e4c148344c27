import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutFacts, WorkloadFacts } from '../../../src/api/facts.ts';
import type { Outcome } from '../../../src/api/outcome.ts';
import type { Release, Workload } from '../../../src/api/schema-change.ts';
import type { Cluster } from '../../../src/kube/client.ts';
import { deployments, namespaces, pods, services, type Resource } from '../../../src/kube/resources.ts';
import type { Deployment, KubeObject, Service } from '../../../src/kube/types.ts';
import { actRollout } from '../../../src/rollout/act.ts';
import { observeWorkload, type Wanted } from '../../../src/rollout/workload.ts';
import type { PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { Kubelet } from './kubelet.ts';

export const replicas = 3;
const selector = { app: 'shop' };
export const release: Release = {
  phase: 'SwitchReads',
  image: 'shop:2',
  env: { READ_FROM: 'full_name', EMPTY: '' },
};
export const blueGreen: Workload = {
  deployment: 'shop',
  service: 'shop',
  mode: 'Manage',
  strategy: { blueGreen: { settle: '1s' } },
  releases: [release],
};
export const rollingUpdate: Workload = { ...blueGreen, strategy: { rollingUpdate: {} } };

interface EndpointSlice extends KubeObject {
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[] | null;
}
const endpointSlices: Resource<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

/** A shop of three pods in a namespace of its own, on a real API server with real controllers. */
export class Shop {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly kubelet: Kubelet;
  readonly steps: string[] = [];
  workload: Workload;
  wanted: Wanted = { kind: 'release', releases: [release] };
  retry = '';
  /** The fewest ready endpoints that the Service ever had since it was complete. */
  fewest = replicas;

  private constructor(cluster: Cluster, namespace: string, kubelet: Kubelet, workload: Workload) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.kubelet = kubelet;
    this.workload = workload;
  }

  static async open(
    bench: { readonly cluster: Cluster; readonly api: PrivateApiServer; readonly node: string },
    namespace: string,
    workload: Workload,
  ): Promise<Shop> {
    const { cluster } = bench;
    await cluster.create({ resource: namespaces, name: namespace }, {});
    const kubelet = new Kubelet({ ...bench, namespace });
    const shop = new Shop(cluster, namespace, kubelet, workload);
    await cluster.create(
      { resource: services, namespace, name: 'shop' },
      { spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] } },
    );
    await cluster.create(
      { resource: deployments, namespace, name: 'shop' },
      {
        metadata: { labels: { 'app.kubernetes.io/instance': 'shop' } },
        spec: {
          replicas,
          progressDeadlineSeconds: 20,
          selector: { matchLabels: selector },
          template: {
            metadata: { labels: { ...selector, tier: 'web' } },
            spec: {
              terminationGracePeriodSeconds: 30,
              containers: [
                {
                  name: 'app',
                  image: 'shop:1',
                  env: [
                    { name: 'READ_FROM', value: 'old' },
                    { name: 'LOG', value: 'info' },
                  ],
                },
              ],
            },
          },
        },
      },
    );
    await eventually(async () => {
      if ((await shop.endpoints()) !== replicas) throw new Error('The shop does not come up.');
    }, 60_000);
    return shop;
  }

  async deployment(name = 'shop'): Promise<Deployment | undefined> {
    return this.cluster.get({ resource: deployments, namespace: this.namespace, name });
  }

  async service(): Promise<Service | undefined> {
    return this.cluster.get({ resource: services, namespace: this.namespace, name: 'shop' });
  }

  async podNames(): Promise<readonly string[]> {
    const { items } = await this.cluster.list(pods, { namespace: this.namespace });
    return items.map(({ metadata }) => metadata.name);
  }

  /** How many ready endpoints the Service has. */
  async endpoints(): Promise<number> {
    const { items } = await this.cluster.list(endpointSlices, {
      namespace: this.namespace,
      labelSelector: 'kubernetes.io/service-name=shop',
    });
    return items
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready === true).length;
  }

  async look(): Promise<WorkloadFacts> {
    const fact = await observeWorkload(this.cluster, {
      namespace: this.namespace,
      change: { name: 'names', uid: 'uid-change' },
      workload: this.workload,
      wanted: this.wanted,
      retry: this.retry,
      now: Date.now(),
    });
    if (!fact.known) throw new Error(`${fact.reason}: ${fact.message}`);
    return fact.value;
  }

  async act(facts: RolloutFacts): Promise<Outcome | undefined> {
    if (facts.kind !== 'step') return undefined;
    const outcome = await actRollout(this.cluster, facts.step);
    if (outcome.kind === 'done') this.steps.push(facts.step.kind);
    else if (outcome.kind !== 'stale') throw new Error(`${facts.step.kind}: ${outcome.message}`);
    return outcome;
  }

  /** Looks and acts several times a second until it fits, and counts endpoints all the while. */
  async run(until: (facts: RolloutFacts) => boolean, withinMs = 90_000): Promise<RolloutFacts> {
    const end = Date.now() + withinMs;
    for (;;) {
      const { rollout } = await this.look();
      await this.act(rollout);
      this.fewest = Math.min(this.fewest, await this.endpoints());
      if (until(rollout)) return rollout;
      if (Date.now() > end) throw new Error(`${JSON.stringify(rollout)} after ${this.steps.join(', ')}`);
      await sleep(100);
    }
  }

  async toEnd(): Promise<RolloutFacts> {
    return this.run(({ kind }) => kind === 'done' || kind === 'failed');
  }

  /** What must not be there once a roll-out has ended and its pods are gone. */
  async leftovers(): Promise<readonly string[]> {
    const service = await this.service();
    const { items } = await this.cluster.list(deployments, { namespace: this.namespace });
    const chosen = JSON.stringify(service?.spec.selector);
    return [
      ...(chosen === JSON.stringify(selector) ? [] : [`selector ${chosen}`]),
      ...Object.keys(service?.metadata.annotations ?? {}),
      ...items.map(({ metadata }) => metadata.name).filter((name) => name !== 'shop'),
      ...(await this.podNames()).filter((name) => name.includes('green')),
    ];
  }
}
