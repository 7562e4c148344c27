import { endComparison, isVerified, leftOut, verify } from './verify.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { leave, leaveBack, lockGivenUp, nextStep, noPodAbove, unknownFact } from './gates.ts';
import type { PhaseLogic } from './phase.ts';
import { triggersKept } from './tampered.ts';
import { outsideWindow } from './outside-window.ts';

/**
 * The next stretch of the backfill, if rows are left. Later phases ask too: a partition that is attached after
 * Backfill brings rows that nobody has filled.
 */
export const fill = (facts: ActiveFacts): Decision | undefined => {
  const { backfill } = facts.active;
  if (backfill.done || facts.change.rows === undefined) return undefined;
  return (
    lockGivenUp(facts, 'fill rows that others hold') ??
    endComparison(facts) ??
    outsideWindow(facts, 'backfill') ??
    act(
      { kind: 'backfill' },
      facts.active.repair.running
        ? `Repairing ${facts.change.newColumns.join(', ')}: ${backfill.rowsDone} rows computed anew.`
        : `Filling ${facts.change.newColumns.join(', ')}: ${backfill.rowsDone} of about ${backfill.rowsTotal} rows.`,
    )
  );
};

/** Rows that could not be converted are tried again from time to time: somebody may have corrected them. */
export const retryBadRows = (facts: ActiveFacts): Decision | undefined =>
  facts.active.backfill.badRowsDue && facts.change.rows !== undefined
    ? act(
        { kind: 'retryBadRows' },
        `Trying ${facts.active.backfill.badRows} rows again that could not be converted.`,
        'BadRows',
      )
    : undefined;

const badRows = (facts: ActiveFacts): Decision | undefined => {
  const { badRows: count, sampleBadKeys } = facts.active.backfill;
  // Rows that are skipped are looked at again before Drop.
  if (count === 0 || facts.resource.spec.backfill.onBadRow === 'Skip') return undefined;
  return (
    retryBadRows(facts) ??
    wait(
      'BadRows',
      `${count} rows could not be converted, the others are done. Keys: ${sampleBadKeys.join(', ')}. Correct those rows; they are tried again every minute. Or set spec.backfill.onBadRow to Skip and go on without them.`,
      60_000,
    )
  );
};

// While rows may lack their new values the triggers are wide; they are narrowed only once all are verified.
const wide = (facts: ActiveFacts): Decision | undefined =>
  facts.resource.spec.dualWrite.mode === 'Application' || isVerified(facts)
    ? undefined
    : nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'wide'));

// Of the modes that it may be in by now, only wide fills what was written past the triggers.
const kept = (facts: ActiveFacts): Decision | undefined =>
  facts.resource.spec.dualWrite.mode === 'Application'
    ? undefined
    : triggersKept(facts, ...(isVerified(facts) ? (['narrow', 'wide'] as const) : (['wide'] as const)));

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
    kept(facts) ??
    wide(facts) ??
    fill(facts) ??
    badRows(facts) ??
    verify(facts) ??
    nextStep(facts, facts.change.constrain(facts.active.id, facts.columns)) ??
    narrow(facts) ??
    replayed(facts) ??
    leave(facts, 'Backfill', leftOut(facts)),
  undo: (facts) =>
    // What it takes back, such as a NOT NULL that was lifted, is what newer code rests on.
    noPodAbove(facts, 'writes-both') ??
    endComparison(facts) ??
    nextStep(facts, facts.change.undo.constrain(facts.active.id, facts.columns, facts.active.oldNotNull)) ??
    leaveBack('Backfill'),
};
