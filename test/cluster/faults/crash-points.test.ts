/**
 * The operator's process is killed (kill -9) before and after each write to the API server and each commit of a
 * whole change with a blue/green roll-out, and of a walk-back. A fresh process goes on each time; the end is that
 * of a run that nobody disturbed, with nothing done twice.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CrashChain, type When } from './crash-chain.ts';
import { Scenarios } from '../scenarios.ts';
import { Servers } from './servers.ts';
import { Stand } from './stand.ts';
import type { WholeChange } from './whole-change.ts';

/** A process is started anew at each of some eighty points. */
const limitMs = 20 * 60_000;

const scenarios = new Scenarios(4);
const struck: string[] = [];
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

const killedAt = (whole: WholeChange, whens: readonly When[]): CrashChain => {
  const chain = new CrashChain(whole, whens);
  whole.startOperator({ onEnd: () => chain.revive() });
  return chain;
};

const forward = (when: When): void =>
  scenarios.add(`kill -9 ${when} each write and each commit of a whole change`, () =>
    stand.during(async (whole) => {
      const chain = killedAt(whole, [when]);
      chain.begin();
      await whole.apply();
      await whole.reached('Completed', limitMs);
      await stand.expectUndisturbedEnd(whole);
      chain.end();
      expect(whole.operator.ends).toBeGreaterThanOrEqual(chain.struck.length);
      struck.push(...chain.struck);
    }),
  );

forward('before');
forward('after');

scenarios.add('kill -9 before and after each write and each commit of a walk-back', () =>
  stand.during(async (whole) => {
    const former = await whole.surroundings();
    const chain = killedAt(whole, ['before', 'after']);
    await whole.apply({ targetPhase: 'SwitchReads' });
    await whole.until(
      ({ conditions = [] }) => conditions.some(({ reason }) => reason === 'TargetPhaseReached'),
      limitMs,
    );
    chain.begin();
    await whole.patch({ spec: { rollback: true } });
    await whole.reached('RolledBack', limitMs);
    await whole.atRest();
    chain.end();
    expect(await whole.surroundings()).toEqual(former);
    expect(whole.history.fewest).toBe(3);
    struck.push(...chain.struck.map((point) => `walk-back, ${point}`));
  }),
);

test('these were at least fifty points, each another one', () => {
  process.stdout.write(`${struck.length} crash points:\n${struck.map((point) => `  ${point}\n`).join('')}`);
  expect(new Set(struck).size).toBe(struck.length);
  for (const kind of ['before PATCH', 'after PATCH', 'before COMMIT', 'after COMMIT', 'walk-back, '])
    expect(struck.filter((point) => point.startsWith(kind)).length).toBeGreaterThan(10);
  expect(struck.length).toBeGreaterThanOrEqual(50);
});
