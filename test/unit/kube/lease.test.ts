import { describe, expect, test } from '@jest/globals';
import { UnreachableError } from '../../../src/kube/api-error.ts';
import { Election } from '../../../src/kube/lease.ts';
import { leases } from '../../../src/kube/resources.ts';
import type { Lease } from '../../../src/kube/types.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const ref = { resource: leases, namespace: 'segue', name: 'segue' };

/** A candidate whose work goes on until `finish`. */
function candidate(cluster: MemoryCluster, clock: ManualClock, name: string) {
  const leading: boolean[] = [];
  const election = new Election({
    cluster,
    clock,
    namespace: 'segue',
    name: 'segue',
    identity: name,
    random: () => 0,
    onLeading: (is) => leading.push(is),
  });
  const stop = new AbortController();
  const work = Promise.withResolvers<void>();
  const started: { signal: AbortSignal; transitions: number }[] = [];
  const end = election.run({
    signal: stop.signal,
    onStarted: (signal, transitions) => {
      started.push({ signal, transitions });
      return work.promise;
    },
  });
  end.catch(() => {});
  return { election, leading, stop, finish: work.resolve, fail: work.reject, started, end };
}

const leaseIn = async (cluster: MemoryCluster): Promise<Lease['spec']> => (await cluster.get(ref))?.spec;

describe('an election', () => {
  test('makes the Lease, with times of six digits, and renews it every 2 s', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    expect(await leaseIn(cluster)).toMatchObject({
      holderIdentity: a.election.identity,
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-02T03:04:05.678000Z',
      renewTime: '2026-01-02T03:04:05.678000Z',
    });
    expect(a.leading).toEqual([true]);
    await clock.advance(2_000);
    expect((await leaseIn(cluster))?.renewTime).toBe('2026-01-02T03:04:07.678000Z');
    expect((await leaseIn(cluster))?.acquireTime).toBe('2026-01-02T03:04:05.678000Z');
    a.finish();
    await clock.advance(0);
    await expect(a.end).resolves.toBe('released');
  });

  test('starts the count of a new Lease from the time of day, so that a deleted Lease never lowers it', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    const first = a.started[0]?.transitions ?? 0;
    expect(first).toBe(
      Math.floor((Date.parse('2026-01-02T03:04:05Z') - Date.parse('2020-01-01T00:00:00Z')) / 1000),
    );
    expect(first).toBeLessThan(2 ** 31);
    await cluster.delete(ref);
    await clock.advance(2_000);
    await expect(a.end).resolves.toBe('lost');
    await clock.advance(1_000);
    const b = candidate(cluster, clock, 'b');
    await clock.advance(0);
    expect(b.started[0]?.transitions).toBeGreaterThan(first);
  });

  test('waits until a dead leader was unseen for the whole duration, then raises the count', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    await cluster.create(ref, {
      // A time far in the future, from a machine whose clock is wrong, means nothing.
      spec: {
        holderIdentity: 'dead',
        leaseDurationSeconds: 15,
        renewTime: '2036-01-01T00:00:00.000000Z',
        leaseTransitions: 41,
      },
    });
    const a = candidate(cluster, clock, 'a');
    await clock.advance(15_000);
    expect(a.started).toHaveLength(0);
    await clock.advance(2_000);
    expect(a.started).toMatchObject([{ transitions: 42 }]);
  });

  test('never takes over while the leader renews, even if its timestamps are long past', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    await cluster.create(ref, {
      spec: { holderIdentity: 'slow clock', leaseDurationSeconds: 15, leaseTransitions: 1 },
    });
    const a = candidate(cluster, clock, 'a');
    for (let i = 0; i < 20; i += 1) {
      await clock.advance(10_000);
      await cluster.patch(
        ref,
        { spec: { renewTime: `2001-01-01T00:00:${10 + i}.000000Z` } },
        { type: 'merge' },
      );
    }
    expect(a.started).toHaveLength(0);
  });

  test('of two that see the same free Lease, one leads', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const both = [candidate(cluster, clock, 'a'), candidate(cluster, clock, 'b')];
    await clock.advance(60_000);
    expect(both.flatMap(({ started }) => started)).toHaveLength(1);
  });

  test('gives up when it could not renew for 10 s, well before anybody may take over', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(4_000);
    cluster.before = () => Promise.reject(new UnreachableError('away', 'ECONNREFUSED'));
    await clock.advance(9_900);
    expect(a.started[0]?.signal.aborted).toBe(false);
    await clock.advance(200);
    expect(a.started[0]?.signal.aborted).toBe(true);
    await expect(a.end).resolves.toBe('lost');
    expect(a.leading).toEqual([true, false]);
    expect(a.election.transitions).toBeUndefined();
  });

  test('gives up in time even if the API server neither answers nor hangs up', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    const limits: AbortSignal[] = [];
    cluster.before = (_call, signal) => {
      if (signal !== undefined) limits.push(signal);
      return new Promise(() => {});
    };
    await clock.advance(10_000);
    await expect(a.end).resolves.toBe('lost');
    // The first try got half the time, so that there was a second.
    expect(limits.length).toBeGreaterThanOrEqual(2);
    expect(limits.every(({ aborted }) => aborted)).toBe(true);
  });

  test('goes on leading through a short outage', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(2_000);
    cluster.before = () => Promise.reject(new UnreachableError('away', 'ECONNREFUSED'));
    await clock.advance(7_000);
    cluster.before = () => Promise.resolve();
    await clock.advance(60_000);
    expect(a.started).toHaveLength(1);
    expect(a.started[0]?.signal.aborted).toBe(false);
  });

  test('gives up at once when another holds the Lease', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    await cluster.patch(ref, { spec: { holderIdentity: 'usurper' } }, { type: 'merge' });
    await clock.advance(2_000);
    await expect(a.end).resolves.toBe('lost');
    expect((await leaseIn(cluster))?.holderIdentity).toBe('usurper');
  });

  test('goes on leading when somebody labels the Lease', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(1_000);
    await cluster.patch(ref, { metadata: { labels: { seen: 'yes' } } }, { type: 'merge' });
    await clock.advance(60_000);
    expect(a.started[0]?.signal.aborted).toBe(false);
  });

  test('knows the Lease as its own if only the answer was lost, and does not raise the count again', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    cluster.after = (call) => {
      if (!call.startsWith('create')) return;
      cluster.after = () => {};
      throw new UnreachableError('cut', 'UND_ERR_SOCKET');
    };
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    const written = (await leaseIn(cluster))?.leaseTransitions;
    await clock.advance(4_400);
    expect(a.started).toMatchObject([{ transitions: written }]);
  });

  test('releases after its work has ended, not when it is asked to stop, and the next one leads at once', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    const b = candidate(cluster, clock, 'b');
    a.stop.abort();
    await clock.advance(30_000);
    expect((await leaseIn(cluster))?.holderIdentity).toBe(a.election.identity);
    expect(b.started).toHaveLength(0);
    a.finish();
    await clock.advance(0);
    await expect(a.end).resolves.toBe('released');
    expect(await leaseIn(cluster)).not.toHaveProperty('holderIdentity');
    await clock.advance(2_000);
    expect(b.started).toMatchObject([{ transitions: (a.started[0]?.transitions ?? 0) + 1 }]);
  });

  test('releases even if a renewal was under way when the work ended', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(1_000);
    // What a renewal whose answer never came leaves behind: a version that we do not know.
    await cluster.patch(ref, { spec: { renewTime: '2026-01-02T03:04:06.678000Z' } }, { type: 'merge' });
    a.finish();
    await clock.advance(0);
    expect(await leaseIn(cluster)).not.toHaveProperty('holderIdentity');
  });

  test('releases, and tells why, when the work fails', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    await clock.advance(0);
    a.fail(new Error('a bug'));
    await clock.advance(0);
    await expect(a.end).rejects.toThrow('a bug');
    expect(await leaseIn(cluster)).not.toHaveProperty('holderIdentity');
  });

  test('stops waiting when asked to', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    await cluster.create(ref, { spec: { holderIdentity: 'other', leaseDurationSeconds: 15 } });
    const a = candidate(cluster, clock, 'a');
    await clock.advance(5_000);
    a.stop.abort();
    await clock.advance(0);
    await expect(a.end).resolves.toBe('stopped');
    expect(a.started).toHaveLength(0);
  });

  test('asks the server whether it still leads, and takes no answer for neither yes nor no', async () => {
    const [cluster, clock] = [new MemoryCluster(), new ManualClock()];
    const a = candidate(cluster, clock, 'a');
    expect(await a.election.stillHeld()).toBe(false);
    await clock.advance(0);
    expect(await a.election.stillHeld()).toBe(true);
    expect(a.election.transitions).toBe(a.started[0]?.transitions);
    cluster.before = () => Promise.reject(new UnreachableError('away', 'ECONNREFUSED'));
    expect(await rejectionOf(a.election.stillHeld())).toBeInstanceOf(UnreachableError);
    cluster.before = () => Promise.resolve();
    await cluster.patch(ref, { spec: { holderIdentity: 'usurper' } }, { type: 'merge' });
    expect(await a.election.stillHeld()).toBe(false);
  });

  test('refuses times with which two could lead', () => {
    const make = (durationMs: number, renewDeadlineMs: number, retryMs: number) => () =>
      new Election({
        cluster: new MemoryCluster(),
        namespace: 'segue',
        name: 'segue',
        identity: 'a',
        timing: { durationMs, renewDeadlineMs, retryMs },
      });
    expect(make(10_000, 10_000, 2_000)).toThrow('duration > renew deadline');
    expect(make(15_000, 10_000, 9_000)).toThrow('duration > renew deadline');
    expect(make(15_500, 10_000, 2_000)).toThrow('whole seconds');
  });
});
