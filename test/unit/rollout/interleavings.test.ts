import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import { holdAnnotation } from '../../../src/rollout/record.ts';
import type { Wanted } from '../../../src/rollout/workload.ts';
import { blueGreen, nextRelease, release, rollingUpdate, Shop } from './shop.ts';
import type { Behaviour } from './simulated-cluster.ts';

/** One move of somebody in the world; the order of the moves is what is random. */
const moves = {
  /** The operator looks; it acts on what it saw only when its turn to act comes. */
  look: 8,
  act: 8,
  /** The operator is killed between looking and acting. */
  crash: 1,
  controllers: 10,
  second: 6,
  fiveSeconds: 4,
  /** A pod is evicted. */
  evict: 1,
  retry: 1,
  wantNext: 1,
  wantFirst: 1,
  wantOriginal: 1,
  abandon: 1,
} as const;

/** What others may do to the objects behind the operator's back. */
const disturbances = {
  editTemplate: 1,
  editImage: 1,
  widenSelector: 1,
  removeHold: 1,
  deleteGreen: 1,
  scaleUp: 1,
  scaleDown: 1,
  restartDeployment: 1,
} as const;

type Move = keyof typeof moves | keyof typeof disturbances;

const anyOf = (weights: Partial<Record<Move, number>>): fc.Arbitrary<Move> =>
  fc.oneof(
    ...Object.entries(weights).map(([move, weight]) => ({ weight, arbitrary: fc.constant(move as Move) })),
  );

const wanteds: Partial<Record<Move, Wanted>> = {
  wantNext: { kind: 'release', releases: [release, nextRelease] },
  wantFirst: { kind: 'release', releases: [release] },
  wantOriginal: { kind: 'original' },
  abandon: { kind: 'abandon' },
};

const editShop = (shop: Shop, move: Move): void => {
  const { sim } = shop;
  const deployment = sim.deployment('shop');
  const containers = deployment?.spec.template.spec.containers ?? [];
  const green = sim.deployments.find(({ metadata }) => metadata.name !== 'shop');
  switch (move) {
    case 'editTemplate':
      sim.edit('Deployment', 'shop', {
        spec: { template: { metadata: { annotations: { edited: `${sim.now}` } } } },
      });
      break;
    case 'restartDeployment':
      sim.edit('Deployment', 'shop', {
        spec: { template: { metadata: { annotations: { restarted: 'yes' } } } },
      });
      break;
    case 'editImage':
      sim.edit('Deployment', 'shop', {
        spec: { template: { spec: { containers: containers.map((c) => ({ ...c, image: 'shop:hotfix' })) } } },
      });
      break;
    case 'widenSelector':
      sim.edit('Service', 'shop', { spec: { selector: { 'pod-template-hash': null } } });
      break;
    case 'removeHold':
      sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': null } } });
      break;
    case 'deleteGreen':
      if (green !== undefined) sim.deleteForeground('Deployment', green.metadata.name);
      break;
    case 'scaleUp':
      sim.edit('Deployment', 'shop', { spec: { replicas: 5 } });
      break;
    case 'scaleDown':
      sim.edit('Deployment', 'shop', { spec: { replicas: 1 } });
      break;
    default:
      break;
  }
};

/** Plays the moves; `check` is called after each of them. */
const play = async (shop: Shop, list: readonly Move[], check: (move: Move) => void): Promise<void> => {
  let seen: RolloutFacts | undefined;
  for (const move of list) {
    switch (move) {
      case 'look':
        seen = await shop.look();
        break;
      case 'act':
        if (seen !== undefined) await shop.act(seen);
        seen = undefined;
        break;
      case 'crash':
        seen = undefined;
        break;
      case 'controllers':
        shop.sim.settle();
        break;
      case 'second':
        shop.sim.advance(1_000);
        break;
      case 'fiveSeconds':
        shop.sim.advance(5_000);
        break;
      case 'evict': {
        // A node drain keeps to a PodDisruptionBudget: never the last one that serves.
        const [pod, ...others] = shop.sim.selected('shop');
        if (pod !== undefined && others.length > 0) shop.sim.deleteForeground('Pod', pod.metadata.name);
        break;
      }
      case 'retry':
        shop.retry += '!';
        break;
      default:
        shop.wanted = wanteds[move] ?? shop.wanted;
        editShop(shop, move);
    }
    check(move);
  }
};

const isEnd = (facts: RolloutFacts): boolean =>
  facts.kind === 'done' ||
  facts.kind === 'failed' ||
  (facts.kind === 'waiting' && facts.reason === 'InvalidWorkload');

/** From wherever the moves have led, a fair world brings the roll-out to an end that leaves nothing over. */
const expectEnd = async (shop: Shop): Promise<RolloutFacts> => {
  let facts = await shop.run({ until: isEnd, seconds: 900 });
  const { metadata, spec } = shop.sim.service('shop');
  // A person took the note off; what it said is for a person to mend.
  if (
    spec.selector?.['pod-template-hash'] !== undefined &&
    metadata.annotations?.[holdAnnotation] === undefined
  ) {
    if (shop.wanted.kind !== 'abandon')
      expect(facts).toMatchObject({ message: expect.stringContaining('remove that key from its selector') });
    shop.sim.edit('Service', 'shop', { spec: { selector: { 'pod-template-hash': null } } });
    facts = await shop.run({ until: isEnd, seconds: 900 });
  }
  shop.settle();
  expect(shop.leftovers()).toEqual([]);
  return facts;
};

const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;

const setup = {
  strategy: fc.constantFrom(blueGreen, rollingUpdate),
  settle: fc.constantFrom('0s', '3s', '10s'),
  proxyDelayMs: fc.constantFrom(500, 1_000, 3_000),
};

const shopOf = (world: { strategy: typeof blueGreen; settle: string; proxyDelayMs: number }): Shop => {
  const shop = new Shop(
    world.strategy === blueGreen
      ? { ...blueGreen, strategy: { blueGreen: { settle: world.settle } } }
      : world.strategy,
  );
  shop.sim.proxyDelayMs = world.proxyDelayMs;
  return shop;
};

const runs = 120;
const timeoutMs = 120_000;

test(
  'whatever the order of things and whenever the operator dies, a ready pod serves and no traffic goes to a dead one',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ ...setup, list: fc.array(anyOf(moves), { minLength: 40, maxLength: 200 }) }),
        async ({ list, ...world }) => {
          const shop = shopOf(world);
          const check = (move: Move) => {
            expect({ move, ready: shop.sim.selected('shop').length }).not.toEqual({ move, ready: 0 });
            const alive = new Set(shop.sim.pods.map(({ metadata }) => metadata.name));
            expect(shop.sim.routed().filter((name) => !alive.has(name))).toEqual([]);
            if (move === 'act' && shop.steps.at(-1) === 'RestoreService')
              expect(shop.misdeeds('RestoreService')).toEqual([]);
          };
          await play(shop, list, check);
          const { kind } = await expectEnd(shop);
          expect(kind).toBe('done');
          if (shop.wanted.kind === 'release') expect(imageOf(shop)).toBe(shop.wanted.releases.at(-1)?.image);
          if (shop.wanted.kind === 'original') expect(imageOf(shop)).toBe('shop:1');
        },
      ),
      { numRuns: runs },
    );
  },
  timeoutMs,
);

const bad: readonly Behaviour[] = ['crashes', 'unpullable', 'never ready', 'flaps', 'breaks'];

/** Found by chance: what serves breaks for good while the next release stands beside it, ready. */
const brokenWhileTheNextWaits = {
  strategy: blueGreen,
  settle: '0s' as const,
  proxyDelayMs: 500 as const,
  behaviour: 'breaks' as const,
  where: 'base' as const,
  image: 'shop:2' as const,
  // prettier-ignore
  list: ['look', 'act', 'look', 'act', 'controllers', 'fiveSeconds', 'controllers', 'look', 'act', 'act', 'controllers', 'look', 'act', 'fiveSeconds', 'second', 'act', 'look', 'evict', 'act', 'second', 'controllers', 'wantNext', 'look', 'controllers', 'controllers', 'second'] satisfies readonly Move[] as Move[],
};

test(
  'code that fails, anywhere and any time, never takes the last ready pod, and ends at done or failed',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ...setup,
          behaviour: fc.constantFrom(...bad),
          where: fc.constantFrom('green', 'base', 'both'),
          image: fc.constantFrom('shop:2', 'shop:3'),
          list: fc.array(anyOf(moves), { minLength: 20, maxLength: 200 }),
        }),
        async ({ list, behaviour, where, image, ...world }) => {
          const shop = shopOf(world);
          shop.sim.behaviour = (present, isGreen) =>
            present === image && (where === 'both' || isGreen === (where === 'green')) ? behaviour : 'good';
          let before = shop.sim.selected('shop').length;
          await play(shop, list, (move) => {
            const ready = shop.sim.selected('shop').length;
            // Code that breaks while it serves does so by itself; the operator's own writes never make it worse.
            const isOurs =
              move === 'act' ||
              behaviour === 'crashes' ||
              behaviour === 'unpullable' ||
              behaviour === 'never ready';
            if (isOurs && before > 0) expect({ move, ready }).not.toEqual({ move, ready: 0 });
            before = ready;
          });
          await expectEnd(shop);
          // Code that has served well for a while and then breaks is not the roll-out's any more.
          if (behaviour !== 'breaks' && behaviour !== 'flaps')
            expect(shop.sim.selected('shop').length).toBeGreaterThan(0);
        },
      ),
      { numRuns: runs, examples: [[brokenWhileTheNextWaits]] },
    );
  },
  timeoutMs,
);

test(
  'whatever others do to the objects meanwhile, the roll-out ends and leaves nothing over',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ...setup,
          list: fc.array(anyOf({ ...moves, ...disturbances }), { minLength: 40, maxLength: 200 }),
        }),
        async ({ list, ...world }) => {
          const shop = shopOf(world);
          await play(shop, list, () => {});
          await expectEnd(shop);
          expect(shop.sim.selected('shop').length).toBeGreaterThan(0);
        },
      ),
      { numRuns: runs },
    );
  },
  timeoutMs,
);
