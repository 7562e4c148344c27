/** Live reads of the HTTPRoute that a canary divides, and of the canary's Service. */
import type { Workload } from '../api/schema-change.ts';
import { isNotFound } from '../kube/api-error.ts';
import type { Cluster } from '../kube/client.ts';
import { httpRoutes, services } from '../kube/resources.ts';
import type { Service } from '../kube/types.ts';
import { readHold } from './record.ts';
import { canaryServiceName, type Routing } from './routing.ts';

/**
 * What stands of a route that the resource or the Service's hold names; undefined where neither does. A cluster need
 * not have any routes. @throws ApiError, UnreachableError.
 */
export const readRouting = async (
  cluster: Cluster,
  namespace: string,
  workload: Workload,
  service: Service | undefined,
): Promise<Routing | undefined> => {
  const hold = service === undefined ? undefined : readHold(service);
  const { canary } = workload.strategy ?? {};
  const name = (typeof hold === 'object' ? hold.httpRoute : undefined) ?? canary?.httpRoute;
  const own = service?.metadata.name ?? workload.service;
  if (name === undefined || own === undefined) return undefined;
  const canaryService = canaryServiceName(own);
  const [route, found] = await Promise.all([
    cluster.get({ resource: httpRoutes, namespace, name }),
    cluster.get({ resource: services, namespace, name: canaryService }),
  ]);
  return {
    name,
    installed: route !== undefined || (await hasRoutes(cluster, namespace)),
    route,
    canaryService: found,
    division: { namespace, service: own, canaryService, weight: 0, headers: canary?.headers ?? {} },
  };
};

/** False where the API server knows no such kind: for a route that is missing it answers 404 as well. */
const hasRoutes = async (cluster: Cluster, namespace: string): Promise<boolean> => {
  try {
    await cluster.list(httpRoutes, { namespace });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
};
