/**
 * The resource is being deleted. Nothing of ours stays active in database and cluster, no data goes away, and
 * it never hangs for ever: after a deadline it is let go with a Warning, because a namespace that can't be
 * deleted is worse than triggers that a later resource of the same name finds and takes over.
 */
import { discardArchive } from '../changes/archive.ts';
import { asNamed } from '../changes/hide.ts';
import { act, wait, type Decision } from './decision.ts';
import { isContracted } from './drop.ts';
import type { Facts } from './facts.ts';
import { nextStep, rollOut } from './gates.ts';
import { endComparison } from './verify.ts';
import { showAtOnce } from './rehearsal.ts';

const deadlineMs = 50_000;
// What can be done, or moves by itself, may take a little longer; what is refused, or waits for a lock, may not be
// tried for ever.
const lastMs = 110_000;

const isRelease = (decision: Decision): boolean =>
  decision.kind === 'act' && decision.action.kind === 'release';

const limitOf = (blocked: Decision): number =>
  blocked.kind === 'wait' && blocked.reason !== 'RollingOut' ? deadlineMs : lastMs;

/** What is left of roll-outs, to name what a person has to look at. */
const leftOfRollouts = ({ workloads }: Facts): string => {
  if (!workloads.known) return ` Roll-outs may be left half-way (${workloads.message}).`;
  return workloads.value
    .filter(({ rollout }) => rollout.kind !== 'done')
    .map(({ deployment }) => ` The roll-out of ${deployment} is left half-way.`)
    .join('');
};

const giveUp = (facts: Facts, blocked: Decision): Decision => {
  const since = facts.resource.deletingSince ?? facts.operatorNow;
  const limitMs = limitOf(blocked);
  // By the operator's clock: the timestamp is the API server's, and the database's may be far off both.
  if (isRelease(blocked) || facts.operatorNow - since < limitMs) return blocked;
  return act(
    { kind: 'release' },
    `Let go without tidying up, because it could not be done within ${limitMs / 1000} s: ${blocked.message}${leftOfRollouts(facts)} Triggers named ~segue_… and functions in schema segue may be left; apply the resource again to go on from there.`,
    'CleanupAbandoned',
  );
};

const tidy = (facts: Facts): Decision => {
  const { ledger, table } = facts;
  // What a roll-out has begun can be ended without the database, and nobody would end it later.
  if (!ledger.known) return rollOut(facts) ?? wait(ledger.reason, ledger.message, 5_000);
  const active = ledger.value;
  if (active === undefined || active.state !== 'Active' || active.uid !== facts.resource.uid)
    return act({ kind: 'release' }, 'Nothing of this change is active; the finalizer goes.', 'Deleting');
  if (!table.known) return rollOut(facts) ?? wait(table.reason, table.message, 5_000);
  const columns = table.value;
  const finish = act(
    { kind: 'finish', state: 'Abandoned' },
    'Triggers are gone, old and new columns stay with all their data; closing the ledger.',
    'Deleting',
  );
  if (columns === undefined || columns.oid !== active.tableOid) return finish;
  const here = { ...facts, active, columns: asNamed(columns, active.id, active.attnums) };
  // The columns and the triggers are gone together; what would compare them has nothing left to name.
  if (isContracted(facts.change, active, here.columns)) return rollOut(here) ?? finish;
  const steps = [discardArchive(active.id, columns), ...facts.change.undo.abandon(active.id, columns)];
  return (
    showAtOnce(here, 'The resource is deleted') ??
    rollOut(here) ??
    endComparison(here) ??
    nextStep(here, steps) ??
    finish
  );
};

/** What to do for a resource with a deletion timestamp. */
export const deleting = (facts: Facts): Decision =>
  facts.resource.protected
    ? giveUp(facts, tidy(facts))
    : { kind: 'finished', reason: 'Deleting', message: 'Deleted; nothing of ours is left to tidy up.' };
