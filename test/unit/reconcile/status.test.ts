/** What the resource reports, and that every tool that reads conditions draws the same conclusion from it. */
import { describe, expect, test } from '@jest/globals';
import { phases, type Phase } from '../../../src/api/phase.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { readyPhase } from '../../../src/reconcile/conditions.ts';
import { statusOf } from '../../../src/reconcile/status.ts';
import { kstatus as kstatusOf, type Kstatus } from '../../support/kstatus.ts';
import { aSpec, kinds, lost, World } from '../../support/world.ts';

const resourceOf = (world: World, status?: SchemaChangeStatus): SchemaChange => ({
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name: 'customers-full-name',
    namespace: 'shop',
    uid: 'uid-1',
    resourceVersion: '1',
    generation: 3,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: world.spec,
  ...(status === undefined ? {} : { status }),
});

const conditionIn = (status: SchemaChangeStatus, type: string): string | undefined =>
  status.conditions?.find((condition) => condition.type === type)?.status;

/** What kstatus makes of a status of the latest generation. */
const kstatus = (status: SchemaChangeStatus): Kstatus => kstatusOf({ generation: 3 }, status);

interface Seen {
  readonly facts: Facts;
  readonly decision: Decision;
  readonly status: SchemaChangeStatus;
}

/** Every status of a change from first sight to its end, or as far as it is asked to go. */
const course = (
  world: World,
  isEnough = ({ kind }: Decision): boolean => kind === 'finished',
): readonly Seen[] => {
  const seen: Seen[] = [];
  let status: SchemaChangeStatus | undefined;
  for (let i = 0; i < 300; i += 1) {
    const facts = world.facts();
    const decision = decide(facts);
    status = statusOf(resourceOf(world, status), facts, decision, undefined);
    seen.push({ facts, decision, status });
    if (isEnough(decision)) return seen;
    if (decision.kind === 'act') world.apply(decision.action);
    else if (decision.kind === 'wait') {
      world.now += Math.max(decision.recheckMs, 3_600_000);
      world.approval = 'Drop';
    }
  }
  throw new Error('The change did not end.');
};

describe('a whole course', () => {
  const seen = course(new World());

  test('names the phases in order and ends at Completed', () => {
    const named = [...new Set(seen.map(({ status }) => status.phase))];
    expect(named).toEqual(['Pending', ...phases, 'Completed']);
  });

  test('is in progress for kstatus until DualWrite is done, and current from then on', () => {
    const firstReady = seen.findIndex(({ status }) => kstatus(status) === 'Current');
    expect(seen[firstReady]?.status.phase).toBe('Backfill');
    expect(seen.slice(0, firstReady).every(({ status }) => kstatus(status) === 'InProgress')).toBe(true);
    expect(seen.slice(firstReady).every(({ status }) => kstatus(status) === 'Current')).toBe(true);
  });

  test('never takes a done phase back', () => {
    const types = ['ColumnsAdded', 'DualWriting', 'Backfilled', 'ReadsSwitched', 'Quarantined', 'Dropped'];
    for (const type of types) {
      const states = seen.map(({ status }) => conditionIn(status, type));
      expect(states.lastIndexOf('False')).toBeLessThan(states.indexOf('True'));
    }
  });

  test('says one thing in every status, and what would unblock it in every wait', () => {
    for (const { decision, status } of seen) {
      expect(status.message).toMatch(/\S.*[.\w]$/);
      if (decision.kind === 'wait') expect(status.blockedBy?.message).toBe(status.message);
      else expect(status.blockedBy).toBeUndefined();
    }
  });

  test('moves a transition time only with its condition', () => {
    for (const [i, { status }] of seen.entries()) {
      for (const condition of status.conditions ?? []) {
        const before = seen[i - 1]?.status.conditions?.find(({ type }) => type === condition.type);
        if (before?.status === condition.status)
          expect(condition.lastTransitionTime).toBe(before.lastTransitionTime);
      }
    }
  });
});

test('a status is the same when nothing has changed, so that it is not written again', () => {
  const world = new World();
  const facts = { ...world.facts(), preflight: lost };
  const first = statusOf(resourceOf(world), facts, decide(facts), undefined);
  world.now += 5_000;
  const later = { ...world.facts(), preflight: lost };
  expect(statusOf(resourceOf(world, first), later, decide(later), undefined)).toEqual(first);
});

test('with the database away, what was done before stays done', () => {
  const world = new World();
  const seen = course(world);
  const middle = seen.find(({ status }) => status.phase === 'Quarantine');
  if (middle === undefined) throw new Error('no Quarantine');
  const facts: Facts = { ...middle.facts, ledger: lost };
  const status = statusOf(resourceOf(world, middle.status), facts, decide(facts), undefined);
  expect(status.phase).toBe('Quarantine');
  expect(conditionIn(status, 'Backfilled')).toBe('True');
  expect(conditionIn(status, 'Ready')).toBe('True');
  expect(status.message).toContain('The database does not answer');
});

test('a lock that does not come is reported with who holds it', () => {
  const world = new World();
  const facts = world.facts();
  const status = statusOf(resourceOf(world), facts, decide(facts), {
    kind: 'deferred',
    reason: 'LockNotAvailable',
    message: 'Could not add column full_name.',
    afterMs: 1_000,
    blockedBy: { kind: 'Lock', message: 'pid 4711 (app=report) holds AccessShareLock on customers' },
  });
  expect(status.blockedBy).toEqual({
    kind: 'Lock',
    message: 'pid 4711 (app=report) holds AccessShareLock on customers',
  });
  expect(kstatus(status)).toBe('InProgress');
});

test('what a person must mend is Stalled', () => {
  const world = new World();
  const facts: Facts = { ...world.facts(), table: { known: true, value: undefined } };
  const status = statusOf(resourceOf(world), facts, decide(facts), undefined);
  expect(kstatus(status)).toBe('Failed');
  expect(status.phase).toBe('Pending');
  expect(status.message).toContain('public.customers');
});

test.each([
  ['RolledBack', false],
  ['RolledBack', true],
  ['Abandoned', false],
] as const)('what an earlier resource of the name came to (%s) is not told of this one', (state, waits) => {
  const world = new World(aSpec({ targetPhase: 'DualWrite' }));
  course(world, ({ reason }) => reason === 'TargetPhaseReached');
  if (world.ledger === undefined) throw new Error('no ledger');
  world.ledger = { ...world.ledger, uid: 'uid-0', state };
  world.protected = false;
  const facts = world.facts({
    table: { known: true, value: new World().table },
    ...(waits ? { preflight: lost } : {}),
  });
  const decision = decide(facts);
  expect(decision.kind).toBe(waits ? 'wait' : 'act');
  const status = statusOf(resourceOf(world), facts, decision, undefined);
  expect(status).toMatchObject({ phase: 'Pending', progress: '0/6' });
  expect(status.history).toBeUndefined();
  expect(conditionIn(status, 'ColumnsAdded')).toBe('False');
  expect(conditionIn(status, 'Reconciling')).toBe('True');
});

describe('Ready', () => {
  const observing = (phase: 'DualWrite' | 'SwitchReads', code?: 'new-only') =>
    aSpec({
      workloads: [
        {
          deployment: 'shop',
          mode: 'Observe',
          releases: [{ phase, ...(code === undefined ? {} : { code }) }],
        },
      ],
    });
  const cases: readonly (readonly [string, ReturnType<typeof aSpec>, Phase])[] = [
    ['the operator rolls out itself', aSpec(), 'DualWrite'],
    ['Git carries code that reads new columns', observing('SwitchReads'), 'Backfill'],
    ['Git carries code that writes both', observing('DualWrite'), 'DualWrite'],
    ['Git carries new-only code', observing('DualWrite', 'new-only'), 'Backfill'],
    ['the resource says so', aSpec({ readyAt: 'SwitchReads' }), 'SwitchReads'],
    ['the target comes earlier', aSpec({ targetPhase: 'AddColumn' }), 'AddColumn'],
  ];
  test.each(cases)('if %s', (_, spec, phase) => {
    expect(readyPhase(spec)).toBe(phase);
  });
});

test('a change without rows to fill reports no backfill and no share of one', () => {
  const world = new World(kinds['createIndex']);
  while (world.ledger?.phase !== 'Backfill') {
    const decision = decide(world.facts());
    if (decision.kind !== 'act') throw new Error(decision.message);
    world.apply(decision.action);
  }
  const facts = world.facts();
  const status = statusOf(resourceOf(world), facts, decide(facts), undefined);
  expect(status).toMatchObject({ phase: 'Backfill', progress: '3/6' });
  expect(status.backfill).toBeUndefined();
  expect(readyPhase(world.spec)).toBe('Backfill');
  expect(conditionIn(status, 'Ready')).toBe('False');
});
