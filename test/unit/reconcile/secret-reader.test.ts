import { expect, test } from '@jest/globals';
import { SecretReader, secretFreshMs } from '../../../src/reconcile/secret-reader.ts';
import { secrets } from '../../../src/kube/resources.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const stand = () => {
  const cluster = new MemoryCluster();
  const clock = new ManualClock();
  return { cluster, clock, reader: new SecretReader(cluster, clock) };
};

const ref = { resource: secrets, namespace: 'shop', name: 'db' };

test('a Secret that many ask for is read once in a few seconds', async () => {
  const { cluster, clock, reader } = stand();
  await cluster.create(ref, { data: { uri: 'eA==' } });
  cluster.calls.length = 0;
  const all = await Promise.all(Array.from({ length: 100 }, () => reader.read('shop', 'db')));
  expect(all.every((secret) => secret?.data?.['uri'] === 'eA==')).toBe(true);
  expect(cluster.calls).toEqual(['get secrets']);
  await reader.read('shop', 'other');
  await reader.read('other', 'db');
  expect(cluster.calls).toHaveLength(3);
  await clock.advance(secretFreshMs);
  await reader.read('shop', 'db');
  expect(cluster.calls).toHaveLength(4);
});

test('one that was not there is found a few seconds after it was made', async () => {
  const { cluster, clock, reader } = stand();
  expect(await reader.read('shop', 'db')).toBeUndefined();
  await cluster.create(ref, { data: {} });
  await clock.advance(secretFreshMs);
  expect(await reader.read('shop', 'db')).toBeDefined();
});

test('a read that failed is not kept', async () => {
  const { cluster, reader } = stand();
  await cluster.create(ref, { data: {} });
  cluster.before = () => Promise.reject(new Error('away'));
  await expect(reader.read('shop', 'db')).rejects.toThrow('away');
  cluster.before = () => Promise.resolve();
  expect(await reader.read('shop', 'db')).toBeDefined();
});
