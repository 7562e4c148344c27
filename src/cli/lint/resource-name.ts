/** What the API server asks of apiVersion and metadata, whatever the kind. */
import { isMapping, type Json } from './schema-node.ts';
import type { Fault } from './structure.ts';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Faults of a resource's version and name. */
export const nameFaults = (value: { readonly [key: string]: Json }): readonly Fault[] => {
  const faults: Fault[] = [];
  if (value['apiVersion'] !== 'segue.dev/v1alpha1')
    faults.push({
      path: ['apiVersion'],
      message: `apiVersion: there is no SchemaChange in version ${JSON.stringify(value['apiVersion'] ?? '')}; write segue.dev/v1alpha1`,
    });
  const metadata = value['metadata'];
  const name = isMapping(metadata) ? metadata['name'] : undefined;
  if (isMapping(metadata) && typeof metadata['generateName'] === 'string' && name === undefined)
    return faults;
  if (typeof name !== 'string' || name === '')
    faults.push({ path: ['metadata', 'name'], message: 'metadata.name: Required value' });
  else if (!subdomain.test(name) || name.length > 253)
    faults.push({
      path: ['metadata', 'name'],
      message: `metadata.name: Invalid value: ${JSON.stringify(name)}: write lower case letters, digits, "-" and ".", beginning and ending with a letter or digit`,
    });
  return faults;
};
