import { describe, expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Wanted } from '../../../src/rollout/workload.ts';
import { blueGreen, canary, nextRelease, release, rollingUpdate, routed, Shop, template } from './shop.ts';
import type { Behaviour } from './simulated-cluster.ts';
import { userRules } from './simulated-gateway.ts';

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;

const forward = [
  'NarrowService',
  'CreateGreen',
  'CreateCanaryService',
  'NoteStep',
  'DivideRoute',
  'NoteStep',
  'NoteStep',
  'DivideRoute',
  'NoteStep',
  'NoteStep',
  'DivideRoute',
  'NoteStep',
  'SwitchToGreen',
  'RestoreRoute',
  'NoteRestored',
  'RollDeployment',
  'RemoveCanaryService',
  'ReleaseRoute',
  'SettleRecord',
  'SwitchToBase',
  'RemoveGreen',
  'RestoreService',
];

/** How the root rule of the route is divided by the Gateway's proxies: percent for the canary. */
const weightOf = (shop: Shop): number => {
  const rule = shop.gateway.rules().findLast(({ matches }) => JSON.stringify(matches).includes('"/"'));
  return rule?.backendRefs?.find(({ name }) => name === 'shop-canary')?.weight ?? 0;
};

/** A shop in the moment after this step was done for the n-th time. */
const after = async (kind: string, count = 1, shop = new Shop(routed)): Promise<Shop> => {
  await shop.run({
    until: (facts) => stepIs(kind)(facts) && shop.steps.filter((step) => step === kind).length === count,
  });
  return shop;
};

const atEnd = ({ kind }: RolloutFacts) => kind === 'done' || kind === 'failed';

/** Runs to the end; no request is lost on the way, and nothing is left over. */
const end = async (shop: Shop): Promise<RolloutFacts> => {
  const facts = await shop.run({
    until: atEnd,
    each: () => expect({ after: shop.steps.at(-1), lost: shop.gateway.lost() }).toMatchObject({ lost: [] }),
  });
  shop.settle();
  expect(shop.leftovers()).toEqual([]);
  return facts;
};

test('a release goes through its weights, exactly, and no request goes astray', async () => {
  const shop = new Shop(routed);
  const weights: (number | undefined)[] = [];
  const each = () => {
    expect(shop.gateway.lost()).toEqual([]);
    if (weightOf(shop) !== weights.at(-1)) weights.push(weightOf(shop));
  };
  await shop.run({ until: stepIs('DivideRoute'), each });
  expect(shop.sim.route('shop')?.spec.rules).toHaveLength(userRules.length + 2);
  await shop.run({ until: stepIs('SwitchToGreen'), each });
  expect((await shop.facts()).weight).toBe(100);
  expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
  expect(shop.steps).toEqual(forward);
  expect(weights).toEqual([0, 20, 100, 0]);
  expect(shop.leftovers()).toEqual([]);
  expect(imageOf(shop)).toBe('shop:2');
});

test('the weight in the status is the route’s', async () => {
  const shop = await after('DivideRoute', 2);
  expect((await shop.facts()).weight).toBe(20);
});

test('the next release and the walk back go the same way, and all ends exactly as it began', async () => {
  const shop = new Shop(routed);
  await end(shop);
  shop.wanted = { kind: 'release', releases: [release, nextRelease] };
  await end(shop);
  expect(imageOf(shop)).toBe('shop:3');
  shop.wanted = { kind: 'original' };
  await end(shop);
  expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
});

test('no weight is moved before the Gateway goes by the one before, and none while it is away', async () => {
  const shop = await after('DivideRoute');
  shop.gateway.runs = false;
  const { length } = shop.sim.writes;
  for (let second = 0; second < 60; second += 1) {
    shop.controllers();
    const facts = await shop.look();
    expect(facts).toMatchObject({
      kind: 'waiting',
      message: expect.stringMatching(
        /Gateway public has yet to say Accepted of generation 2 of HTTPRoute shop/,
      ),
    });
    await shop.act(facts);
    shop.sim.advance(1_000);
  }
  expect(shop.sim.writes).toHaveLength(length);
  shop.gateway.runs = true;
  expect(await end(shop)).toEqual({ kind: 'done' });
});

test('rules that the Gateway refuses are put back in the next write, and the roll-out has failed', async () => {
  const shop = new Shop(routed);
  shop.gateway.refuses = (rules) => JSON.stringify(rules).includes('shop-canary');
  const facts = await end(shop);
  expect(facts).toMatchObject({
    kind: 'failed',
    message: expect.stringMatching(/Gateway public says Accepted False \(BackendNotFound: Service unknown\)/),
  });
  expect(shop.steps.filter((step) => step === 'DivideRoute')).toHaveLength(1);
  expect(imageOf(shop)).toBe('shop:1');
});

describe('a canary that fails loses its traffic in the next write and stays failed', () => {
  const cases: readonly [Behaviour, RegExp][] = [
    ['crashes', /pod shop-green-\S+ crashes again and again/],
    ['never ready', /Deployment shop-green did not become available within 60 s/],
    ['breaks', /pod shop-green-\S+ crashed: container app was restarted/],
  ];
  test.each(cases)('%s', async (behaviour, why) => {
    const shop = new Shop(routed);
    shop.sim.behaviour = (image) => (image === 'shop:2' ? behaviour : 'good');
    let before = 0;
    const facts = await shop.run({
      until: atEnd,
      each: () => {
        const broken = shop.sim.pods.some(({ status }) => status?.containerStatuses?.[0]?.restartCount !== 0);
        if (broken && weightOf(shop) > 0) before += 1;
      },
    });
    expect(before).toBeLessThan(8);
    expect(facts).toMatchObject({
      kind: 'failed',
      reason: 'RolloutFailed',
      message: expect.stringMatching(why),
    });
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    shop.sim.behaviour = () => 'good';
    shop.retry = 'again';
    expect(await end(shop)).toEqual({ kind: 'done' });
  });
});

describe('what is wanted changes half-way', () => {
  const changes: readonly [string, Wanted, string | undefined][] = [
    ['walk back', { kind: 'original' }, 'shop:1'],
    ['the release is edited', { kind: 'release', releases: [{ ...release, image: 'shop:2.1' }] }, 'shop:2.1'],
    ['the resource is deleted', { kind: 'abandon' }, undefined],
  ];
  const moments = [
    ['CreateCanaryService', 1],
    ['DivideRoute', 2],
    ['NoteStep', 5],
    ['SwitchToGreen', 1],
    ['RestoreRoute', 1],
    ['RollDeployment', 1],
  ] as const;
  for (const [name, wanted, image] of changes) {
    test(`${name}, after each kind of step`, async () => {
      for (const [step, count] of moments) {
        const shop = await after(step, count);
        shop.wanted = wanted;
        expect(await end(shop)).toEqual({ kind: 'done' });
        if (image !== undefined) expect(imageOf(shop)).toBe(image);
        if (wanted.kind === 'original') expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
      }
    });
  }

  test('another strategy, or none: the route is put back first', async () => {
    for (const workload of [canary, blueGreen, rollingUpdate]) {
      const shop = await after('DivideRoute', 2);
      shop.workload = workload;
      expect(await end(shop)).toEqual({ kind: 'done' });
      expect(imageOf(shop)).toBe('shop:2');
    }
  });

  test('the Deployment is gone: the route is put back all the same', async () => {
    const shop = await after('DivideRoute', 2);
    for (const name of ['shop', 'shop-green']) shop.sim.deleteForeground('Deployment', name);
    shop.wanted = { kind: 'abandon' };
    shop.settle();
    await shop.toEnd();
    expect(shop.leftovers()).toEqual([]);
  });
});

test('the Deployment grows while its traffic is divided: the canary grows with it before it goes on', async () => {
  const shop = await after('NoteStep', 4);
  shop.sim.edit('Deployment', 'shop', { spec: { replicas: 5 } });
  await shop.run({ until: stepIs('ScaleGreen') });
  expect(await end(shop)).toEqual({ kind: 'done' });
});

describe('what others do to the route', () => {
  const reverts: readonly [string, (shop: Shop) => void][] = [
    ['rules', (shop) => shop.sim.edit('HTTPRoute', 'shop', { spec: { rules: shop.ownRules } })],
    [
      'rules and annotations',
      (shop) =>
        shop.sim.edit('HTTPRoute', 'shop', {
          spec: { rules: shop.ownRules },
          metadata: { annotations: { 'segue.dev/canary-route': null } },
        }),
    ],
  ];
  test.each(reverts)('put back once, %s: it is said, and divided again', async (_, revert) => {
    const shop = await after('DivideRoute', 2);
    revert(shop);
    expect(await end(shop)).toEqual({ kind: 'done' });
    expect(shop.steps.filter((step) => step === 'DivideRoute')).toHaveLength(4);
  });

  test.each(reverts)(
    'put back within a second each time, %s: no fight, and nothing is lost',
    async (_, revert) => {
      const shop = new Shop(routed);
      const facts = await shop.run({
        until: atEnd,
        each: () => {
          expect(shop.gateway.lost()).toEqual([]);
          if (JSON.stringify(shop.sim.route('shop')?.spec.rules).includes('shop-canary')) revert(shop);
        },
      });
      expect(facts).toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(
          /HTTPRoute shop was put back 3 times by somebody else; let nothing else manage/,
        ),
      });
      expect(shop.steps.filter((step) => step === 'DivideRoute').length).toBeLessThanOrEqual(33);
      shop.settle();
      expect(shop.leftovers()).toEqual([]);
    },
  );

  test('it is deleted: nothing moves, the old code serves, and it goes on once it is back', async () => {
    const shop = await after('DivideRoute', 2);
    shop.sim.remove('HTTPRoute', 'shop');
    const facts = await shop.run({ until: ({ kind }) => kind === 'waiting' });
    expect(facts).toMatchObject({
      reason: 'HTTPRouteNotFound',
      message: expect.stringContaining('HTTPRoute shop/shop does not exist'),
    });
    shop.putRoute();
    expect(await end(shop)).toEqual({ kind: 'done' });
  });

  test('the canary’s Service is deleted: the traffic goes back, and comes again with a new one', async () => {
    const shop = await after('DivideRoute', 2);
    shop.settle(3);
    shop.sim.remove('Service', 'shop-canary');
    await shop.run({ until: stepIs('RestoreRoute') });
    await shop.run({ until: stepIs('DivideRoute') });
    expect(await end(shop)).toEqual({ kind: 'done' });
  });
});

describe('what must be right before', () => {
  const cases: readonly [string, (shop: Shop) => void, object][] = [
    [
      'the cluster has no HTTPRoutes',
      (shop) => {
        shop.sim.remove('HTTPRoute', 'shop');
        shop.sim.kinds.delete('HTTPRoute');
      },
      { reason: 'HTTPRouteNotFound', message: expect.stringContaining('This cluster has no HTTPRoutes') },
    ],
    [
      'there is no such route',
      (shop) => shop.sim.remove('HTTPRoute', 'shop'),
      { reason: 'HTTPRouteNotFound', message: expect.stringContaining('HTTPRoute shop/shop does not exist') },
    ],
    [
      'no rule names the Service',
      (shop) => shop.sim.edit('HTTPRoute', 'shop', { spec: { rules: userRules.slice(2) } }),
      { reason: 'InvalidWorkload', message: expect.stringContaining('sends no requests to Service shop') },
    ],
    [
      'no Gateway has taken it up',
      (shop) => shop.sim.writeStatus('HTTPRoute', 'shop', { parents: [] }),
      { reason: 'HTTPRouteNotAccepted', message: expect.stringContaining('no controller of Gateway public') },
    ],
    [
      'a Service of the canary’s name is somebody else’s',
      (shop) => void shop.sim.put('Service', 'shop-canary', { spec: { selector: { app: 'x' } } }),
      { reason: 'InvalidWorkload', message: expect.stringContaining('A Service shop-canary exists already') },
    ],
  ];
  test.each(cases)('%s', async (_, spoil, expected) => {
    const shop = new Shop(routed);
    shop.controllers();
    spoil(shop);
    expect(await shop.look()).toMatchObject({ kind: 'waiting', ...expected });
    expect(shop.sim.writes).toEqual([]);
  });
});
