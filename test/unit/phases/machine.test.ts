/** The phase machine, walked through whole histories: orderly ones by hand, disorderly ones by chance. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { phases, type Phase } from '../../../src/api/phase.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { changeOf } from '../../../src/changes/registry.ts';
import { aSpec, kinds, lost, World } from '../../support/world.ts';

const day = 24 * 3_600_000;

/** Goes on until nothing is left to do, or to wait for; time passes while it waits. */
const walk = (world: World, each?: (decision: Decision, facts: Facts) => void, limit = 500): Decision => {
  let waits = 0;
  for (let i = 0; i < limit; i += 1) {
    const facts = world.facts();
    const decision = decide(facts);
    each?.(decision, facts);
    if (decision.kind === 'finished') return decision;
    if (decision.kind === 'act') {
      waits = 0;
      world.apply(decision.action);
    } else {
      waits += 1;
      world.now += decision.recheckMs;
      if (decision.reason === 'AwaitingApproval') world.approval = 'Drop';
      else if (waits > 20 && decision.reason !== 'InQuarantine') return decision;
      if (decision.reason === 'InQuarantine') world.now += day / 8;
    }
  }
  throw new Error(`No end after ${limit} decisions: ${JSON.stringify(decide(world.facts()))}`);
};

const entered = (world: World): readonly Phase[] => world.ledger?.history.map(({ phase }) => phase) ?? [];

describe('an undisturbed change', () => {
  test('goes through the six phases in order and leaves the new column alone', () => {
    const world = new World();
    expect(walk(world)).toMatchObject({ kind: 'finished', reason: 'Completed' });
    expect(entered(world)).toEqual([...phases]);
    expect(Object.keys(world.columns)).toEqual(['id', 'full_name']);
    expect(world.columns['full_name']?.notNull).toBe(true);
    expect(world.mark).toBeUndefined();
    expect(world.protected).toBe(false);
    expect(world.pods).toEqual({ 'new-only': 3 });
  });

  test('does each thing once', () => {
    const world = new World();
    walk(world);
    const once = world.done.filter((name) => name !== 'enter');
    expect(new Set(once).size).toBe(once.length);
  });

  test('holds at its target phase, and goes on when it is raised', () => {
    const world = new World(aSpec({ targetPhase: 'Backfill' }));
    expect(walk(world)).toMatchObject({ kind: 'wait', reason: 'TargetPhaseReached' });
    expect(entered(world).at(-1)).toBe('Backfill');
    expect(world.pods).toEqual({ old: 3 });
    world.spec = aSpec();
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });

  test('in Application mode waits until no pod writes the old side alone', () => {
    const world = new World(
      aSpec({
        dualWrite: { mode: 'Application' },
        workloads: [{ deployment: 'shop', mode: 'Observe', releases: [] }],
      }),
    );
    let rolled = false;
    const decision = walk(world, (_, facts) => {
      if (facts.ledger.known && facts.ledger.value?.phase === 'DualWrite') rolled = true;
    });
    expect(rolled).toBe(true);
    expect(decision).toMatchObject({ kind: 'wait', reason: 'OldCodeRunning' });
    expect(world.mark).toBeUndefined();
  });
});

describe('an undisturbed change of each kind', () => {
  const skipped: Readonly<Record<string, readonly Phase[]>> = {
    replaceColumns: [],
    dropColumn: ['AddColumn', 'DualWrite', 'SwitchReads'],
    createIndex: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    notNull: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    check: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    unique: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    'addColumn with an expression': ['Quarantine'],
    'addColumn with a default of its own for each row': ['SwitchReads', 'Quarantine', 'Drop'],
    'addColumn alone': ['DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'],
  };

  test.each(Object.entries(kinds))('%s skips what it does not need, and says why', (kind, spec) => {
    const world = new World(spec);
    const said: Phase[] = [];
    const end = walk(world, (decision) => {
      if (decision.kind !== 'act') return;
      const { action } = decision;
      if (action.kind === 'enter' && action.skipped !== undefined) said.push(action.from);
      if (action.kind === 'finish' && action.skipped !== undefined) said.push('Drop');
    });
    expect(end).toMatchObject({ kind: 'finished', reason: 'Completed' });
    expect(said).toEqual(skipped[kind]);
    expect(world.mark).toBeUndefined();
  });

  test.each(['createIndex', 'unique'])('%s clears away what a failed build left and builds again', (kind) => {
    const world = new World(kinds[kind]);
    world.buildFails = true;
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(Object.values(world.indexes)).toEqual([true]);
    expect(world.done.filter((name) => name.endsWith('-build'))).toHaveLength(2);
    expect(world.done.filter((name) => name.endsWith('-clear'))).toHaveLength(1);
  });

  test('what a column takes along when it is dropped is said, and what it may not take stops the drop', () => {
    const world = new World(kinds['dropColumn']);
    const index = { column: 'first_name', kind: 'index', name: 'by_first_name' } as const;
    const change = changeOf(world.spec.change);
    const table = { ...world.table, dependents: [index] };
    expect(change.preflight(table)).toEqual([]);
    expect(change.contract(7, table)[0]?.purpose).toBe('drop column first_name with index by_first_name');
    const shared = { ...table, dependents: [index, { ...index, column: 'last_name' }] };
    expect(change.preflight(shared)).toMatchObject([{ reason: 'DependentObjects' }]);
    const view = { ...table, dependents: [{ ...index, kind: 'view' } as const] };
    expect(change.dependents(view)).toMatchObject([{ reason: 'DependentObjects' }]);
  });
});

describe('a hold', () => {
  test('bad rows stop before reads switch and name the way out', () => {
    const world = new World();
    world.badRows = 2;
    const decision = walk(world);
    expect(decision).toMatchObject({ kind: 'wait', reason: 'BadRows' });
    expect((decision as { message: string }).message).toContain('segue.dev/retry');
    expect(entered(world).at(-1)).toBe('Backfill');
    world.badRows = 0;
    world.retry = '1';
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });

  test('rows that differ stop before reads switch, and a retry fills and compares anew', () => {
    const world = new World();
    world.drifted = 3;
    expect(walk(world)).toMatchObject({ kind: 'wait', reason: 'VerificationFailed' });
    expect(world.pods).toEqual({ old: 3 });
    world.drifted = 0;
    world.retry = '1';
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(world.done.filter((name) => name === 'verify')).toHaveLength(2);
  });

  test('a suspended change does nothing in any phase', () => {
    const world = new World();
    walk(world, (_, facts) => {
      const suspended = {
        ...facts,
        resource: { ...facts.resource, spec: { ...facts.resource.spec, suspend: true } },
      };
      const decision = decide(suspended);
      if (facts.ledger.known && facts.ledger.value?.state === 'Active')
        expect(
          decision.kind === 'wait' ||
            ['retry', 'approve'].includes(decision.kind === 'act' ? decision.action.kind : ''),
        ).toBe(true);
    });
  });

  test('a table made again under its name is not touched', () => {
    const world = new World();
    walk(world, (_, facts) => {
      if (!facts.table.known || facts.table.value === undefined) return;
      if (!facts.ledger.known || facts.ledger.value?.state !== 'Active') return;
      const decision = decide({ ...facts, table: { known: true, value: { ...facts.table.value, oid: 1 } } });
      expect(decision).toMatchObject({ kind: 'wait', reason: 'TableChanged' });
    });
  });

  test('a lock that does not come is given up after a while, until a person says to try again', () => {
    const world = new World();
    for (let i = 0; i < 2; i += 1) {
      const decision = decide(world.facts());
      if (decision.kind === 'act') world.apply(decision.action);
    }
    world.ledger = { ...world.ledger!, lockWaitSince: world.now };
    world.now += 3_599_000;
    expect(decide(world.facts())).toMatchObject({ kind: 'act', action: { kind: 'step' } });
    world.now += 2_000;
    const decision = decide(world.facts());
    expect(decision).toMatchObject({ kind: 'wait', reason: 'LockGivenUp' });
    world.retry = 'again';
    expect(decide(world.facts())).toMatchObject({ kind: 'act', action: { kind: 'retry', value: 'again' } });
  });

  test('code ahead of its schema lets no further phase begin', () => {
    const world = new World();
    world.pods = { old: 2, 'new-only': 1 };
    world.spec = aSpec({ workloads: [{ deployment: 'shop', mode: 'Observe', releases: [] }] });
    const facts = (): Facts => {
      const made = world.facts();
      return {
        ...made,
        workloads: { known: true, value: [{ ...world.workload, rollout: { kind: 'done' } }] },
      };
    };
    for (let i = 0; i < 10; i += 1) {
      const decision = decide(facts());
      if (decision.kind === 'act') world.apply(decision.action);
    }
    expect(decide(facts())).toMatchObject({ kind: 'wait', reason: 'CodeAhead' });
    expect(entered(world)).toEqual(['AddColumn']);
  });
});

describe('Drop', () => {
  const atDrop = (): World => {
    const world = new World();
    walk(
      world,
      (decision) => {
        if (decision.kind === 'act' && decision.action.kind === 'step' && decision.action.step.destructive)
          throw new Error('reached');
      },
      500,
    );
    return world;
  };

  const reach = (): World => {
    const world = new World();
    for (let i = 0; i < 300; i += 1) {
      const decision = decide(world.facts());
      if (decision.kind === 'act') {
        if (decision.action.kind === 'step' && decision.action.step.destructive) return world;
        world.apply(decision.action);
      } else {
        world.now += decision.kind === 'wait' ? Math.max(decision.recheckMs, day / 8) : 0;
        world.approval = 'Drop';
      }
    }
    throw new Error('Drop was not reached.');
  };

  test('is reached by an undisturbed change', () => {
    expect(() => atDrop()).toThrow('reached');
  });

  const spoilt: readonly (readonly [string, (world: World) => void, string])[] = [
    ['an old pod is there', (world) => (world.pods = { 'new-only': 3, old: 1 }), 'OldCodeRunning'],
    [
      'an old column was used',
      (world) =>
        (world.ledger = { ...world.ledger!, lastUse: { at: world.now, by: 'report', kind: 'Write' } }),
      'ColumnInUse',
    ],
    [
      'nothing was verified',
      (world) =>
        (world.ledger = {
          ...world.ledger!,
          verification: { ...world.ledger!.verification!, mismatches: 1 },
        }),
      'VerificationFailed',
    ],
    [
      'rows were set aside',
      (world) => (world.ledger = { ...world.ledger!, backfill: { ...world.ledger!.backfill, badRows: 1 } }),
      'BadRows',
    ],
    [
      'nobody approved',
      (world) => {
        world.ledger = { ...world.ledger!, approvals: [] };
        world.approval = undefined;
      },
      'AwaitingApproval',
    ],
    [
      'a column was made again',
      (world) => (world.columns['first_name'] = { ...world.columns['first_name']!, attnum: 12 }),
      'TableChanged',
    ],
  ];
  test.each(spoilt)('does not happen if %s', (_, spoil, reason) => {
    const world = reach();
    spoil(world);
    const decision = decide(world.facts());
    expect(decision).toMatchObject({ reason });
    if (decision.kind === 'act') expect(decision.action.kind).toBe('restartQuarantine');
  });

  test('fills the rows of a partition that was attached after the backfill before it drops', () => {
    const world = reach();
    world.ledger = { ...world.ledger!, backfill: { ...world.ledger!.backfill, done: false } };
    const decision = decide(world.facts());
    expect(decision).toMatchObject({ kind: 'act', action: { kind: 'backfill' } });
    if (decision.kind === 'act') world.apply(decision.action);
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });

  test('can no longer be walked back once the columns are gone', () => {
    const world = reach();
    const decision = decide(world.facts());
    if (decision.kind !== 'act') throw new Error('no act');
    world.apply(decision.action);
    world.spec = { ...world.spec, rollback: true };
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });
});

/** What may befall a change between two looks at it. */
type Mishap =
  | 'none'
  | 'lose ledger'
  | 'lose table'
  | 'lose workloads'
  | 'lose replicas'
  | 'use'
  | 'straggler'
  | 'repeat'
  | 'hours pass'
  | 'triggers lost'
  | 'build fails';

const mishaps = fc.array(
  fc.constantFrom<Mishap>(
    'none',
    'none',
    'none',
    'lose ledger',
    'lose table',
    'lose workloads',
    'lose replicas',
    'use',
    'straggler',
    'repeat',
    'hours pass',
    'triggers lost',
    'build fails',
  ),
  { maxLength: 120 },
);

const losing = (mishap: Mishap): Partial<Facts> =>
  mishap === 'lose ledger'
    ? { ledger: lost }
    : mishap === 'lose table'
      ? { table: lost }
      : mishap === 'lose workloads'
        ? { workloads: lost }
        : mishap === 'lose replicas'
          ? { replicasReplayed: lost }
          : {};

const befall = (world: World, mishap: Mishap): void => {
  if (mishap === 'hours pass') world.now += day / 6;
  if (mishap === 'use' && world.ledger?.phase === 'Quarantine')
    world.ledger = { ...world.ledger, lastUse: { at: world.now, by: 'report', kind: 'Write' } };
  if (mishap === 'straggler' && world.ledger?.phase === 'Quarantine') world.pods = { ...world.pods, old: 1 };
  if (mishap === 'build fails') world.buildFails = true;
  if (mishap === 'triggers lost' && world.ledger?.phase === 'Backfill') world.mark = undefined;
};

/** What must hold whenever something is about to be dropped on the way forward. */
const vouched = (world: World): void => {
  const ledger = world.ledger!;
  if (changeOf(world.spec.change).rows !== undefined) {
    expect(ledger.verification?.mismatches).toBe(0);
    expect(ledger.backfill.done).toBe(true);
  }
  expect(ledger.approvals.some(({ phase }) => phase === 'Drop')).toBe(true);
  expect(Object.entries(world.pods).filter(([code, count]) => code !== 'new-only' && count > 0)).toEqual([]);
  expect(world.now - (ledger.quarantineStartedAt ?? Infinity)).toBeGreaterThanOrEqual(day);
  expect(ledger.lastUse?.at ?? 0).toBeLessThanOrEqual(ledger.quarantineStartedAt ?? 0);
};

const stumble = (world: World, course: readonly Mishap[]): void => {
  for (const mishap of course) {
    befall(world, mishap);
    const over = losing(mishap);
    const decision = decide(world.facts(over));
    if (over.ledger) expect(decision.kind).toBe('wait');
    if (decision.kind === 'act') {
      if (
        decision.action.kind === 'step' &&
        decision.action.step.destructive &&
        world.ledger?.direction === 'forward'
      )
        vouched(world);
      if (Object.keys(over).length > 0 && decision.action.kind === 'step')
        expect(decision.action.step.destructive).toBe(false);
      // A crash before the effect: the same is decided again.
      if (mishap !== 'repeat') world.apply(decision.action);
    } else if (decision.kind === 'wait') {
      world.now += decision.recheckMs;
      if (decision.reason === 'AwaitingApproval') world.approval = 'Drop';
    }
  }
};

/** True once what older code needs is gone. */
const isDropped = ({ ledger, table, spec }: World): boolean => {
  const contract = changeOf(spec.change).contract(ledger?.id ?? 0, table);
  return ledger?.phase === 'Drop' && contract.length > 0 && contract.every(({ done }) => done(table));
};

/** The straggler's pod is gone at last. */
const settle = (world: World): void => {
  world.pods = Object.fromEntries(
    Object.entries(world.pods).filter(([code]) => code !== 'old' || Object.keys(world.pods).length === 1),
  );
};

const anyKind = fc.constantFrom(...Object.keys(kinds));

describe('by chance, every kind', () => {
  test('whatever befalls it, no phase is skipped, nothing is dropped unvouched, and it completes', () => {
    fc.assert(
      fc.property(anyKind, mishaps, (kind, course) => {
        const world = new World(kinds[kind]);
        stumble(world, course);
        settle(world);
        const end = walk(
          world,
          (decision) => {
            if (
              decision.kind === 'act' &&
              decision.action.kind === 'step' &&
              decision.action.step.destructive
            )
              vouched(world);
          },
          1000,
        );
        expect(end).toMatchObject({ kind: 'finished', reason: 'Completed' });
        expect(entered(world)).toEqual([...phases]);
      }),
      { numRuns: 900 },
    );
  });

  test('walked back from anywhere before Drop, it ends with everything as it was', () => {
    fc.assert(
      fc.property(anyKind, mishaps, (kind, course) => {
        const world = new World(kinds[kind]);
        const before = structuredClone(world.columns);
        stumble(world, course);
        if (world.ledger?.state !== 'Active' || isDropped(world)) return;
        settle(world);
        world.spec = { ...world.spec, rollback: true };
        expect(walk(world)).toMatchObject({ kind: 'finished', reason: 'RolledBack' });
        expect(world.columns).toEqual(before);
        expect(world.constraints).toEqual({});
        expect(world.indexes).toEqual({});
        expect(world.mark).toBeUndefined();
        expect(Object.keys(world.pods)).toEqual(['old']);
      }),
      { numRuns: 900 },
    );
  });

  test('deleted anywhere, it lets go without dropping a column, and soon even if nothing can be read', () => {
    fc.assert(
      fc.property(anyKind, mishaps, fc.boolean(), (kind, course, blind) => {
        const world = new World(kinds[kind]);
        stumble(world, course);
        const before = Object.keys(world.columns);
        world.deletingSince = world.now;
        for (let i = 0; i < 100; i += 1) {
          const decision = decide(world.facts(blind ? { ledger: lost } : {}));
          if (decision.kind === 'finished') break;
          if (decision.kind === 'act') world.apply(decision.action);
          else world.now += decision.recheckMs;
        }
        expect(world.protected).toBe(false);
        expect(Object.keys(world.columns)).toEqual(before);
        if (!blind) expect(world.mark).toBeUndefined();
        expect(world.now - world.deletingSince).toBeLessThan(60_000);
      }),
      { numRuns: 600 },
    );
  });
});
