import { act, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { leave, leaveBack, nextStep, noPodAbove, noPodBelow, rollOut } from './gates.ts';
import type { PhaseLogic } from './phase.ts';

const prove = (facts: ActiveFacts): Decision | undefined =>
  facts.active.triggersProven
    ? undefined
    : act(
        { kind: 'prove' },
        'Showing on a row, in a transaction that is rolled back, that the triggers act.',
      );

const byTriggers = (facts: ActiveFacts): Decision =>
  nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'wide')) ??
  prove(facts) ??
  rollOut(facts) ??
  leave(facts, 'DualWrite');

const byApplication = (facts: ActiveFacts): Decision =>
  nextStep(facts, facts.change.conversions?.(facts.active.id, facts.columns) ?? []) ??
  rollOut(facts) ??
  noPodBelow(facts, 'writes-both') ??
  leave(facts, 'DualWrite');

/** Both sides are written from here on. Left when triggers are proven, or no pod writes the old side alone. */
export const dualWrite: PhaseLogic = {
  name: 'DualWrite',
  next: (facts) =>
    facts.resource.spec.dualWrite.mode === 'Trigger' ? byTriggers(facts) : byApplication(facts),
  undo: (facts) =>
    rollOut(facts) ??
    noPodAbove(facts, 'old') ??
    nextStep(facts, facts.change.undo.triggers(facts.active.id, facts.columns)) ??
    leaveBack('DualWrite'),
};
