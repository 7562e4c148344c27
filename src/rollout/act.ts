/** Carries out one step of a roll-out: one write to the API server, refused if the object has changed meanwhile. */
import type { RolloutStep } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { ApiError, isUnreachable } from '../kube/api-error.ts';
import type { CallOptions, Cluster } from '../kube/client.ts';
import { deployments, services, type Ref } from '../kube/resources.ts';
import type { WriteStep } from './step.ts';

/** Before another try, where the API server was away or busy. */
const retryMs = 2_000;

/** @throws whatever is neither a refusal by the API server nor its absence. */
export const actRollout = async (
  cluster: Cluster,
  step: RolloutStep,
  options: CallOptions = {},
): Promise<Outcome> => {
  // Only step.ts of this folder makes steps; the type of the seam does not know what is in them.
  const { message, namespace, write } = step as WriteStep;
  try {
    switch (write.verb) {
      case 'create':
        await cluster.create({ resource: deployments, namespace, name: write.name }, write.object, options);
        break;
      case 'delete': {
        const { name, uid, resourceVersion } = write;
        const ref = { resource: deployments, namespace, name };
        await cluster.delete(ref, { ...options, propagation: 'Foreground', uid, resourceVersion });
        break;
      }
      case 'patch': {
        const ref: Ref = {
          resource: write.resource === 'Service' ? services : deployments,
          namespace,
          name: write.name,
        };
        await cluster.patch(ref, write.body, { ...options, type: 'merge' });
        break;
      }
    }
    return { kind: 'done', message };
  } catch (error) {
    return outcomeOf(error, step.kind);
  }
};

const outcomeOf = (error: unknown, kind: string): Outcome => {
  if (isUnreachable(error))
    return { kind: 'deferred', reason: 'ClusterUnreachable', message: error.message, afterMs: retryMs };
  if (!(error instanceof ApiError)) throw error;
  const { message, status, retryAfterMs } = error;
  switch (status) {
    case 404:
    case 409:
      return { kind: 'stale', message };
    case 401:
    case 403:
      return {
        kind: 'refused',
        reason: 'Forbidden',
        message: `Step ${kind} is not allowed: ${message}. Grant Segue's service account that right, or mend the policy or quota that says so.`,
      };
    case 400:
    case 422:
      return { kind: 'refused', reason: 'StepFailed', message: `Step ${kind} was refused: ${message}` };
    default:
      return { kind: 'deferred', reason: 'ClusterUnreachable', message, afterMs: retryAfterMs ?? retryMs };
  }
};
