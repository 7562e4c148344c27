/** Carries out one action. The database's part goes through the claim on it, the cluster's through its port. */
import { known, type Fact } from '../api/facts.ts';
import { finalizer } from '../api/names.ts';
import type { Outcome } from '../api/outcome.ts';
import { measureQuery } from '../database/measure.ts';
import type { Replica } from '../database/replicas.ts';
import { isConflict, isForbidden } from '../kube/api-error.ts';
import { schemaChanges } from '../kube/resources.ts';
import type { Action } from '../phases/decision.ts';
import type { LookSource } from '../database/look.ts';
import type { Facts } from '../phases/facts.ts';
import { actRollout, type ActOptions } from '../rollout/act.ts';
import { createMeter } from '../rollout/analysis/meter.ts';
import { openSecret } from './credentials.ts';
import { beginIn, onLedger, type LedgerAction } from './ledger-actions.ts';
import type { Observation } from './observe.ts';
import type { Ports } from './ports.ts';

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

/** The replicas that an action asks for their lag; an unknown fact where one can't be opened. */
const replicasOf = async (
  ports: Ports,
  { resource }: Facts,
  action: LedgerAction | { kind: 'begin' },
): Promise<Fact<readonly Replica[]>> => {
  const opened: Replica[] = [];
  if (action.kind !== 'backfill' && action.kind !== 'verify') return known(opened);
  for (const secretRef of resource.spec.database.replicas) {
    const db = await openSecret(ports, resource.namespace, secretRef);
    if (!db.known) return db;
    opened.push({ name: secretRef.name, db: db.value });
  }
  return known(opened);
};

/** Replicas whose own records are looked into; one that can't be opened is told of, and holds nothing up. */
const lookedInto = async (
  ports: Ports,
  { resource }: Facts,
  action: { readonly kind: string },
): Promise<readonly LookSource[]> => {
  if (action.kind !== 'look') return [];
  return Promise.all(
    resource.spec.database.replicas.map(async (ref) => {
      const db = await openSecret(ports, resource.namespace, ref);
      return { name: ref.name, db: db.known ? db.value : undefined };
    }),
  );
};

const onDatabase = async (
  ports: Ports,
  { facts, db }: Observation,
  action: LedgerAction | { kind: 'begin' },
  signal: AbortSignal,
): Promise<Outcome> => {
  if (!db.known || !facts.ledger.known) throw new Error(`${action.kind} was decided without a database.`);
  const ledger = facts.ledger.value;
  const database = db.value;
  const replicas = await replicasOf(ports, facts, action);
  if (!replicas.known)
    return { kind: 'deferred', reason: replicas.reason, message: replicas.message, afterMs: 5_000 };
  const sources = await lookedInto(ports, facts, action);
  return ports.claims.with(database, (fence) => {
    if (action.kind === 'begin') return beginIn(facts, database, fence);
    if (ledger === undefined) throw new Error(`${action.kind} was decided without a ledger.`);
    const ref = { db: database, fence, id: ledger.id, revision: ledger.revision };
    const sawLag = (lagMs: number): void =>
      ports.metrics.changes.replicationLag.set(facts.resource, lagMs / 1000);
    return onLedger({ facts, ref, signal, replicas: replicas.value, sawLag, sources }, action);
  });
};

/** What measures for the analysis of this resource's roll-outs. */
const analysisOf = ({ facts, db }: Observation): NonNullable<ActOptions['analysis']> => ({
  workloads: facts.resource.spec.workloads,
  meter: createMeter(async (query, timeoutMs) =>
    db.known
      ? measureQuery(db.value, query, { table: facts.change.table, timeoutMs })
      : { kind: 'error', message: db.message },
  ),
});

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
      return actRollout(ports.cluster, action.step, { analysis: analysisOf(observation) });
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
