/** Carries out one action. The database's part goes through the claim on it, the cluster's through its port. */
import { parseDuration } from '../api/duration.ts';
import { finalizer } from '../api/names.ts';
import type { Outcome } from '../api/outcome.ts';
import { isConflict, isForbidden } from '../kube/api-error.ts';
import { runBackfill } from '../database/backfill.ts';
import type { Database } from '../database/databases.ts';
import type { Fence } from '../database/fence.ts';
import { applyMutation, begin, type LedgerRef } from '../database/ledger.ts';
import type { Mutation } from '../database/mutation.ts';
import { proveTriggers } from '../database/probe.ts';
import { runStep } from '../database/steps.ts';
import { verify } from '../database/verify.ts';
import { schemaChanges } from '../kube/resources.ts';
import type { Action } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { actRollout } from '../rollout/act.ts';
import type { Observation } from './observe.ts';
import type { Ports } from './ports.ts';

type LedgerAction = Exclude<Action, { kind: 'protect' | 'release' | 'rollout' | 'begin' }>;

// Long enough to be efficient, short enough that suspend, deletion and status are seen to soon.
const backfillStretchMs = 2_000;

const setFinalizers = async (
  ports: Ports,
  facts: Facts,
  change: (now: readonly string[]) => readonly string[],
): Promise<Outcome> => {
  const { namespace, name, uid } = facts.resource;
  const ref = { resource: schemaChanges, namespace, name };
  const resource = await ports.cluster.get(ref);
  if (resource?.metadata.uid !== uid)
    return { kind: 'stale', message: 'The resource is gone or was made again.' };
  const finalizers = change(resource.metadata.finalizers ?? []);
  const { resourceVersion } = resource.metadata;
  await ports.cluster.patch(ref, { metadata: { resourceVersion, finalizers } }, { type: 'merge' });
  return { kind: 'done', message: 'Finalizers are set.' };
};

const mutationOf = (facts: Facts, action: LedgerAction): Mutation | undefined => {
  switch (action.kind) {
    case 'enter':
      return {
        kind: 'enterPhase',
        to: action.to,
        ...(action.skipped === undefined ? {} : { skipped: action.skipped }),
      };
    case 'adopt':
      return { kind: 'adopt', uid: facts.resource.uid };
    case 'retry':
      return { kind: 'handleRetry', value: action.value };
    case 'turnBack':
    case 'approve':
    case 'startQuarantine':
    case 'restartQuarantine':
    case 'finish':
      return action;
    case 'step':
    case 'prove':
    case 'backfill':
    case 'verify':
      return undefined;
  }
};

const beginIn = (facts: Facts, db: Database, fence: Fence): Promise<Outcome> => {
  const { resource, change, table } = facts;
  if (!table.known || table.value === undefined)
    throw new Error('A change is begun only on a table that was read.');
  return begin(db, fence, {
    uid: resource.uid,
    namespace: resource.namespace,
    name: resource.name,
    change: resource.spec.change,
    table: table.value,
    oldColumns: change.oldColumns,
    newColumns: change.newColumns,
  });
};

/** A write to a change that the ledger knows. */
interface LedgerWrite {
  readonly facts: Facts;
  readonly ref: LedgerRef;
  readonly signal: AbortSignal;
}

const onLedger = ({ facts, ref, signal }: LedgerWrite, action: LedgerAction): Promise<Outcome> => {
  const mutation = mutationOf(facts, action);
  if (mutation !== undefined) return applyMutation(ref, mutation);
  const { change, table: read } = facts;
  const { spec } = facts.resource;
  if (!read.known || read.value === undefined) throw new Error(`${action.kind} needs a table that was read.`);
  const table = read.value;
  const rows = change.rows(ref.id, table);
  const lockTimeoutMs = parseDuration(spec.locks.timeout);
  switch (action.kind) {
    case 'step':
      return runStep(ref, action.step, { table: change.table, lockTimeoutMs, signal });
    case 'prove':
      return proveTriggers(ref, { change, table, rows });
    case 'backfill':
      return runBackfill(
        ref,
        {
          table,
          rows,
          settings: {
            targetBatchMs: parseDuration(spec.backfill.targetBatchTime),
            maxRowsPerSecond: spec.backfill.maxRowsPerSecond,
            maxReplicaLagMs: parseDuration(spec.backfill.maxReplicaLag),
          },
          budgetMs: backfillStretchMs,
        },
        signal,
      );
    default:
      return verify(ref, { table, rows }, signal);
  }
};

const onDatabase = (
  ports: Ports,
  { facts, db }: Observation,
  action: LedgerAction | { kind: 'begin' },
  signal: AbortSignal,
): Promise<Outcome> => {
  if (!db.known || !facts.ledger.known) throw new Error(`${action.kind} was decided without a database.`);
  const ledger = facts.ledger.value;
  const database = db.value;
  return ports.claims.with(database, (fence) => {
    if (action.kind === 'begin') return beginIn(facts, database, fence);
    if (ledger === undefined) throw new Error(`${action.kind} was decided without a ledger.`);
    const ref = { db: database, fence, id: ledger.id, revision: ledger.revision };
    return onLedger({ facts, ref, signal }, action);
  });
};

const dispatch = (
  ports: Ports,
  observation: Observation,
  action: Action,
  signal: AbortSignal,
): Promise<Outcome> => {
  switch (action.kind) {
    case 'protect':
      return setFinalizers(ports, observation.facts, (now) => [
        ...now.filter((name) => name !== finalizer),
        finalizer,
      ]);
    case 'release':
      return setFinalizers(ports, observation.facts, (now) => now.filter((name) => name !== finalizer));
    case 'rollout':
      return actRollout(ports.cluster, action.step);
    default:
      return onDatabase(ports, observation, action, signal);
  }
};

/**
 * Does what was decided and says how it ended.
 * @throws FencedError where another operator leads; UnreachableError where the API server is away.
 */
export const carryOut = async (
  ports: Ports,
  observation: Observation,
  action: Action,
  signal: AbortSignal,
): Promise<Outcome> => {
  try {
    return await dispatch(ports, observation, action, signal);
  } catch (error) {
    if (isConflict(error)) return { kind: 'stale', message: error.message };
    if (isForbidden(error))
      return {
        kind: 'refused',
        reason: 'Forbidden',
        message: `${error.message} Grant the operator's service account that verb (the chart's Role lists all it needs); it goes on by itself then.`,
      };
    throw error;
  }
};
