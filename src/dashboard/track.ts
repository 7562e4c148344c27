/** The six phases as steps of a track. Pure. */
import { phases, type Phase, type StatusPhase } from '../api/phase.ts';
import type { HistoryStatus } from '../api/schema-change.ts';

/** Where a phase stands: `undoing` and `undone` are of the way back, `stopped` of a change that was given up. */
export type StepState = 'todo' | 'current' | 'done' | 'undoing' | 'undone' | 'stopped';

export interface Step {
  readonly phase: Phase;
  readonly state: StepState;
}

/** On the way back the phase entered last is the one being undone; those after it are. */
const stateOf = (at: number, present: number, phase: StatusPhase): StepState => {
  if (phase === 'Completed') return 'done';
  if (phase === 'RolledBack') return 'undone';
  const back = phase === 'RollingBack';
  if (at === present) return back ? 'undoing' : phase === 'Failed' ? 'stopped' : 'current';
  return at > present && back ? 'undone' : at < present ? 'done' : 'todo';
};

/** All six, in their order. */
export const trackOf = (phase: StatusPhase, history: readonly HistoryStatus[]): readonly Step[] => {
  const entered = new Set(history.map((entry) => entry.phase));
  const last = history.at(-1)?.phase;
  const present = phases.findIndex((name) => name === (entered.has(phase as Phase) ? phase : last));
  return phases.map((name, at) => ({
    phase: name,
    state: entered.has(name) ? stateOf(at, present, phase) : name === phase ? 'current' : 'todo',
  }));
};
