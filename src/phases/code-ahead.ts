/** Code that claims more of the schema than it can give yet; see "Which code may run when" in docs/phases.md. */
import type { LedgerFacts, WorkloadFacts } from '../api/facts.ts';
import { isBefore, isBelow, phaseBefore, phases, type Code, type Phase } from '../api/phase.ts';
import { wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { runningCode } from './running-code.ts';

// What may run once a phase is done.
const onceDone: Readonly<Record<Phase, Code>> = {
  AddColumn: 'writes-both',
  DualWrite: 'writes-both',
  Backfill: 'new-only',
  SwitchReads: 'new-only',
  Quarantine: 'new-only',
  Drop: 'new-only',
};

/** What may run while a phase is at work, in either direction: what the one before it brought, which is still there. */
const meanwhile = (phase: Phase): Code => {
  const before = phaseBefore(phase);
  return before === undefined ? 'old' : onceDone[before];
};

/** The most that may run in a phase, before and after its own work is done. */
const most = (phase: Phase, isDone: boolean): Code => (isDone ? onceDone[phase] : meanwhile(phase));

/**
 * The most that may be started. On the way back that is less than may still run: what the walk would have to wait
 * for until it is gone again.
 */
export const mostToStart = (
  { phase, direction }: Pick<LedgerFacts, 'phase' | 'direction'>,
  isDone: boolean,
): Code => {
  if (direction === 'forward') return most(phase, isDone);
  return isBefore('DualWrite', phase) ? 'writes-both' : 'old';
};

/** The phase that has to be done before code may run; undefined for code that always may. */
export const servedBy = (code: Code): Phase | undefined =>
  code === 'old' ? undefined : phases.find((phase) => !isBelow(onceDone[phase], code));

/**
 * True where a phase stops its work at once. Backfill would overwrite what such code has written to the new side,
 * and on the way back a phase takes away what it needs. AddColumn and DualWrite go on to their end and hold there,
 * for what they bring is what such code lacks.
 */
export const stopsAtOnce = ({ phase, direction }: Pick<LedgerFacts, 'phase' | 'direction'>): boolean =>
  direction === 'back' || phase === 'Backfill';

/** True where a phase's own work is over, and it waits at its door or goes through it. */
const isAtDoor = (ledger: Pick<LedgerFacts, 'phase' | 'direction'>, decision: Decision): boolean => {
  if (ledger.direction === 'back') return false;
  if (decision.kind === 'act') return decision.action.kind === 'enter' || decision.action.kind === 'finish';
  const { reason } = decision;
  return (
    reason === 'TargetPhaseReached' ||
    reason === 'AwaitingApproval' ||
    (reason === 'CodeAhead' && !stopsAtOnce(ledger))
  );
};

const comesAgain: Readonly<Record<Code, string>> = {
  old: ' Code that writes both sides may come once condition ColumnsAdded is True, code that reads new columns once Backfilled is.',
  'writes-both': ' Code that reads new columns may come once condition Backfilled is True.',
  'reads-new': '',
  'new-only': '',
};

const above = (
  workloads: readonly WorkloadFacts[],
  limit: Code,
  { phase, direction }: Pick<LedgerFacts, 'phase' | 'direction'>,
): string | undefined => {
  // A template that can't be told follows one that was judged before: no cause for alarm.
  const found = runningCode(workloads, { code: (present) => isBelow(limit, present), unknown: false });
  if (found === undefined) return undefined;
  const where = direction === 'back' ? `walking back through ${phase}` : `in ${phase}`;
  const when = direction === 'back' ? '' : comesAgain[limit];
  return `Code runs ahead of its schema: ${found}; ${where}, at most ${limit} may run. Roll that code back; no further phase begins before.${when}`;
};

/** That code runs ahead, in words, whatever is decided meanwhile; undefined if none does. */
export const codeAhead = (
  ledger: Pick<LedgerFacts, 'phase' | 'direction'>,
  workloads: readonly WorkloadFacts[],
  decision: Decision,
): string | undefined => {
  return above(workloads, most(ledger.phase, isAtDoor(ledger, decision)), ledger);
};

/** Holds at a phase's door: what is there does not serve this code, so the next phase is not entered. */
export const aheadAtDoor = ({ active, workloads }: ActiveFacts, phase: Phase): Decision | undefined => {
  const found = workloads.known ? above(workloads.value, onceDone[phase], active) : undefined;
  return found === undefined ? undefined : wait('CodeAhead', found, 5_000);
};
