import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutFacts, WorkloadFacts } from '../../../src/api/facts.ts';
import type { Outcome } from '../../../src/api/outcome.ts';
import type { Release, Workload } from '../../../src/api/schema-change.ts';
import type { Cluster } from '../../../src/kube/client.ts';
import { deployments, namespaces, pods, services, type Resource } from '../../../src/kube/resources.ts';
import type { Deployment, KubeObject, Service } from '../../../src/kube/types.ts';
import { actRollout } from '../../../src/rollout/act.ts';
import type { Meter } from '../../../src/rollout/analysis/meter.ts';
import { observeWorkload, type Wanted } from '../../../src/rollout/workload.ts';
import type { PrivateApiServer } from '../../support/api-server.ts';
import type { PodNetwork } from '../../support/pod-network.ts';
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
export const canary: Workload = {
  ...blueGreen,
  strategy: {
    canary: {
      steps: [
        { weight: 25, pause: '1s' },
        { weight: 50, pause: '2s' },
      ],
    },
  },
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
  /** What measures, where the workload is analysed. */
  meter: Meter | undefined;
  /** The fewest ready endpoints that the Service ever had since it was complete. */
  fewest = replicas;

  private constructor(cluster: Cluster, namespace: string, kubelet: Kubelet, workload: Workload) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.kubelet = kubelet;
    this.workload = workload;
  }

  static async open(
    bench: {
      readonly cluster: Cluster;
      readonly api: PrivateApiServer;
      readonly node: string;
      readonly network?: PodNetwork;
    },
    namespace: string,
    workload: Workload,
  ): Promise<Shop> {
    const { cluster } = bench;
    // It may be there already.
    await cluster.apply({ resource: namespaces, name: namespace }, {}, { force: true });
    const kubelet = new Kubelet({ ...bench, namespace });
    const shop = new Shop(cluster, namespace, kubelet, workload);
    const { preview } = workload.strategy?.blueGreen ?? {};
    for (const name of ['shop', ...(workload.services ?? []), ...(preview === undefined ? [] : [preview])])
      await cluster.create(
        { resource: services, namespace, name },
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
    }, 240_000);
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

  /** How many ready endpoints a Service has. */
  async endpoints(service = 'shop'): Promise<number> {
    const { items } = await this.cluster.list(endpointSlices, {
      namespace: this.namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
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
    const { meter, workload } = this;
    const options = meter === undefined ? {} : { analysis: { meter, workloads: [workload] } };
    const outcome = await actRollout(this.cluster, facts.step, options);
    if (outcome.kind === 'done') this.steps.push(facts.step.kind);
    else if (outcome.kind !== 'stale') throw new Error(`${facts.step.kind}: ${outcome.message}`);
    return outcome;
  }

  /** Looks and acts several times a second until it fits, and counts endpoints all the while. */
  async run(until: (facts: RolloutFacts) => boolean, withinMs = 300_000): Promise<RolloutFacts> {
    const end = Date.now() + withinMs;
    for (;;) {
      const { rollout } = await this.look();
      await this.act(rollout);
      this.fewest = Math.min(this.fewest, await this.endpoints());
      if (until(rollout)) return rollout;
      if (Date.now() > end) throw new Error(`${JSON.stringify(rollout)} after ${this.steps.join(', ')}`);
      await sleep(250);
    }
  }

  async toEnd(): Promise<RolloutFacts> {
    return this.run(({ kind }) => kind === 'done' || kind === 'failed');
  }

  /** What must not be there once a roll-out has ended and its pods are gone. */
  async leftovers(): Promise<readonly string[]> {
    const { namespace } = this;
    const { items } = await this.cluster.list(deployments, { namespace });
    const { items: all } = await this.cluster.list(services, { namespace });
    return [
      ...all.flatMap(({ metadata, spec }) => [
        ...(JSON.stringify(spec.selector) === JSON.stringify(selector)
          ? []
          : [`selector ${JSON.stringify(spec.selector)} of ${metadata.name}`]),
        ...Object.keys({ ...metadata.annotations, ...metadata.labels }).filter((key) =>
          key.includes('segue.dev'),
        ),
      ]),
      ...items.map(({ metadata }) => metadata.name).filter((name) => name !== 'shop'),
      ...(await this.podNames()).filter((name) => name.includes('green')),
    ];
  }
}
