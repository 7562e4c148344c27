/**
 * A look at a change that waits, without a word to the API server: its database is read anew, and what the API
 * server said at the last whole look is taken as it was then. Watches tell what changes there. A glance does nothing
 * but to say whether a whole look is due; only looks into the database server's own records it makes itself, for they
 * come once a minute through a quarantine of days, and leave nothing but a note in the ledger.
 */
import { sameJson } from '../api/json.ts';
import type { Reason } from '../api/reasons.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { decide } from '../phases/decide.ts';
import type { Decision } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { carryOut } from './act.ts';
import { observeBy, type ClusterSide } from './observe.ts';
import type { Ports } from './ports.ts';
import { nextOf, type Next } from './next.ts';
import { statusOf } from './status.ts';

// Pods of an owner that is not watched may come from a template that changes without a word.
const fromTheCluster: readonly Reason[] = [
  'OldCodeRunning',
  'NewCodeRunning',
  'CodeAhead',
  'RollingOut',
  'RolloutFailed',
];

const secretMissing: readonly Reason[] = ['SecretNotFound', 'SecretKeyMissing'];

// Nor are ConfigMaps, which say what code runs under a toggle.
const isWatched = ({ resource }: Facts): boolean =>
  resource.spec.workloads.every(
    ({ kind = 'Deployment', releases }) =>
      kind === 'Deployment' && releases.every(({ toggle }) => toggle === undefined),
  );

/**
 * What of a whole look a glance may go by; undefined where a glance would not do: something could not be read, a
 * roll-out is under way, which has times of its own to keep, or the resource goes away.
 */
export const memoryOf = (facts: Facts, decision: Decision, cluster: ClusterSide): ClusterSide | undefined => {
  if (decision.kind !== 'wait' || facts.resource.deletingSince !== undefined) return undefined;
  // Nothing hangs on anything else until there is one, and a missing Secret is not remembered.
  if (secretMissing.includes(decision.reason)) return cluster;
  if (fromTheCluster.includes(decision.reason) || !isWatched(facts)) return undefined;
  if (!facts.ledger.known || !facts.table.known) return undefined;
  const { value: ledger } = facts.ledger;
  if (ledger === undefined) return facts.preflight.known ? cluster : undefined;
  // Its end asks replicas, whose Secrets no glance reads.
  if (ledger.phase === 'Backfill' && ledger.verification !== undefined) return undefined;
  if (!facts.workloads.known) return undefined;
  return facts.workloads.value.every(({ rollout }) => rollout.kind === 'done') ? cluster : undefined;
};

/** When to look again; undefined if a whole look is due at once. `resource` is as the watch has it. @throws FencedError */
export const glance = async (
  ports: Ports,
  resource: SchemaChange,
  memory: ClusterSide,
  signal: AbortSignal,
): Promise<Next | undefined> => {
  const observation = await observeBy(ports, resource, memory);
  const decision = decide(observation.facts);
  if (decision.kind === 'act' && decision.action.kind === 'look') {
    const outcome = await carryOut(ports, observation, decision.action, signal);
    // What keeps it from being made is told by the whole look.
    return outcome.kind === 'done' ? nextOf(decision, outcome) : undefined;
  }
  if (decision.kind !== 'wait') return undefined;
  const status = statusOf(resource, observation.facts, decision, undefined);
  return sameJson(resource.status, status) ? nextOf(decision, undefined) : undefined;
};
