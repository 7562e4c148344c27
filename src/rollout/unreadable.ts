import { unknown, type Fact } from '../api/facts.ts';
import { ApiError, isForbidden, isUnreachable } from '../kube/api-error.ts';

/** What could not be read of the cluster, as a fact. @throws whatever is not the API server's doing. */
export const unreadable = (error: unknown, what: string): Fact<never> => {
  if (isUnreachable(error)) return unknown('ClusterUnreachable', `Can't read ${what}: ${error.message}`);
  if (isForbidden(error))
    return unknown(
      'Forbidden',
      `Can't read ${what}: ${error.message}. Grant Segue's service account that right, as the chart's Role does.`,
    );
  if (error instanceof ApiError) return unknown('ClusterUnreachable', `Can't read ${what}: ${error.message}`);
  throw error;
};
