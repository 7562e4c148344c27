import type { DatabaseSigns } from '../../../src/api/analysis-facts.ts';
import type { RolloutFacts, WorkloadFacts } from '../../../src/api/facts.ts';
import { sameJson } from '../../../src/api/json.ts';
import type { Outcome } from '../../../src/api/outcome.ts';
import type { Release, Workload } from '../../../src/api/schema-change.ts';
import type { HttpRouteRule } from '../../../src/kube/types.ts';
import { actRollout } from '../../../src/rollout/act.ts';
import type { Measured } from '../../../src/rollout/analysis/judge.ts';
import type { Source } from '../../../src/rollout/analysis/metric.ts';
import { observeWorkload, type Wanted } from '../../../src/rollout/workload.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { SimulatedGateway, userRules } from './simulated-gateway.ts';

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

export const canary: Workload = {
  ...blueGreen,
  strategy: {
    canary: {
      steps: [
        { weight: 20, pause: '5s' },
        { weight: 50, pause: '10s' },
      ],
    },
  },
};

export const routed: Workload = {
  ...blueGreen,
  strategy: {
    canary: {
      httpRoute: 'shop',
      headers: { 'x-canary': 'always' },
      steps: [
        { weight: 0, pause: '5s' },
        { weight: 20, pause: '10s' },
        { weight: 100, pause: '5s' },
      ],
    },
  },
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
  readonly gateway = new SimulatedGateway(this.sim);
  /** What the route's owner has written there last. */
  ownRules: readonly HttpRouteRule[] = userRules;
  workload: Workload;
  wanted: Wanted = { kind: 'release', releases: [release] };
  retry = '';
  uid = 'uid-change';
  readonly steps: string[] = [];
  /** What is measured answers so. */
  measured: (source: Source) => Measured = () => ({ kind: 'value', value: 0 });
  /** What the database shows; nothing is known without. */
  signs: DatabaseSigns | undefined;

  constructor(workload: Workload = blueGreen, size = replicas) {
    this.workload = workload;
    this.sim.put('Deployment', 'shop', {
      spec: {
        replicas: size,
        progressDeadlineSeconds: 60,
        selector: { matchLabels: selector },
        template: structuredClone(template),
      },
    });
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    const { preview } = workload.strategy?.blueGreen ?? {};
    for (const name of ['shop', ...(workload.services ?? []), ...(preview === undefined ? [] : [preview])])
      this.sim.put('Service', name, {
        spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', selector, ports },
      });
    if (workload.strategy?.canary?.httpRoute !== undefined) this.putRoute();
    this.settle();
  }

  putRoute(): void {
    this.sim.put('HTTPRoute', 'shop', {
      spec: { parentRefs: [{ name: 'public' }], rules: structuredClone(this.ownRules) },
    });
  }

  /** One round of every controller. */
  controllers(): void {
    this.sim.settle();
    this.gateway.sync();
  }

  /** Lets the controllers work and time pass until the Deployment is complete. */
  settle(seconds = 30): void {
    for (let second = 0; second < seconds; second += 1) {
      this.controllers();
      this.sim.advance(1_000);
    }
  }

  /** Somebody deletes the Deployment and makes it again; its pods and what it owned go with the first one. */
  remakeDeployment(): void {
    const { spec } = this.sim.deployment('shop') ?? {};
    this.sim.deleteForeground('Deployment', 'shop');
    for (let second = 0; second < 60 && this.sim.deployment('shop') !== undefined; second += 1) {
      this.sim.settle();
      this.sim.advance(1_000);
    }
    this.sim.put('Deployment', 'shop', { spec: structuredClone(spec) });
  }

  async look(): Promise<RolloutFacts> {
    return (await this.facts()).rollout;
  }

  async facts(): Promise<WorkloadFacts> {
    const { signs } = this;
    const fact = await observeWorkload(this.sim.cluster, {
      namespace: 'shop',
      change: { name: 'names', uid: this.uid },
      workload: this.workload,
      wanted: this.wanted,
      retry: this.retry,
      now: this.sim.now,
      ...(signs === undefined ? {} : { signs: async () => ({ known: true, value: signs }) }),
    });
    if (!fact.known) throw new Error(`${fact.reason}: ${fact.message}`);
    return fact.value;
  }

  async act(facts: RolloutFacts): Promise<Outcome | undefined> {
    if (facts.kind !== 'step') return undefined;
    const outcome = await actRollout(this.sim.cluster, facts.step, {
      analysis: {
        workloads: [this.workload],
        meter: { measure: async (source) => this.measured(source) },
      },
    });
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
      this.controllers();
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
    // The others follow the one that leads in the writes after this one.
    const concerned = kind === 'SwitchToBase' ? ['shop'] : this.public;
    return concerned.flatMap((service) => this.#misdeedsOf(service, kind));
  }

  /** The Services that everybody uses. */
  get public(): readonly string[] {
    return ['shop', ...(this.workload.services ?? [])];
  }

  #misdeedsOf(service: string, kind: string): readonly string[] {
    const names = (pods: readonly { metadata: { name: string } }[]) =>
      pods.map(({ metadata }) => metadata.name);
    const isGreen = (name: string) => name.startsWith('shop-green-');
    switch (kind) {
      case 'RemoveGreen':
        return [...this.sim.routed(service), ...this.gateway.reached()].filter(isGreen);
      case 'RemoveCanaryService':
        return this.gateway.services().filter((name) => name !== 'shop');
      case 'RollDeployment':
        return this.workload.strategy?.blueGreen === undefined &&
          this.workload.strategy?.canary?.httpRoute === undefined
          ? []
          : this.sim.routed(service).filter((name) => !isGreen(name));
      case 'RestoreService':
        return names(this.sim.selected(service)).filter(isGreen);
      case 'SwitchToBase': {
        const serving = new Set(names(this.sim.selected(service)));
        return names(this.sim.pods).filter((name) => !isGreen(name) && !serving.has(name));
      }
      default:
        return [];
    }
  }

  /** What must be so once a roll-out has ended, however it did. */
  leftovers(): readonly string[] {
    return [
      ...this.sim.services.flatMap(({ metadata, spec }) => [
        ...(JSON.stringify(spec.selector) === JSON.stringify(selector)
          ? []
          : [`selector ${JSON.stringify(spec.selector)} of ${metadata.name}`]),
        ...Object.keys({ ...metadata.annotations, ...metadata.labels }).map(
          (key) => `${key} on ${metadata.name}`,
        ),
      ]),
      ...this.sim.deployments
        .filter(({ metadata: { name } }) => name !== 'shop')
        .map(({ metadata: { name } }) => name),
      ...this.sim.pods
        .filter(({ metadata: { name } }) => name.includes('green') || name.includes('canary'))
        .map(({ metadata: { name } }) => name),
      ...this.sim.services.map(({ metadata: { name } }) => name).filter((name) => name.endsWith('-canary')),
      ...this.routeLeftovers(),
    ];
  }

  routeLeftovers(): readonly string[] {
    const route = this.sim.route('shop');
    if (route === undefined) return [];
    return [
      ...(sameJson(route.spec.rules, this.ownRules) ? [] : [`rules ${JSON.stringify(route.spec.rules)}`]),
      ...Object.keys(route.metadata.annotations ?? {}).map((key) => `annotation ${key}`),
    ];
  }
}
