/** Roll-outs that are measured, in a simulated world: what becomes of them, and of the traffic. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DatabaseSigns } from '../../../../src/api/analysis-facts.ts';
import type { RolloutFacts } from '../../../../src/api/facts.ts';
import type { Analysis, Workload } from '../../../../src/api/schema-change.ts';
import type { Measured } from '../../../../src/rollout/analysis/judge.ts';
import { analysisAnnotation } from '../../../../src/rollout/analysis/note.ts';
import { whatTheDatabaseShows } from '../../../../src/rollout/analysis/signs.ts';
import { blueGreen, canary, rollingUpdate, Shop, template } from '../shop.ts';

const errors: Analysis = {
  name: 'errors',
  prometheus: { address: 'http://prometheus', query: 'rate' },
  successCondition: 'result < 0.01',
  when: 'Always',
  interval: '5s',
  timeout: '5s',
  failureLimit: 1,
  inconclusiveLimit: 0,
  consecutiveErrorLimit: 2,
};
const analysed = (workload: Workload, ...analysis: readonly Analysis[]): Workload => ({
  ...workload,
  analysis: analysis.length === 0 ? [errors] : analysis,
});
const strategies: readonly (readonly [string, Workload])[] = [
  ['blue/green', blueGreen],
  ['canary', canary],
  ['rolling update', rollingUpdate],
];
const value = (result: unknown): Measured => ({ kind: 'value', value: result });
const silent: Measured = { kind: 'error', message: "http://prometheus can't be reached: ECONNREFUSED" };
const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;
const reasonIs = (reason: string) => (facts: RolloutFacts) =>
  (facts.kind === 'waiting' || facts.kind === 'failed') && facts.reason === reason;
const taken = (shop: Shop) => shop.steps.filter((kind) => kind === 'Measure').length;

/** Nothing of it is left, and the old code has all the traffic. */
const expectOldCode = (shop: Shop): void => {
  shop.settle();
  expect(shop.leftovers()).toEqual([]);
  expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  expect(shop.sim.routed()).toHaveLength(3);
};

describe.each(strategies)('%s', (_, workload) => {
  test('goes on where what is measured is good, and says what it was', async () => {
    const plain = new Shop(workload);
    await plain.toEnd();
    const shop = new Shop(analysed(workload));
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.steps.filter((kind) => kind !== 'Measure')).toEqual(plain.steps);
    expect(taken(shop)).toBeGreaterThan(0);
    expect((await shop.facts()).analysis).toMatchObject([
      { name: 'errors', phase: 'Successful', lastValue: '0', failures: 0, errors: 0 },
    ]);
    shop.wanted = { kind: 'original' };
    shop.measured = () => value(1);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
  });

  test('brings the old code back beyond the limit, and tries again when told to', async () => {
    const shop = new Shop(analysed(workload));
    shop.measured = () => value(0.2);
    const facts = await shop.toEnd();
    expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
    expect(facts.kind === 'failed' && facts.message).toContain(
      'analysis failed: errors: 0.2 does not meet result < 0.01 (2 failures in 2 measurements, failureLimit is 1)',
    );
    expectOldCode(shop);
    const { length } = shop.sim.writes;
    for (let second = 0; second < 20; second += 1) expect((await shop.look()).kind).toBe('failed');
    expect(shop.sim.writes).toHaveLength(length);
    shop.measured = () => value(0);
    shop.retry = 'again';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(imageOf(shop)).toBe('shop:2');
  });

  test('waits for a person where there is nothing to judge, and writes nothing meanwhile', async () => {
    const shop = new Shop(analysed(workload));
    shop.measured = () => value([]);
    const facts = await shop.run({ until: reasonIs('AnalysisInconclusive') });
    expect(facts.kind === 'waiting' && facts.message).toMatch(
      /errors: the result is no series.*segue.dev\/retry/,
    );
    const { length } = shop.sim.writes;
    shop.measured = () => value(0);
    await expect(
      shop.run({ until: (next) => !reasonIs('AnalysisInconclusive')(next), seconds: 40 }),
    ).rejects.toThrow('Not reached in time');
    expect(shop.sim.writes).toHaveLength(length);
    shop.retry = 'look again';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('goes on once the metric is corrected, or taken out', async () => {
    for (const mended of [
      analysed(workload, { ...errors, successCondition: 'size(result) == 0' }),
      workload,
    ]) {
      const shop = new Shop(analysed(workload));
      shop.measured = () => value([]);
      await shop.run({ until: reasonIs('AnalysisInconclusive') });
      shop.workload = mended;
      expect(await shop.toEnd()).toEqual({ kind: 'done' });
    }
  });

  test('has the old code serve while a source is silent, and begins anew by itself once it answers', async () => {
    const shop = new Shop(analysed(workload));
    shop.measured = () => silent;
    const facts = await shop.run({ until: reasonIs('AnalysisUnavailable') });
    expect(facts.kind === 'failed' && facts.message).toMatch(
      /errors: http:\/\/prometheus can't be reached: ECONNREFUSED \(3 errors in a row, consecutiveErrorLimit is 2\)/,
    );
    expectOldCode(shop);
    const before = taken(shop);
    shop.steps.length = 0;
    await expect(shop.run({ until: ({ kind }) => kind === 'done', seconds: 90 })).rejects.toThrow();
    // Every 10 s, and nothing else is written.
    expect(taken(shop)).toBeLessThanOrEqual(10);
    expect(new Set(shop.steps)).toEqual(new Set(['Measure']));
    expect(before).toBeGreaterThan(2);
    shop.measured = () => value(0);
    expect(await shop.run({ until: ({ kind }) => kind === 'done' })).toEqual({ kind: 'done' });
    expect(imageOf(shop)).toBe('shop:2');
    expect(shop.leftovers()).toEqual([]);
  });

  test('a few errors and failures within the limits are put up with, and never count as success', async () => {
    const shop = new Shop(analysed(workload, { ...errors, count: 3 }));
    const answers = [silent, value(0.2), silent, value(0), value(0), value(0)];
    shop.measured = () => answers.shift() ?? value(0);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('an expression that is none is refused before anything begins, and holds up what is under way', async () => {
    const broken = analysed(workload, { ...errors, successCondition: 'result <' });
    const shop = new Shop(broken);
    expect(await shop.look()).toMatchObject({ kind: 'waiting', reason: 'InvalidAnalysis' });
    expect(shop.steps).toEqual([]);
    const later = new Shop(analysed(workload));
    await later.run({ until: (facts) => facts.kind === 'step' && facts.step.kind === 'Measure' });
    later.workload = broken;
    const facts = await later.run({ until: reasonIs('InvalidAnalysis') });
    expect(facts.kind === 'waiting' && facts.message).toContain('at character');
    later.workload = workload;
    expect(await later.toEnd()).toEqual({ kind: 'done' });
  });

  test('the note of somebody else’s making is measured anew', async () => {
    const shop = new Shop(analysed(workload));
    await shop.run({ until: (facts) => facts.kind === 'step' && facts.step.kind === 'Measure' });
    shop.sim.edit('Deployment', 'shop', {
      metadata: { annotations: { [analysisAnnotation('names')]: '{"run":1}' } },
    });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('killed anywhere, it ends as it would have, with no more than a measurement a second', async () => {
    const moves = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.constant('look and act') },
        { weight: 2, arbitrary: fc.constant('look and crash') },
        { weight: 2, arbitrary: fc.constant('act late') },
        { weight: 4, arbitrary: fc.constant('second') },
      ),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(moves, fc.boolean(), async (list, isGood) => {
        const shop = new Shop(analysed(workload));
        shop.measured = () => value(isGood ? 0 : 1);
        const began = shop.sim.now;
        for (const move of list) {
          shop.sim.settle();
          if (move === 'second') shop.sim.advance(1_000);
          const seen = await shop.look();
          if (move === 'look and act') await shop.act(seen);
          if (move !== 'act late') continue;
          shop.sim.advance(3_000);
          shop.sim.settle();
          await shop.act(seen);
        }
        const facts = await shop.toEnd();
        expect(facts.kind).toBe(isGood ? 'done' : 'failed');
        expect(taken(shop)).toBeLessThanOrEqual((shop.sim.now - began) / 1_000);
        shop.settle();
        expect(shop.leftovers()).toEqual([]);
        expect(imageOf(shop)).toBe(isGood ? 'shop:2' : 'shop:1');
      }),
      { numRuns: 5 },
    );
  });

  const quiet: DatabaseSigns = {
    at: 1,
    commits: 1_000_000,
    rollbacks: 1_000,
    deadlocks: 2,
    conflicts: 0,
    conflictsBefore: 0,
    stuck: {},
  };

  test('is brought back by what the database shows, though nothing is measured', async () => {
    const shop = new Shop(workload);
    shop.signs = quiet;
    await shop.run({ until: (facts) => facts.kind === 'step' && /^(Create|Roll)/.test(facts.step.kind) });
    shop.signs = { ...quiet, conflicts: 3 };
    const facts = await shop.toEnd();
    expect(facts.kind === 'failed' && facts.message).toMatch(/check dual-write: 3 rows were written/);
    expectOldCode(shop);
  });
});

test('two entries with one name hold up what is under way, and make one row of the status', async () => {
  const shop = new Shop(analysed(canary));
  await shop.run({ until: (facts) => facts.kind === 'step' && facts.step.kind === 'Measure' });
  shop.workload = analysed(canary, errors, errors);
  const { rollout, analysis } = await shop.facts();
  expect(rollout).toMatchObject({ kind: 'waiting', reason: 'InvalidAnalysis' });
  expect(analysis).toHaveLength(1);
});

test('before the switch only what asks for it is measured', async () => {
  const asked: string[] = [];
  const probe: Analysis = { ...errors, name: 'probe', http: { url: 'http://preview', method: 'GET' } };
  const { prometheus: _, successCondition: __, when: ___, ...http } = probe;
  const { when: ____, ...later } = errors;
  const shop = new Shop(analysed(blueGreen, later, http));
  shop.measured = ({ kind }) => {
    asked.push(kind);
    return value(kind === 'http' ? 200 : 0);
  };
  await shop.run({ until: (facts) => facts.kind === 'step' && facts.step.kind === 'SwitchToGreen' });
  expect(new Set(asked)).toEqual(new Set(['http']));
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(new Set(asked)).toEqual(new Set(['http', 'prometheus']));
});

describe('what the database shows', () => {
  const base = { at: 1, commits: 99_000, rollbacks: 1_000, deadlocks: 10 };
  const now: DatabaseSigns = { ...base, at: 2, conflicts: 0, conflictsBefore: 0, stuck: {} };
  const pod = { metadata: { name: 'shop-green-1' }, status: { podIP: '10.0.0.7' } };
  test.each([
    ['nothing happened', {}, undefined],
    ['two rows', { conflicts: 2 }, undefined],
    ['three rows where none were usual', { conflicts: 3 }, /check dual-write/],
    ['three rows where one is usual', { conflicts: 3, conflictsBefore: 1 }, undefined],
    ['one session in a failed transaction', { stuck: { '10.0.0.7': 1 } }, undefined],
    [
      'two sessions in a failed transaction',
      { stuck: { '10.0.0.7': 2 } },
      /check database-sessions.*shop-green-1/,
    ],
    ['two sessions of the old code', { stuck: { '10.0.0.8': 2 } }, undefined],
    ['four deadlocks', { deadlocks: 14 }, undefined],
    ['five deadlocks', { deadlocks: 15 }, /check deadlocks: the database had 5/],
    [
      'five deadlocks in as many transactions as usually have three',
      { deadlocks: 15, commits: 129_000 },
      undefined,
    ],
    ['49 rollbacks', { rollbacks: 1_049 }, undefined],
    [
      '100 rollbacks in 500 transactions',
      { rollbacks: 1_100, commits: 99_400 },
      /check rollbacks: 100 of 500/,
    ],
    ['100 rollbacks in 100,000 transactions', { rollbacks: 1_100, commits: 198_900 }, undefined],
    ['counters that were set back', { rollbacks: 0, commits: 10, deadlocks: 0 }, undefined],
  ])('%s', (_, rise, says) => {
    const shown = whatTheDatabaseShows({ ...now, ...rise }, base, [pod as never]);
    if (says === undefined) expect(shown).toBeUndefined();
    else expect(shown).toMatch(says);
  });
  test('where most transactions are rolled back as a habit, many more are no sign', () => {
    const habit = { ...base, commits: 1_000, rollbacks: 1_000 };
    expect(whatTheDatabaseShows({ ...now, commits: 1_000, rollbacks: 5_000 }, habit, [])).toBeUndefined();
  });
});
