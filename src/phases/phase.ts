/** What one phase contributes: what to do next in it, and how to walk back out of it. Pure, no clock. */
import type { Phase } from '../api/phase.ts';
import type { Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';

/** One phase of the machine. Both functions are asked again after every effect, until they leave the phase. */
export interface PhaseLogic {
  readonly name: Phase;
  readonly next: (facts: ActiveFacts) => Decision;
  readonly undo: (facts: ActiveFacts) => Decision;
}
