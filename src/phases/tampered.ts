/**
 * What others did to the table while a change is under way. Nothing rests on what they may have touched: it is
 * noticed before the next step, and either made anew, with all that it vouched for, or held for a person.
 */
import { triggersAway } from '../changes/sync-triggers.ts';
import type { TriggerMode } from '../changes/change.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { nextStep } from './gates.ts';

/** One column that is no longer as it was, as a clause. */
const alteration = ({ active, change, columns }: ActiveFacts, name: string): string | undefined => {
  const attnum = active.attnums[name];
  const now = columns.columns[name];
  if (attnum === undefined) return undefined;
  if (now?.attnum === attnum) {
    const was = active.columnTypes[name];
    const own = [...change.oldColumns, ...change.newColumns].includes(name);
    return own && was !== undefined && was !== now.type
      ? `column "${name}" was of type ${was} and is ${now.type}`
      : undefined;
  }
  const [renamed] = Object.entries(columns.columns).find(([, column]) => column.attnum === attnum) ?? [];
  if (renamed !== undefined) return `column "${name}" was renamed to "${renamed}"`;
  return now === undefined ? `column "${name}" was dropped` : `column "${name}" was dropped and made anew`;
};

/** True for triggers of ours that would fail, and the application's writes with them, for want of a column. */
const wouldFail = (facts: ActiveFacts): boolean =>
  [...facts.change.oldColumns, ...facts.change.newColumns].some(
    (name) => facts.active.attnums[name] !== undefined && !(name in facts.columns.columns),
  );

/**
 * Holds a change whose columns others have dropped, renamed or retyped. Triggers that would fail for it are taken
 * away first: a write of the application's must not fail because of us.
 */
export const columnsChanged = (facts: ActiveFacts): Decision | undefined => {
  const { active, change, columns } = facts;
  if (active.direction === 'back') return undefined;
  const [first] = Object.keys(active.attnums).flatMap((name) => alteration(facts, name) ?? []);
  if (first === undefined) return undefined;
  const away = wouldFail(facts) ? nextStep(facts, change.undo.triggers(active.id, columns)) : undefined;
  if (away) return away;
  return wait(
    'TableChanged',
    `On ${columns.schema}.${columns.name}, ${first} since this change began, and not by Segue. Nothing more is done. Undo that and it goes on, or set spec.rollback to walk back, or delete the resource.`,
    10_000,
  );
};

/**
 * Triggers that should stand, in one of these modes, and do not: rows may have been written past them, so nothing
 * that was filled, compared or watched counts any more. They are made anew in the last of the modes.
 */
export const triggersKept = (facts: ActiveFacts, ...modes: readonly TriggerMode[]): Decision | undefined => {
  const { active, change, columns } = facts;
  const stand = (mode: TriggerMode): boolean =>
    change.triggers(active.id, columns, mode).every((step) => step.done(columns));
  if (modes.some(stand) || !triggersAway(active.id, columns)) return undefined;
  const rests =
    active.verification !== undefined ||
    active.quarantineStartedAt !== undefined ||
    active.triggersProven ||
    (active.phase === 'Backfill' && (active.backfill.pagesDone > 0 || active.backfill.done));
  if (rests)
    return act(
      { kind: 'distrust' },
      `Triggers or functions of this change on ${columns.schema}.${columns.name} were dropped, disabled or replaced, and not by Segue. They are made anew, and every row is compared again.`,
      'TableChanged',
    );
  return nextStep(facts, change.triggers(active.id, columns, modes.at(-1) ?? 'narrow'));
};
