/**
 * Conditions of the resource, as kstatus reads them (cli-utils, pkg/kstatus): Stalled is a failure, Reconciling
 * is in progress, neither is current. Hence Reconciling ends as soon as Ready is True, though later phases go
 * on: a quarantine of days must not hold up a sync wave.
 */
import { formatTime } from '../api/duration.ts';
import { doneCondition, isBefore, isBelow, phases, type Phase } from '../api/phase.ts';
import { isStalled, type Reason } from '../api/reasons.ts';
import type { Condition, SchemaChangeSpec } from '../api/schema-change.ts';
import type { LedgerFacts } from '../api/facts.ts';
import { defaultCode } from '../api/phase.ts';
import { stopsAtOnce } from '../phases/code-ahead.ts';

/** What the conditions are made of. */
export interface Standing {
  readonly generation: number;
  readonly now: number;
  readonly spec: SchemaChangeSpec;
  readonly ledger: LedgerFacts | undefined;
  /** True if the change has rows to fill: only then is there a share of them to tell. */
  readonly fills: boolean;
  /** That code runs ahead of its schema, in words; undefined if none does. */
  readonly ahead: string | undefined;
  readonly reason: Reason;
  readonly message: string;
}

type Stated = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Phase that must be done for Ready: Backfill where new code in Git needs what it brings, else DualWrite. */
export const readyPhase = (spec: SchemaChangeSpec): Phase => {
  const readsNew = spec.workloads.some(
    ({ mode, releases }) =>
      mode === 'Observe' &&
      releases.some(({ phase, code }) => isBelow('writes-both', code ?? defaultCode[phase] ?? 'old')),
  );
  const { addConstraint, createIndex, dropColumn } = spec.change;
  // These have nothing to show before Backfill is done.
  const late = addConstraint !== undefined || createIndex !== undefined || dropColumn !== undefined;
  const wanted = spec.readyAt ?? (readsNew || late ? 'Backfill' : 'DualWrite');
  return isBefore(spec.targetPhase, wanted) ? spec.targetPhase : wanted;
};

// Reasons with which a phase that is done waits at its door.
const atTheDoor: readonly Reason[] = ['TargetPhaseReached', 'AwaitingApproval'];

/** True once a phase's own work is done, on the way forward. */
const isDone = ({ ledger, reason }: Standing, phase: Phase): boolean => {
  if (ledger === undefined || ledger.direction === 'back' || ledger.state === 'Abandoned') return false;
  if (ledger.state === 'Completed') return true;
  const held = reason === 'CodeAhead' && !stopsAtOnce(ledger);
  return isBefore(phase, ledger.phase) || (ledger.phase === phase && (held || atTheDoor.includes(reason)));
};

const phaseConditions = (standing: Standing): readonly Stated[] =>
  phases.map((phase) => {
    const is = isDone(standing, phase);
    return {
      type: doneCondition[phase],
      status: is ? 'True' : 'False',
      reason: is ? 'Done' : 'NotYet',
      message: is ? `${phase} is done.` : `${phase} is not done.`,
    };
  });

/** True is for a comparison of every row alone. */
const verified = ({ ledger }: Standing): Stated => {
  const result = ledger?.verification;
  if (result === undefined)
    return { type: 'Verified', status: 'Unknown', reason: 'NotYet', message: 'No verification has ended.' };
  if (result.share === 0)
    return {
      type: 'Verified',
      status: 'False',
      reason: 'NotVerified',
      message: 'Warning: no row was compared, because verify.mode is None.',
    };
  if (result.share < 100 && result.mismatches === 0)
    return {
      type: 'Verified',
      status: 'Unknown',
      reason: 'SampleAgrees',
      message: `Warning: ${result.rowsCompared} rows of ${result.share} % of the pages agree; the others were not compared, because verify.mode is Sample.`,
    };
  const agree = result.mismatches === 0;
  return {
    type: 'Verified',
    status: agree ? 'True' : 'False',
    reason: agree ? 'AllRowsAgree' : 'VerificationFailed',
    message: `${result.mismatches} of ${result.rowsCompared} rows differ.`,
  };
};

const summary = (standing: Standing): readonly Stated[] => {
  const { reason, message, spec, ledger } = standing;
  const ready = isDone(standing, readyPhase(spec)) || ledger?.state === 'Completed';
  const ended = ledger !== undefined && ledger.state !== 'Active';
  const stalled = isStalled(reason);
  const is = (yes: boolean): 'True' | 'False' => (yes ? 'True' : 'False');
  return [
    { type: 'Ready', status: is(ready), reason, message },
    { type: 'Reconciling', status: is(!ready && !stalled && !ended), reason, message },
    { type: 'Stalled', status: is(stalled), reason, message },
    { type: 'AwaitingApproval', status: is(reason === 'AwaitingApproval'), reason, message },
    { type: 'Suspended', status: is(reason === 'Suspended'), reason, message },
  ];
};

const codeAheadCondition = ({ ahead }: Standing): Stated => ({
  type: 'CodeAhead',
  status: ahead === undefined ? 'False' : 'True',
  reason: ahead === undefined ? 'NoneAhead' : 'CodeAhead',
  message: ahead ?? 'No code is known to run ahead of its schema.',
});

/** All conditions; a transition time moves only when the status of its condition does. */
export const conditionsOf = (standing: Standing, previous: readonly Condition[] = []): readonly Condition[] =>
  [...summary(standing), ...phaseConditions(standing), verified(standing), codeAheadCondition(standing)].map(
    (stated) => {
      const before = previous.find(({ type }) => type === stated.type);
      const kept = before?.status === stated.status ? before.lastTransitionTime : undefined;
      return {
        ...stated,
        observedGeneration: standing.generation,
        lastTransitionTime: kept ?? formatTime(standing.now),
      };
    },
  );

/** How far a change has come, for the printed table. */
export const progressOf = ({ ledger, fills }: Standing): string => {
  if (ledger === undefined) return '0/6';
  if (ledger.state === 'Completed') return '6/6';
  const place = `${phases.indexOf(ledger.phase) + 1}/6`;
  const { pagesDone, pagesTotal, done: filled } = ledger.backfill;
  if (!fills || ledger.phase !== 'Backfill' || ledger.direction === 'back' || pagesTotal === 0) return place;
  return `${place} ${filled ? 100 : Math.floor((100 * pagesDone) / pagesTotal)}%`;
};
