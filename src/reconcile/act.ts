/** Carries out one action. The database's part goes through the claim on it, the cluster's through its port. */
import { finalizer } from '../api/names.ts';
import type { Outcome } from '../api/outcome.ts';
import { isConflict, isForbidden } from '../kube/api-error.ts';
import { schemaChanges } from '../kube/resources.ts';
import type { Action } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { actRollout } from '../rollout/act.ts';
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
