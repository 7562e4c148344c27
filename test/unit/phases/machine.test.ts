/** The phase machine, walked through whole histories: orderly ones by hand, disorderly ones by chance. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { phases, type Phase } from '../../../src/api/phase.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { known, type RolloutFacts } from '../../../src/api/facts.ts';
import type { SqlChange } from '../../../src/api/schema-change.ts';
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
    expect(world.comparing).toBe(false);
    expect(world.protected).toBe(false);
    expect(world.pods).toEqual({ 'new-only': 3 });
  });

  test('does each thing once', () => {
    const world = new World();
    walk(world);
    const once = world.done.filter((name) => name !== 'enter' && name !== 'look');
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
    expect(world.comparing).toBe(false);
  });
});

describe('an undisturbed change of each kind', () => {
  const skipped: Readonly<Record<string, readonly Phase[]>> = {
    replaceColumns: [],
    renameColumn: [],
    changeType: [],
    'replaceColumns, sampled': [],
    'replaceColumns, not compared': ['Backfill'],
    dropColumn: ['AddColumn', 'DualWrite', 'SwitchReads'],
    createIndex: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    notNull: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    check: ['DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    unique: ['AddColumn', 'DualWrite', 'SwitchReads', 'Quarantine', 'Drop'],
    'addColumn with an expression': ['Quarantine'],
    'addColumn with a default of its own for each row': ['SwitchReads', 'Quarantine', 'Drop'],
    sql: ['DualWrite', 'Backfill', 'SwitchReads'],
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
    expect(world.comparing).toBe(false);
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
    expect(change.dependents(view, 7)).toMatchObject([{ reason: 'DependentObjects' }]);
  });
});

describe('scripts', () => {
  const scripts = (over: Partial<SqlChange>) => {
    const spec = kinds['sql'];
    if (spec?.change.sql === undefined) throw new Error('There is a kind sql.');
    return { ...spec, change: { sql: { ...spec.change.sql, ...over } } };
  };
  const { undo: _, ...withoutUndo } = scripts({}).change.sql;

  test('without undo hold a walk-back once expand has begun, and go on when it is taken back', () => {
    const world = new World({ ...scripts({}), change: { sql: withoutUndo }, targetPhase: 'AddColumn' });
    expect(walk(world)).toMatchObject({ reason: 'TargetPhaseReached' });
    world.spec = { ...world.spec, rollback: true };
    expect(walk(world)).toMatchObject({ kind: 'wait', reason: 'NoWayBack' });
    expect(world.ledger?.direction).toBe('forward');
    world.spec = { ...world.spec, rollback: false, targetPhase: 'Drop' };
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });

  test('without undo walk back as long as nothing has run', () => {
    const world = new World({ ...scripts({}), change: { sql: withoutUndo } });
    while (world.ledger === undefined) {
      const decision = decide(world.facts());
      if (decision.kind === 'act') world.apply(decision.action);
    }
    world.spec = { ...world.spec, rollback: true };
    expect(walk(world)).toMatchObject({ reason: 'RolledBack' });
    expect(world.steps).toEqual({});
  });

  test('are not walked back from the first statement of contract on', () => {
    const world = new World({ ...scripts({}), approvals: [] });
    while (world.steps['7/contract-1'] === undefined) {
      const decision = decide(world.facts());
      if (decision.kind === 'act') world.apply(decision.action);
      else world.now += day;
    }
    world.spec = { ...world.spec, rollback: true };
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(world.done).not.toContain('turnBack');
  });

  test('a statement that was cut off, and of which the catalog shows nothing, waits for a person', () => {
    const world = new World(scripts({ expand: 'REINDEX TABLE CONCURRENTLY customers' }));
    world.steps['7/expand-1'] = 'begun';
    const decision = walk(world);
    expect(decision).toMatchObject({ kind: 'wait', reason: 'StepInterrupted' });
    expect(decision.message).toContain(
      "UPDATE segue.expand_step SET finished_at = now() WHERE change_id = 7 AND step = 'expand-1'",
    );
    world.steps['7/expand-1'] = 'done';
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });

  test('an index that a killed build left is dropped and built again', () => {
    const world = new World(scripts({}));
    world.buildFails = true;
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(world.done.filter((name) => name.includes('expand-2'))).toEqual([
      'step expand-2',
      'step expand-2-clear',
      'step expand-2',
    ]);
  });

  test('that are no SQL are refused with their place before any fact of the database is asked for', () => {
    const world = new World(scripts({ expand: 'SELECT 1;\nSELEC 2' }));
    const decision = decide(world.facts({ table: lost, preflight: lost }));
    expect(decision).toMatchObject({ kind: 'wait', reason: 'InvalidExpression' });
    expect(decision.message).toContain('sql.expand, line 2, column 1');
  });
});

describe('a hold', () => {
  test('bad rows stop before reads switch and name the way out', () => {
    const world = new World();
    world.badRows = 2;
    const decision = walk(world);
    expect(decision).toMatchObject({ kind: 'wait', reason: 'BadRows' });
    expect((decision as { message: string }).message).toContain('onBadRow to Skip');
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

  test('rows that differ are repaired at a word, and compared again', () => {
    const world = new World();
    world.drifted = 3;
    const held = walk(world) as { message: string };
    expect(held.message).toContain('segue.dev/repair=');
    expect(world.comparing).toBe(false);
    world.repair = '1';
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(world.ledger?.repair).toEqual({ handled: '1', running: false, rows: 3 });
    expect(world.done.filter((name) => name === 'verify')).toHaveLength(2);
    expect(world.done.filter((name) => name === 'repair')).toHaveLength(1);
  });

  test('a repair that is asked for while rows are compared waits for the result', () => {
    const world = new World();
    world.drifted = 1;
    walk(world, (decision) => {
      if (decision.kind === 'act' && decision.action.kind === 'verify') world.repair = 'now';
    });
    expect(world.ledger).toMatchObject({ state: 'Completed', repair: { rows: 1 } });
  });

  test.each(phases)('a repair that there is nothing for in %s is refused in words and goes on', (phase) => {
    const world = new World();
    let refused: Decision | undefined;
    const end = walk(world, (decision) => {
      if (world.ledger?.phase !== phase || refused !== undefined) return;
      if (phase === 'Backfill' && world.ledger.verification === undefined) return;
      world.repair = 'please';
      refused = decide(world.facts());
      if (decision.kind === 'act' && refused.kind === 'act') world.apply(refused.action);
    });
    expect(refused).toMatchObject({ kind: 'act', reason: 'RepairRefused', action: { kind: 'repair' } });
    expect(end).toMatchObject({ reason: 'Completed' });
    expect(world.ledger?.repair).toMatchObject({ handled: 'please', running: false, rows: 0 });
    if (['SwitchReads', 'Quarantine', 'Drop'].includes(phase))
      expect(world.ledger?.repair.refused).toContain('reads have switched');
  });

  test.each(['Backfill', 'SwitchReads', 'Quarantine'] as const)(
    'at a word all rows are compared again in %s, and what differs by then holds it',
    (phase) => {
      const world = new World();
      const held = walk(world, () => {
        if (world.ledger?.phase !== phase || world.ledger.verification === undefined || world.verify) return;
        world.verify = '1';
        world.drifted = 2;
      });
      expect(held).toMatchObject({ reason: 'VerificationFailed' });
      expect(world.ledger).toMatchObject({ phase, handledVerify: '1', verifyRefused: null });
      expect(world.comparing).toBe(false);
      world.drifted = 0;
      world.verify = '2';
      expect(walk(world)).toMatchObject({ reason: 'Completed' });
      expect(world.done.filter((name) => name === 'verify')).toHaveLength(3);
    },
  );

  test.each(['AddColumn', 'DualWrite', 'Drop'] as const)(
    'a comparison that can not be made in %s is refused in words, and it goes on',
    (phase) => {
      const world = new World();
      let refused: Decision | undefined;
      const end = walk(world, (decision) => {
        if (world.ledger?.phase !== phase || refused !== undefined) return;
        world.verify = 'please';
        refused = decide(world.facts());
        if (decision.kind === 'act' && refused.kind === 'act') world.apply(refused.action);
      });
      expect(refused).toMatchObject({ kind: 'act', action: { kind: 'compareAgain', value: 'please' } });
      expect(world.ledger?.verifyRefused).toEqual(expect.any(String));
      expect(end).toMatchObject({ reason: 'Completed' });
    },
  );

  test.each(['replaceColumns, sampled', 'replaceColumns, not compared'])(
    '%s: Drop waits for an approval that nobody listed, and says why',
    (kind) => {
      const world = new World(kinds[kind]);
      const asked: string[] = [];
      walk(world, (decision) => {
        if (decision.kind === 'wait' && decision.reason === 'AwaitingApproval') asked.push(decision.message);
      });
      expect(asked[0]).toMatch(/Drop waits for approval, for .*verify\.mode/);
      expect(world.ledger?.approvals).toMatchObject([{ phase: 'Drop' }]);
    },
  );

  test('functions whose text names old columns are told of before it begins, in Quarantine, and with what Drop’s approval is asked for', () => {
    const world = new World(aSpec({ approvals: ['Drop'] }));
    world.mentions = ['public.greeting(bigint)'];
    const told: string[] = [];
    walk(world, ({ reason, message }) => {
      if (message.includes('public.greeting(bigint)')) told.push(reason);
    });
    expect([...new Set(told)]).toEqual(['Progressing', 'InQuarantine', 'AwaitingApproval']);
  });

  test('what was not compared is, once the resource asks for it before reads switch', () => {
    const world = new World(
      aSpec({ verify: { mode: 'None', samplePercent: 10 }, targetPhase: 'Backfill', approvals: [] }),
    );
    expect(walk(world)).toMatchObject({ reason: 'TargetPhaseReached' });
    expect(world.ledger?.verification).toMatchObject({ share: 0 });
    world.spec = aSpec({ approvals: [] });
    world.drifted = 1;
    expect(walk(world)).toMatchObject({ reason: 'VerificationFailed' });
    expect(world.ledger?.verification).toMatchObject({ share: 100 });
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

  test('with its target lowered below the phase it is in, nothing further is done, wherever that is', () => {
    const world = new World();
    const held = new Set<string>();
    walk(world, (_, facts) => {
      if (!facts.ledger.known || facts.ledger.value?.state !== 'Active') return;
      const { phase } = facts.ledger.value;
      const lowered = phases[phases.indexOf(phase) - 1];
      if (lowered === undefined) return;
      const spec = { ...facts.resource.spec, targetPhase: lowered };
      const decision = decide({ ...facts, resource: { ...facts.resource, spec } });
      const isGone = world.columns['first_name'] === undefined;
      if (decision.kind === 'act' && !isGone)
        expect(['retry', 'approve', 'rollout', 'look']).toContain(decision.action.kind);
      if (decision.reason === 'TargetPhaseLowered') held.add(phase);
    });
    // Once the columns are gone there is nothing left to hold.
    expect([...held]).toEqual(expect.arrayContaining(['DualWrite', 'Backfill', 'Quarantine', 'Drop']));
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
  | 'drift'
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
    'drift',
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
  if (mishap === 'triggers lost' && world.ledger?.phase === 'Backfill') {
    world.mark = undefined;
    world.comparing = false;
  }
  if (mishap === 'drift') {
    world.drifted += 1;
    world.repair = `repair ${world.drifted}`;
  }
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

/** The straggler's pod is gone at last, and nobody writes past the triggers any more. */
const settle = (world: World): void => {
  world.drifted = 0;
  world.repair = 'settled';
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
        expect(world.comparing).toBe(false);
        expect(Object.keys(world.pods)).toEqual(['old']);
      }),
      { numRuns: 900 },
    );
  });

  test('deleted, it lets go after two minutes, though what is to be done is refused each time', () => {
    const world = new World();
    walk(world, (_, facts) => {
      if (!facts.ledger.known || facts.ledger.value?.state !== 'Active') return;
      const late = (ms: number) =>
        decide({ ...facts, resource: { ...facts.resource, deletingSince: facts.now - ms } });
      expect(late(120_000)).toMatchObject({ kind: 'act', action: { kind: 'release' } });
      expect(late(0)).not.toMatchObject({ action: { kind: 'release' } });
    });
  });

  test('deleted, its deadline goes by the operator’s clock, whatever the database’s says', () => {
    const world = new World(aSpec({ targetPhase: 'DualWrite' }));
    walk(world);
    const lets = (operatorNow: number, deletingSince: number, now: number): boolean => {
      const facts = world.facts({ now, operatorNow, table: lost });
      const { resource } = facts;
      const decision = decide({ ...facts, resource: { ...resource, deletingSince } });
      return decision.kind === 'act' && decision.action.kind === 'release';
    };
    const aDay = 86_400_000;
    expect(lets(world.now + 1_000, world.now, world.now + aDay)).toBe(false);
    expect(lets(world.now + 120_000, world.now, world.now - aDay)).toBe(true);
  });

  test('deleted half-way through a roll-out with the database away, the roll-out is ended first', () => {
    const waiting = { kind: 'waiting', reason: 'RollingOut', message: 'Waiting for pods of shop.' } as const;
    const step = {
      kind: 'step',
      step: { kind: 'widenService', deployment: 'shop' },
      message: 'All.',
    } as const;
    const world = new World(aSpec({ targetPhase: 'DualWrite' }));
    walk(world);
    const after = (ms: number, rollout: RolloutFacts, missing: Partial<Facts>) => {
      const facts = world.facts({ ...missing, workloads: known([{ ...world.workload, rollout }]) });
      return decide({ ...facts, resource: { ...facts.resource, deletingSince: facts.operatorNow - ms } });
    };
    for (const missing of [{ ledger: lost }, { table: lost }]) {
      expect(after(0, step, missing)).toMatchObject({ kind: 'act', action: { kind: 'rollout' } });
      expect(after(60_000, step, missing)).toMatchObject({ kind: 'act', action: { kind: 'rollout' } });
      // Pods come up by themselves; that takes what it takes, but not for ever.
      expect(after(60_000, waiting, missing)).toMatchObject({ kind: 'wait', reason: 'RollingOut' });
      const last = after(120_000, waiting, missing);
      expect(last).toMatchObject({ kind: 'act', action: { kind: 'release' }, reason: 'CleanupAbandoned' });
      expect(last.message).toContain('The roll-out of shop is left half-way.');
      expect(after(0, { kind: 'done' }, missing)).toMatchObject({
        kind: 'wait',
        reason: 'DatabaseUnreachable',
      });
    }
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
        if (!blind) expect([world.mark, world.comparing]).toEqual([undefined, false]);
        expect(world.now - world.deletingSince).toBeLessThan(60_000);
      }),
      { numRuns: 600 },
    );
  });
});

describe('the backfill', () => {
  const nullable = aSpec().change.replaceColumns!;
  const change = {
    replaceColumns: { ...nullable, to: [{ name: 'full_name', type: 'text', nullable: true }] },
  };
  const withBackfill = (over: Partial<ReturnType<typeof aSpec>['backfill']>) => ({
    ...aSpec({ change }),
    backfill: { ...aSpec().backfill, ...over },
  });

  test('waits for its window and says when it opens', () => {
    // The world's clock stands at 00:16:40 UTC of a Thursday.
    const window = { from: '22:00', to: '05:00', timeZone: 'UTC', days: ['Fri'] as const };
    const world = new World(withBackfill({ window: { ...window, days: [...window.days] } }));
    const waits: string[] = [];
    expect(
      walk(world, (decision, { now }) => {
        if (decision.reason !== 'OutsideWindow') return;
        waits.push(decision.message);
        // To the opening in one go: a minute at a time is not what is tested.
        world.now = Math.max(now, Date.UTC(1970, 0, 2, 21, 59));
      }),
    ).toMatchObject({ reason: 'Completed' });
    expect(waits[0]).toContain('opens 1970-01-02T22:00:00Z');
    expect(entered(world)).toEqual([...phases]);
  });

  test('its verification waits for the window, too', () => {
    const window = { from: '22:00', to: '05:00', timeZone: 'UTC', days: ['Wed' as const, 'Thu' as const] };
    const world = new World(withBackfill({ window }));
    const waits: string[] = [];
    walk(world, (decision) => {
      // The window is closed by the time that the rows are filled, and opens in the evening.
      if (decision.kind === 'act' && decision.action.kind === 'backfill') world.now = Date.UTC(1970, 0, 1, 6);
      if (decision.reason !== 'OutsideWindow') return;
      expect(world.done).not.toContain('verify');
      waits.push(decision.message);
      world.now = Date.UTC(1970, 0, 1, 22);
    });
    expect(waits[0]).toMatch(/^The verification waits for its window .* opens 1970-01-01T22:00:00Z/);
    expect(entered(world)).toEqual([...phases]);
  });

  test('does not begin in a time zone that nobody knows', () => {
    const window = { from: '22:00', to: '05:00', timeZone: 'Europe/Atlantis', days: ['Fri' as const] };
    const world = new World(withBackfill({ window }));
    expect(walk(world)).toMatchObject({ kind: 'wait', reason: 'InvalidWindow' });
    expect(world.done).not.toContain('backfill');
  });

  test('skips rows as far as Drop, which refuses until they are mended', () => {
    const world = new World(withBackfill({ onBadRow: 'Skip' }));
    world.badRows = 2;
    expect(walk(world)).toMatchObject({ kind: 'wait', reason: 'BadRows' });
    expect(entered(world).at(-1)).toBe('Drop');
    expect(Object.keys(world.columns)).toContain('first_name');
    world.mendedRows = 2;
    world.badRowsDue = true;
    world.ledger = {
      ...world.ledger!,
      backfill: { ...world.ledger!.backfill, badRowsDue: true },
    };
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
    expect(world.done).toContain('retryBadRows');
  });

  test('drops what was skipped only where the resource says so', () => {
    const world = new World({
      ...withBackfill({ onBadRow: 'Skip' }),
      drop: { deadLetters: 'Discard', archive: false },
    });
    world.badRows = 2;
    expect(walk(world)).toMatchObject({ reason: 'Completed' });
  });
});
