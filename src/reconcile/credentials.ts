/** From a Secret to a database. The URI goes no further than into the session pool. */
import { known, unknown, type Fact } from '../api/facts.ts';
import type { SecretRef } from '../api/schema-change.ts';
import type { Database } from '../database/databases.ts';
import { readFact } from '../database/errors.ts';
import { isForbidden } from '../kube/api-error.ts';
import { secrets } from '../kube/resources.ts';
import type { Secret } from '../kube/types.ts';
import type { Ports } from './ports.ts';

const read = async (ports: Ports, namespace: string, name: string): Promise<Fact<Secret | undefined>> => {
  try {
    return known(await ports.cluster.get({ resource: secrets, namespace, name }));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return unknown(
      'Forbidden',
      `The operator may not read Secret ${namespace}/${name}. Grant its service account get on secrets in namespace ${namespace} (chart value watchNamespaces).`,
    );
  }
};

/** Opens the database that a Secret names, without connecting yet. */
export const openSecret = async (
  ports: Ports,
  namespace: string,
  ref: SecretRef,
): Promise<Fact<Database>> => {
  const secret = await read(ports, namespace, ref.name);
  if (!secret.known) return secret;
  if (secret.value === undefined)
    return unknown(
      'SecretNotFound',
      `There is no Secret ${namespace}/${ref.name}. Create it with a connection URI under key ${ref.key}, or correct spec.database.`,
    );
  const encoded = secret.value.data?.[ref.key];
  if (encoded === undefined)
    return unknown(
      'SecretKeyMissing',
      `Secret ${namespace}/${ref.name} has no key ${ref.key}; it has ${Object.keys(secret.value.data ?? {}).join(', ') || 'no key at all'}. Add the key, or name another in spec.database.`,
    );
  const uri = Buffer.from(encoded, 'base64').toString('utf8').trim();
  return readFact(`Secret ${namespace}/${ref.name}`, async () => ports.databases.open(uri));
};
