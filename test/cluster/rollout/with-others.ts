/** Scenarios in which others have a hand in: an autoscaler, a drain, whoever edits the resource or the Services. */
import { expect } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import type { Cluster } from '../../../src/kube/client.ts';
import {
  deployments,
  horizontalPodAutoscalers,
  pods,
  services,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { actRollout } from '../../../src/rollout/act.ts';
import { observeLeftBehind } from '../../../src/rollout/left-behind.ts';
import type { PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { blueGreen, replicas, type Shop } from './shop.ts';

interface Bench {
  readonly cluster: Cluster;
  readonly api: PrivateApiServer;
}

const budgets: Resource<KubeObject & { readonly status?: { readonly disruptionsAllowed?: number } }> = {
  group: 'policy',
  version: 'v1',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  namespaced: true,
};

export const several: Workload = {
  ...blueGreen,
  services: ['grpc'],
  strategy: { blueGreen: { settle: '1s', preview: 'preview' } },
};

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;

const expectClean = async (shop: Shop): Promise<void> =>
  eventually(async () => expect(await shop.leftovers()).toEqual([]), 120_000);

export const manyServices = async (shop: Shop): Promise<void> => {
  await shop.run(stepIs('PointPreview'));
  const green = (name: string) => name.startsWith('shop-green-');
  const selected = async (service: string) => {
    const ref = { resource: services, namespace: shop.namespace, name: service };
    const { selector = {} } = (await shop.cluster.get(ref))?.spec ?? {};
    const labelSelector = Object.entries(selector)
      .map((pair) => pair.join('='))
      .join(',');
    const { items } = await shop.cluster.list(pods, { namespace: shop.namespace, labelSelector });
    return items.map(({ metadata }) => metadata.name);
  };
  expect((await selected('preview')).every(green)).toBe(true);
  expect((await selected('grpc')).some(green)).toBe(false);
  await shop.run(({ kind }) => kind === 'step' && shop.steps.includes('RollDeployment'));
  expect((await selected('grpc')).every(green)).toBe(true);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.fewest).toBe(replicas);
  await expectClean(shop);
};

/** Evicts pods as a drain does, until the budget of `minAvailable` pods says no. Resolves with how many went. */
const drain = async ({ namespace }: Shop, { cluster, api }: Bench, prefix: string): Promise<number> => {
  const { items } = await cluster.list(pods, { namespace });
  let evicted = 0;
  for (const { metadata } of items.filter(({ metadata: { name } }) => name.startsWith(prefix))) {
    const path = `/api/v1/namespaces/${namespace}/pods/${metadata.name}/eviction`;
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: metadata.name, namespace },
    };
    const { code, stderr } = await api.kubectl(
      ['create', '--raw', path, '-f', '-'],
      JSON.stringify(eviction),
    );
    if (code === 0) evicted += 1;
    else expect(stderr).toMatch(/disruption budget/);
  }
  return evicted;
};

export const evictions = async (shop: Shop, bench: Bench): Promise<void> => {
  const { namespace } = shop;
  const budget = { resource: budgets, namespace, name: 'shop' };
  await bench.cluster.create(budget, {
    spec: { minAvailable: replicas + 1, selector: { matchLabels: { app: 'shop' } } },
  } as object);
  await shop.run(stepIs('SwitchToGreen'));
  // It counts both sides, so a drain may take all but one of those that serve.
  await eventually(async () => {
    expect((await bench.cluster.get(budget))?.status?.disruptionsAllowed).toBe(replicas - 1);
  }, 120_000);
  // As others come up in their place, the last one may go as well.
  expect(await drain(shop, bench, 'shop-green-')).toBeGreaterThanOrEqual(replicas - 1);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.steps).toContain('RollDeployment');
  expect(shop.fewest).toBeGreaterThan(0);
  await expectClean(shop);
};

export const autoscaler = async (shop: Shop, { cluster }: Bench): Promise<void> => {
  const { namespace } = shop;
  const ref = { resource: horizontalPodAutoscalers, namespace, name: 'shop' };
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' };
  await cluster.create(ref, { spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 6 } });
  await shop.run(stepIs('SwitchToGreen'));
  // The real controller has no metrics here, but it keeps to its bounds: what it writes is the Deployment's number.
  await cluster.patch(ref, { spec: { minReplicas: 5 } }, { type: 'merge' });
  await eventually(async () => expect((await shop.deployment())?.spec.replicas).toBe(5), 180_000);
  await shop.run(stepIs('RollDeployment'));
  expect((await shop.deployment('shop-green'))?.spec.replicas).toBe(5);
  // And now as if it had found the Deployment idle.
  await cluster.patch(ref, { spec: { minReplicas: 1 } }, { type: 'merge' });
  const base = { resource: deployments, namespace, name: 'shop' };
  await cluster.patch(base, { spec: { replicas: 1 } }, { type: 'merge' });
  await shop.run(stepIs('SwitchToBase'));
  expect(shop.steps).toContain('ScaleDeployment');
  expect((await shop.deployment())?.status?.availableReplicas).toBe(5);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.fewest).toBe(replicas);
  await expectClean(shop);
};

export const removed = async (shop: Shop): Promise<void> => {
  const { cluster, namespace } = shop;
  await shop.run(stepIs('RollDeployment'));
  await eventually(async () => {
    const left = await observeLeftBehind(cluster, {
      namespace,
      change: { name: 'names', uid: 'uid-change' },
      named: [],
      retry: '',
      now: Date.now(),
    });
    if (!left.known) throw new Error(left.message);
    for (const { rollout } of left.value)
      if (rollout.kind === 'step') await actRollout(cluster, rollout.step);
    expect(left.value).toEqual([]);
  }, 300_000);
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:2');
  await expectClean(shop);
};
