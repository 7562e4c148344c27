/** Carries out one step of a roll-out: one write to the API server, refused if the object has changed meanwhile. */
import type { RolloutStep } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { ApiError, isUnreachable } from '../kube/api-error.ts';
import type { Workload } from '../api/schema-change.ts';
import type { CallOptions, Cluster } from '../kube/client.ts';
import { configMaps, deployments, httpRoutes, services, type Ref, type Resource } from '../kube/resources.ts';
import type { KubeObject } from '../kube/types.ts';
import { measure } from './analysis/measure.ts';
import type { Meter } from './analysis/meter.ts';
import { metricsOf } from './analysis/metric.ts';
import type { WriteStep } from './write.ts';

const resources: Readonly<Record<'Deployment' | 'Service' | 'HTTPRoute' | 'ConfigMap', Resource>> = {
  Deployment: deployments,
  Service: services,
  HTTPRoute: httpRoutes,
  ConfigMap: configMaps,
};

/** Before another try, where the API server was away or busy. */
const retryMs = 2_000;

/** What a step may need beside the API server. */
export interface ActOptions extends CallOptions {
  /** Needed by steps that measure. */
  readonly analysis?: { readonly meter: Meter; readonly workloads: readonly Workload[] };
}

/** @throws whatever is neither a refusal by the API server nor its absence. */
export const actRollout = async (
  cluster: Cluster,
  step: RolloutStep,
  { analysis, ...options }: ActOptions = {},
): Promise<Outcome> => {
  // Only step.ts of this folder makes steps; the type of the seam does not know what is in them.
  const { message, namespace, write } = step as WriteStep;
  try {
    switch (write.verb) {
      case 'create': {
        const ref = { resource: resources[write.resource], namespace, name: write.name };
        await cluster.create<KubeObject>(ref, write.object, options);
        break;
      }
      case 'delete': {
        const { name, resource, uid, resourceVersion } = write;
        const ref = { resource: resources[resource], namespace, name };
        // A Deployment stays to be seen until its pods are gone; a Service has nothing to wait for.
        const propagation = resource === 'Deployment' ? 'Foreground' : 'Background';
        await cluster.delete(ref, { ...options, propagation, uid, resourceVersion });
        break;
      }
      case 'patch': {
        const ref: Ref = { resource: resources[write.resource], namespace, name: write.name };
        await cluster.patch(ref, write.body, { ...options, type: 'merge' });
        break;
      }
      case 'measure': {
        const { name, resourceVersion, annotation } = write;
        const workload = analysis?.workloads.find(({ deployment }) => deployment === step.deployment);
        if (analysis === undefined || workload === undefined)
          return {
            kind: 'stale',
            message: `The analysis of Deployment ${name} is not in the spec any more.`,
          };
        const note = await measure(analysis.meter, metricsOf(workload), write.measuring);
        const metadata = { resourceVersion, annotations: { [annotation]: JSON.stringify(note) } };
        const ref = { resource: deployments, namespace, name };
        await cluster.patch(ref, { metadata }, { ...options, type: 'merge' });
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
