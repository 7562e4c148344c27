/** Conditions that several phases share. Each returns the decision that it forces, or undefined to let pass. */
import { formatTime, parseDuration } from '../api/duration.ts';
import type { Fact } from '../api/facts.ts';
import { isBefore, isBelow, phaseAfter, phaseBefore, type Code, type Phase } from '../api/phase.ts';
import type { Step } from '../changes/change.ts';
import { aheadAtDoor } from './code-ahead.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts, Facts } from './facts.ts';
import { alsoMentioned } from './mentions.ts';
import { runningCode } from './running-code.ts';
import { approvalInstead } from './vouched.ts';

/** An unknown fact is never a "no": it waits, and says what would make it known. */
export const unknownFact = (fact: Extract<Fact<unknown>, { known: false }>): Decision =>
  wait(fact.reason, fact.message, 5_000);

/** Holds once a lock has been asked for in vain for too long; `doing` is a fragment such as "add column x". */
export const lockGivenUp = (facts: ActiveFacts, doing: string): Decision | undefined => {
  const { name, namespace, spec } = facts.resource;
  const since = facts.active.lockWaitSince;
  if (since === undefined || facts.now - since <= parseDuration(spec.locks.giveUpAfter)) return undefined;
  return wait(
    'LockGivenUp',
    `Could not ${doing}: its lock has not come since ${formatTime(since)}, longer than locks.giveUpAfter. End the session in the way (pg_stat_activity shows it), then kubectl annotate --overwrite schange ${name} -n ${namespace} segue.dev/retry="$(date +%s)"`,
    60_000,
  );
};

/** The first step whose work the catalog does not show. */
export const nextStep = (facts: ActiveFacts, steps: readonly Step[]): Decision | undefined => {
  const step = steps.find((candidate) => !candidate.done(facts.columns));
  if (step === undefined) return undefined;
  const stuck = step.stuck?.(facts.columns);
  if (stuck !== undefined) return wait('StepInterrupted', stuck, 60_000);
  const givenUp = lockGivenUp(facts, step.purpose);
  if (givenUp) return givenUp;
  return act({ kind: 'step', step }, `On ${facts.columns.schema}.${facts.columns.name}: ${step.purpose}.`);
};

/** The next write of any workload's roll-out, or what it waits for; undefined once all run what they should. */
export const rollOut = (facts: Facts): Decision | undefined => {
  if (!facts.workloads.known) return unknownFact(facts.workloads);
  for (const { rollout } of facts.workloads.value) {
    if (rollout.kind === 'step')
      return act({ kind: 'rollout', step: rollout.step }, rollout.message, 'RollingOut');
    if (rollout.kind === 'failed') return wait(rollout.reason, rollout.message, 10_000);
    if (rollout.kind === 'waiting') return wait(rollout.reason, rollout.message, 1_000);
  }
  return undefined;
};

const blockedBy = (
  facts: ActiveFacts,
  matches: (code: Code) => boolean,
  blocked: (found: string) => Decision,
): Decision | undefined => {
  if (!facts.workloads.known) return unknownFact(facts.workloads);
  const found = runningCode(facts.workloads.value, { code: matches, unknown: true });
  return found === undefined ? undefined : blocked(found);
};

/** Waits while a pod runs code below `code`, or the next one may. Terminating pods count: they still hold connections. */
export const noPodBelow = (facts: ActiveFacts, code: Code): Decision | undefined =>
  blockedBy(
    facts,
    (present) => isBelow(present, code),
    (found) =>
      wait(
        'OldCodeRunning',
        `Waiting until every pod runs ${code} code (label change.segue.dev/${facts.resource.name}). Still there: ${found}. Roll the workload on, or wait until those pods are gone.`,
        2_000,
      ),
  );

/** Waits while a pod runs code above `code`, or the next one may: on the way back it must be gone before its columns are. */
export const noPodAbove = (facts: ActiveFacts, code: Code): Decision | undefined =>
  blockedBy(
    facts,
    (present) => isBelow(code, present),
    (found) =>
      wait(
        'NewCodeRunning',
        `Walking back: waiting until no pod runs code newer than ${code}. Still there: ${found}. Roll the workload back, or wait until those pods are gone.`,
        2_000,
      ),
  );

/** What every phase checks at its end: target phase, approval, code ahead; then the next phase is entered. */
export const leave = (facts: ActiveFacts, phase: Phase, skipped?: string): Decision => {
  const { targetPhase } = facts.resource.spec;
  const next = phaseAfter(phase);
  if (next === undefined)
    return act(
      { kind: 'finish', state: 'Completed', ...(skipped === undefined ? {} : { skipped }) },
      'Everything is done; closing the ledger.',
      'Completed',
    );
  if (!isBefore(phase, targetPhase))
    return wait(
      'TargetPhaseReached',
      `${phase} is done and spec.targetPhase is ${targetPhase}. Raise spec.targetPhase to go on.`,
      60_000,
    );
  // A phase without work waits for nobody's word.
  const awaited = facts.change.skips[next] === undefined ? awaitingApproval(facts, next) : undefined;
  if (awaited) return awaited;
  // Last, so that a door at which it waits anyway keeps Ready True.
  const ahead = aheadAtDoor(facts, phase);
  if (ahead) return ahead;
  return act(
    { kind: 'enter', to: next, from: phase, ...(skipped === undefined ? {} : { skipped }) },
    `${phase} is done${skipped === undefined ? '' : ` (${skipped})`}; ${next} begins.`,
  );
};

/** Waits for a person where the resource asks for one before `phase`, or no verified copy vouches for what it drops. */
export const awaitingApproval = (facts: ActiveFacts, phase: Phase): Decision | undefined => {
  const because = approvalInstead(facts, phase);
  if (because === undefined && !facts.resource.spec.approvals.includes(phase)) return undefined;
  if (facts.active.approvals.some((approval) => approval.phase === phase)) return undefined;
  const { name, namespace } = facts.resource;
  return wait(
    'AwaitingApproval',
    `${phase} waits for approval${because === undefined ? '' : `, for ${because}`}: kubectl annotate schange ${name} -n ${namespace} segue.dev/approve=${phase}${phase === 'Drop' && alsoMentioned(facts) ? `.${alsoMentioned(facts)}` : ''}`,
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
