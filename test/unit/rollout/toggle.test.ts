/** Toggles: keys of a ConfigMap instead of a roll-out, and what is known meanwhile of each pod's code. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import { release, template } from './shop.ts';
import { byAnnotation, ownValues, toggled, ToggledShop, toggles } from './toggled-shop.ts';

const ended = ({ kind }: RolloutFacts): boolean => kind === 'done';

const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);

/** Runs until all is done; nobody is ever taken for what he is not. */
const toEnd = async (shop: ToggledShop, annotating = false): Promise<void> => {
  for (let second = 0; second < 600; second += 1) {
    shop.sim.settle();
    if (annotating) shop.annotate();
    const facts = await shop.look();
    await shop.act(facts);
    shop.track();
    expect(await shop.miscounted()).toEqual([]);
    if (ended(facts)) return;
    shop.sim.advance(facts.kind === 'waiting' ? 5_000 : 1_000);
  }
  throw new Error(`Not done: ${JSON.stringify(await shop.look())}`);
};

const counted = async (shop: ToggledShop): Promise<Record<string, number>> =>
  Object.fromEntries(Object.entries((await shop.facts()).podsByCode).filter(([, count]) => count > 0));

describe.each([
  ['a delay', toggled, false],
  ['annotations', byAnnotation, true],
] as const)('acknowledged by %s', (_, workload, annotating) => {
  test('it goes forward and back, each pod counted as what it runs, no pod new, no other key touched', async () => {
    const shop = new ToggledShop(workload);
    const pods = shop.sim.pods.map(({ metadata }) => metadata.name);
    const before = structuredClone(shop.configMap);
    const runs = ['old', 'writes-both', 'reads-new', 'new-only'];
    for (const step of [1, 2, 3, 2, 1, 0]) {
      shop.want(step);
      await toEnd(shop, annotating);
      expect(await counted(shop)).toEqual({ [runs[step] ?? '']: 3 });
      expect(shop.configMap.data?.['THEME']).toBe('dark');
    }
    expect(shop.configMap.data).toEqual(before.data);
    expect(shop.configMap.metadata.annotations ?? {}).toEqual({});
    expect(shop.sim.pods.map(({ metadata }) => metadata.name)).toEqual(pods);
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    expect((await shop.facts()).strategy).toBe('Toggle');
  });
});

test('a pod that runs is new code after its time alone, one that starts later at once', async () => {
  const shop = new ToggledShop();
  shop.want(1);
  await toEnd(shop);
  shop.want(2);
  await shop.act(await shop.look());
  shop.track();
  expect(await counted(shop)).toEqual({ 'writes-both': 3 });
  expect(messageOf(await shop.look())).toMatch(/3 pods take the values of ConfigMap flags on until .*shop-/);
  shop.settle(15);
  const [victim] = shop.sim.pods;
  shop.sim.deleteForeground('Pod', victim?.metadata.name ?? '');
  shop.settle(15);
  expect(await counted(shop)).toEqual({ 'writes-both': 2, 'reads-new': 1 });
  shop.settle(85);
  expect(await counted(shop)).toEqual({ 'writes-both': 2, 'reads-new': 1 });
  shop.settle(6);
  expect(await counted(shop)).toEqual({ 'reads-new': 3 });
});

test('on the way back pods count as new until it is known better', async () => {
  const shop = new ToggledShop();
  shop.want(2);
  await toEnd(shop);
  shop.want(0);
  expect(await counted(shop)).toEqual({ 'reads-new': 3 });
  await shop.act(await shop.look());
  shop.track();
  expect(shop.configMap.data).toEqual(ownValues);
  expect(await counted(shop)).toEqual({ 'reads-new': 3 });
  await toEnd(shop);
  expect(await counted(shop)).toEqual({ old: 3 });
});

test('turned back before anybody has taken it on, it waits all the same: some may have', async () => {
  const shop = new ToggledShop();
  shop.want(2);
  await shop.act(await shop.look());
  shop.track();
  shop.lagMs = () => 1_000;
  shop.settle(5);
  shop.want(0);
  await shop.act(await shop.look());
  shop.track();
  shop.lagMs = () => 90_000;
  expect(await counted(shop)).toEqual({ 'reads-new': 3 });
  await toEnd(shop);
});

test('without the annotation a pod never counts as new, and is named', async () => {
  const shop = new ToggledShop(byAnnotation);
  shop.want(1);
  await shop.act(await shop.look());
  shop.settle(600);
  expect(await counted(shop)).toEqual({ old: 3 });
  expect(messageOf(await shop.look())).toMatch(
    /3 pods have not said .* change\.segue\.dev\/names: writes-both: shop-.*, shop-.*, shop-/,
  );
});

test('a pod that is not ready does not count as new, however long it is', async () => {
  const shop = new ToggledShop();
  shop.want(1);
  await shop.act(await shop.look());
  shop.track();
  const [pod] = shop.sim.pods;
  shop.sim.behaviour = () => 'never ready';
  shop.sim.edit('Pod', pod?.metadata.name ?? '', {
    status: { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: '2026-01-01T00:01:00Z' }] },
  });
  shop.sim.now += 600_000;
  expect((await shop.facts()).podNames.old).toEqual([pod?.metadata.name]);
  expect(messageOf(await shop.look())).toMatch(/not ready .*told/);
});

describe('somebody else', () => {
  test('who changes a laid key is said, not fought; once it is back, the time begins anew', async () => {
    const shop = new ToggledShop();
    shop.want(2);
    await toEnd(shop);
    shop.sim.edit('ConfigMap', 'flags', { data: { READ: 'names', THEME: 'light' } });
    expect(await counted(shop)).toEqual({ old: 3 });
    await shop.act(await shop.look());
    expect(messageOf(await shop.look())).toMatch(/edited by somebody else.*READ\. Set it back/);
    shop.settle(300);
    expect(shop.configMap.data?.['READ']).toBe('names');
    expect(await counted(shop)).toEqual({ old: 3 });
    shop.sim.edit('ConfigMap', 'flags', { data: { READ: 'full_name' } });
    await shop.act(await shop.look());
    expect(await counted(shop)).toEqual({ old: 3 });
    shop.settle(121);
    expect(await counted(shop)).toEqual({ 'reads-new': 3 });
    shop.want(0);
    await toEnd(shop);
    expect(shop.configMap.data).toEqual({ ...ownValues, THEME: 'light' });
  });

  test('who makes the ConfigMap anew has it set again, and every pod takes it on anew', async () => {
    const shop = new ToggledShop();
    shop.want(2);
    await toEnd(shop);
    shop.sim.put('ConfigMap', 'flags', { data: { ...ownValues } });
    shop.track();
    expect(await counted(shop)).toEqual({ old: 3 });
    await toEnd(shop);
    expect(await counted(shop)).toEqual({ 'reads-new': 3 });
  });

  test('who has toggled the same key for another change is waited for', async () => {
    const shop = new ToggledShop();
    const note = { uid: 'u', deployment: 'shop', original: {}, laid: { READ: 'x' }, code: 'old', at: 0 };
    shop.sim.edit('ConfigMap', 'flags', {
      metadata: { annotations: { 'toggle.segue.dev/emails': JSON.stringify(note) } },
    });
    shop.want(1);
    expect(messageOf(await shop.look())).toMatch(/toggled by SchemaChange emails/);
  });
});

test.each<[string, object, RegExp]>([
  ['immutable', { immutable: true }, /immutable/],
  [
    'with a note that nobody can read',
    { metadata: { annotations: { 'toggle.segue.dev/names': '{' } } },
    /can't be read/,
  ],
])('a ConfigMap that is %s is said', async (_, body, said) => {
  const shop = new ToggledShop();
  shop.sim.edit('ConfigMap', 'flags', body as Record<string, unknown>);
  shop.want(1);
  expect(await shop.look()).toMatchObject({ kind: 'waiting', reason: 'InvalidWorkload' });
  expect(messageOf(await shop.look())).toMatch(said);
});

test('a ConfigMap that is not there holds the way forward and the way back', async () => {
  const shop = new ToggledShop({
    ...toggled,
    releases: toggles.map((each) => ({
      ...each,
      toggle: { configMap: 'elsewhere', data: { A: 'b' }, acknowledge: 'Delay' as const },
    })),
  });
  for (const step of [1, 0]) {
    shop.want(step);
    expect(messageOf(await shop.look())).toMatch(/ConfigMap shop\/elsewhere.*does not exist/);
  }
});

test.each<[string, object]>([
  ['a variable', { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'flags', key: 'READ' } } }] }],
  ['variables', { envFrom: [{ configMapRef: { name: 'flags' } }] }],
  ['a subPath', { volumeMounts: [{ name: 'flags', mountPath: '/flags', subPath: 'READ' }] }],
])('a Deployment that reads it as %s alone never would: it is said', async (_, container) => {
  const shop = new ToggledShop();
  const deployment = shop.sim.deployment('shop');
  shop.sim.edit('Deployment', 'shop', {
    spec: {
      template: {
        spec: {
          volumes: [{ name: 'flags', configMap: { name: 'flags' } }],
          containers: [{ ...deployment?.spec.template.spec.containers[0], ...container }],
        },
      },
    },
  });
  shop.want(1);
  expect(messageOf(await shop.look())).toMatch(/never change while a pod runs/);
});

test('after a release by image comes one by toggle, and back in turn', async () => {
  const [, second] = toggles;
  if (second === undefined) throw new Error('no second toggle');
  const first = { ...release, phase: 'DualWrite', code: 'writes-both' } as const;
  const workload: Workload = { ...toggled, strategy: { rollingUpdate: {} }, releases: [first, second] };
  const shop = new ToggledShop(workload);
  const all = async (releases: Workload['releases']): Promise<Record<string, number>> => {
    shop.wanted = releases.length === 0 ? { kind: 'original' } : { kind: 'release', releases };
    await shop.run({ until: ended, each: () => shop.track() });
    return counted(shop);
  };
  expect(await all([first])).toEqual({ 'writes-both': 3 });
  expect(await all([first, second])).toEqual({ 'reads-new': 3 });
  expect((await shop.facts()).strategy).toBe('RollingUpdate');
  expect(await all([first])).toEqual({ 'writes-both': 3 });
  expect(await all([])).toEqual({ old: 3 });
  expect(shop.configMap.data).toEqual(ownValues);
});

test('once the change is complete, the values stay and the note goes', async () => {
  const shop = new ToggledShop();
  shop.want(3);
  await toEnd(shop);
  shop.wanted = { kind: 'forget' };
  await toEnd(shop);
  expect(shop.configMap.metadata.annotations ?? {}).toEqual({});
  expect(shop.configMap.data).toMatchObject({ READ: 'full_name', WRITE: 'full_name' });
  expect(await counted(shop)).toEqual({ 'new-only': 3 });
});

test('a resource deleted and made again goes on from where the values are', async () => {
  const shop = new ToggledShop();
  shop.want(2);
  await toEnd(shop);
  shop.wanted = { kind: 'abandon' };
  expect(await shop.look()).toEqual({ kind: 'done' });
  shop.uid = 'uid-2';
  shop.want(2);
  await toEnd(shop);
  shop.want(0);
  await toEnd(shop);
  expect(shop.configMap.data).toEqual(ownValues);
});

const moves = {
  look: 6,
  act: 6,
  crash: 1,
  second: 4,
  halfMinute: 4,
  evict: 2,
  scaleUp: 1,
  up: 2,
  back: 1,
  annotate: 3,
} as const;
type Move = keyof typeof moves;

test('whatever the order of looks, writes, crashes and new pods, no pod counts as what it is not', async () => {
  const list = fc.array(
    fc.oneof(
      ...Object.entries(moves).map(([move, weight]) => ({ weight, arbitrary: fc.constant(move as Move) })),
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(toggled, byAnnotation),
      fc.integer({ min: 0, max: 89_000 }),
      list,
      async (workload, lag, order) => {
        const shop = new ToggledShop(workload);
        const annotating = workload === byAnnotation;
        // Each pod has a lag of its own.
        shop.lagMs = (name) => (lag * (1 + name.length + (name.codePointAt(name.length - 1) ?? 0))) % 89_000;
        let [seen, step, isBack]: [RolloutFacts | undefined, number, boolean] = [undefined, 0, false];
        const play: Readonly<Record<Move, () => void | Promise<void>>> = {
          look: async () => {
            seen = await shop.look();
          },
          act: async () => {
            if (seen !== undefined) await shop.act(seen);
            seen = undefined;
            shop.track();
          },
          crash: () => {
            seen = undefined;
          },
          second: () => shop.settle(1),
          halfMinute: () => shop.settle(30),
          evict: () => {
            const [pod] = shop.sim.pods;
            if (pod !== undefined) shop.sim.deleteForeground('Pod', pod.metadata.name);
          },
          scaleUp: () => shop.sim.edit('Deployment', 'shop', { spec: { replicas: 4 } }),
          // The phases go one way until the change is walked back; each waits for the one before.
          up: async () => {
            if (isBack || step === 3 || !ended(await shop.look())) return;
            step += 1;
            shop.want(step);
          },
          back: async () => {
            if (step === 0 || (isBack && !ended(await shop.look()))) return;
            isBack = true;
            step -= 1;
            shop.want(step);
          },
          annotate: () => (annotating ? shop.annotate() : undefined),
        };
        for (const move of order) {
          await play[move]();
          expect({ move, wrong: await shop.miscounted() }).toEqual({ move, wrong: [] });
        }
        await toEnd(shop, annotating);
        shop.want(0);
        await toEnd(shop, annotating);
        expect(shop.configMap.data).toEqual(ownValues);
        expect(shop.configMap.metadata.annotations ?? {}).toEqual({});
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);
