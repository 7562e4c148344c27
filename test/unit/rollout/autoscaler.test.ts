/** A HorizontalPodAutoscaler on the Deployment: what it does while green serves, played by scaling. */
import { expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import { blueGreen, replicas, Shop } from './shop.ts';

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const most = 6;

const open = (withAutoscaler = true): Shop => {
  const shop = new Shop({ ...blueGreen, services: ['grpc'] });
  if (withAutoscaler)
    shop.sim.put('HorizontalPodAutoscaler', 'shop', {
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'shop' }, minReplicas: 1, maxReplicas: most },
    });
  return shop;
};
const scale = (shop: Shop, count: number) =>
  shop.sim.edit('Deployment', 'shop', { spec: { replicas: count } });
const serving = (shop: Shop) => shop.sim.selected('shop').length;

test.each(['SwitchToGreen', 'RollDeployment', 'SettleRecord'])(
  'scaled down as idle after %s: it has as many pods as green before it gets the traffic back',
  async (step) => {
    const shop = open();
    await shop.run({ until: stepIs(step) });
    scale(shop, 1);
    let fewest = replicas;
    const each = () => (fewest = Math.min(fewest, serving(shop)));
    expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
    expect(fewest).toBe(replicas);
    expect(shop.steps.filter((kind) => kind === 'ScaleDeployment')).toHaveLength(1);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    const { annotations = {} } = shop.sim.deployment('shop')?.metadata ?? {};
    expect(annotations['rollout.segue.dev/names']).not.toContain('scaledTo');
  },
);

test('on the way back before the Deployment was rolled, too, and the note goes with the roll-out', async () => {
  const shop = open();
  await shop.run({ until: stepIs('SwitchToGreen') });
  scale(shop, 1);
  shop.settle(2);
  shop.wanted = { kind: 'abandon' };
  let fewest = replicas;
  expect(await shop.toEnd(() => (fewest = Math.min(fewest, serving(shop))))).toEqual({ kind: 'done' });
  expect(fewest).toBe(replicas);
  expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
});

test('it is asked for once: an autoscaler that scales it down again is not fought', async () => {
  const shop = open();
  await shop.run({ until: stepIs('RollDeployment') });
  expect(
    await shop.toEnd(() => {
      if (shop.steps.at(-1) !== 'RestoreService') scale(shop, 2);
    }),
  ).toEqual({ kind: 'done' });
  expect(shop.steps.filter((kind) => kind === 'ScaleDeployment')).toHaveLength(1);
  expect(shop.leftovers()).toEqual([]);
});

test('it is given no more than the autoscaler allows', async () => {
  const shop = open();
  scale(shop, most);
  shop.settle();
  await shop.run({ until: stepIs('RollDeployment') });
  shop.sim.edit('HorizontalPodAutoscaler', 'shop', { spec: { maxReplicas: 4 } });
  scale(shop, 1);
  await shop.run({ until: stepIs('ScaleDeployment') });
  expect(shop.sim.deployment('shop')?.spec.replicas).toBe(4);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
});

test('scaled up while green serves: green grows with it, and never shrinks', async () => {
  const shop = open();
  await shop.run({ until: stepIs('SwitchToGreen') });
  scale(shop, 5);
  await shop.run({ until: stepIs('ScaleGreen') });
  scale(shop, 4);
  await shop.run({ until: stepIs('RollDeployment') });
  expect(serving(shop)).toBe(5);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.leftovers()).toEqual([]);
});

test('without an autoscaler, the number that a person sets is what counts', async () => {
  const shop = open(false);
  await shop.run({ until: stepIs('SwitchToGreen') });
  scale(shop, 1);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.steps).not.toContain('ScaleDeployment');
  expect(shop.sim.deployment('shop')?.spec.replicas).toBe(1);
});
