import { beforeEach, expect, test } from '@jest/globals';
import { FreshReads } from '../../../src/kube/fresh-reads.ts';
import { UnreachableError } from '../../../src/kube/api-error.ts';
import type { List, ListOptions } from '../../../src/kube/client.ts';
import { deployments, objectPath, pods, services, type Resource } from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';
import { rejectionOf } from '../../support/rejection.ts';

/** Lists are as of a version that the test says, and come when it says. */
class Listed extends MemoryCluster {
  listVersion = 100;
  beforeAnswer: Promise<void> = Promise.resolve();

  override async list<T>(_?: Resource, options?: ListOptions): Promise<List<T>> {
    options?.signal?.throwIfAborted();
    const resourceVersion = String(this.listVersion);
    await this.beforeAnswer;
    return { items: [], resourceVersion };
  }
}

const shop = { resource: deployments, namespace: 'shop', name: 'shop' };
let clock: ManualClock;
let server: Listed;
let fresh: FreshReads;
let refused: number;
beforeEach(() => {
  clock = new ManualClock();
  refused = 0;
  server = new Listed();
  fresh = new FreshReads(server, { stale: () => (refused += 1) }, clock);
});

const stale = async (asked: Promise<unknown>): Promise<void> => {
  const before = refused;
  const error = await rejectionOf(asked);
  expect(error).toBeInstanceOf(UnreachableError);
  expect((error as UnreachableError).code).toBe('STALE');
  expect(refused).toBe(before + 1);
};

/** The server shows an object as it was. */
const turnBack = (object: KubeObject): void => void server.objects.set(objectPath(shop), object);

test('our own last write is seen, or the answer is refused', async () => {
  const first = await fresh.create(shop, {});
  await fresh.patch(shop, { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
  const now = server.objects.get(objectPath(shop)) as KubeObject;
  turnBack(first);
  await stale(fresh.get(shop));
  turnBack(now);
  expect((await fresh.get(shop))?.metadata.labels).toEqual({ a: 'b' });
});

test('an object that was made again under its name is taken, whatever its version', async () => {
  const first = await fresh.create(shop, {});
  await fresh.patch(shop, { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
  turnBack({ ...first, metadata: { ...first.metadata, uid: 'another' } });
  expect((await fresh.get(shop))?.metadata.uid).toBe('another');
});

test('a list from before another one, or from before a read of its kind, is refused', async () => {
  await fresh.list(pods);
  server.listVersion = 99;
  await stale(fresh.list(pods));
  server.listVersion = 101;
  await fresh.list(pods);
});

test('kinds are not compared with each other', async () => {
  await fresh.list(pods);
  server.listVersion = 50;
  await fresh.list(services);
});

test('a list that was asked for before a newer one came is as good as it was', async () => {
  let answer = () => {};
  server.beforeAnswer = new Promise((resolve) => (answer = resolve));
  const early = fresh.list(pods);
  server.beforeAnswer = Promise.resolve();
  server.listVersion = 120;
  await fresh.list(pods);
  answer();
  expect((await early).resourceVersion).toBe('100');
  server.listVersion = 110;
  await stale(fresh.list(pods));
});

test('a server that was put back to an earlier state is believed after a minute', async () => {
  const first = await fresh.create(shop, {});
  await fresh.patch(shop, { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
  await fresh.list(pods);
  turnBack(first);
  server.listVersion = 10;
  await stale(fresh.get(shop));
  await clock.advance(59_000);
  await stale(fresh.get(shop));
  await clock.advance(2_000);
  expect((await fresh.get(shop))?.metadata.labels).toBeUndefined();
  await fresh.list(pods);
});

test('one fresh answer in between, and the minute begins anew', async () => {
  const first = await fresh.create(shop, {});
  await fresh.patch(shop, { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
  const now = server.objects.get(objectPath(shop)) as KubeObject;
  turnBack(first);
  await stale(fresh.get(shop));
  await clock.advance(50_000);
  turnBack(now);
  await fresh.get(shop);
  turnBack(first);
  await clock.advance(50_000);
  await stale(fresh.get(shop));
});
