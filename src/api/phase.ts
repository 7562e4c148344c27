/** The phases of a change, in the order in which each is entered. */
export const phases = ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'] as const;

/** One of the six phases in which work is done. */
export type Phase = (typeof phases)[number];

/** What `status.phase` may say: the six, and the states before, after and beside them. */
export type StatusPhase = 'Pending' | Phase | 'Completed' | 'RollingBack' | 'RolledBack' | 'Failed';

/** The condition that is True once a phase is done, and False again on the way back. */
export const doneCondition: Readonly<Record<Phase, string>> = {
  AddColumn: 'ColumnsAdded',
  DualWrite: 'DualWriting',
  Backfill: 'Backfilled',
  SwitchReads: 'ReadsSwitched',
  Quarantine: 'Quarantined',
  Drop: 'Dropped',
};

/** True if `a` comes before `b`. */
export const isBefore = (a: Phase, b: Phase): boolean => phases.indexOf(a) < phases.indexOf(b);

/** The phase entered after `phase`, or undefined after Drop. */
export const phaseAfter = (phase: Phase): Phase | undefined => phases[phases.indexOf(phase) + 1];

/** The phase walked back to from `phase`, or undefined before AddColumn. */
export const phaseBefore = (phase: Phase): Phase | undefined => phases[phases.indexOf(phase) - 1];

/** What a pod's code can do with the columns of a change, from least to most. */
export const codes = ['old', 'writes-both', 'reads-new', 'new-only'] as const;

/** The value of a pod's `change.segue.dev/<name>` label; a pod without it is `old`. */
export type Code = (typeof codes)[number];

/** True if `code` can do less than `than`: such a pod still needs what `than` does without. */
export const isBelow = (code: Code, than: Code): boolean => codes.indexOf(code) < codes.indexOf(than);

/** The code a release carries where the resource does not say. */
export const defaultCode: Readonly<Partial<Record<Phase, Code>>> = {
  DualWrite: 'writes-both',
  SwitchReads: 'reads-new',
  Quarantine: 'new-only',
};
