import { expect, test } from '@jest/globals';
import { uriOfSecret } from '../../../src/cli/plan/secret.ts';
import type { Cluster } from '../../../src/kube/client.ts';

const cluster = {
  get: ({ namespace, name }: { namespace?: string; name: string }) =>
    Promise.resolve(
      `${namespace}/${name}` === 'shop/db'
        ? { metadata: { name }, data: { uri: Buffer.from('postgresql://u:p@h/d\n').toString('base64') } }
        : undefined,
    ),
} as unknown as Cluster;

test('the URI of a Secret, or what to do where there is none', async () => {
  const of = (namespace: string, key: string) => uriOfSecret(cluster, namespace, { name: 'db', key });
  expect(await of('shop', 'uri')).toEqual({ uri: 'postgresql://u:p@h/d' });
  expect(await of('shop', 'dsn')).toEqual({
    missing: 'Secret shop/db has no key dsn. Add it, or correct spec.database.secretRef.',
  });
  expect(await of('other', 'uri')).toEqual({
    missing: 'There is no Secret other/db. Create it, or give --database-url.',
  });
});
