import type { Cluster } from '../kube/client.ts';
import { deployments } from '../kube/resources.ts';
import type { Deployment } from '../kube/types.ts';

/** The operator's Deployments, as the chart labels them; there may be one for each of several namespaces. */
export const findOperators = async (
  cluster: Cluster,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly Deployment[]> => {
  const labelSelector = 'app.kubernetes.io/name=segue';
  return (await cluster.list(deployments, { namespace, labelSelector, signal })).items;
};

/** Its version: the chart's label and the image, which may say more. */
export const operatorText = ({ metadata, spec, status }: Deployment): string => {
  const version = metadata.labels?.['app.kubernetes.io/version'] ?? 'unknown version';
  const image = spec.template.spec.containers[0]?.image ?? 'no image';
  return `${version} (${metadata.namespace}/${metadata.name}, image ${image}, ${status?.readyReplicas ?? 0} of ${spec.replicas ?? 1} ready)`;
};
