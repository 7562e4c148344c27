/** A suspended change stands still, but for a canary's traffic, which goes back. */
import { expect, test } from '@jest/globals';
import { known, type RolloutFacts, type WorkloadFacts } from '../../../src/api/facts.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import { aSpec, World } from '../../support/world.ts';

const divided = { canary: { httpRoute: 'shop', steps: [{ weight: 20, pause: '1m' }] } };
const counted = { canary: { steps: [{ weight: 20, pause: '1m' }] } };

const step: RolloutFacts = {
  kind: 'step',
  step: { kind: 'RestoreRoute', deployment: 'shop' },
  message: 'HTTPRoute shop sends all to Service shop again.',
};

const suspended = (strategy: typeof divided | typeof counted, rollout: RolloutFacts): Decision => {
  const world = new World(
    aSpec({
      suspend: true,
      workloads: [
        {
          deployment: 'shop',
          service: 'shop',
          mode: 'Manage',
          strategy,
          releases: [{ phase: 'SwitchReads' }],
        },
      ],
    }),
  );
  world.spec = { ...world.spec, suspend: false };
  for (let n = 0; n < 10 && world.ledger === undefined; n += 1) {
    const begun = decide(world.facts());
    if (begun.kind === 'act') world.apply(begun.action);
  }
  world.spec = { ...world.spec, suspend: true };
  const workload: WorkloadFacts = {
    deployment: 'shop',
    mode: 'Manage',
    strategy: 'Canary',
    podsByCode: { old: 3, 'writes-both': 0, 'reads-new': 3, 'new-only': 0 },
    podNames: { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] },
    rollout,
  };
  return decide({ ...world.facts(), workloads: known([workload]) });
};

test('a canary with an HTTPRoute gives its traffic back, and the change then stands still', () => {
  expect(suspended(divided, step)).toMatchObject({
    kind: 'act',
    action: { kind: 'rollout', step: step.step },
  });
  expect(suspended(divided, { kind: 'waiting', reason: 'RollingOut', message: 'It is kept.' })).toMatchObject(
    {
      kind: 'wait',
      reason: 'Suspended',
      message: 'spec.suspend is true; the canary is taken back: It is kept.',
      recheckMs: 1_000,
    },
  );
  expect(suspended(divided, { kind: 'done' })).toMatchObject({ reason: 'Suspended', recheckMs: 60_000 });
});

test('any other roll-out stands still as it is', () => {
  expect(suspended(counted, step)).toMatchObject({ kind: 'wait', reason: 'Suspended', recheckMs: 60_000 });
});
