/**
 * The phase machine: from facts to one decision. Pure, so that everything it may ever do can be tested without
 * a cluster. Guards first, in the order in which they outrank each other; then the phase has the word.
 */
import type { LedgerFacts } from '../api/facts.ts';
import type { Phase } from '../api/phase.ts';
import { addColumn } from './add-column.ts';
import { backfill } from './backfill.ts';
import { act, wait, type Decision } from './decision.ts';
import { deleting } from './deleting.ts';
import { drop, isDropped } from './drop.ts';
import { dualWrite } from './dual-write.ts';
import type { ActiveFacts, Facts } from './facts.ts';
import { leave, leaveBack, rollOut, unknownFact } from './gates.ts';
import { pending } from './pending.ts';
import type { PhaseLogic } from './phase.ts';
import { quarantine } from './quarantine.ts';
import { switchReads } from './switch-reads.ts';

const logic: Readonly<Record<Phase, PhaseLogic>> = {
  AddColumn: addColumn,
  DualWrite: dualWrite,
  Backfill: backfill,
  SwitchReads: switchReads,
  Quarantine: quarantine,
  Drop: drop,
};

/** Equality of JSON values, whatever the order of their members: jsonb does not keep it. */
export const sameJson = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(right).length &&
    keys.every((key) => key in right && sameJson(left[key], right[key]))
  );
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

/** A person's word by annotation, not yet acted upon. */
const command = (facts: ActiveFacts): Decision | undefined => {
  const { retry, approval, spec } = facts.resource;
  if (retry !== '' && retry !== facts.active.handledRetry)
    return act({ kind: 'retry', value: retry }, 'Trying again, as the retry annotation asks.');
  if (approval === undefined || !spec.approvals.includes(approval.phase)) return undefined;
  if (facts.active.approvals.some(({ phase }) => phase === approval.phase)) return undefined;
  return act({ kind: 'approve', ...approval }, `${approval.phase} was approved.`);
};

/** A phase without work of its own: its releases are rolled out, then it is left. */
const skip = (facts: ActiveFacts, why: string): Decision => {
  const { phase, direction } = facts.active;
  return rollOut(facts) ?? (direction === 'back' ? leaveBack(phase) : leave(facts, phase, why));
};

const active = (facts: ActiveFacts): Decision => {
  const { active: ledger, resource } = facts;
  const commanded = command(facts);
  if (commanded) return commanded;
  if (resource.spec.suspend)
    return wait(
      'Suspended',
      `spec.suspend is true: ${ledger.phase} stands still. Set it to false to go on.`,
      60_000,
    );
  if (resource.spec.rollback && ledger.direction === 'forward' && !isDropped(facts))
    return act(
      { kind: 'turnBack' },
      `spec.rollback is true: walking back from ${ledger.phase}.`,
      'RollingBack',
    );
  const skipped = facts.change.skips[ledger.phase];
  if (skipped !== undefined) return skip(facts, skipped);
  const phase = logic[ledger.phase];
  return ledger.direction === 'back' ? phase.undo(facts) : phase.next(facts);
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
  return active({ ...facts, active: ledger, columns });
};
