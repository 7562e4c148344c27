/** One look at one resource: observe, decide, act on at most one thing, report. */
import type { Outcome } from '../api/outcome.ts';
import { isStalled } from '../api/reasons.ts';
import type { SchemaChange, SchemaChangeStatus } from '../api/schema-change.ts';
import { isConflict, isNotFound } from '../kube/api-error.ts';
import { refOf, schemaChanges } from '../kube/resources.ts';
import { decide, sameJson } from '../phases/decide.ts';
import type { Decision } from '../phases/decision.ts';
import { reconcileLog } from '../telemetry/log.ts';
import { carryOut } from './act.ts';
import { observe } from './observe.ts';
import type { Ports } from './ports.ts';
import { saidOf, statusOf } from './status.ts';

/** When to look again; undefined: not before something changes. */
export interface Next {
  readonly afterMs?: number;
  /** What was done, by a name that stays the same for the same thing; undefined if nothing was. */
  readonly did?: string;
}

const refusedRecheckMs = 10_000;
const staleRecheckMs = 200;

const didOf = (decision: Decision): string | undefined => {
  if (decision.kind !== 'act') return undefined;
  const { action } = decision;
  if (action.kind === 'step') return `step ${action.step.id}`;
  return action.kind === 'rollout' ? `rollout ${JSON.stringify(action.step)}` : action.kind;
};

const nextOf = (decision: Decision, outcome: Outcome | undefined): Next => {
  const did = didOf(decision);
  const named = did === undefined ? {} : { did };
  if (decision.kind === 'finished') return {};
  if (decision.kind === 'wait') return { afterMs: decision.recheckMs };
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

const writeStatus = async (
  ports: Ports,
  resource: SchemaChange,
  status: SchemaChangeStatus,
): Promise<void> => {
  if (sameJson(resource.status, status)) return;
  const { namespace, name, uid } = resource.metadata;
  try {
    // The uid: a resource that was deleted meanwhile must not come back as an empty shell.
    await ports.cluster.apply(
      { resource: schemaChanges, namespace, name },
      { metadata: { uid }, status },
      { force: true, subresource: 'status' },
    );
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
};

/** True for what people need not hear: a stretch of the backfill, a lost race, a wait that was told before. */
const isNoNews = (resource: SchemaChange, decision: Decision, outcome: Outcome | undefined): boolean => {
  if (outcome?.kind === 'stale') return true;
  if (outcome?.kind === 'done') return decision.kind === 'act' && decision.action.kind === 'backfill';
  const told = resource.status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
  return told === saidOf(decision, outcome).reason;
};

const announce = (
  ports: Ports,
  resource: SchemaChange,
  decision: Decision,
  outcome: Outcome | undefined,
): void => {
  if (isNoNews(resource, decision, outcome)) return;
  const { reason, message } = saidOf(decision, outcome);
  ports.events.emit({
    regarding: resource,
    type: isStalled(reason) || outcome?.kind === 'refused' ? 'Warning' : 'Normal',
    reason,
    action: decision.kind === 'act' ? actionName(decision.action.kind) : 'Wait',
    note: message,
  });
};

const actionName = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1);

const measure = (
  ports: Ports,
  resource: SchemaChange,
  status: SchemaChangeStatus,
  decision: Decision,
): void => {
  const { namespace, name } = resource.metadata;
  ports.metrics.setPhase(namespace, name, status.phase ?? 'Pending');
  ports.metrics.setBlocked(namespace, name, decision.kind === 'wait' ? decision.reason : undefined);
  if (status.verification) ports.metrics.mismatches.set({ namespace, name }, status.verification.mismatches);
  const { backfill } = status;
  if (backfill === undefined) return;
  const remaining = Math.max(0, (backfill.rowsTotal ?? 0) * (1 - backfill.percent / 100));
  ports.metrics.backfillRowsRemaining.set({ namespace, name }, remaining);
  const added = backfill.rowsDone - (resource.status?.backfill?.rowsDone ?? 0);
  if (added > 0) ports.metrics.backfillRows.inc({ namespace, name }, added);
  if (decision.kind !== 'act' || decision.action.kind !== 'enter') return;
  const left = status.history?.at(-1);
  if (left)
    ports.metrics.phaseSeconds.observe(
      { phase: left.phase },
      Math.max(0, (Date.now() - Date.parse(left.startedAt)) / 1000),
    );
};

/** A change that ended asks the database nothing more, so that its Secret may go and its server be shut down. */
const isOver = ({ metadata, status }: SchemaChange): boolean =>
  metadata.deletionTimestamp === undefined &&
  (metadata.finalizers ?? []).length === 0 &&
  status?.observedGeneration === metadata.generation &&
  (status.phase === 'Completed' || status.phase === 'RolledBack');

/**
 * Looks at a resource once and does the next thing.
 * @throws FencedError where another operator leads; ApiError and UnreachableError where the API server fails.
 */
export const reconcile = async (ports: Ports, key: string, signal: AbortSignal): Promise<Next> => {
  const resource = await ports.cluster.get(refOf(schemaChanges, key));
  if (resource === undefined) {
    const [namespace = '', name = ''] = key.split('/');
    ports.metrics.forget(namespace, name);
    return {};
  }
  if (isOver(resource)) {
    ports.metrics.setPhase(resource.metadata.namespace, resource.metadata.name, resource.status?.phase ?? '');
    return {};
  }
  const observation = await observe(ports, resource);
  const decision = decide(observation.facts);
  const log = reconcileLog(ports.log, {
    resource: key,
    phase: resource.status?.phase ?? 'Pending',
    reconcileId: crypto.randomUUID(),
  });
  const outcome =
    decision.kind === 'act' ? await carryOut(ports, observation, decision.action, signal) : undefined;
  const said = saidOf(decision, outcome);
  const changed = said.message !== resource.status?.message;
  log[changed ? 'info' : 'debug'](
    { did: didOf(decision), outcome: outcome?.kind, reason: said.reason },
    said.message,
  );
  const status = statusOf(resource, observation.facts, decision, outcome);
  await writeStatus(ports, resource, status);
  announce(ports, resource, decision, outcome);
  measure(ports, resource, status, decision);
  return nextOf(decision, outcome);
};
