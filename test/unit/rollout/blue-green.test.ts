import { describe, expect, test } from '@jest/globals';
import { blueGreen, nextRelease, release, replicas, Shop, template } from './shop.ts';
import type { Behaviour } from './simulated-cluster.ts';

const forward = [
  'NarrowService',
  'CreateGreen',
  'SwitchToGreen',
  'RollDeployment',
  'SettleRecord',
  'SwitchToBase',
  'RemoveGreen',
  'RestoreService',
];

const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;
const labelOf = (shop: Shop) =>
  shop.sim.deployment('shop')?.spec.template.metadata?.labels?.['change.segue.dev/names'];

/** Counts moments at which fewer ready pods were selected than the shop has, or traffic went to a dead pod. */
const watchTraffic = (shop: Shop) => {
  const seen = { short: 0, dead: 0, misdeeds: [] as string[] };
  let steps = 0;
  shop.sim.proxyDelayMs = 3_000;
  return {
    seen,
    each: () => {
      if (shop.steps.length > steps) seen.misdeeds.push(...shop.misdeeds(shop.steps.at(-1) ?? ''));
      steps = shop.steps.length;
      if (shop.sim.selected('shop').length < replicas) seen.short += 1;
      const alive = new Set(shop.sim.pods.map(({ metadata }) => metadata.name));
      const routed = shop.sim.routed();
      if (routed.length === 0 || routed.some((name) => !alive.has(name))) seen.dead += 1;
    },
  };
};

test('a release goes through every step, and at no moment is a pod missing behind the Service', async () => {
  const shop = new Shop();
  const { seen, each } = watchTraffic(shop);
  expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
  expect(shop.steps).toEqual(forward);
  expect(seen).toEqual({ short: 0, dead: 0, misdeeds: [] });
  expect(shop.leftovers()).toEqual([]);
  expect(imageOf(shop)).toBe('shop:2');
  expect(labelOf(shop)).toBe('reads-new');
  expect(shop.sim.pods.map(({ metadata }) => metadata.labels?.['change.segue.dev/names'])).toEqual(
    Array(replicas).fill('reads-new'),
  );
});

test('the next release and the walk back go the same way, and the template ends exactly as it began', async () => {
  const shop = new Shop();
  const { seen, each } = watchTraffic(shop);
  await shop.toEnd(each);
  shop.wanted = { kind: 'release', releases: [release, nextRelease] };
  await shop.toEnd(each);
  expect(imageOf(shop)).toBe('shop:3');
  expect(labelOf(shop)).toBe('new-only');
  shop.wanted = { kind: 'release', releases: [release] };
  await shop.toEnd(each);
  expect(imageOf(shop)).toBe('shop:2');
  shop.wanted = { kind: 'original' };
  await shop.toEnd(each);
  expect(shop.steps).toEqual([...forward, ...forward, ...forward, ...forward]);
  expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
  expect(seen).toEqual({ short: 0, dead: 0, misdeeds: [] });
  expect(shop.leftovers()).toEqual([]);
});

describe('a release that fails before the last switch goes back to the old code and stays failed', () => {
  const cases: readonly [Behaviour, 'green' | 'base', RegExp][] = [
    [
      'crashes',
      'green',
      /pod shop-green-\S+ crashes again and again: container app was restarted \d+ times \(Error, exit code 1\)/,
    ],
    ['unpullable', 'green', /pod shop-green-\S+ waits: ImagePullBackOff for image shop:2/],
    [
      'never ready',
      'green',
      /Deployment shop-green did not become available within 60 s \(pod shop-green-\S+ is not ready\)/,
    ],
    ['flaps', 'green', /Deployment shop-green did not become available within 120 s/],
    ['breaks', 'green', /pod shop-green-\S+ crashed: container app was restarted/],
    ['crashes', 'base', /pod shop-\S+ crashes again and again/],
    ['never ready', 'base', /Deployment shop did not become available within 60 s/],
  ];
  // So that what breaks does so after the switch, and what flaps never gets there.
  const settles: Partial<Record<Behaviour, string>> = { breaks: '15s', flaps: '20s' };
  test.each(cases)('%s in %s', async (behaviour, where, why) => {
    const shop = new Shop();
    shop.workload = { ...blueGreen, strategy: { blueGreen: { settle: settles[behaviour] ?? '5s' } } };
    shop.sim.behaviour = (image, isGreen) =>
      image === 'shop:2' && isGreen === (where === 'green') ? behaviour : 'good';
    const { seen, each } = watchTraffic(shop);
    const facts = await shop.toEnd(each);
    expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
    expect(facts.kind === 'failed' && facts.message).toMatch(why);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    // Code that breaks only once it serves is switched away from within the second in which it is seen.
    expect(seen.short).toBeLessThanOrEqual(behaviour === 'breaks' ? 2 : 0);
    const { length } = shop.sim.writes;
    for (let second = 0; second < 20; second += 1) expect((await shop.look()).kind).toBe('failed');
    expect(shop.sim.writes).toHaveLength(length);
  });

  test('green that breaks while the Deployment is rolled to the same code', async () => {
    const shop = new Shop();
    shop.workload = { ...blueGreen, strategy: { blueGreen: { settle: '3s' } } };
    shop.sim.behaviour = (image, isGreen) => (image === 'shop:2' && isGreen ? 'breaks' : 'good');
    const facts = await shop.toEnd();
    expect(shop.steps).toContain('RollBackDeployment');
    expect(facts.kind === 'failed' && facts.message).toMatch(/pod shop-green-\S+ crashed/);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  });

  test('pods that a quota refuses', async () => {
    const shop = new Shop();
    shop.sim.refusesPods = (isGreen) => isGreen;
    expect(await shop.toEnd()).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/pods of shop-green are refused/),
    });
  });
});

test('scaleDownDelay keeps the old pods after the switch, so that going back is one write', async () => {
  const shop = new Shop({
    ...blueGreen,
    strategy: { blueGreen: { settle: '1s', scaleDownDelay: '10m' } },
  });
  await shop.run({ until: (facts) => facts.kind === 'step' && facts.step.kind === 'SwitchToGreen' });
  const switched = shop.sim.now;
  const facts = await shop.run({ until: () => shop.sim.now - switched > 590_000, seconds: 700 });
  expect(facts).toMatchObject({
    kind: 'waiting',
    message: expect.stringContaining('the old pods kept, until 2026-01-01T00:10'),
  });
  shop.wanted = { kind: 'original' };
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.steps.slice(-3)).toEqual(['SwitchToBase', 'RemoveGreen', 'RestoreService']);
  expect(shop.leftovers()).toEqual([]);
});
