/** When a change is looked at again, given what was decided and what came of it. */
import type { Outcome } from '../api/outcome.ts';
import { isStalled, type Reason } from '../api/reasons.ts';
import type { Decision } from '../phases/decision.ts';
import type { ClusterSide } from './observe.ts';

/** When to look again; undefined: not before something changes. */
export interface Next {
  readonly afterMs?: number;
  /** What was done, by a name that stays the same for the same thing; undefined if nothing was. */
  readonly did?: string;
  /** Set while it waits. */
  readonly waits?: {
    readonly reason: Reason;
    readonly recheckMs: number;
    /** A person has to mend something. */
    readonly stalled: boolean;
    /** What the next looks may go by instead of the API server; see glance.ts. */
    readonly memory?: ClusterSide;
  };
  /** The resource's version after this look: until the watch brings another one there is nothing new in it. */
  readonly version?: string;
  /** There is no such resource, says the API server. */
  readonly gone?: boolean;
}

const refusedRecheckMs = 10_000;
const staleRecheckMs = 200;

/** A name of what was decided that stays the same for the same thing; undefined if nothing is to be done. */
export const didOf = (decision: Decision): string | undefined => {
  if (decision.kind !== 'act') return undefined;
  const { action } = decision;
  if (action.kind === 'step') return `step ${action.step.id}`;
  return action.kind === 'rollout' ? `rollout ${JSON.stringify(action.step)}` : action.kind;
};

const waitFor = ({ reason, recheckMs }: Extract<Decision, { kind: 'wait' }>): Next => ({
  afterMs: recheckMs,
  waits: { reason, recheckMs, stalled: isStalled(reason) },
});

/** What follows from a decision, and from how it ended if it was to act. */
export const nextOf = (decision: Decision, outcome: Outcome | undefined): Next => {
  const did = didOf(decision);
  const named = did === undefined ? {} : { did };
  if (decision.kind === 'finished') return {};
  if (decision.kind === 'wait') return waitFor(decision);
  switch (outcome?.kind) {
    case 'deferred':
      return { ...named, afterMs: outcome.afterMs };
    case 'refused':
      return { ...named, afterMs: refusedRecheckMs };
    case 'stale':
      return { ...named, afterMs: staleRecheckMs };
    case 'done':
    case undefined:
      return { ...named, afterMs: 0 };
  }
};
