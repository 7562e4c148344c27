import type { VerificationFacts } from '../api/facts.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { leave, leaveBack, nextStep, noPodAbove, unknownFact } from './gates.ts';
import type { PhaseLogic } from './phase.ts';

const retryHint = (facts: ActiveFacts): string =>
  `then kubectl annotate --overwrite schange ${facts.resource.name} -n ${facts.resource.namespace} segue.dev/retry="$(date +%s)"`;

/** True if a verification after the last backfill found that every row agrees, or there is nothing to compare. */
export const isVerified = (facts: ActiveFacts): boolean => {
  const { verification, backfill } = facts.active;
  if (facts.change.rows === undefined) return true;
  if (verification === undefined || !backfill.done) return false;
  return verification.mismatches === 0;
};

/**
 * The next stretch of the backfill, if rows are left. Later phases ask too: a partition that is attached after
 * Backfill brings rows that nobody has filled.
 */
export const fill = (facts: ActiveFacts): Decision | undefined => {
  const { backfill } = facts.active;
  if (backfill.done || facts.change.rows === undefined) return undefined;
  return act(
    { kind: 'backfill' },
    `Filling ${facts.change.newColumns.join(', ')}: ${backfill.rowsDone} of about ${backfill.rowsTotal} rows.`,
  );
};

const badRows = (facts: ActiveFacts): Decision | undefined => {
  const { badRows: count, sampleBadKeys } = facts.active.backfill;
  if (count === 0) return undefined;
  return wait(
    'BadRows',
    `${count} rows could not be converted, the others are done. Keys: ${sampleBadKeys.join(', ')}. Correct those rows or the expression, ${retryHint(facts)}.`,
    60_000,
  );
};

const mismatch = (
  facts: ActiveFacts,
  { mismatches, rowsCompared, sampleKeys }: VerificationFacts,
): Decision =>
  wait(
    'VerificationFailed',
    `${mismatches} of ${rowsCompared} rows differ between old and new columns. Keys: ${sampleKeys.join(', ')}. Reads do not switch. Find out who wrote them, correct them, ${retryHint(facts)}.`,
    60_000,
  );

const verify = (facts: ActiveFacts): Decision | undefined => {
  const { verification } = facts.active;
  if (facts.change.rows === undefined) return undefined;
  if (verification === undefined)
    return act({ kind: 'verify' }, 'Comparing every row’s old columns with the new ones.');
  return isVerified(facts) ? undefined : mismatch(facts, verification);
};

// While rows may lack their new values the triggers are wide; they are narrowed only once all are verified.
const wide = (facts: ActiveFacts): Decision | undefined =>
  facts.resource.spec.dualWrite.mode === 'Application' || isVerified(facts)
    ? undefined
    : nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'wide'));

const narrow = (facts: ActiveFacts): Decision | undefined =>
  nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'narrow'));

const replayed = (facts: ActiveFacts): Decision | undefined => {
  if (!facts.replicasReplayed.known) return unknownFact(facts.replicasReplayed);
  if (facts.replicasReplayed.value) return undefined;
  return wait(
    'ReplicaLagging',
    `Waiting until every read replica has replayed WAL up to ${facts.active.verification?.lsn ?? 'the end of the backfill'}, so that none serves a row without its new values.`,
    2_000,
  );
};

/** Rows are filled, compared and constrained. Left when all agree and replicas have replayed the last write. */
export const backfill: PhaseLogic = {
  name: 'Backfill',
  next: (facts) =>
    wide(facts) ??
    fill(facts) ??
    badRows(facts) ??
    verify(facts) ??
    nextStep(facts, facts.change.constrain(facts.active.id, facts.columns)) ??
    narrow(facts) ??
    replayed(facts) ??
    leave(facts, 'Backfill'),
  undo: (facts) =>
    // What it takes back, such as a NOT NULL that was lifted, is what newer code rests on.
    noPodAbove(facts, 'writes-both') ??
    nextStep(facts, facts.change.undo.constrain(facts.active.id, facts.columns, facts.active.oldNotNull)) ??
    leaveBack('Backfill'),
};
