import { describe, expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import { canaryReplicas } from '../../../src/rollout/canary.ts';
import type { Wanted } from '../../../src/rollout/workload.ts';
import { blueGreen, canary, nextRelease, release, replicas, rollingUpdate, Shop, template } from './shop.ts';
import type { Behaviour } from './simulated-cluster.ts';

const forward = [
  'CreateCanary',
  'NoteCanary',
  'ScaleCanary',
  'NoteCanary',
  'RollDeployment',
  'RemoveCanary',
  'SettleRecord',
];
const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;
const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const newPods = (shop: Shop) =>
  shop.sim
    .selected('shop')
    .filter(({ metadata }) => metadata.labels?.['change.segue.dev/names'] !== undefined).length;

test.each([
  [1, 3, 1],
  [20, 3, 1],
  [20, 10, 3],
  [50, 3, 3],
  [50, 1, 1],
  [33, 100, 49],
])('%d %% beside %d pods are %d', (weight, others, pods) => {
  expect(canaryReplicas(weight, others)).toBe(pods);
});

test('a release grows step by step beside the old code, which keeps all its pods until the last step', async () => {
  const shop = new Shop(canary);
  const shares: number[] = [];
  let fewest = replicas;
  const each = () => {
    const count = newPods(shop);
    if (imageOf(shop) === 'shop:1' && shares.at(-1) !== count) shares.push(count);
    fewest = Math.min(fewest, shop.sim.selected('shop').length);
  };
  await shop.run({ until: stepIs('RollDeployment'), each });
  expect((await shop.facts()).weight).toBe(50);
  expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
  expect((await shop.facts()).weight).toBe(100);
  expect(shop.steps).toEqual(forward);
  expect(shares.filter((count, n) => shares.indexOf(count) === n)).toEqual([0, 1, 3]);
  expect(fewest).toBe(replicas);
  expect(shop.leftovers()).toEqual([]);
  expect(imageOf(shop)).toBe('shop:2');
});

test('each step lasts its pause, and a change of the Deployment’s size moves the canary with it', async () => {
  const shop = new Shop(canary);
  await shop.run({ until: stepIs('NoteCanary') });
  const began = shop.sim.now;
  await shop.run({ until: stepIs('ScaleCanary') });
  expect(shop.sim.now - began).toBeGreaterThanOrEqual(5_000);
  shop.sim.edit('Deployment', 'shop', { spec: { replicas: 6 } });
  await shop.run({ until: stepIs('RollDeployment') });
  expect(shop.sim.deployment('shop-canary')?.spec.replicas).toBe(6);
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
});

test('the next release and the walk back go the same way, and the template ends exactly as it began', async () => {
  const shop = new Shop(canary);
  await shop.toEnd();
  shop.wanted = { kind: 'release', releases: [release, nextRelease] };
  await shop.toEnd();
  expect(imageOf(shop)).toBe('shop:3');
  shop.wanted = { kind: 'original' };
  await shop.toEnd();
  expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
  expect(shop.leftovers()).toEqual([]);
});

describe('a canary that fails gives all traffic back to the old code and stays failed', () => {
  const cases: readonly [Behaviour, RegExp][] = [
    ['crashes', /pod shop-canary-\S+ crashes again and again/],
    ['unpullable', /pod shop-canary-\S+ waits: ImagePullBackOff for image shop:2/],
    ['never ready', /Deployment shop-canary did not become available within 60 s/],
    ['breaks', /pod shop-canary-\S+ crashed: container app was restarted/],
  ];
  test.each(cases)('%s', async (behaviour, why) => {
    const shop = new Shop({
      ...canary,
      strategy: { canary: { steps: [{ weight: 20, pause: '30s' }] } },
    });
    shop.sim.behaviour = (image) => (image === 'shop:2' ? behaviour : 'good');
    let fewest = replicas;
    const old = () => shop.sim.selected('shop').length - newPods(shop);
    const facts = await shop.toEnd(() => (fewest = Math.min(fewest, old())));
    expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
    expect(facts.kind === 'failed' && facts.message).toMatch(why);
    expect(fewest).toBe(replicas);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    const { length } = shop.sim.writes;
    for (let second = 0; second < 20; second += 1) expect((await shop.look()).kind).toBe('failed');
    expect(shop.sim.writes).toHaveLength(length);
    shop.sim.behaviour = () => 'good';
    shop.retry = 'again';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });
});

describe('what is wanted changes half-way', () => {
  const changes: readonly [string, Wanted, string | undefined][] = [
    ['walk back', { kind: 'original' }, 'shop:1'],
    ['the release is edited', { kind: 'release', releases: [{ ...release, image: 'shop:2.1' }] }, 'shop:2.1'],
    ['the next release', { kind: 'release', releases: [release, nextRelease] }, 'shop:3'],
    ['the resource is deleted', { kind: 'abandon' }, undefined],
  ];
  for (const [name, wanted, image] of changes) {
    test.each([...new Set(forward)])(`${name}, after %s`, async (step) => {
      const shop = new Shop(canary);
      await shop.run({ until: stepIs(step) });
      shop.wanted = wanted;
      let fewest = replicas;
      const each = () => (fewest = Math.min(fewest, shop.sim.selected('shop').length));
      expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
      shop.settle();
      expect(shop.leftovers()).toEqual([]);
      expect(fewest).toBe(replicas);
      if (image !== undefined) expect(imageOf(shop)).toBe(image);
      if (wanted.kind === 'original') expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    });
  }

  test.each([
    ['blue/green', blueGreen],
    ['a rolling update', rollingUpdate],
  ])('the strategy becomes %s: the canary goes first', async (_, workload) => {
    const shop = new Shop(canary);
    await shop.run({ until: stepIs('ScaleCanary') });
    shop.workload = workload;
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
    expect(imageOf(shop)).toBe('shop:2');
  });

  test('the strategy becomes a canary while green serves: green comes to its end first', async () => {
    const shop = new Shop();
    await shop.run({ until: stepIs('SwitchToGreen') });
    shop.workload = canary;
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
    expect(imageOf(shop)).toBe('shop:2');
  });
});

test('a Deployment of the canary’s name that is somebody else’s is left alone', async () => {
  const shop = new Shop(canary);
  shop.sim.put('Deployment', 'shop-canary', {
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [] } },
    },
  });
  expect(await shop.look()).toMatchObject({
    kind: 'waiting',
    reason: 'InvalidWorkload',
    message: expect.stringContaining('A Deployment shop-canary exists already'),
  });
  expect(shop.sim.writes).toEqual([]);
});
