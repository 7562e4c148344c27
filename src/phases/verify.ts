import type { VerificationFacts } from '../api/comparison-facts.ts';
import type { SchemaChangeSpec } from '../api/schema-change.ts';
import { compareSteps } from '../changes/compare-trigger.ts';
import { act, wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { nextStep } from './gates.ts';
import { outsideWindow } from './outside-window.ts';

/** Percent of the pages that `spec.verify` asks to compare; 0 for mode None. */
export const shareOf = ({ mode, samplePercent }: SchemaChangeSpec['verify']): number =>
  ({ Full: 100, Sample: samplePercent, None: 0 })[mode];

/** The result that stands. In Backfill one that compared less than the resource asks for by now does not count. */
const standing = ({ active, resource }: ActiveFacts): VerificationFacts | undefined => {
  const { verification, phase } = active;
  return phase === 'Backfill' && verification && verification.share < shareOf(resource.spec.verify)
    ? undefined
    : verification;
};

/** True if what the resource asks to be compared after the last backfill agrees, or there is nothing to compare. */
export const isVerified = (facts: ActiveFacts): boolean => {
  if (facts.change.rows === undefined) return true;
  const verification = standing(facts);
  return verification !== undefined && facts.active.backfill.done && verification.mismatches === 0;
};

/** Before anything else writes rows for us: what it writes would be noted as rows that differ. */
export const endComparison = (facts: ActiveFacts): Decision | undefined =>
  nextStep(facts, compareSteps(facts.active.id, facts.change, facts.columns).remove);

const annotate = (facts: ActiveFacts, command: 'retry' | 'repair'): string =>
  `kubectl annotate --overwrite schange ${facts.resource.name} -n ${facts.resource.namespace} segue.dev/${command}="$(date +%s)"`;

/** How to have another try, as the end of a sentence. */
const retryHint = (facts: ActiveFacts): string => `then ${annotate(facts, 'retry')}`;

const mismatch = (
  facts: ActiveFacts,
  { mismatches, rowsCompared, sampleKeys }: VerificationFacts,
): Decision => {
  const found = `${mismatches} of ${rowsCompared} rows differ between old and new columns. Keys: ${sampleKeys.join(', ')}.`;
  const wayOut =
    facts.active.phase === 'Backfill'
      ? `Reads do not switch. Find out who wrote them. To have their new columns computed anew from the old: ${annotate(facts, 'repair')}. Or correct them, ${retryHint(facts)}.`
      : `Nothing is dropped. Find out who wrote them and correct them, ${retryHint(facts)}.`;
  return wait('VerificationFailed', `${found} ${wayOut}`, 60_000);
};

const compare = (facts: ActiveFacts): Decision => {
  const { verifying } = facts.active;
  const share = shareOf(facts.resource.spec.verify);
  if (share === 0)
    return act({ kind: 'verify' }, 'No row is compared, because verify.mode is None.', 'NotVerified');
  const what =
    share === 100 ? 'every row’s old columns with the new ones' : `the rows of ${share} % of the pages`;
  const done = verifying === undefined ? '' : `: ${verifying.rowsCompared} rows so far`;
  return (
    outsideWindow(facts, 'verification') ??
    nextStep(facts, compareSteps(facts.active.id, facts.change, facts.columns).install) ??
    act({ kind: 'verify' }, `Comparing ${what}${done}.`)
  );
};

/** Compares, then takes away what that needed. Passed once what was compared agrees. */
export const verify = (facts: ActiveFacts): Decision | undefined => {
  if (facts.change.rows === undefined) return undefined;
  const verification = standing(facts);
  if (verification === undefined) return compare(facts);
  return endComparison(facts) ?? (isVerified(facts) ? undefined : mismatch(facts, verification));
};

/** What the history says of a comparison that was left out. */
export const leftOut = ({ active, change }: ActiveFacts): string | undefined =>
  change.rows !== undefined && active.verification?.share === 0
    ? 'the comparison of the rows: verify.mode is None'
    : undefined;

const refusal = ({ active, change }: ActiveFacts): string | undefined => {
  if (active.direction === 'back') return 'the change is walking back, and the new columns go';
  if (change.rows === undefined) return 'this change fills no rows';
  if (['SwitchReads', 'Quarantine', 'Drop'].includes(active.phase))
    return 'reads have switched: the new columns are the truth, and computing them anew from the old ones would undo what new code wrote';
  if (active.verification?.mismatches === 0) return 'the last verification found no row that differs';
  return active.phase === 'Backfill' ? undefined : 'no rows have been compared yet';
};

/** The repair annotation, not yet acted upon. While rows are filled or compared it waits for the result. */
export const repair = (facts: ActiveFacts): Decision | undefined => {
  const { repair: value } = facts.resource;
  if (value === '' || value === facts.active.repair.handled) return undefined;
  const refused = refusal(facts);
  if (refused !== undefined)
    return act({ kind: 'repair', value, refused }, `Nothing is repaired: ${refused}.`, 'RepairRefused');
  if (facts.active.verification === undefined) return undefined;
  return act(
    { kind: 'repair', value },
    'Computing the new columns of rows that differ anew from the old ones, as the repair annotation asks; then all rows are compared again.',
  );
};

const cannotCompare = ({ active, change, resource }: ActiveFacts): string | undefined => {
  if (active.direction === 'back') return 'the change is walking back';
  if (change.rows === undefined) return 'this change fills no rows';
  if (shareOf(resource.spec.verify) === 0) return 'spec.verify.mode is None';
  if (active.phase === 'Drop') return 'Drop has begun';
  return ['AddColumn', 'DualWrite'].includes(active.phase)
    ? 'rows are compared once they are filled, at the end of Backfill'
    : undefined;
};

/** The verify annotation, not yet acted upon: what was found before counts no more, and Drop waits for what is found now. */
export const compareAgain = (facts: ActiveFacts): Decision | undefined => {
  const { verify: value } = facts.resource;
  if (value === '' || value === facts.active.handledVerify) return undefined;
  const refused = cannotCompare(facts);
  return refused === undefined
    ? act({ kind: 'compareAgain', value }, 'Comparing all rows again, as the verify annotation asks.')
    : act({ kind: 'compareAgain', value, refused }, `No rows are compared again: ${refused}.`);
};
