/**
 * The phase machine: from facts to one decision. Pure, so that everything it may ever do can be tested without
 * a cluster. Guards first, in the order in which they outrank each other; then the phase has the word.
 */
import type { LedgerFacts } from '../api/facts.ts';
import { sameJson } from '../api/json.ts';
import { isBefore, type Phase } from '../api/phase.ts';
import { asNamed } from '../changes/hide.ts';
import { addColumn } from './add-column.ts';
import { backfill } from './backfill.ts';
import { codeAhead, stopsAtOnce } from './code-ahead.ts';
import { act, wait, type Decision } from './decision.ts';
import { deleting } from './deleting.ts';
import { drop, isDropped } from './drop.ts';
import { dualWrite } from './dual-write.ts';
import type { ActiveFacts, Facts } from './facts.ts';
import { leave, leaveBack, rollOut, unknownFact } from './gates.ts';
import { pending } from './pending.ts';
import type { PhaseLogic } from './phase.ts';
import { showAtOnce } from './rehearsal.ts';
import { returnTraffic } from './suspended.ts';
import { newUse, quarantine } from './quarantine.ts';
import { switchReads } from './switch-reads.ts';
import { columnsChanged } from './tampered.ts';
import { compareAgain, repair } from './verify.ts';
import { approvalInstead } from './vouched.ts';

const logic: Readonly<Record<Phase, PhaseLogic>> = {
  AddColumn: addColumn,
  DualWrite: dualWrite,
  Backfill: backfill,
  SwitchReads: switchReads,
  Quarantine: quarantine,
  Drop: drop,
};

/** What the ledger's entry means for a resource that did not make it: the same change, or somebody else's. */
const foreign = (facts: Facts, ledger: LedgerFacts): Decision | undefined => {
  const same = sameJson(ledger.change, facts.resource.spec.change);
  if (ledger.state === 'Completed' && same)
    return ledger.uid === facts.resource.uid
      ? undefined
      : {
          kind: 'finished',
          reason: 'Completed',
          message: 'The ledger shows that this very change was completed before.',
        };
  if (ledger.uid === facts.resource.uid) return undefined;
  if (ledger.state !== 'Active') return pending(facts);
  if (same)
    return facts.resource.protected
      ? act(
          { kind: 'adopt' },
          `Taking over the same change, begun by an earlier resource of this name, in ${ledger.phase}.`,
        )
      : act({ kind: 'protect' }, 'The same change is under way from an earlier resource of this name.');
  return wait(
    'ForeignLedger',
    `Another change of this name is still in ${ledger.phase} in the database, begun by a resource that no longer exists. Apply that resource's spec.change again to finish it or to walk it back, or choose another name.`,
    60_000,
  );
};

const ended = (facts: Facts, ledger: LedgerFacts): Decision | undefined => {
  if (ledger.state === 'Active') return undefined;
  if (facts.resource.protected) return act({ kind: 'release' }, endMessage(facts, ledger), endReason(ledger));
  return { kind: 'finished', reason: endReason(ledger), message: endMessage(facts, ledger) };
};

const endReason = (ledger: LedgerFacts): 'Completed' | 'RolledBack' | 'CleanupAbandoned' =>
  ledger.state === 'Completed'
    ? 'Completed'
    : ledger.state === 'RolledBack'
      ? 'RolledBack'
      : 'CleanupAbandoned';

const endMessage = (facts: Facts, ledger: LedgerFacts): string => {
  if (ledger.state === 'Completed') return `${facts.change.achieved} Nothing of Segue is left on the table.`;
  if (ledger.state === 'RolledBack')
    return 'Walked back to before AddColumn. Delete the resource and apply it again to start over.';
  return 'The change was given up half-way; columns are left with their data.';
};

/** With `onUse: Hold` another try means that the user has been seen to: first the clock is set back for it. */
const heldUse = (facts: ActiveFacts): Decision | undefined => {
  const use = newUse(facts);
  if (use === undefined || facts.resource.spec.quarantine.onUse !== 'Hold') return undefined;
  if (facts.active.direction === 'back') return undefined;
  return act(
    { kind: 'restartQuarantine', use },
    'The quarantine starts anew, as the retry annotation asks.',
    'ColumnInUse',
  );
};

/** A person's word by annotation, not yet acted upon. */
const command = (facts: ActiveFacts): Decision | undefined => {
  const { retry, approval, spec } = facts.resource;
  if (retry !== '' && retry !== facts.active.handledRetry)
    return (
      heldUse(facts) ?? act({ kind: 'retry', value: retry }, 'Trying again, as the retry annotation asks.')
    );
  const repairing = repair(facts);
  if (repairing) return repairing;
  const comparing = compareAgain(facts);
  if (comparing) return comparing;
  if (
    approval === undefined ||
    (!spec.approvals.includes(approval.phase) && approvalInstead(facts, approval.phase) === undefined)
  )
    return undefined;
  if (facts.active.approvals.some(({ phase }) => phase === approval.phase)) return undefined;
  return act({ kind: 'approve', ...approval }, `${approval.phase} was approved.`);
};

/** A phase without work of its own: its releases are rolled out, then it is left. */
const skip = (facts: ActiveFacts, why: string): Decision => {
  const { phase, direction } = facts.active;
  return rollOut(facts) ?? (direction === 'back' ? leaveBack(phase) : leave(facts, phase, why));
};

/**
 * spec.rollback was taken back after the walk-back had begun. It goes on all the same: what later phases rest on,
 * such as rows that are known to agree, may be gone already, and half of a way back is no state to begin from.
 */
const withdrawn = ({ active: { direction }, resource: { spec, namespace, name } }: ActiveFacts): string =>
  direction === 'back' && !spec.rollback
    ? ` spec.rollback is false again, but a walk-back that has begun goes to its end; kubectl delete schange ${name} -n ${namespace} and apply it again then, to start over.`
    : '';

/**
 * With a target before the phase that it is in, a change does nothing further in it. A roll-out that was begun comes
 * to its end, since half of one is worse than none or all, and uses of the old columns are looked for as before.
 */
const atLoweredTarget = (facts: ActiveFacts, next: Decision): Decision => {
  const { active: ledger, resource } = facts;
  const { targetPhase } = resource.spec;
  if (next.kind !== 'act' || ledger.direction === 'back') return next;
  if (!isBefore(targetPhase, ledger.phase) || isDropped(facts)) return next;
  if (next.action.kind === 'rollout' || next.action.kind === 'look') return next;
  return (
    showAtOnce(facts, `spec.targetPhase is ${targetPhase}`) ??
    wait(
      'TargetPhaseLowered',
      `spec.targetPhase was lowered to ${targetPhase}, and the change is in ${ledger.phase} already: it stands still there, and nothing is taken back. Raise spec.targetPhase to go on, or set spec.rollback: true to walk back.`,
      60_000,
    )
  );
};

const active = (facts: ActiveFacts): Decision => {
  const decision = underWay(facts);
  return { ...decision, message: `${decision.message}${withdrawn(facts)}` };
};

const underWay = (facts: ActiveFacts): Decision => {
  const { active: ledger, resource } = facts;
  const commanded = command(facts);
  if (commanded) return commanded;
  if (resource.spec.suspend)
    return (
      showAtOnce(facts, 'spec.suspend is true') ??
      returnTraffic(facts) ??
      wait(
        'Suspended',
        `spec.suspend is true: ${ledger.phase} stands still. Set it to false to go on.`,
        60_000,
      )
    );
  if (resource.spec.rollback && ledger.direction === 'forward' && !isDropped(facts)) {
    const why = facts.change.noWayBack?.(ledger.id, facts.columns);
    if (why !== undefined)
      return wait('NoWayBack', `spec.rollback is true, but the change can't be walked back: ${why}`, 60_000);
    return act(
      { kind: 'turnBack' },
      `spec.rollback is true: walking back from ${ledger.phase}.`,
      'RollingBack',
    );
  }
  const changed = isDropped(facts) ? undefined : columnsChanged(facts);
  if (changed) return changed;
  const decision = atLoweredTarget(facts, inPhase(facts));
  return heldAtOnce(facts, decision) ?? decision;
};

const inPhase = (facts: ActiveFacts): Decision => {
  const { phase, direction } = facts.active;
  const skipped = facts.change.skips[phase];
  if (skipped !== undefined) return skip(facts, skipped);
  return direction === 'back' ? logic[phase].undo(facts) : logic[phase].next(facts);
};

/** Stops a phase while code runs ahead; but for what rolls code, which may be what settles it. */
const heldAtOnce = (facts: ActiveFacts, decision: Decision): Decision | undefined => {
  const { active: ledger, workloads } = facts;
  if (!workloads.known || !stopsAtOnce(ledger)) return undefined;
  const ahead = codeAhead(ledger, workloads.value, decision);
  if (ahead === undefined) return undefined;
  const rolling = rollOut(facts);
  return rolling?.kind === 'act' ? rolling : wait('CodeAhead', ahead, 2_000);
};

/** What to do next, and why. */
export const decide = (facts: Facts): Decision => {
  if (facts.resource.deletingSince !== undefined) return deleting(facts);
  if (!facts.ledger.known) return unknownFact(facts.ledger);
  const ledger = facts.ledger.value;
  if (ledger === undefined) return pending(facts);
  const settled = foreign(facts, ledger) ?? ended(facts, ledger);
  if (settled) return settled;
  if (!facts.table.known) return unknownFact(facts.table);
  const columns = facts.table.value;
  if (columns === undefined || columns.oid !== ledger.tableOid)
    return wait(
      'TableChanged',
      `${facts.change.table.schema}.${facts.change.table.name} is not the table that this change began with: it was dropped, renamed or made again. Bring it back, or delete the resource.`,
      15_000,
    );
  return active({ ...facts, active: ledger, columns: asNamed(columns, ledger.id, ledger.attnums) });
};
