/** One look at one resource: observe, decide, act on at most one thing, report. */
import type { Outcome } from '../api/outcome.ts';
import { sameJson } from '../api/json.ts';
import { isStalled, type Reason } from '../api/reasons.ts';
import type { SchemaChange, SchemaChangeStatus } from '../api/schema-change.ts';
import { isConflict, isForbidden, isNotFound } from '../kube/api-error.ts';
import { refOf, schemaChanges } from '../kube/resources.ts';
import type { KubeObject } from '../kube/types.ts';
import { decide } from '../phases/decide.ts';
import { wait, type Decision } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { reconcileLog } from '../telemetry/log.ts';
import { carryOut } from './act.ts';
import { memoryOf } from './glance.ts';
import { measure } from './measure.ts';
import { didOf, nextOf, type Next } from './next.ts';
import { observe, type ClusterSide } from './observe.ts';
import type { Ports } from './ports.ts';
import { isOver } from './resource.ts';
import { saidOf, statusOf } from './status.ts';

/** What a look may do. */
export interface LookOptions {
  /** Why nothing may be done but to say so; a resource that is being deleted is tidied up all the same. */
  readonly barred?: string | undefined;
}

const writeStatus = async (
  ports: Ports,
  resource: SchemaChange,
  status: SchemaChangeStatus,
): Promise<string | undefined> => {
  if (sameJson(resource.status, status)) return resource.metadata.resourceVersion;
  ports.notifier?.tell(resource, status);
  const { namespace, name, uid, deletionTimestamp } = resource.metadata;
  try {
    // The uid: a resource that was deleted meanwhile must not come back as an empty shell.
    const written = await ports.cluster.apply<SchemaChange & KubeObject>(
      { resource: schemaChanges, namespace, name },
      { metadata: { uid }, status },
      { force: true, subresource: 'status' },
    );
    return written.metadata.resourceVersion;
  } catch (error) {
    // A resource that goes away is tidied up, whoever may hear of it.
    const goes = deletionTimestamp !== undefined && isForbidden(error);
    if (!goes && !isNotFound(error) && !isConflict(error)) throw error;
    return undefined;
  }
};

/** Nothing is done while it may not be done in full; what waits already goes on waiting for its own reason. */
const unlessBarred = (decision: Decision, facts: Facts, barred: string | undefined): Decision =>
  barred === undefined || decision.kind !== 'act' || facts.resource.deletingSince !== undefined
    ? decision
    : wait('Forbidden', barred, 5_000);

// In good order as far as the change is concerned, and not what a person will have expected.
const warnings: readonly Reason[] = ['RepairRefused', 'NotVerified'];

/** A look or a measurement is written down; what it means is said at the next look at the resource, at once. */
const isSilent = (decision: Decision, outcome: Outcome | undefined): boolean =>
  decision.kind === 'act' &&
  (decision.action.kind === 'look' ||
    (decision.action.kind === 'rollout' && decision.action.step.kind === 'Measure')) &&
  outcome?.kind === 'done';

/** True for what people need not hear: a stretch over the rows, a lost race, a wait that was told before. */
const isNoNews = (resource: SchemaChange, decision: Decision, outcome: Outcome | undefined): boolean => {
  if (outcome?.kind === 'stale') return true;
  if (outcome?.kind === 'done') return decision.kind === 'act' && isStretch(decision);
  const told = resource.status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
  return told === saidOf(decision, outcome).reason;
};

const isStretch = ({ action, reason }: Extract<Decision, { kind: 'act' }>): boolean =>
  ['backfill', 'retryBadRows', 'archive'].includes(action.kind) ||
  (action.kind === 'verify' && reason === 'Progressing');

const announce = (
  ports: Ports,
  resource: SchemaChange,
  decision: Decision,
  outcome: Outcome | undefined,
): void => {
  // What code runs ahead is told by its condition.
  if (isNoNews(resource, decision, outcome) || decision.reason === 'CodeAhead') return;
  const { reason, message } = saidOf(decision, outcome);
  ports.events.emit({
    regarding: resource,
    type:
      isStalled(reason) || warnings.includes(reason) || outcome?.kind === 'refused' ? 'Warning' : 'Normal',
    reason,
    action: decision.kind === 'act' ? actionName(decision.action.kind) : 'Wait',
    note: message,
  });
};

const isAhead = (status: SchemaChangeStatus | undefined): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'CodeAhead' && is === 'True') === true;

/** Once as it begins, whatever is done meanwhile: it may be over before the phase would hold for it. */
const announceAhead = (ports: Ports, resource: SchemaChange, status: SchemaChangeStatus): void => {
  if (!isAhead(status) || isAhead(resource.status)) return;
  const condition = status.conditions?.find(({ type }) => type === 'CodeAhead');
  ports.events.emit({
    regarding: resource,
    type: 'Warning',
    reason: 'CodeAhead',
    action: 'Wait',
    note: condition?.message ?? '',
  });
};

const actionName = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1);

const remembering = (next: Next, memory: ClusterSide | undefined): Next =>
  next.waits === undefined || memory === undefined ? next : { ...next, waits: { ...next.waits, memory } };

/**
 * Looks at a resource once and does the next thing.
 * @throws FencedError where another operator leads; ApiError and UnreachableError where the API server fails.
 */
export const reconcile = async (
  ports: Ports,
  key: string,
  signal: AbortSignal,
  { barred }: LookOptions = {},
): Promise<Next> => {
  const resource = await ports.cluster.get(refOf(schemaChanges, key));
  if (resource === undefined) {
    const [namespace = '', name = ''] = key.split('/');
    ports.metrics.changes.forget({ namespace, name });
    ports.databases.forget(key);
    return { gone: true };
  }
  if (isOver(resource)) {
    ports.metrics.changes.settle(resource.metadata, resource.status?.phase ?? '');
    return {};
  }
  const observation = await observe(ports, resource);
  const { facts } = observation;
  const decision = unlessBarred(decide(facts), facts, barred);
  const log = reconcileLog(ports.log, {
    resource: key,
    phase: resource.status?.phase ?? 'Pending',
    reconcileId: crypto.randomUUID(),
  });
  const outcome =
    decision.kind === 'act' ? await carryOut(ports, observation, decision.action, signal) : undefined;
  if (outcome?.kind === 'stale') ports.metrics.staleRequeues.inc({ cause: 'conflict' });
  if (isSilent(decision, outcome)) {
    log.debug({ did: didOf(decision) }, decision.message);
    return nextOf(decision, outcome);
  }
  const said = saidOf(decision, outcome);
  const changed = said.message !== resource.status?.message;
  log[changed ? 'info' : 'debug'](
    { did: didOf(decision), outcome: outcome?.kind, reason: said.reason },
    said.message,
  );
  const status = statusOf(resource, facts, decision, outcome);
  const version = await writeStatus(ports, resource, status);
  announceAhead(ports, resource, status);
  announce(ports, resource, decision, outcome);
  measure(ports.metrics, resource, { facts, decision, outcome, status });
  return {
    ...remembering(nextOf(decision, outcome), memoryOf(facts, decision, observation.cluster)),
    ...(version === undefined ? {} : { version }),
  };
};
