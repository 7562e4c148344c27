/**
 * A change's way through its phases, step by step, each made of what the ones before it leave in the catalog: what
 * `decide` and `act` would do, if nothing came in between. Pure.
 */
import type { TableFacts } from '../../api/facts.ts';
import { isBefore, phases, type Phase } from '../../api/phase.ts';
import type { SchemaChangeSpec } from '../../api/schema-change.ts';
import { beginArchive, dropArchived } from '../../changes/archive.ts';
import type { Change, Step } from '../../changes/change.ts';
import { compareSteps } from '../../changes/compare-trigger.ts';
import { hideColumns, showColumns } from '../../changes/hide.ts';
import { afterStatement } from './after-statement.ts';
import { scanEstimate, type Estimate } from './estimate.ts';
import { planned, readsAll, type PlannedPhase, type PlannedStep } from './outline.ts';
import { compareRows, copyRows, fillRows, proveTriggers } from './row-steps.ts';

/** What the way is made of. */
export interface Journey {
  readonly change: Change;
  readonly spec: SchemaChangeSpec;
  /** namespace/name. */
  readonly resource: string;
  readonly id: number;
  /** Columns that are or were NOT NULL when it began. */
  readonly oldNotNull: readonly string[];
  /** Undefined where nobody knows. */
  readonly rows: number | undefined;
  /** Where it stands, if it has begun. */
  readonly from?: Phase;
}

interface Reached {
  readonly table: TableFacts;
  readonly steps: readonly PlannedStep[];
}

const scanOf = ({ rows }: Journey, step: Step): Estimate | undefined =>
  rows !== undefined && readsAll(step) ? scanEstimate(rows) : undefined;

/** The catalog after a step: what its statements leave, and its line in the history. */
const after = (table: TableFacts, step: Step, id: number): TableFacts => ({
  ...step.statements.reduce((now, { text }) => afterStatement(now, text), table),
  steps: { ...table.steps, [`${id}/${step.id}`]: 'done' },
});

/** Carries out whatever of the steps is not done, making them anew after each, as the phase machine does. */
const through = (
  journey: Journey,
  { table, steps }: Reached,
  make: (table: TableFacts) => readonly Step[],
): Reached => {
  const ran = new Set<string>();
  const made: PlannedStep[] = [...steps];
  let now = table;
  for (;;) {
    const step = make(now).find((candidate) => !candidate.done(now) && !ran.has(candidate.id));
    if (step === undefined) return { table: now, steps: made };
    ran.add(step.id);
    made.push(planned(step, scanOf(journey, step)));
    now = after(now, step, journey.id);
  }
};

const and = ({ table, steps }: Reached, ...more: readonly PlannedStep[]): Reached => ({
  table,
  steps: [...steps, ...more],
});

const byTriggers = ({ spec }: Journey): boolean => spec.dualWrite.mode === 'Trigger';

const dualWrite = (journey: Journey, start: Reached): Reached => {
  const { change, id } = journey;
  if (!byTriggers(journey)) return through(journey, start, (table) => change.conversions?.(id, table) ?? []);
  return and(
    through(journey, start, (table) => change.triggers(id, table, 'wide')),
    ...(change.rows === undefined ? [] : [proveTriggers()]),
  );
};

const backfill = (journey: Journey, start: Reached): Reached => {
  const { change, id, spec, rows } = journey;
  const filled = fillRows(change, id, start.table, { spec, rows });
  let now = and(start, ...filled);
  if (filled.length > 0 && spec.verify.mode !== 'None') {
    now = through(journey, now, (table) => compareSteps(id, change, table).install);
    now = and(now, compareRows(change, id, now.table, { spec, rows }));
    now = through(journey, now, (table) => compareSteps(id, change, table).remove);
  }
  now = through(journey, now, (table) => change.constrain(id, table));
  return through(journey, now, (table) => change.triggers(id, table, 'narrow'));
};

const quarantine = (journey: Journey, start: Reached): Reached => {
  const { change, id, spec } = journey;
  const relaxed = through(journey, start, (table) => change.relax(id, table));
  const watched = through(journey, relaxed, (table) => change.triggers(id, table, 'watch'));
  if (spec.quarantine.mode !== 'Hide' || change.oldColumns.length === 0) return watched;
  const { table } = watched;
  return and(
    watched,
    planned(hideColumns(id, change, table)),
    planned(showColumns(id, change, { ...table, hidden: change.oldColumns }, true)),
  );
};

const drop = (journey: Journey, start: Reached): Reached => {
  const { change, id, spec, resource } = journey;
  const contract = (table: TableFacts): readonly Step[] => change.contract(id, table);
  if (!spec.drop.archive || change.oldColumns.length === 0) return through(journey, start, contract);
  const begun = through(journey, start, (table) => [beginArchive(id, change, table, resource)]);
  const copied = and(begun, copyRows(change, id, begun.table));
  return through(journey, copied, (table) => {
    const steps = contract(table);
    const losing = steps.find(({ destructive }) => destructive);
    return steps.map((step) => (step === losing ? dropArchived(id, change, table, step) : step));
  });
};

const forward: Readonly<Record<Phase, (journey: Journey, start: Reached) => Reached>> = {
  AddColumn: (journey, start) => through(journey, start, (table) => journey.change.expand(journey.id, table)),
  DualWrite: dualWrite,
  Backfill: backfill,
  SwitchReads: (_journey, start) => start,
  Quarantine: quarantine,
  Drop: drop,
};

type Undo = (journey: Journey, table: TableFacts) => readonly Step[];

const backward: Readonly<Record<Phase, readonly Undo[]>> = {
  AddColumn: [({ change, id }, table) => change.undo.expand(id, table)],
  DualWrite: [({ change, id }, table) => change.undo.triggers(id, table)],
  Backfill: [({ change, id, oldNotNull }, table) => change.undo.constrain(id, table, oldNotNull)],
  SwitchReads: [],
  Quarantine: [
    ({ change, id }, table) => change.triggers(id, table, 'narrow'),
    ({ change, id, oldNotNull }, table) => change.undo.relax(id, table, oldNotNull),
  ],
  Drop: [],
};

const waitsFor = ({ change, spec }: Journey, phase: Phase): readonly string[] => {
  const waits: string[] = [];
  if (spec.approvals.includes(phase)) waits.push(`a person's approval, before it begins`);
  const code: Readonly<Partial<Record<Phase, string>>> = {
    ...(spec.dualWrite.mode === 'Application' ? { DualWrite: 'writes-both' } : {}),
    SwitchReads: 'reads-new',
    Quarantine: 'new-only',
  };
  if (code[phase] !== undefined && spec.workloads.length > 0)
    waits.push(
      `no pod below ${code[phase]} (${spec.workloads.map(({ deployment }) => deployment).join(', ')})`,
    );
  if (phase === 'Backfill' && change.rows !== undefined && spec.database.replicas.length > 0)
    waits.push('replay of the last write by every read replica');
  if (phase === 'Quarantine') waits.push(`nobody's use of what goes for ${spec.quarantine.duration}`);
  return waits;
};

/** The phases with their steps, there and back. */
export const walk = (journey: Journey, table: TableFacts): readonly PlannedPhase[] => {
  const { change, spec, from = 'AddColumn' } = journey;
  const there: PlannedPhase[] = [];
  let now = table;
  for (const phase of phases) {
    if (isBefore(phase, from)) {
      there.push({ phase, done: true, steps: [], waitsFor: [], back: [] });
      continue;
    }
    const skipped = change.skips[phase];
    const reached =
      skipped === undefined ? forward[phase](journey, { table: now, steps: [] }) : { table: now, steps: [] };
    // What a target keeps from happening is shown all the same: the target may be raised.
    const held = isBefore(spec.targetPhase, phase)
      ? [`spec.targetPhase to be raised from ${spec.targetPhase}`]
      : [];
    there.push({
      phase,
      ...(skipped === undefined ? {} : { skipped }),
      steps: reached.steps,
      waitsFor: skipped === undefined ? [...held, ...waitsFor(journey, phase)] : [],
      back: [],
    });
    if (phase !== 'Drop') now = reached.table;
  }
  return withWayBack(journey, there, now);
};

const withWayBack = (
  journey: Journey,
  there: readonly PlannedPhase[],
  table: TableFacts,
): readonly PlannedPhase[] => {
  let now = table;
  return there
    .toReversed()
    .map((planning) => {
      if (planning.skipped !== undefined) return planning;
      const reached = backward[planning.phase].reduce<Reached>(
        (at, undo) => through(journey, at, (facts) => undo(journey, facts)),
        { table: now, steps: [] },
      );
      now = reached.table;
      return { ...planning, back: reached.steps };
    })
    .toReversed();
};
