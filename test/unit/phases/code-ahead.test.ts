/** Code that runs ahead of its schema: seen at once in every phase and in both directions, and settled by a roll-out. */
import { describe, expect, test } from '@jest/globals';
import { known, type WorkloadFacts } from '../../../src/api/facts.ts';
import { phases, type Code, type Phase } from '../../../src/api/phase.ts';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { statusOf } from '../../../src/reconcile/status.ts';
import { aSpec, World } from '../../support/world.ts';

const observed = (pods: Partial<Record<Code, number>>, over: Partial<WorkloadFacts> = {}): WorkloadFacts => ({
  deployment: 'shop',
  mode: 'Observe',
  strategy: 'None',
  podsByCode: { old: 0, 'writes-both': 0, 'reads-new': 0, 'new-only': 0, ...pods },
  podNames: { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] },
  rollout: { kind: 'done' },
  ...over,
});

const spec = aSpec({
  approvals: [],
  quarantine: { ...aSpec().quarantine, duration: '2m' },
  workloads: [{ deployment: 'shop', service: 'shop', mode: 'Observe', releases: [] }],
});

/** What Git runs so that a phase is left. */
const fitting: Readonly<Record<Phase, Code>> = {
  AddColumn: 'old',
  DualWrite: 'writes-both',
  Backfill: 'writes-both',
  SwitchReads: 'reads-new',
  Quarantine: 'new-only',
  Drop: 'new-only',
};

const seen = (world: World, workload: WorkloadFacts): Facts => ({
  ...world.facts(),
  workloads: known([workload]),
});

/** As far as a phase, with code that fits all the way. */
const until = (world: World, stop: () => boolean): World => {
  for (let i = 0; i < 500 && !stop(); i += 1) {
    const back = world.ledger?.direction === 'back';
    const fits = back ? 'old' : fitting[world.ledger?.phase ?? 'AddColumn'];
    const decision = decide(seen(world, observed({ [fits]: 3 })));
    if (decision.kind === 'act') world.apply(decision.action);
    else world.now += decision.kind === 'wait' ? decision.recheckMs : 0;
  }
  if (!stop()) throw new Error('not reached');
  return world;
};

const inPhase = (phase: Phase): World => {
  const world = new World(spec);
  return until(world, () => world.ledger?.phase === phase);
};

const walkingBack = (phase: Phase): World => {
  const world = inPhase('SwitchReads');
  world.spec = { ...spec, rollback: true };
  return until(world, () => world.ledger?.direction === 'back' && world.ledger.phase === phase);
};

const statusFrom = (world: World, facts: Facts, decision: Decision) =>
  statusOf(
    {
      metadata: { name: 'customers-full-name', namespace: 'shop', uid: 'uid-1', generation: 1 },
      spec: world.spec,
    } as SchemaChange,
    facts,
    decision,
    undefined,
  );

const conditionOf = (world: World, facts: Facts, decision: Decision, type = 'CodeAhead') =>
  statusFrom(world, facts, decision).conditions?.find((condition) => condition.type === type);

describe('is seen at once', () => {
  const cases: readonly (readonly [Phase, Code, 'True' | 'False'])[] = [
    ['AddColumn', 'old', 'False'],
    ['AddColumn', 'writes-both', 'True'],
    ['AddColumn', 'new-only', 'True'],
    ['DualWrite', 'writes-both', 'False'],
    ['DualWrite', 'reads-new', 'True'],
    ['Backfill', 'writes-both', 'False'],
    ['Backfill', 'reads-new', 'True'],
    ['Backfill', 'new-only', 'True'],
    ['SwitchReads', 'new-only', 'False'],
    ['Quarantine', 'new-only', 'False'],
  ];
  test.each(cases)('forward, in %s, %s: %s', (phase, code, status) => {
    const world = inPhase(phase);
    const facts = seen(world, observed({ old: 2, [code]: 1 }));
    expect(conditionOf(world, facts, decide(facts))?.status).toBe(status);
  });

  const back: readonly (readonly [Phase, Code, 'True' | 'False'])[] = [
    ['SwitchReads', 'new-only', 'False'],
    ['Backfill', 'writes-both', 'False'],
    ['Backfill', 'reads-new', 'True'],
    ['DualWrite', 'writes-both', 'False'],
    ['DualWrite', 'reads-new', 'True'],
    ['AddColumn', 'old', 'False'],
    ['AddColumn', 'writes-both', 'True'],
  ];
  test.each(back)('walking back, in %s, %s: %s', (phase, code, status) => {
    const world = walkingBack(phase);
    const facts = seen(world, observed({ old: 2, [code]: 1 }));
    const decision = decide(facts);
    expect(conditionOf(world, facts, decision)?.status).toBe(status);
    if (status === 'True') expect(decision).toMatchObject({ kind: 'wait', reason: 'CodeAhead' });
  });

  test('in a template that no pod was started from yet', () => {
    const world = inPhase('Backfill');
    const facts = seen(
      world,
      observed({ old: 3 }, { templates: [{ of: 'StatefulSet worker', code: 'new-only' }] }),
    );
    expect(decide(facts)).toMatchObject({
      reason: 'CodeAhead',
      message: expect.stringContaining('the next pod of StatefulSet worker would be new-only'),
    });
  });
});

describe('what it holds', () => {
  test('Backfill stops in the middle, and goes on once that code is gone', () => {
    const world = inPhase('Backfill');
    expect(decide(seen(world, observed({ old: 3 })))).toMatchObject({ kind: 'act' });
    expect(decide(seen(world, observed({ old: 3, 'reads-new': 1 })))).toMatchObject({
      kind: 'wait',
      reason: 'CodeAhead',
    });
    expect(decide(seen(world, observed({ old: 3 })))).toMatchObject({ kind: 'act' });
  });

  test.each(['AddColumn', 'DualWrite'] as const)(
    '%s, whose end is what it lacks, holds at its door',
    (phase) => {
      const world = inPhase(phase);
      const workload = observed({ 'new-only': 3 });
      for (let i = 0; i < 20; i += 1) {
        const decision = decide(seen(world, workload));
        if (decision.kind === 'act') world.apply(decision.action);
      }
      const facts = seen(world, workload);
      expect(decide(facts)).toMatchObject({ kind: 'wait', reason: 'CodeAhead' });
      expect(world.ledger?.phase).toBe(phase);
      const type = phase === 'AddColumn' ? 'ColumnsAdded' : 'DualWriting';
      expect(conditionOf(world, facts, decide(facts), type)?.status).toBe('True');
    },
  );

  test('a door at which it waits anyway keeps Ready True', () => {
    const world = inPhase('DualWrite');
    world.spec = { ...spec, targetPhase: 'DualWrite' };
    for (let i = 0; i < 20; i += 1) {
      const decision = decide(seen(world, observed({ old: 3 })));
      if (decision.kind === 'act') world.apply(decision.action);
    }
    const facts = seen(world, observed({ old: 2, 'new-only': 1 }));
    const decision = decide(facts);
    expect(decision).toMatchObject({ reason: 'TargetPhaseReached' });
    expect(conditionOf(world, facts, decision, 'Ready')?.status).toBe('True');
    expect(conditionOf(world, facts, decision)?.status).toBe('True');
  });

  test('once Backfill is done and waits at its target, new code may run', () => {
    const world = inPhase('Backfill');
    world.spec = { ...spec, targetPhase: 'Backfill' };
    for (let i = 0; i < 60; i += 1) {
      const decision = decide(seen(world, observed({ old: 3 })));
      if (decision.kind === 'act') world.apply(decision.action);
      else world.now += decision.kind === 'wait' ? decision.recheckMs : 0;
    }
    const facts = seen(world, observed({ old: 2, 'new-only': 1 }));
    const decision = decide(facts);
    expect(decision).toMatchObject({ reason: 'TargetPhaseReached' });
    expect(conditionOf(world, facts, decision)?.status).toBe('False');
  });

  test('what rolls the code is let pass', () => {
    const world = walkingBack('DualWrite');
    const step = { kind: 'RollDeployment', deployment: 'shop' };
    const rolling = observed(
      { 'new-only': 3 },
      { mode: 'Manage', rollout: { kind: 'step', step, message: 'Rolling back.' } },
    );
    expect(decide(seen(world, rolling))).toMatchObject({ kind: 'act', action: { kind: 'rollout' } });
  });
});

describe('a template of old code', () => {
  test.each(phases.filter((phase) => phase === 'SwitchReads' || phase === 'Quarantine' || phase === 'Drop'))(
    'keeps %s waiting where no pod runs it, and so does one that cannot be told',
    (phase) => {
      const world = inPhase(phase);
      for (const template of [
        { of: 'ReplicaSet shop-1', code: 'old' as const },
        { of: 'Rollout shop', code: 'unknown' as const, because: 'nobody knows' },
      ]) {
        const workload = observed({ 'new-only': 3 }, { templates: [template] });
        let reason: string | undefined;
        for (let i = 0; i < 100 && world.ledger?.phase === phase; i += 1) {
          const decision = decide(seen(world, workload));
          reason = decision.reason;
          if (decision.kind === 'act') world.apply(decision.action);
          else break;
        }
        expect(world.ledger?.phase).toBe(phase);
        expect(['OldCodeRunning', 'ColumnInUse']).toContain(reason);
      }
    },
  );
});

describe('Ready', () => {
  test('becomes True with Backfill where an observed release reads new columns, and stays True to the end', () => {
    const reading = {
      ...spec,
      workloads: [
        {
          deployment: 'shop',
          mode: 'Observe' as const,
          releases: [{ phase: 'SwitchReads' as const, code: 'new-only' as const }],
        },
      ],
    };
    const world = new World(reading);
    const readyIn = new Map<string, Set<string | undefined>>();
    let end: Decision | undefined;
    for (let i = 0; i < 800 && end?.kind !== 'finished'; i += 1) {
      const fits = fitting[world.ledger?.phase ?? 'AddColumn'];
      const facts = seen(world, observed({ [fits]: 3 }));
      end = decide(facts);
      const phase =
        world.ledger?.state === 'Active' ? world.ledger.phase : (world.ledger?.state ?? 'Pending');
      const ready = conditionOf(world, facts, end, 'Ready')?.status;
      readyIn.set(phase, (readyIn.get(phase) ?? new Set()).add(ready));
      if (end.kind === 'act') world.apply(end.action);
      else world.now += end.kind === 'wait' ? end.recheckMs : 0;
    }
    for (const phase of ['Pending', 'AddColumn', 'DualWrite', 'Backfill'])
      expect([phase, [...(readyIn.get(phase) ?? [])]]).toEqual([phase, ['False']]);
    for (const phase of ['SwitchReads', 'Quarantine', 'Drop', 'Completed'])
      expect([phase, [...(readyIn.get(phase) ?? [])]]).toEqual([phase, ['True']]);
  });
});
