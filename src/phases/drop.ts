import type { LedgerFacts, TableFacts } from '../api/facts.ts';
import {
  archiveName,
  archiveViolations,
  beginArchive,
  discardArchive,
  dropArchived,
} from '../changes/archive.ts';
import type { Change, Step } from '../changes/change.ts';
import { leastInDrop } from './code-behind.ts';
import { act, wait, type Decision } from './decision.ts';
import { fill, retryBadRows } from './backfill.ts';
import type { ActiveFacts } from './facts.ts';
import { awaitingApproval, leave, leaveBack, nextStep, noPodBelow, rollOut } from './gates.ts';
import type { PhaseLogic } from './phase.ts';
import { quarantine, isQuarantineOver, unwatched } from './quarantine.ts';
import { showAtOnce, whileHidden } from './rehearsal.ts';
import { isVerified, verify } from './verify.ts';

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

const deadLetters = (facts: ActiveFacts): Decision | undefined => {
  const { badRows, sampleBadKeys } = facts.active.backfill;
  if (badRows === 0 || facts.resource.spec.drop.deadLetters === 'Discard') return undefined;
  return (
    retryBadRows(facts) ??
    wait(
      'BadRows',
      `${badRows} rows were set aside as not convertible; their old values would be lost, and nothing is dropped before. Keys: ${sampleBadKeys.join(', ')} (all in segue.dead_letter). Correct or delete those rows, which are tried again every minute, or set spec.drop.deadLetters to Discard.`,
      60_000,
    )
  );
};

const stillInQuarantine = (facts: ActiveFacts): Decision | undefined =>
  facts.change.skips.Quarantine !== undefined || isQuarantineOver(facts) ? undefined : quarantine.next(facts);

/** What was made to hang on the old columns since the change began would go with them unasked. */
const newDependents = (facts: ActiveFacts): Decision | undefined => {
  const [found] = facts.change.dependents(facts.columns, facts.active.id);
  return found && wait(found.reason, `${found.message} Nothing is dropped before.`, 15_000);
};

const drops = (facts: ActiveFacts): readonly Step[] => facts.change.contract(facts.active.id, facts.columns);

const wantsArchive = (facts: ActiveFacts): boolean =>
  facts.resource.spec.drop.archive && drops(facts).length > 0 && facts.change.oldColumns.length > 0;

// What is written between the last catching up and the drop is copied while nobody may write: let it be little.
const freshMs = 5_000;

/** Keys and old values are copied before the columns go. */
const archive = (facts: ActiveFacts): Decision | undefined => {
  if (!wantsArchive(facts)) return undefined;
  const { change, active, columns, resource } = facts;
  const [violation] = archiveViolations(change, columns);
  if (violation !== undefined)
    return wait(violation.reason, `${violation.message} Nothing is dropped before.`);
  const begun = nextStep(facts, [
    beginArchive(active.id, change, columns, `${resource.namespace}/${resource.name}`),
  ]);
  if (begun) return begun;
  const { rows = 0, copied = false, caughtUpAt = 0 } = active.archive ?? {};
  if (copied && facts.now - caughtUpAt < freshMs) return undefined;
  return act(
    { kind: 'archive' },
    `Copying ${change.oldColumns.join(', ')} to segue.${archiveName(active.id)}: ${rows} rows so far.`,
  );
};

/** The first step that loses data takes the archive's last rows along, in its own transaction. */
const remove = (facts: ActiveFacts): Decision | undefined => {
  const steps = drops(facts);
  const losing = steps.find(({ destructive }) => destructive);
  return nextStep(
    facts,
    wantsArchive(facts)
      ? steps.map((step) =>
          step === losing ? dropArchived(facts.active.id, facts.change, facts.columns, step) : step,
        )
      : steps,
  );
};

/** Without an archive that the columns go into, none is left over. */
const discard = (facts: ActiveFacts): Decision | undefined =>
  nextStep(facts, [discardArchive(facts.active.id, facts.columns)]);

/** Triggers that watch to the end; where they were away, every row is compared again. */
const watched = (facts: ActiveFacts): Decision | undefined =>
  facts.change.skips.Quarantine === undefined
    ? (unwatched(facts) ??
      nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'watch')) ??
      fill(facts) ??
      (facts.active.quarantineStartedAt === undefined ? verify(facts) : undefined))
    : undefined;

const constrained = (facts: ActiveFacts): Decision | undefined =>
  nextStep(facts, facts.change.constrain(facts.active.id, facts.columns));

/** True once the catalog shows all of Drop's own work, or there is none. */
export const isContracted = (change: Change, ledger: LedgerFacts, columns: TableFacts): boolean =>
  ledger.phase === 'Drop' && change.contract(ledger.id, columns).every((step) => step.done(columns));

/** True once there is nothing to walk back to: what older code needs is gone, or the first of it. */
export const isDropped = ({ change, active, columns }: ActiveFacts): boolean => {
  const steps = change.contract(active.id, columns);
  return (
    steps.length > 0 &&
    (isContracted(change, active, columns) ||
      (active.phase === 'Drop' && steps.some((step) => step.once && step.done(columns))))
  );
};

/** Triggers and old columns go, in one transaction. All that allows it is asked once more. */
export const drop: PhaseLogic = {
  name: 'Drop',
  next: (facts) => {
    if (isContracted(facts.change, facts.active, facts.columns))
      return rollOut(facts) ?? leave(facts, 'Drop');
    return (
      whileHidden(facts) ??
      sameObjects(facts) ??
      watched(facts) ??
      fill(facts) ??
      constrained(facts) ??
      unverified(facts) ??
      deadLetters(facts) ??
      newDependents(facts) ??
      noPodBelow(facts, leastInDrop(facts.change.skips.Quarantine !== undefined)) ??
      stillInQuarantine(facts) ??
      awaitingApproval(facts, 'Drop') ??
      archive(facts) ??
      remove(facts) ??
      leave(facts, 'Drop')
    );
  },
  undo: (facts) => showAtOnce(facts, 'The change is walked back') ?? discard(facts) ?? leaveBack('Drop'),
};
