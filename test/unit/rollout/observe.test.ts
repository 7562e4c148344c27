/** Random worlds in which Git rolls the shop out: where a gate lets pass, no old pod is there or can come back. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isBelow } from '../../../src/api/phase.ts';
import { runningCode } from '../../../src/phases/running-code.ts';
import { isActive } from '../../../src/rollout/pod.ts';
import { Shop } from './shop.ts';

const label = 'change.segue.dev/names';

const moves = [
  'look',
  'controllers',
  'second',
  'tenSeconds',
  'evict',
  'toNone',
  'toOne',
  'toThree',
  'gitNew',
  'gitOld',
  'quota',
  'noQuota',
];

/** Pods are refused, as by a quota, just when the old ReplicaSet is scaled up again: it will make them later. */
const refused = ['toNone', 'tenSeconds', 'tenSeconds', 'quota', 'toThree', 'controllers', 'gitNew'];

const commit = (shop: Shop, code: string | null): void =>
  shop.sim.edit('Deployment', 'shop', { spec: { template: { metadata: { labels: { [label]: code } } } } });

const scale = (shop: Shop, replicas: number): void =>
  shop.sim.edit('Deployment', 'shop', { spec: { replicas } });

const oldPods = (shop: Shop): readonly string[] =>
  shop.sim.pods
    .filter((pod) => isActive(pod) && pod.metadata.labels?.[label] !== 'new-only')
    .map(({ metadata }) => metadata.name);

/** True if the gate of a phase that asks for new-only code lets pass. */
const passes = async (shop: Shop): Promise<boolean> =>
  runningCode([await shop.facts()], { code: (code) => isBelow(code, 'new-only'), unknown: true }) ===
  undefined;

const play = async (list: readonly string[]): Promise<boolean> => {
  const shop = new Shop({ deployment: 'shop', service: 'shop', mode: 'Observe', releases: [] });
  let passed = false;
  let everPassed = false;
  for (const move of list) {
    switch (move) {
      case 'look':
        passed ||= await passes(shop);
        everPassed ||= passed;
        break;
      case 'controllers':
        shop.sim.settle();
        break;
      case 'second':
        shop.sim.advance(1_000);
        break;
      case 'tenSeconds':
        shop.settle(10);
        break;
      case 'evict': {
        const [pod] = shop.sim.pods;
        if (pod !== undefined) shop.sim.deleteForeground('Pod', pod.metadata.name);
        break;
      }
      case 'toNone':
        scale(shop, 0);
        break;
      case 'toOne':
        scale(shop, 1);
        break;
      case 'toThree':
        scale(shop, 3);
        break;
      case 'quota':
        shop.sim.refusesPods = () => true;
        break;
      case 'noQuota':
        shop.sim.refusesPods = () => false;
        break;
      case 'gitNew':
        commit(shop, 'new-only');
        break;
      default:
        // A commit that takes the code back is for the admission policy and the next look, not for this gate.
        commit(shop, null);
        passed = false;
    }
    if (passed) expect([move, ...oldPods(shop)]).toEqual([move]);
  }
  expect(shop.sim.writes).toEqual([]);
  return everPassed;
};

test('a gate that lets pass is right from then on, whatever is scaled, evicted or rolled meanwhile', async () => {
  let opened = 0;
  const start = fc.constantFrom<readonly string[]>([], refused);
  const rest = fc.array(fc.constantFrom(...moves), { minLength: 15, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(start, rest, async (first, then) => {
      if (await play([...first, 'look', ...then])) opened += 1;
    }),
    { numRuns: 40 },
  );
  // Else the property would be true of a gate that never opens.
  expect(opened).toBeGreaterThan(0);
});
