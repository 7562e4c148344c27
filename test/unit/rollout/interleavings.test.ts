import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import { holdAnnotation } from '../../../src/rollout/record.ts';
import type { HttpRouteRule } from '../../../src/kube/types.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import type { Wanted } from '../../../src/rollout/workload.ts';
import { blueGreen, canary, nextRelease, release, rollingUpdate, routed, Shop } from './shop.ts';
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
  scaleAndEdit: 1,
  restartDeployment: 1,
  /** A GitOps tool puts the route back as it is in Git. */
  revertRoute: 1,
  /** The same by replacing it, annotations and all. */
  replaceRoute: 1,
  /** Somebody edits a rule as it stands. */
  editRoute: 1,
  noteOffRoute: 1,
  deleteCanaryService: 1,
  editCanaryService: 1,
  widenFollower: 1,
  remakeService: 1,
  remakeDeployment: 1,
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
    case 'scaleAndEdit':
      sim.edit('Deployment', 'shop', {
        spec: { replicas: 4, template: { metadata: { annotations: { edited: `${sim.now}` } } } },
      });
      break;
    case 'widenFollower':
      for (const name of shop.workload.services ?? [])
        sim.edit('Service', name, { spec: { selector: { 'pod-template-hash': null } } });
      break;
    case 'remakeService':
      sim.put('Service', 'shop', { spec: { clusterIP: '10.0.0.1', selector: { app: 'shop' } } });
      break;
    case 'remakeDeployment':
      shop.remakeDeployment();
      break;
    case 'removeHold':
      sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': null } } });
      break;
    case 'deleteGreen':
      if (green !== undefined) sim.deleteForeground('Deployment', green.metadata.name);
      break;
    case 'revertRoute':
      sim.edit('HTTPRoute', 'shop', { spec: { rules: shop.ownRules } });
      break;
    case 'replaceRoute':
      sim.remove('HTTPRoute', 'shop');
      if (shop.workload.strategy?.canary?.httpRoute !== undefined) shop.putRoute();
      break;
    case 'editRoute': {
      // The last rule but one is what all requests without a path of their own go by, copies for testers or not.
      const edited = (rules: readonly HttpRouteRule[]) =>
        rules.map((rule, n) => (n === rules.length - 2 ? { ...rule, timeouts: { request: '9s' } } : rule));
      const rules = sim.route('shop')?.spec.rules as readonly HttpRouteRule[] | undefined;
      if (rules === undefined) break;
      shop.ownRules = edited(shop.ownRules);
      sim.edit('HTTPRoute', 'shop', { spec: { rules: edited(rules) } });
      break;
    }
    case 'noteOffRoute':
      sim.edit('HTTPRoute', 'shop', { metadata: { annotations: { 'segue.dev/canary-route': null } } });
      break;
    case 'deleteCanaryService':
      sim.remove('Service', 'shop-canary');
      break;
    case 'editCanaryService':
      sim.edit('Service', 'shop-canary', { spec: { selector: { tier: 'web' } } });
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
        shop.controllers();
        break;
      case 'second':
        shop.sim.advance(1_000);
        break;
      case 'fiveSeconds':
        shop.sim.advance(5_000);
        break;
      case 'evict': {
        // A node drain keeps to a PodDisruptionBudget: never the last one that serves.
        // Of one replica it lets none go.
        if (shop.sim.deployment('shop')?.spec.replicas === 1) break;
        for (const service of ['shop', 'shop-canary']) {
          const [pod, ...others] = shop.sim.selected(service);
          if (pod !== undefined && others.length > 0) shop.sim.deleteForeground('Pod', pod.metadata.name);
        }
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
const expectEnd = async (shop: Shop, each: () => void = () => {}): Promise<RolloutFacts> => {
  let facts = await shop.run({ until: isEnd, seconds: 900, each });
  const { metadata, spec } = shop.sim.service('shop');
  // A person took the note off; what it said is for a person to mend.
  if (
    spec.selector?.['pod-template-hash'] !== undefined &&
    metadata.annotations?.[holdAnnotation] === undefined
  ) {
    if (shop.wanted.kind !== 'abandon')
      expect(facts).toMatchObject({ message: expect.stringContaining('remove that key from its selector') });
    shop.sim.edit('Service', 'shop', {
      spec: { selector: { 'pod-template-hash': null } },
    });
    facts = await shop.run({ until: isEnd, seconds: 900 });
  }
  shop.settle();
  expect(shop.leftovers()).toEqual([]);
  return facts;
};

const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;

const manyServices: Workload = {
  ...blueGreen,
  services: ['grpc'],
  strategy: { blueGreen: { settle: '3s', preview: 'preview' } },
};

const setup = {
  strategy: fc.constantFrom(blueGreen, manyServices, canary, rollingUpdate, routed),
  size: fc.constantFrom(1, 3),
  settle: fc.constantFrom('0s', '3s', '10s'),
  proxyDelayMs: fc.constantFrom(500, 1_000, 3_000),
};

interface World {
  readonly strategy: Workload;
  readonly settle: string;
  readonly proxyDelayMs: number;
  readonly size: number;
}

const shopOf = ({ strategy, settle, proxyDelayMs, size }: World): Shop => {
  const { blueGreen: isBlueGreen } = strategy.strategy ?? {};
  const shop = new Shop(
    isBlueGreen === undefined
      ? strategy
      : { ...strategy, strategy: { blueGreen: { ...isBlueGreen, settle } } },
    size,
  );
  shop.sim.proxyDelayMs = proxyDelayMs;
  return shop;
};

const runs = 100;
const timeoutMs = 600_000;

test(
  'whatever the order of things and whenever the operator dies, a ready pod serves and no traffic goes to a dead one',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ ...setup, list: fc.array(anyOf(moves), { minLength: 40, maxLength: 200 }) }),
        async ({ list, ...world }) => {
          const shop = shopOf(world);
          const check = (move: Move) => {
            const alive = new Set(shop.sim.pods.map(({ metadata }) => metadata.name));
            // The preview may lose green's only pod to an eviction, until the next look.
            for (const name of shop.public) {
              expect({ move, name, ready: shop.sim.selected(name).length }).not.toMatchObject({ ready: 0 });
              expect(shop.sim.routed(name).filter((pod) => !alive.has(pod))).toEqual([]);
            }
            expect({ move, lost: shop.gateway.lost() }).toEqual({ move, lost: [] });
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
  size: 3 as const,
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

test(
  'from any step of a divided route on, no request is sent where nobody answers, and the route ends as its owner has it',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          at: fc.integer({ min: 3, max: 21 }),
          isDisturbed: fc.boolean(),
          gatewayDelayMs: fc.constantFrom(200, 1_500, 3_000),
          quiet: fc.array(anyOf(moves), { minLength: 5, maxLength: 60 }),
          disturbed: fc.array(anyOf({ ...moves, ...disturbances }), { minLength: 5, maxLength: 60 }),
        }),
        async ({ at, isDisturbed, gatewayDelayMs, quiet, disturbed }) => {
          const shop = new Shop(routed);
          shop.gateway.delayMs = gatewayDelayMs;
          await shop.run({ until: () => shop.steps.length >= at });
          const check = () => {
            if (!isDisturbed) expect(shop.gateway.lost()).toEqual([]);
          };
          await play(shop, isDisturbed ? disturbed : quiet, check);
          const facts = await expectEnd(shop, check);
          if (!isDisturbed) expect(facts.kind).toBe('done');
          expect(shop.sim.selected('shop').length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 40 },
    );
  },
  timeoutMs,
);
