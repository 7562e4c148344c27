/** What is still done while the change is suspended. */
import { known } from '../api/facts.ts';
import { wait, type Decision } from './decision.ts';
import type { ActiveFacts } from './facts.ts';
import { rollOut } from './gates.ts';

/**
 * A canary with an HTTPRoute gives all traffic back to the old code: its weight is a step on a way that has been
 * stopped, and nobody watches it. Undefined once nothing of it is left, or where there is none.
 */
export const returnTraffic = (facts: ActiveFacts): Decision | undefined => {
  const { workloads, resource } = facts;
  if (!workloads.known) return undefined;
  const divided = new Set(
    resource.spec.workloads
      .filter(({ strategy }) => strategy?.canary?.httpRoute !== undefined)
      .map(({ deployment }) => deployment),
  );
  const decision = rollOut({
    ...facts,
    workloads: known(workloads.value.filter(({ deployment }) => divided.has(deployment))),
  });
  return decision?.kind === 'wait'
    ? wait(
        'Suspended',
        `spec.suspend is true; the canary is taken back: ${decision.message}`,
        decision.recheckMs,
      )
    : decision;
};
