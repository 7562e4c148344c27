/** `rollback: true` at awkward moments: half-way through a roll-out, held, suspended, and taken back again. */
import { describe, expect, test } from '@jest/globals';
import type { Phase } from '../../../src/api/phase.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import { aSpec, World } from '../../support/world.ts';

const beforeDrop = ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine'] as const;

/** Goes on until `enough` says so; time passes while it waits. */
const go = (
  world: World,
  enough: (decision: Decision) => boolean,
  each?: (decision: Decision) => void,
): Decision => {
  for (let i = 0; i < 300; i += 1) {
    const decision = decide(world.facts());
    each?.(decision);
    if (enough(decision)) return decision;
    if (decision.kind === 'act') world.apply(decision.action);
    else if (decision.kind === 'wait') world.now += decision.recheckMs;
  }
  throw new Error(`No end: ${JSON.stringify(decide(world.facts()))}`);
};

const isFinished = ({ kind }: Decision): boolean => kind === 'finished';

/** A world whose change holds at the end of a phase, and how its table was before. */
const heldIn = (phase: Phase) => {
  const world = new World(
    aSpec({ targetPhase: phase, quarantine: { ...aSpec().quarantine, duration: '0s' } }),
  );
  const before = structuredClone(world.columns);
  go(world, ({ reason }) => reason === 'TargetPhaseReached');
  expect(world.ledger?.phase).toBe(phase);
  return { world, before };
};

const expectAsBefore = (world: World, before: World['columns']): void => {
  expect(world.columns).toEqual(before);
  expect([world.mark, world.comparing, world.constraints]).toEqual([undefined, false, {}]);
  expect(Object.keys(world.pods)).toEqual(['old']);
  expect(world.protected).toBe(false);
};

test.each(beforeDrop)('from %s the code goes back before what it needs does', (phase) => {
  const { world, before } = heldIn(phase);
  world.spec = { ...world.spec, rollback: true };
  const end = go(world, isFinished, (decision) => {
    const newCode = (world.pods['new-only'] ?? 0) > 0;
    if (decision.kind !== 'act' || decision.action.kind !== 'step' || !newCode) return;
    // NOT NULL comes back and the triggers are narrowed while new code serves; nothing is taken away from it.
    const texts = decision.action.step.statements.map(({ text }) => text);
    expect(texts.filter((text) => /DROP (?:COLUMN|TRIGGER|FUNCTION)/.test(text))).toEqual([]);
  });
  expect(end).toMatchObject({ reason: 'RolledBack' });
  expectAsBefore(world, before);
});

test.each(beforeDrop)('suspended at every step of the way from %s it stands still, and goes on', (phase) => {
  const { world, before } = heldIn(phase);
  world.spec = { ...world.spec, rollback: true };
  const end = go(world, (decision) => {
    if (isFinished(decision)) return true;
    const done = world.done.length;
    world.spec = { ...world.spec, suspend: true };
    const held = decide(world.facts());
    if (world.ledger?.state === 'Active') expect(held).toMatchObject({ kind: 'wait', reason: 'Suspended' });
    expect(world.done).toHaveLength(done);
    world.spec = { ...world.spec, suspend: false };
    return false;
  });
  expect(end).toMatchObject({ reason: 'RolledBack' });
  expectAsBefore(world, before);
});

test.each(beforeDrop)('taken back half-way from %s it goes to its end, and says so', (phase) => {
  const { world, before } = heldIn(phase);
  world.spec = { ...world.spec, rollback: true };
  go(world, () => world.ledger?.direction === 'back');
  world.spec = { ...world.spec, rollback: false, targetPhase: 'Drop' };
  const said: string[] = [];
  const end = go(world, isFinished, ({ message }) => {
    if (world.ledger?.state === 'Active') said.push(message);
  });
  expect(said.length).toBeGreaterThan(0);
  for (const message of said) expect(message).toMatch(/rollback is false again.*goes to its end.*apply it/);
  expect(end).toMatchObject({ reason: 'RolledBack', message: expect.stringContaining('apply it again') });
  expectAsBefore(world, before);
});

describe('it ends with everything as before', () => {
  test('in the middle of a roll-out, with old and new code serving', () => {
    const { world, before } = heldIn('Backfill');
    world.spec = { ...world.spec, targetPhase: 'Drop' };
    go(world, ({ kind, reason }) => kind === 'act' && reason === 'RollingOut');
    world.pods = { old: 2, 'new-only': 1 };
    world.spec = { ...world.spec, rollback: true };
    expect(go(world, isFinished)).toMatchObject({ reason: 'RolledBack' });
    expectAsBefore(world, before);
  });

  test('in the middle of the backfill, with no row compared yet', () => {
    const { world, before } = heldIn('DualWrite');
    world.spec = { ...world.spec, targetPhase: 'Drop' };
    go(world, (decision) => decision.kind === 'act' && decision.action.kind === 'backfill');
    world.spec = { ...world.spec, rollback: true };
    expect(go(world, isFinished)).toMatchObject({ reason: 'RolledBack' });
    expect(world.done).not.toContain('backfill');
    expectAsBefore(world, before);
  });

  test('in the middle of the comparison, whose trigger goes first', () => {
    const { world, before } = heldIn('DualWrite');
    world.spec = { ...world.spec, targetPhase: 'Drop' };
    go(world, (decision) => decision.kind === 'act' && decision.action.kind === 'verify');
    expect(world.comparing).toBe(true);
    world.spec = { ...world.spec, rollback: true };
    expect(go(world, isFinished)).toMatchObject({ reason: 'RolledBack' });
    expectAsBefore(world, before);
  });

  test.each([
    ['a row that could not be converted', 'BadRows'],
    ['rows that differ', 'VerificationFailed'],
  ] as const)('while %s holds it', (_, reason) => {
    const { world, before } = heldIn('DualWrite');
    world.spec = { ...world.spec, targetPhase: 'Drop' };
    if (reason === 'BadRows') world.badRows = 1;
    else world.drifted = 3;
    go(world, (decision) => decision.kind === 'wait' && decision.reason === reason);
    world.spec = { ...world.spec, rollback: true };
    expect(go(world, isFinished)).toMatchObject({ reason: 'RolledBack' });
    expectAsBefore(world, before);
  });
});

test('a pod of new code that turns up late holds what it reads, and is named', () => {
  const { world, before } = heldIn('SwitchReads');
  world.spec = { ...world.spec, rollback: true };
  go(world, () => world.ledger?.phase === 'AddColumn');
  world.pods = { old: 3, 'reads-new': 1 };
  const { workload } = world;
  const late = decide(
    world.facts({ workloads: { known: true, value: [{ ...workload, rollout: { kind: 'done' } }] } }),
  );
  expect(late).toMatchObject({ kind: 'wait', reason: 'CodeAhead' });
  expect(Object.keys(world.columns)).toContain('full_name');
  world.pods = { old: 3 };
  expect(go(world, isFinished)).toMatchObject({ reason: 'RolledBack' });
  expectAsBefore(world, before);
});
