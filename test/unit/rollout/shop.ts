import type { RolloutFacts, WorkloadFacts } from '../../../src/api/facts.ts';
import type { Outcome } from '../../../src/api/outcome.ts';
import type { Release, Workload } from '../../../src/api/schema-change.ts';
import { actRollout } from '../../../src/rollout/act.ts';
import { observeWorkload, type Wanted } from '../../../src/rollout/workload.ts';
import { SimulatedCluster } from './simulated-cluster.ts';

export const replicas = 3;
const selector = { app: 'shop' };

export const release: Release = {
  phase: 'SwitchReads',
  image: 'shop:2',
  env: { READ_FROM: 'full_name', EMPTY: '' },
  code: 'reads-new',
};

export const nextRelease: Release = { phase: 'Quarantine', image: 'shop:3', env: { READ_FROM: 'only' } };

export const blueGreen: Workload = {
  deployment: 'shop',
  service: 'shop',
  mode: 'Manage',
  strategy: { blueGreen: { settle: '10s' } },
  releases: [release, nextRelease],
};

export const rollingUpdate: Workload = { ...blueGreen, strategy: { rollingUpdate: {} } };

export const template = {
  metadata: { labels: { app: 'shop', tier: 'web' } },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'shop:1',
        env: [
          { name: 'LOG', value: 'info' },
          { name: 'READ_FROM', value: 'old' },
        ],
      },
      { name: 'sidecar', image: 'proxy:1' },
    ],
  },
};

/** A shop of three pods behind a Service in a simulated cluster, and an operator that rolls it. */
export class Shop {
  readonly sim = new SimulatedCluster();
  workload: Workload;
  wanted: Wanted = { kind: 'release', releases: [release] };
  retry = '';
  uid = 'uid-change';
  readonly steps: string[] = [];

  constructor(workload: Workload = blueGreen) {
    this.workload = workload;
    this.sim.put('Deployment', 'shop', {
      spec: {
        replicas,
        progressDeadlineSeconds: 60,
        selector: { matchLabels: selector },
        template: structuredClone(template),
      },
    });
    this.sim.put('Service', 'shop', { spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', selector } });
    this.settle();
  }

  /** Lets the controllers work and time pass until the Deployment is complete. */
  settle(seconds = 30): void {
    for (let second = 0; second < seconds; second += 1) {
      this.sim.settle();
      this.sim.advance(1_000);
    }
  }

  async look(): Promise<RolloutFacts> {
    return (await this.facts()).rollout;
  }

  async facts(): Promise<WorkloadFacts> {
    const fact = await observeWorkload(this.sim.cluster, {
      namespace: 'shop',
      change: { name: 'names', uid: this.uid },
      workload: this.workload,
      wanted: this.wanted,
      retry: this.retry,
      now: this.sim.now,
    });
    if (!fact.known) throw new Error(`${fact.reason}: ${fact.message}`);
    return fact.value;
  }

  async act(facts: RolloutFacts): Promise<Outcome | undefined> {
    if (facts.kind !== 'step') return undefined;
    const outcome = await actRollout(this.sim.cluster, facts.step);
    if (outcome.kind === 'done') this.steps.push(facts.step.kind);
    return outcome;
  }

  /** A fair world: every second all controllers run, and the operator looks and acts. */
  async run(options: {
    readonly until: (facts: RolloutFacts) => boolean;
    readonly seconds?: number;
    readonly each?: () => void;
  }): Promise<RolloutFacts> {
    let facts: RolloutFacts = { kind: 'done' };
    for (let second = 0; second < (options.seconds ?? 600); second += 1) {
      this.sim.settle();
      facts = await this.look();
      await this.act(facts);
      options.each?.();
      if (options.until(facts)) return facts;
      this.sim.advance(1_000);
      options.each?.();
    }
    throw new Error(`Not reached in time: ${JSON.stringify(facts)} after ${this.steps.join(', ')}`);
  }

  /** Runs until the roll-out has come to an end. */
  async toEnd(each?: () => void): Promise<RolloutFacts> {
    return this.run({
      until: ({ kind }) => kind === 'done' || kind === 'failed',
      ...(each === undefined ? {} : { each }),
    });
  }

  /** What a step that was just done must not have met: pods that a Service still counted on, or kept connections in. */
  misdeeds(kind: string): readonly string[] {
    const names = (pods: readonly { metadata: { name: string } }[]) =>
      pods.map(({ metadata }) => metadata.name);
    const isGreen = (name: string) => name.startsWith('shop-green-');
    switch (kind) {
      case 'RemoveGreen':
        return this.sim.routed().filter(isGreen);
      case 'RollDeployment':
        return this.workload.strategy?.blueGreen === undefined
          ? []
          : this.sim.routed().filter((name) => !isGreen(name));
      case 'RestoreService':
        return names(this.sim.selected('shop')).filter(isGreen);
      case 'SwitchToBase': {
        const serving = new Set(names(this.sim.selected('shop')));
        return names(this.sim.pods).filter((name) => !isGreen(name) && !serving.has(name));
      }
      default:
        return [];
    }
  }

  /** What must be so once a roll-out has ended, however it did. */
  leftovers(): readonly string[] {
    const { metadata, spec } = this.sim.service('shop');
    return [
      ...(JSON.stringify(spec.selector) === JSON.stringify(selector)
        ? []
        : [`selector ${JSON.stringify(spec.selector)}`]),
      ...Object.keys(metadata.annotations ?? {}).map((key) => `annotation ${key}`),
      ...this.sim.deployments
        .filter(({ metadata: { name } }) => name !== 'shop')
        .map(({ metadata: { name } }) => name),
      ...this.sim.pods
        .filter(({ metadata: { name } }) => name.includes('green'))
        .map(({ metadata: { name } }) => name),
    ];
  }
}
