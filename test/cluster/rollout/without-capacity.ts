/** Scenarios in which the cluster has no room for the new code's pods. */
import { expect } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Resource } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { replicas, type Shop } from './shop.ts';

const quotas: Resource = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};

const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);

/** Takes up a roll-out again that had failed, now that its cause is mended: the old code has served all the while. */
export const goesOnWhenMended = async (shop: Shop): Promise<void> => {
  await eventually(async () => expect(await shop.leftovers()).toEqual([]), 120_000);
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
  expect(shop.fewest).toBe(replicas);
  shop.retry = 'mended';
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  await eventually(async () => expect(await shop.leftovers()).toEqual([]), 120_000);
  expect((await shop.look()).podsByCode).toMatchObject({ old: 0, 'reads-new': replicas });
  expect(shop.fewest).toBe(replicas);
};

export const exceededQuota = async (shop: Shop): Promise<void> => {
  const quota = { resource: quotas, namespace: shop.namespace, name: 'pods' };
  await shop.cluster.create(quota, { spec: { hard: { pods: '4' } } } as object);
  const facts = await shop.toEnd();
  expect(messageOf(facts)).toMatch(/pods are refused: .*exceeded quota: pods/);
  await shop.cluster.delete(quota);
  await goesOnWhenMended(shop);
};

const waitsForRoom = (facts: RolloutFacts): boolean =>
  facts.kind === 'waiting' &&
  /pod shop-canary-\S+ can't be scheduled: 0\/1 nodes are available: 1 Insufficient cpu/.test(facts.message);

export const unschedulable = async (shop: Shop): Promise<void> => {
  shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'unschedulable' : 'ready');
  await shop.run(waitsForRoom);
  const facts = await shop.toEnd();
  expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
  expect(messageOf(facts)).toMatch(
    /did not become available within 20 s \(pod shop-canary-\S+ can't be scheduled: 0\/1 nodes/,
  );
  expect(shop.steps).not.toContain('RollDeployment');
  // Tried again too early, and room is found while it waits.
  shop.retry = 'too early';
  await shop.run(waitsForRoom);
  expect(shop.fewest).toBe(replicas);
  shop.kubelet.fate = () => 'ready';
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  await eventually(async () => expect(await shop.leftovers()).toEqual([]), 120_000);
  expect((await shop.look()).podsByCode).toMatchObject({ old: 0, 'reads-new': replicas });
  expect(shop.fewest).toBe(replicas);
};
