import { formatTime, parseDuration } from '../api/duration.ts';
import type { UseFacts } from '../api/facts.ts';
import { fill } from './backfill.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { leave, leaveBack, nextStep, noPodBelow, rollOut } from './gates.ts';
import type { PhaseLogic } from './phase.ts';

/** A use that the clock has not yet been set back for. */
const newUse = (facts: ActiveFacts): UseFacts | undefined => {
  const { lastUse, quarantineStartedAt } = facts.active;
  if (lastUse === undefined || quarantineStartedAt === undefined) return undefined;
  return lastUse.at > quarantineStartedAt ? lastUse : undefined;
};

const clock = (facts: ActiveFacts): Decision | undefined => {
  const startedAt = facts.active.quarantineStartedAt;
  const durationMs = parseDuration(facts.resource.spec.quarantine.duration);
  if (startedAt === undefined)
    return act(
      { kind: 'startQuarantine' },
      'Nobody should need the old columns any more; the quarantine clock starts.',
    );
  const use = newUse(facts);
  if (use !== undefined)
    return act(
      { kind: 'restartQuarantine', use },
      `${describe(facts, use)} The quarantine starts anew.`,
      'ColumnInUse',
    );
  const remainingMs = startedAt + durationMs - facts.now;
  if (remainingMs <= 0) return undefined;
  return wait(
    'InQuarantine',
    `Nobody has used ${facts.change.oldColumns.join(', ')} since ${formatTime(startedAt)}; the quarantine ends at ${formatTime(startedAt + durationMs)}.`,
    Math.min(remainingMs, 60_000),
  );
};

const describe = (facts: ActiveFacts, use: UseFacts): string =>
  `${use.by} used ${facts.change.oldColumns.join(', ')} at ${formatTime(use.at)} (${use.kind}).`;

/** A pod of older code that turns up late is a use as well: its presence stops the clock. */
const stragglers = (facts: ActiveFacts): Decision | undefined => {
  const blocked = noPodBelow(facts, 'new-only');
  if (blocked?.kind !== 'wait' || blocked.reason !== 'OldCodeRunning') return blocked;
  if (facts.active.quarantineStartedAt === undefined) return blocked;
  const use: UseFacts = { at: facts.now, by: 'a pod of older code', kind: 'Pod' };
  return act(
    { kind: 'restartQuarantine', use },
    `The quarantine clock is set back. ${blocked.message}`,
    'ColumnInUse',
  );
};

/** True once the old columns have gone unused for the whole duration; Drop asks again. */
export const isQuarantineOver = (facts: ActiveFacts): boolean => clock(facts) === undefined;

/** The old columns stay, watched. Left when no pod is below `new-only` and nobody used them for the whole duration. */
export const quarantine: PhaseLogic = {
  name: 'Quarantine',
  next: (facts) =>
    fill(facts) ??
    nextStep(facts, facts.change.relax(facts.active.id, facts.columns)) ??
    nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'watch')) ??
    rollOut(facts) ??
    stragglers(facts) ??
    clock(facts) ??
    leave(facts, 'Quarantine'),
  undo: (facts) =>
    rollOut(facts) ??
    nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'narrow')) ??
    nextStep(facts, facts.change.undo.relax(facts.active.id, facts.columns, facts.active.oldNotNull)) ??
    leaveBack('Quarantine'),
};
