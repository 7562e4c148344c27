import { fill } from './backfill.ts';
import { leave, leaveBack, noPodAbove, noPodBelow, rollOut } from './gates.ts';
import type { PhaseLogic } from './phase.ts';
import { triggersKept } from './tampered.ts';
import { verify } from './verify.ts';

/** The application begins to read the new columns. Left when no pod is below `reads-new`. */
export const switchReads: PhaseLogic = {
  name: 'SwitchReads',
  next: (facts) =>
    triggersKept(facts, 'narrow') ??
    fill(facts) ??
    verify(facts) ??
    rollOut(facts) ??
    noPodBelow(facts, 'reads-new') ??
    leave(facts, 'SwitchReads'),
  undo: (facts) =>
    triggersKept(facts, 'narrow') ??
    verify(facts) ??
    rollOut(facts) ??
    noPodAbove(facts, 'writes-both') ??
    leaveBack('SwitchReads'),
};
