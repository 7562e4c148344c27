import type { LedgerFacts, TableFacts } from '../api/facts.ts';
import type { Change } from '../changes/change.ts';
import { wait, type Decision } from './decision.ts';
import { fill, isVerified } from './backfill.ts';
import type { ActiveFacts } from './facts.ts';
import { awaitingApproval, leave, leaveBack, nextStep, noPodBelow, rollOut } from './gates.ts';
import type { PhaseLogic } from './phase.ts';
import { quarantine, isQuarantineOver } from './quarantine.ts';

/** What is dropped must be what was meant when the change began. */
const sameObjects = (facts: ActiveFacts): Decision | undefined => {
  const changed = facts.change.oldColumns.filter((column) => {
    const now = facts.columns.columns[column];
    return now !== undefined && now.attnum !== facts.active.attnums[column];
  });
  if (facts.columns.oid === facts.active.tableOid && changed.length === 0) return undefined;
  return wait(
    'TableChanged',
    `${facts.columns.schema}.${facts.columns.name} is not the table that this change began with (it was made again under its name, or its columns were). Nothing is dropped. Set spec.rollback, or delete the resource and look into it by hand.`,
    60_000,
  );
};

const unverified = (facts: ActiveFacts): Decision | undefined =>
  isVerified(facts)
    ? undefined
    : wait(
        'VerificationFailed',
        'No verification vouches for the new columns. Nothing is dropped. Set spec.rollback to walk back.',
        60_000,
      );

const deadLetters = (facts: ActiveFacts): Decision | undefined =>
  facts.active.backfill.badRows === 0
    ? undefined
    : wait(
        'BadRows',
        `${facts.active.backfill.badRows} rows were set aside as not convertible; their old values would be lost. Correct them (table segue.dead_letter has their keys) and set the retry annotation. Nothing is dropped before.`,
        60_000,
      );

const stillInQuarantine = (facts: ActiveFacts): Decision | undefined =>
  facts.change.skips.Quarantine !== undefined || isQuarantineOver(facts) ? undefined : quarantine.next(facts);

/** What was made to hang on the old columns since the change began would go with them unasked. */
const newDependents = (facts: ActiveFacts): Decision | undefined => {
  const [found] = facts.change.dependents(facts.columns);
  return found && wait(found.reason, `${found.message} Nothing is dropped before.`, 15_000);
};

/** Without a quarantine nothing old goes away: what goes is the trigger, which code that writes both needs no more. */
const lowest = (facts: ActiveFacts): 'reads-new' | 'new-only' =>
  facts.change.skips.Quarantine === undefined ? 'new-only' : 'reads-new';

const remove = (facts: ActiveFacts): Decision | undefined =>
  nextStep(facts, facts.change.contract(facts.active.id, facts.columns));

/** True once the catalog shows all of Drop's own work, or there is none. */
export const isContracted = (change: Change, ledger: LedgerFacts, columns: TableFacts): boolean =>
  ledger.phase === 'Drop' && change.contract(ledger.id, columns).every((step) => step.done(columns));

/** True once there is nothing to walk back to: what older code needs is gone. */
export const isDropped = ({ change, active, columns }: ActiveFacts): boolean =>
  change.contract(active.id, columns).length > 0 && isContracted(change, active, columns);

/** Triggers and old columns go, in one transaction. All that allows it is asked once more. */
export const drop: PhaseLogic = {
  name: 'Drop',
  next: (facts) => {
    if (isContracted(facts.change, facts.active, facts.columns))
      return rollOut(facts) ?? leave(facts, 'Drop');
    return (
      sameObjects(facts) ??
      fill(facts) ??
      unverified(facts) ??
      deadLetters(facts) ??
      newDependents(facts) ??
      noPodBelow(facts, lowest(facts)) ??
      stillInQuarantine(facts) ??
      awaitingApproval(facts, 'Drop') ??
      remove(facts) ??
      leave(facts, 'Drop')
    );
  },
  undo: () => leaveBack('Drop'),
};
