/** Where a change stands, made of the resource for people and programs. Pure. */
import { doneCondition, phases, type Phase, type StatusPhase } from '../api/phase.ts';
import type {
  BackfillStatus,
  BlockedBy,
  HistoryStatus,
  QuarantineStatus,
  RolloutStatus,
  SchemaChange,
  VerificationStatus,
} from '../api/schema-change.ts';
import { between } from './elapsed.ts';

/** `undone`: entered and taken back. `stopped`: it was at work in it when it was given up. */
export type PhaseState = 'done' | 'now' | 'to come' | 'undone' | 'stopped';

export interface PhaseStanding {
  readonly phase: Phase;
  readonly state: PhaseState;
  readonly startedAt?: string;
  readonly completedAt?: string;
  /** How long it took, or has taken so far. */
  readonly seconds?: number;
  /** What it left out, or what has to come before it begins. */
  readonly note?: string;
}

export interface Standing {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: string;
  /** Member of `spec.change`. */
  readonly change: string;
  readonly table: string | undefined;
  readonly phase: StatusPhase;
  readonly progress: string | undefined;
  readonly ready: boolean;
  /** It can't go on until a person mends something. */
  readonly stalled: boolean;
  readonly suspended: boolean;
  readonly deleting: boolean;
  /** False while the report is about an earlier spec, or there is none. */
  readonly current: boolean;
  readonly reason: string | undefined;
  readonly message: string;
  readonly blockedBy: BlockedBy | undefined;
  readonly codeAhead: string | undefined;
  readonly phases: readonly PhaseStanding[];
  readonly workloads: readonly RolloutStatus[];
  readonly backfill: BackfillStatus | undefined;
  readonly verification: VerificationStatus | undefined;
  readonly quarantine: QuarantineStatus | undefined;
}

const ends: readonly StatusPhase[] = ['Completed', 'RolledBack', 'Failed'];

/** True once nothing further happens to it. */
export const isEnded = ({ status }: SchemaChange): boolean => ends.includes(status?.phase ?? 'Pending');

/** A condition of the resource that is True. */
export const trueCondition = ({ status }: SchemaChange, type: string) =>
  status?.conditions?.find((condition) => condition.type === type && condition.status === 'True');

/** The reason that its summary gives. */
export const reasonOf = ({ status }: SchemaChange): string | undefined =>
  status?.conditions?.find(({ type }) => type === 'Ready')?.reason;

/** The phase that waits for a person's word; undefined if none does. */
export const awaitedPhase = (change: SchemaChange): Phase | undefined => {
  if (trueCondition(change, 'AwaitingApproval') === undefined) return undefined;
  const phase = change.status?.phase;
  if (phase === undefined || phase === 'Pending') return 'AddColumn';
  const at = phases.findIndex((candidate) => candidate === phase);
  // Drop asks for its own once more, at its very end.
  return at < 0 ? undefined : (phases[at + 1] ?? 'Drop');
};

/** In one of the six, on the way forward. */
const stateForward = (change: SchemaChange, phase: Phase, now: number): PhaseState => {
  const at = phases.indexOf(phase);
  if (at !== now) return at < now ? 'done' : 'to come';
  return trueCondition(change, doneCondition[phase]) === undefined ? 'now' : 'done';
};

const stateOf = (change: SchemaChange, phase: Phase, history: readonly HistoryStatus[]): PhaseState => {
  const now = change.status?.phase ?? 'Pending';
  if (now === 'Completed') return 'done';
  const forward = phases.findIndex((candidate) => candidate === now);
  if (forward >= 0) return stateForward(change, phase, forward);
  if (!history.some((entry) => entry.phase === phase)) return 'to come';
  // Not on the way forward: the latest entry says how far it has come.
  const last = phases.findIndex((candidate) => candidate === history.at(-1)?.phase);
  const behind = phases.indexOf(phase) - last;
  if (now === 'RollingBack') return behind > 0 ? 'undone' : behind === 0 ? 'now' : 'done';
  if (now === 'RolledBack') return 'undone';
  return behind === 0 ? 'stopped' : 'done';
};

const noteOf = (change: SchemaChange, phase: Phase, state: PhaseState): string | undefined => {
  const { spec, status } = change;
  if (state !== 'to come' || isEnded(change) || status?.phase === 'RollingBack') return undefined;
  if (phases.indexOf(phase) > phases.indexOf(spec.targetPhase))
    return `beyond targetPhase ${spec.targetPhase}`;
  if (awaitedPhase(change) === phase) return 'waits for approval';
  const approval = status?.approvals?.find((given) => given.phase === phase);
  if (approval !== undefined) return `approved by ${approval.by ?? 'unknown'}`;
  return spec.approvals.includes(phase) ? 'needs approval' : undefined;
};

const phaseStanding = (change: SchemaChange, phase: Phase, now: number): PhaseStanding => {
  const history = change.status?.history ?? [];
  const state = stateOf(change, phase, history);
  // On the way back each phase has an entry more: the last one is what is going on.
  const entry = history.findLast((candidate) => candidate.phase === phase);
  const note = noteOf(change, phase, state) ?? history.find((one) => one.phase === phase)?.skipped;
  if (entry === undefined) return { phase, state, ...(note === undefined ? {} : { note }) };
  const { startedAt, completedAt } = entry;
  return {
    phase,
    state,
    startedAt,
    ...(completedAt === undefined ? {} : { completedAt }),
    seconds: Math.max(0, Math.round(between(startedAt, completedAt ?? now) / 1_000)),
    ...(note === undefined ? {} : { note }),
  };
};

const unseen =
  'Segue has not looked at it yet. If that stays so, the operator is not running or does not watch this namespace.';

/** Where it stands at `now`, in ms since the epoch. */
export const standingOf = (change: SchemaChange, now: number): Standing => {
  const { metadata, spec, status } = change;
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    createdAt: metadata.creationTimestamp,
    change: Object.keys(spec.change)[0] ?? 'nothing',
    table: status?.table,
    phase: status?.phase ?? 'Pending',
    progress: status?.progress,
    ready: trueCondition(change, 'Ready') !== undefined,
    stalled: trueCondition(change, 'Stalled') !== undefined,
    suspended: spec.suspend,
    deleting: metadata.deletionTimestamp !== undefined,
    current: status?.observedGeneration === metadata.generation,
    reason: reasonOf(change),
    message: status?.message ?? unseen,
    blockedBy: status?.blockedBy,
    codeAhead: trueCondition(change, 'CodeAhead')?.message,
    phases: phases.map((phase) => phaseStanding(change, phase, now)),
    workloads: status?.rollouts ?? [],
    backfill: status?.backfill,
    verification: status?.verification,
    quarantine: status?.quarantine,
  };
};

/** True where a person should look: `status` ends with 1 then. */
export const isInTrouble = ({ stalled, phase }: Standing): boolean => stalled || phase === 'Failed';
