/** Conditions that several phases share. Each returns the decision that it forces, or undefined to let pass. */
import { formatTime, parseDuration } from '../api/duration.ts';
import type { Fact, WorkloadFacts } from '../api/facts.ts';
import { codes, isBefore, isBelow, phaseAfter, phaseBefore, type Code, type Phase } from '../api/phase.ts';
import type { Step } from '../changes/change.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';

/** An unknown fact is never a "no": it waits, and says what would make it known. */
export const unknownFact = (fact: Extract<Fact<unknown>, { known: false }>): Decision =>
  wait(fact.reason, fact.message, 5_000);

const lockGivenUp = (facts: ActiveFacts, step: Step): Decision | undefined => {
  const { name, namespace, spec } = facts.resource;
  const since = facts.active.lockWaitSince;
  if (since === undefined || facts.now - since <= parseDuration(spec.locks.giveUpAfter)) return undefined;
  return wait(
    'LockGivenUp',
    `Could not ${step.purpose}: its lock has not come since ${formatTime(since)}, longer than locks.giveUpAfter. End the session that holds the table (pg_stat_activity shows it), then kubectl annotate --overwrite schange ${name} -n ${namespace} segue.dev/retry="$(date +%s)"`,
    60_000,
  );
};

/** The first step whose work the catalog does not show. */
export const nextStep = (facts: ActiveFacts, steps: readonly Step[]): Decision | undefined => {
  const step = steps.find((candidate) => !candidate.done(facts.columns));
  if (step === undefined) return undefined;
  const givenUp = lockGivenUp(facts, step);
  if (givenUp) return givenUp;
  return act({ kind: 'step', step }, `On ${facts.columns.schema}.${facts.columns.name}: ${step.purpose}.`);
};

/** The next write of any workload's roll-out, or what it waits for; undefined once all run what they should. */
export const rollOut = (facts: ActiveFacts): Decision | undefined => {
  if (!facts.workloads.known) return unknownFact(facts.workloads);
  for (const { rollout } of facts.workloads.value) {
    if (rollout.kind === 'step')
      return act({ kind: 'rollout', step: rollout.step }, rollout.message, 'RollingOut');
    if (rollout.kind === 'failed') return wait(rollout.reason, rollout.message, 10_000);
    if (rollout.kind === 'waiting') return wait(rollout.reason, rollout.message, 1_000);
  }
  return undefined;
};

const podsThat = (workload: WorkloadFacts, matches: (code: Code) => boolean): readonly string[] =>
  codes.filter(matches).flatMap((code) => {
    const count = workload.podsByCode[code];
    const names = workload.podNames[code];
    return count === 0 ? [] : [`${count} ${code} (${names.join(', ')}${count > names.length ? ', …' : ''})`];
  });

const pods = (
  facts: ActiveFacts,
  matches: (code: Code) => boolean,
  blocked: (found: string) => Decision,
): Decision | undefined => {
  if (!facts.workloads.known) return unknownFact(facts.workloads);
  const found = facts.workloads.value.flatMap((workload) => {
    const named = podsThat(workload, matches);
    return named.length === 0 ? [] : [`${workload.deployment}: ${named.join('; ')}`];
  });
  return found.length === 0 ? undefined : blocked(found.join('. '));
};

/** Waits while a pod runs code below `code`; Terminating pods count, for they still hold connections. */
export const noPodBelow = (facts: ActiveFacts, code: Code): Decision | undefined =>
  pods(
    facts,
    (present) => isBelow(present, code),
    (found) =>
      wait(
        'OldCodeRunning',
        `Waiting until every pod runs ${code} code (label change.segue.dev/${facts.resource.name}). Still there: ${found}. Roll the workload on, or wait until those pods are gone.`,
        2_000,
      ),
  );

/** Waits while a pod runs code above `code`: on the way back it must be gone before its columns are. */
export const noPodAbove = (facts: ActiveFacts, code: Code): Decision | undefined =>
  pods(
    facts,
    (present) => isBelow(code, present),
    (found) =>
      wait(
        'NewCodeRunning',
        `Walking back: waiting until no pod runs code newer than ${code}. Still there: ${found}. Roll the workload back, or wait until those pods are gone.`,
        2_000,
      ),
  );

// What may run once a phase is done; see "Code and schema" in the documentation.
const allowed: Readonly<Record<Phase, Code>> = {
  AddColumn: 'writes-both',
  DualWrite: 'writes-both',
  Backfill: 'new-only',
  SwitchReads: 'new-only',
  Quarantine: 'new-only',
  Drop: 'new-only',
};

/** Holds while pods claim more than the schema can give them yet. */
const codeAhead = (facts: ActiveFacts, phase: Phase): Decision | undefined =>
  pods(
    facts,
    (present) => isBelow(allowed[phase], present),
    (found) =>
      wait(
        'CodeAhead',
        `Code runs ahead of its schema: ${found}, but ${phase} allows at most ${allowed[phase]}. Roll those pods back; no further phase begins before.`,
        5_000,
      ),
  );

/** What every phase checks at its end: code ahead, target phase, approval; then the next phase is entered. */
export const leave = (facts: ActiveFacts, phase: Phase, skipped?: string): Decision => {
  const { targetPhase } = facts.resource.spec;
  const next = phaseAfter(phase);
  if (next === undefined)
    return act(
      { kind: 'finish', state: 'Completed', ...(skipped === undefined ? {} : { skipped }) },
      'Everything is done; closing the ledger.',
      'Completed',
    );
  const ahead = codeAhead(facts, phase);
  if (ahead) return ahead;
  if (!isBefore(phase, targetPhase))
    return wait(
      'TargetPhaseReached',
      `${phase} is done and spec.targetPhase is ${targetPhase}. Raise spec.targetPhase to go on.`,
      60_000,
    );
  // A phase without work waits for nobody's word.
  const awaited = facts.change.skips[next] === undefined ? awaitingApproval(facts, next) : undefined;
  if (awaited) return awaited;
  return act(
    { kind: 'enter', to: next, from: phase, ...(skipped === undefined ? {} : { skipped }) },
    `${phase} is done${skipped === undefined ? '' : ` (${skipped})`}; ${next} begins.`,
  );
};

/** Waits for a person where the resource asks for one before `phase`. */
export const awaitingApproval = (facts: ActiveFacts, phase: Phase): Decision | undefined => {
  if (!facts.resource.spec.approvals.includes(phase)) return undefined;
  if (facts.active.approvals.some((approval) => approval.phase === phase)) return undefined;
  const { name, namespace } = facts.resource;
  return wait(
    'AwaitingApproval',
    `${phase} waits for approval: kubectl annotate schange ${name} -n ${namespace} segue.dev/approve=${phase}`,
    60_000,
  );
};

/** The way back: enters the phase before. */
export const leaveBack = (phase: Phase): Decision => {
  const before = phaseBefore(phase);
  if (before === undefined)
    return act(
      { kind: 'finish', state: 'RolledBack' },
      'Everything is as before; closing the ledger.',
      'RolledBack',
    );
  return act(
    { kind: 'enter', to: before, from: phase },
    `Walked back from ${phase} to ${before}.`,
    'RollingBack',
  );
};
