/**
 * A resource that is deleted in the middle of a blue/green roll-out, by the real operator: what was begun is brought to
 * an end, whatever is away, and nothing hangs for ever.
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { namespaces } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { replicas } from '../rollout/shop.ts';
import { Scenarios } from '../scenarios.ts';
import { Servers } from './servers.ts';
import { Stand } from './stand.ts';
import type { WholeChange } from './whole-change.ts';

const scenarios = new Scenarios();
let servers: Servers;
let stand: Stand;
beforeAll(async () => {
  servers = await Servers.start();
  stand = new Stand(servers);
}, 40 * 60_000);
afterAll(async () => {
  await scenarios.settled();
  await servers?.stop();
}, 15 * 60_000);

/** Deadlines of the operator are stated in docs/reliability.md; a busy machine may take some more. */
const slackMs = 60_000;

/** Resolves once green serves and the Deployment waits behind it. */
const halfWay = (whole: WholeChange): Promise<void> =>
  eventually(() => {
    if (!whole.history.steps.includes('Service selects set 2')) throw new Error(whole.operator.log);
  }, 900_000);

const gone = (whole: WholeChange, withinMs: number): Promise<void> =>
  eventually(async () => {
    const found = await servers.cluster.get(whole.ref);
    if (found !== undefined) throw new Error(`${JSON.stringify(found.status)}\n${whole.operator.log}`);
  }, withinMs + slackMs);

const triggersLeft = async ({ client }: WholeChange): Promise<number> => {
  const { rows } = await client.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM pg_trigger WHERE NOT tgisinternal',
  );
  return rows[0]?.n ?? -1;
};

/** The shop serves as one that nobody has touched, all pods of it, and no request could have found none. */
const servesUndisturbed = async (whole: WholeChange): Promise<void> => {
  await eventually(async () => {
    expect(await whole.shop.leftovers()).toEqual([]);
    expect(await whole.shop.endpoints()).toBe(replicas);
  }, 120_000);
  expect(whole.history.fewest).toBe(replicas);
};

scenarios.add('deleted half-way through a roll-out, it is brought to an end and goes', () =>
  stand.during(async (whole) => {
    whole.startOperator();
    await whole.apply();
    await halfWay(whole);
    await servers.cluster.delete(whole.ref);
    await gone(whole, 60_000);
    await servesUndisturbed(whole);
    expect(await triggersLeft(whole)).toBe(0);
    expect((await whole.told()).filter((line) => line.includes('CleanupAbandoned'))).toEqual([]);
  }),
);

scenarios.add(
  'deleted half-way through a roll-out with the database away: the roll-out is ended all the same',
  () =>
    stand.during(async (whole) => {
      whole.startOperator();
      await whole.apply();
      await halfWay(whole);
      whole.line.kill();
      await servers.cluster.delete(whole.ref);
      await gone(whole, 110_000);
      await servesUndisturbed(whole);
      await eventually(async () => {
        const told = (await whole.told()).filter((line) => line.includes('CleanupAbandoned'));
        expect(told).toEqual([
          expect.stringMatching(/^Warning CleanupAbandoned .*Let go without tidying up/),
        ]);
      }, 60_000);
      // The triggers stay, and keep both sides in step for whatever code runs.
      expect(await triggersLeft(whole)).toBeGreaterThan(0);
      // Applied again it takes over what was left.
      whole.line.mend();
      await whole.apply();
      await whole.reached('Completed');
      expect(await triggersLeft(whole)).toBe(0);
    }),
);

scenarios.add(
  'its namespace is deleted half-way through a roll-out: it is gone with all that was in it',
  () =>
    stand.during(async (whole) => {
      whole.startOperator({ leaseNamespace: 'default' });
      await whole.apply();
      await halfWay(whole);
      const ref = { resource: namespaces, name: whole.namespace };
      await servers.cluster.delete(ref);
      await eventually(async () => {
        const found = await servers.cluster.get(ref);
        if (found !== undefined) throw new Error(`${JSON.stringify(found)}\n${whole.operator.log}`);
      }, 120_000 + slackMs);
      expect(await triggersLeft(whole)).toBe(0);
      const { rows } = await whole.client.query('SELECT count(*)::int AS n FROM customers');
      expect(rows).toEqual([{ n: 2_000 }]);
      expect(whole.operator.ends).toBe(0);
    }),
);
