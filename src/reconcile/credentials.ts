/** From a Secret to a database. The URI goes no further than into the session pool. */
import { known, unknown, type Fact } from '../api/facts.ts';
import type { SchemaChange, SecretRef } from '../api/schema-change.ts';
import type { Database } from '../database/databases.ts';
import { readFact } from '../database/errors.ts';
import { isForbidden } from '../kube/api-error.ts';
import { keyOf } from '../kube/resources.ts';
import type { Secret } from '../kube/types.ts';
import type { Ports } from './ports.ts';

const read = async (ports: Ports, namespace: string, name: string): Promise<Fact<Secret | undefined>> => {
  try {
    return known(await ports.secrets.read(namespace, name));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return unknown(
      'Forbidden',
      `The operator may not read Secret ${namespace}/${name}. Grant its service account get on secrets in namespace ${namespace} (chart value watchNamespaces).`,
    );
  }
};

/**
 * Opens the database of a resource. When a namespace is deleted, its Secrets go at once, while the finalizer keeps the
 * SchemaChange: what is in the database is then tidied up with the credentials that were last read.
 */
export const openDatabase = async (
  ports: Ports,
  { metadata, spec }: SchemaChange,
): Promise<Fact<Database>> => {
  const { namespace, deletionTimestamp } = metadata;
  const key = keyOf({ metadata });
  const opened = await openSecret(ports, namespace, spec.database.secretRef);
  if (opened.known) ports.databases.remember(key, opened.value);
  if (opened.known || deletionTimestamp === undefined || opened.reason !== 'SecretNotFound') return opened;
  const last = ports.databases.lastOf(key);
  return last === undefined ? opened : known(last);
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
