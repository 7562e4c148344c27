import { leave, leaveBack, nextStep, noPodAbove } from './gates.ts';
import type { PhaseLogic } from './phase.ts';

/** New columns appear, nullable, without a rewrite. Left when the catalog shows them. */
export const addColumn: PhaseLogic = {
  name: 'AddColumn',
  next: (facts) =>
    nextStep(facts, facts.change.expand(facts.active.id, facts.columns)) ?? leave(facts, 'AddColumn'),
  undo: (facts) =>
    noPodAbove(facts, 'old') ??
    nextStep(facts, facts.change.undo.expand(facts.active.id, facts.columns)) ??
    leaveBack('AddColumn'),
};
