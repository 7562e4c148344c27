/** What a Deployment says of its own rolling update. Pure. */
import type { Deployment } from '../kube/types.ts';

/** How many pods a rolling update may take away before others are there. */
export const mostUnavailable = ({ spec }: Deployment): number => {
  const { rollingUpdate } = (spec.strategy ?? {}) as {
    readonly rollingUpdate?: { readonly maxUnavailable?: number | string };
  };
  // The API server's own default; it rounds a percentage down, so few replicas lose none.
  const { maxUnavailable = '25%' } = rollingUpdate ?? {};
  return typeof maxUnavailable === 'number'
    ? maxUnavailable
    : Math.floor(((spec.replicas ?? 1) * Number.parseFloat(maxUnavailable)) / 100);
};

/** True if, by its status, all of its pods run its template and are available. */
export const isRolledOut = ({ metadata, spec, status }: Deployment): boolean => {
  const { replicas = 1 } = spec;
  return (
    (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
    [status?.replicas, status?.updatedReplicas, status?.availableReplicas].every(
      (count = 0) => count === replicas,
    )
  );
};
