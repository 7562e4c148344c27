/** A workload that is taken out of the spec in the middle of its roll-out. */
import { expect, test } from '@jest/globals';
import { actRollout } from '../../../src/rollout/act.ts';
import { observeLeftBehind } from '../../../src/rollout/left-behind.ts';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import { blueGreen, canary, replicas, Shop } from './shop.ts';

const left = async (shop: Shop, named: readonly string[] = []) => {
  const fact = await observeLeftBehind(shop.sim.cluster, {
    namespace: 'shop',
    change: { name: 'names', uid: shop.uid },
    named,
    retry: '',
    now: shop.sim.now,
  });
  if (!fact.known) throw new Error(fact.message);
  return fact.value;
};

/** What the operator does for it until nothing of it is left. */
const clear = async (shop: Shop): Promise<number> => {
  let fewest = replicas;
  for (let second = 0; second < 300; second += 1) {
    shop.sim.settle();
    const [found] = await left(shop);
    if (found === undefined) return fewest;
    if (found.rollout.kind === 'step') await actRollout(shop.sim.cluster, found.rollout.step);
    fewest = Math.min(fewest, shop.sim.selected('shop').length);
    shop.sim.advance(1_000);
  }
  throw new Error('Something is left for ever.');
};

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const several = {
  ...blueGreen,
  services: ['grpc'],
  strategy: { blueGreen: { settle: '3s', preview: 'preview' } },
};

test.each([
  ['blue/green after NarrowService', several, 'NarrowService', 'shop:1'],
  ['blue/green after CreateGreen', several, 'CreateGreen', 'shop:1'],
  ['blue/green after PointPreview', several, 'PointPreview', 'shop:1'],
  ['blue/green after SwitchToGreen', several, 'SwitchToGreen', 'shop:1'],
  ['blue/green after RollDeployment', several, 'RollDeployment', 'shop:2'],
  ['blue/green after SwitchToBase', several, 'SwitchToBase', 'shop:2'],
  ['blue/green after RemoveGreen', several, 'RemoveGreen', 'shop:2'],
  ['blue/green after RestoreService', several, 'RestoreService', 'shop:2'],
  ['canary after CreateCanary', canary, 'CreateCanary', 'shop:1'],
  ['canary after RollDeployment', canary, 'RollDeployment', 'shop:2'],
])('what was begun for it is found and brought to its end: %s', async (_, workload, step, image) => {
  const shop = new Shop(workload);
  await shop.run({ until: stepIs(step) });
  expect(await left(shop, ['shop'])).toEqual([]);
  expect(await left(shop)).toMatchObject([{ deployment: 'shop' }]);
  expect(await clear(shop)).toBe(replicas);
  shop.settle();
  expect(shop.leftovers()).toEqual([]);
  expect(shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image).toBe(image);
});

test('nothing is left of a roll-out that has ended, nor found of another change', async () => {
  const shop = new Shop();
  await shop.toEnd();
  expect(await left(shop)).toEqual([]);
  const hold = JSON.stringify({ change: 'emails', deployment: 'shop', at: 0 });
  shop.sim.edit('Service', 'shop', {
    metadata: { annotations: { 'segue.dev/blue-green': hold }, labels: { 'segue.dev/blue-green': 'emails' } },
  });
  expect(await left(shop)).toEqual([]);
});

test('the Deployment is gone as well: its Services are let go', async () => {
  const shop = new Shop(several);
  await shop.run({ until: stepIs('SwitchToGreen') });
  shop.sim.deleteForeground('Deployment', 'shop');
  shop.settle();
  await clear(shop);
  expect(shop.leftovers()).toEqual([]);
});
