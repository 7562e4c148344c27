/** The database that a resource's own Secret names, read with the user's own kubeconfig. */
import type { SecretRef } from '../../api/schema-change.ts';
import { secrets } from '../../kube/resources.ts';
import type { Cluster } from '../../kube/client.ts';

/** The URI, or why there is none. Throws what the API server's client throws. */
export const uriOfSecret = async (
  cluster: Cluster,
  namespace: string,
  { name, key }: SecretRef,
): Promise<{ readonly uri: string } | { readonly missing: string }> => {
  const secret = await cluster.get({ resource: secrets, namespace, name });
  if (secret === undefined)
    return { missing: `There is no Secret ${namespace}/${name}. Create it, or give --database-url.` };
  const encoded = secret.data?.[key];
  return encoded === undefined
    ? {
        missing: `Secret ${namespace}/${name} has no key ${key}. Add it, or correct spec.database.secretRef.`,
      }
    : { uri: Buffer.from(encoded, 'base64').toString('utf8').trim() };
};
