/** What takes the place of a verified copy where there is none. */
import type { Phase } from '../api/phase.ts';
import type { ActiveFacts } from './facts.ts';

const unvouched = ({ active, change }: ActiveFacts): string | undefined => {
  const { verification } = active;
  if (change.rows === undefined || change.oldColumns.length === 0) return undefined;
  if (verification === undefined || verification.share >= 100) return undefined;
  return verification.share === 0
    ? 'no row was compared (verify.mode None)'
    : `only ${verification.share} % of the pages were compared (verify.mode Sample)`;
};

/**
 * Why `phase` needs a person's word, whether or not spec.approvals lists it, as a clause: Drop takes columns away
 * for which no verified copy vouches. Undefined if it does not.
 */
export const approvalInstead = (facts: ActiveFacts, phase: Phase): string | undefined =>
  phase === 'Drop' ? unvouched(facts) : undefined;
