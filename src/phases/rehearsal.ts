/**
 * Quarantine's mode Hide: when the observed time is over, the old columns are hidden for a while. It rehearses Drop,
 * and can be taken back: at the first sign that somebody misses them they are shown again, and the clock starts anew.
 */
import { formatTime, parseDuration } from '../api/duration.ts';
import { hideColumns, isHidden, showColumns } from '../changes/hide.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { noPodBelow, nextStep } from './gates.ts';
import { triggersKept } from './tampered.ts';

const lookEveryMs = 1_000;
// What fails now fails unseen while nobody looks.
const longestUnwatchedMs = 30_000;

const columnsOf = (facts: ActiveFacts): string => facts.change.oldColumns.join(', ');

/** Gives the columns their names back. Not given up as other steps are: while they are hidden, somebody may fail. */
const show = (facts: ActiveFacts, why: string, passed = false): Decision =>
  act(
    { kind: 'step', step: showColumns(facts.active.id, facts.change, facts.columns, passed) },
    why,
    passed ? 'InQuarantine' : 'ColumnInUse',
  );

/** Shows hidden columns at once, where whatever comes next is not theirs to wait for; undefined if none is hidden. */
export const showAtOnce = (facts: ActiveFacts, why: string): Decision | undefined =>
  isHidden(facts.columns) ? show(facts, `${why}; ${columnsOf(facts)} are shown again.`) : undefined;

/** Why hidden columns must be shown before their time. */
const alarm = (facts: ActiveFacts): string | undefined => {
  const { lastUse, quarantineStartedAt, look, hiddenAt, backfill } = facts.active;
  const columns = columnsOf(facts);
  if (lastUse !== undefined && quarantineStartedAt !== undefined && lastUse.at > quarantineStartedAt)
    return `${lastUse.by} missed ${columns}`;
  if (facts.resource.spec.quarantine.mode !== 'Hide') return 'quarantine.mode is no longer Hide';
  const pods = noPodBelow(facts, 'new-only');
  if (pods?.kind === 'wait')
    return pods.reason === 'OldCodeRunning' ? 'A pod of older code came up' : pods.message;
  if (!backfill.done && facts.change.rows !== undefined) return 'A partition came that has to be filled';
  if (look === undefined || facts.now - Math.max(look.at, hiddenAt ?? 0) > longestUnwatchedMs)
    return `Nobody watched ${columns} for a while`;
  return look.cannotHide === undefined ? undefined : `What would show a failure is gone: ${look.cannotHide}`;
};

/** What to do while columns are hidden; undefined if none is. */
export const whileHidden = (facts: ActiveFacts): Decision | undefined => {
  if (!isHidden(facts.columns)) return undefined;
  if (facts.active.quarantineStartedAt === undefined)
    return showAtOnce(facts, 'The triggers were tampered with');
  // Showing makes them anew: that they were away must be in the ledger first.
  const tampered = triggersKept(facts, 'watch');
  if (tampered) return tampered;
  const why = alarm(facts);
  if (why !== undefined) return showAtOnce(facts, why);
  const { look, hiddenAt = facts.now } = facts.active;
  const end = hiddenAt + parseDuration(facts.resource.spec.quarantine.hideFor);
  const message = `${columnsOf(facts)} are hidden until ${formatTime(end)}; nobody was seen to miss them since ${formatTime(hiddenAt)}.`;
  const lookedAt = look?.at ?? 0;
  if (facts.now - lookedAt >= lookEveryMs || lookedAt < hiddenAt || (facts.now >= end && lookedAt < end))
    return act({ kind: 'look' }, message, 'InQuarantine');
  if (facts.now >= end)
    return show(facts, `Nobody missed ${columnsOf(facts)} while hidden; they are shown again.`, true);
  return wait('InQuarantine', message, Math.min(lookEveryMs, end - facts.now));
};

/** Hides the columns once the observed time is over; undefined where that is not asked for, or was done. */
export const rehearse = (facts: ActiveFacts): Decision | undefined => {
  const { active, change, columns, resource } = facts;
  const { rehearsedAt, quarantineStartedAt, look } = active;
  if (resource.spec.quarantine.mode !== 'Hide' || change.oldColumns.length === 0) return undefined;
  if (rehearsedAt !== undefined && rehearsedAt >= (quarantineStartedAt ?? 0)) return undefined;
  if (look?.cannotHide !== undefined)
    return wait(
      'HideNotPossible',
      `quarantine.mode is Hide, but a statement that fails for the want of ${columnsOf(facts)} would go unnoticed: ${look.cannotHide}. Mend that, or set quarantine.mode to Observe. Nothing is hidden or dropped before.`,
      30_000,
    );
  return nextStep(facts, [hideColumns(active.id, change, columns)]);
};
