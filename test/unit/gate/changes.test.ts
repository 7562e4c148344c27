/** What callers may cost the API server. */
import { expect, test } from '@jest/globals';
import { ChangeReader } from '../../../src/gate/changes.ts';
import { objectPath, schemaChanges } from '../../../src/kube/resources.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const stand = (): { cluster: MemoryCluster; clock: ManualClock; reader: ChangeReader } => {
  const cluster = new MemoryCluster();
  const clock = new ManualClock();
  cluster.objects.set(objectPath({ resource: schemaChanges, namespace: 'shop', name: 'names' }), {
    metadata: { name: 'names', namespace: 'shop', uid: 'uid-1', resourceVersion: '1', creationTimestamp: '' },
  });
  return { cluster, clock, reader: new ChangeReader({ cluster, clock }) };
};

test('an answer serves for a second, and those who ask meanwhile', async () => {
  const { cluster, clock, reader } = stand();
  const readings = await Promise.all([1, 2, 3].map(() => reader.read('shop', 'names')));
  expect(readings.map(({ kind }) => kind)).toEqual(['found', 'found', 'found']);
  await clock.advance(1_000);
  await reader.read('shop', 'names');
  expect(cluster.calls).toHaveLength(1);
  await clock.advance(1);
  cluster.objects.clear();
  expect(await reader.read('shop', 'names')).toEqual({ kind: 'absent' });
  expect(cluster.calls).toHaveLength(2);
});

test('what fails is not asked again at once either, and its words stay inside', async () => {
  const { cluster, clock, reader } = stand();
  cluster.before = () => Promise.reject(new Error('secret'));
  for (let i = 0; i < 3; i += 1)
    expect(await reader.read('shop', 'names')).toEqual({
      kind: 'unreadable',
      why: 'the API server gave no answer that can be used',
    });
  expect(cluster.calls).toHaveLength(1);
  cluster.before = () => Promise.resolve();
  await clock.advance(1_001);
  expect(await reader.read('shop', 'names')).toMatchObject({ kind: 'found' });
});

test('whoever asks for many names is refused, and not for ever', async () => {
  const { cluster, clock, reader } = stand();
  const kinds: string[] = [];
  for (let i = 0; i < 100; i += 1) kinds.push((await reader.read('shop', `name-${i}`)).kind);
  expect(kinds.filter((kind) => kind === 'absent')).toHaveLength(20);
  expect(kinds.filter((kind) => kind === 'unreadable')).toHaveLength(80);
  expect(cluster.calls).toHaveLength(20);
  await clock.advance(1_000);
  expect(await reader.read('shop', 'names')).toMatchObject({ kind: 'found' });
});

test('an API server that hangs is asked for four at once', async () => {
  const { cluster, reader } = stand();
  const hang = Promise.withResolvers<void>();
  cluster.before = () => hang.promise;
  const readings = Array.from({ length: 6 }, (_, i) => reader.read('shop', `name-${i}`));
  expect(await Promise.all(readings.slice(4))).toEqual([
    expect.objectContaining({ kind: 'unreadable' }),
    expect.objectContaining({ kind: 'unreadable' }),
  ]);
  hang.resolve();
  await Promise.all(readings);
  expect(cluster.calls).toHaveLength(4);
});
