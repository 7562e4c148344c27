import { formatTime, parseDuration } from '../api/duration.ts';
import type { UseFacts } from '../api/facts.ts';
import { fill } from './backfill.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { leave, leaveBack, nextStep, noPodBelow, rollOut } from './gates.ts';
import { alsoMentioned } from './mentions.ts';
import type { PhaseLogic } from './phase.ts';
import { rehearse, showAtOnce, whileHidden } from './rehearsal.ts';
import { triggersKept } from './tampered.ts';
import { verify } from './verify.ts';

// Often enough that little is lost where counts are reset, seldom enough to cost nothing.
const lookEveryMs = 50_000;

/** A use that the clock has not yet been set back for. */
export const newUse = (facts: ActiveFacts): UseFacts | undefined => {
  const { lastUse, quarantineStartedAt } = facts.active;
  if (lastUse === undefined || quarantineStartedAt === undefined) return undefined;
  return lastUse.at > quarantineStartedAt ? lastUse : undefined;
};

/** What is watched, for messages. */
const watched = ({ change }: ActiveFacts): string =>
  change.oldColumns.length === 0 ? 'what Drop takes away' : change.oldColumns.join(', ');

const endsAt = (facts: ActiveFacts): number | undefined => {
  const { quarantineStartedAt } = facts.active;
  if (quarantineStartedAt === undefined) return undefined;
  return quarantineStartedAt + parseDuration(facts.resource.spec.quarantine.duration);
};

/** True where the last look is too old, or was before the end that it has to vouch for. */
const isLookDue = (facts: ActiveFacts): boolean => {
  const { look } = facts.active;
  const end = endsAt(facts);
  if (facts.change.oldColumns.length === 0) return false;
  if (look === undefined || look.at > facts.now || facts.now - look.at >= lookEveryMs) return true;
  return end !== undefined && end <= facts.now && look.at < end;
};

const runs = (facts: ActiveFacts): string => {
  const columns = watched(facts);
  const startedAt = facts.active.quarantineStartedAt;
  if (startedAt === undefined) return `Looking for uses of ${columns}, before the quarantine clock starts.`;
  return `Nobody was seen to use ${columns} since ${formatTime(startedAt)}; the quarantine ends at ${formatTime(endsAt(facts) ?? startedAt)}.${alsoMentioned(facts)}`;
};

/**
 * A look into the server's own records where one is due. The first one is before the clock starts, so that whatever
 * is executed after that moment shows.
 */
const look = (facts: ActiveFacts): Decision | undefined =>
  isLookDue(facts) ? act({ kind: 'look' }, runs(facts), 'InQuarantine') : undefined;

const held = (facts: ActiveFacts, use: UseFacts): Decision => {
  const { name, namespace } = facts.resource;
  return wait(
    'HeldForUse',
    `${describe(facts, use)} quarantine.onUse is Hold: nothing goes on. Find and mend the user, then kubectl annotate --overwrite schange ${name} -n ${namespace} segue.dev/retry="$(date +%s)"; the quarantine then starts anew.`,
    60_000,
  );
};

const used = (facts: ActiveFacts, use: UseFacts): Decision =>
  facts.resource.spec.quarantine.onUse === 'Hold'
    ? held(facts, use)
    : act(
        { kind: 'restartQuarantine', use },
        `${describe(facts, use)} The quarantine starts anew.`,
        'ColumnInUse',
      );

const clock = (facts: ActiveFacts): Decision | undefined => {
  const end = endsAt(facts);
  const startedAt = facts.active.quarantineStartedAt;
  // A clock that went back would not see the uses that are noted from now on.
  if (startedAt !== undefined && startedAt > facts.now)
    return act(
      { kind: 'startQuarantine' },
      `The database's clock went back to before ${formatTime(startedAt)}, when the quarantine started; it starts anew.`,
    );
  if (end === undefined)
    return act(
      { kind: 'startQuarantine' },
      'Nobody should need the old columns any more; the quarantine clock starts.',
    );
  const use = newUse(facts);
  if (use !== undefined) return used(facts, use);
  const remainingMs = end - facts.now;
  return remainingMs <= 0 ? undefined : wait('InQuarantine', runs(facts), Math.min(remainingMs, 60_000));
};

const describe = (facts: ActiveFacts, use: UseFacts): string => {
  const columns = watched(facts);
  if (use.kind === 'Lost')
    return `It cannot be told any more whether somebody used ${columns}: ${use.by} (seen at ${formatTime(use.at)}).`;
  const statement = use.statement === undefined ? '' : ` Statement ${use.statement}.`;
  return `${use.by} used ${columns} at ${formatTime(use.at)} (${use.kind}).${statement}`;
};

/** Once the clock runs, every write has to be watched; before, the triggers of SwitchReads do. */
export const unwatched = (facts: ActiveFacts): Decision | undefined =>
  facts.active.quarantineStartedAt === undefined
    ? triggersKept(facts, 'narrow', 'watch')
    : triggersKept(facts, 'watch');

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

/** True once the old columns have gone unused for the whole duration, as far as could be seen; Drop asks again. */
export const isQuarantineOver = (facts: ActiveFacts): boolean =>
  clock(facts) === undefined && !isLookDue(facts) && rehearse(facts) === undefined;

/** The old columns stay, watched. Left when no pod is below `new-only` and nobody used them for the whole duration. */
export const quarantine: PhaseLogic = {
  name: 'Quarantine',
  next: (facts) =>
    whileHidden(facts) ??
    fill(facts) ??
    nextStep(facts, facts.change.relax(facts.active.id, facts.columns)) ??
    unwatched(facts) ??
    nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'watch')) ??
    verify(facts) ??
    rollOut(facts) ??
    stragglers(facts) ??
    look(facts) ??
    clock(facts) ??
    rehearse(facts) ??
    leave(facts, 'Quarantine'),
  undo: (facts) =>
    showAtOnce(facts, 'The change is walked back') ??
    rollOut(facts) ??
    nextStep(facts, facts.change.triggers(facts.active.id, facts.columns, 'narrow')) ??
    nextStep(facts, facts.change.undo.relax(facts.active.id, facts.columns, facts.active.oldNotNull)) ??
    leaveBack('Quarantine'),
};
