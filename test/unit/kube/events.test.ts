import { describe, expect, test } from '@jest/globals';
import { ApiError } from '../../../src/kube/api-error.ts';
import { type EventInput, EventRecorder, reportingController } from '../../../src/kube/events.ts';
import type { KubeEvent, KubeObject } from '../../../src/kube/types.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const change: KubeObject = {
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name: 'customers-full-name',
    namespace: 'shop',
    uid: 'uid-of-change',
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
};

const event = (fields: Partial<EventInput> = {}): EventInput => ({
  regarding: change,
  type: 'Warning',
  reason: 'LockTimeout',
  action: 'AddColumn',
  note: 'pid 4711 holds a lock on customers; it is tried again in 30 s.',
  ...fields,
});

function recorder() {
  const cluster = new MemoryCluster();
  const clock = new ManualClock();
  const counts = { written: 0, failed: 0, dropped: 0 };
  const events = new EventRecorder({
    cluster,
    clock,
    instance: 'segue-0',
    observer: {
      written: () => (counts.written += 1),
      failed: () => (counts.failed += 1),
      dropped: () => (counts.dropped += 1),
    },
  });
  const written = () => [...cluster.objects.values()] as KubeEvent[];
  return { cluster, clock, counts, events, written };
}

describe('Events', () => {
  test('say what they are about, in the namespace of it', async () => {
    const { clock, events, written } = recorder();
    events.emit(event());
    await clock.advance(0);
    expect(written()).toMatchObject([
      {
        metadata: { namespace: 'shop', name: expect.stringMatching(/^customers-full-name\.[0-9a-f]{16}$/u) },
        reportingController,
        reportingInstance: 'segue-0',
        eventTime: '2026-01-02T03:04:05.678000Z',
        type: 'Warning',
        reason: 'LockTimeout',
        action: 'AddColumn',
        regarding: {
          apiVersion: 'segue.dev/v1alpha1',
          kind: 'SchemaChange',
          namespace: 'shop',
          name: 'customers-full-name',
          uid: 'uid-of-change',
        },
      },
    ]);
    expect(written()[0]).not.toHaveProperty('series');
  });

  test('that repeat within ten minutes raise the count of the first, with few requests', async () => {
    const { cluster, clock, events, written } = recorder();
    for (let i = 0; i < 50; i += 1) {
      events.emit(event());
      await clock.advance(100);
    }
    await clock.advance(10_000);
    expect(written()).toHaveLength(1);
    expect(written()[0]?.series).toEqual({ count: 50, lastObservedTime: '2026-01-02T03:04:10.578000Z' });
    expect(cluster.calls.length).toBeLessThanOrEqual(3);
  });

  test('that differ in reason, note, type or object are apart', async () => {
    const { clock, events, written } = recorder();
    events.emit(event());
    events.emit(event({ reason: 'Blocked' }));
    events.emit(event({ note: 'another' }));
    events.emit(event({ type: 'Normal' }));
    events.emit(event({ regarding: { ...change, metadata: { ...change.metadata, uid: 'made again' } } }));
    await clock.advance(10_000);
    expect(written()).toHaveLength(5);
  });

  test('that repeat after ten minutes are new', async () => {
    const { clock, events, written } = recorder();
    events.emit(event());
    await clock.advance(600_001);
    events.emit(event());
    await clock.advance(10_000);
    expect(written()).toHaveLength(2);
  });

  test('that the server has forgotten meanwhile are made again, with their count', async () => {
    const { cluster, clock, events, written } = recorder();
    events.emit(event());
    await clock.advance(0);
    cluster.objects.clear();
    events.emit(event());
    await clock.advance(5_000);
    expect(written()).toMatchObject([{ series: { count: 2 } }]);
  });

  test('that can not be written harm nobody, and the next one is tried anew', async () => {
    const { cluster, clock, counts, events, written } = recorder();
    cluster.before = () => Promise.reject(new ApiError('no', { status: 403 }));
    events.emit(event());
    await clock.advance(0);
    expect(counts).toEqual({ written: 0, failed: 1, dropped: 0 });
    cluster.before = () => Promise.resolve();
    events.emit(event());
    await clock.advance(5_000);
    expect(written()).toMatchObject([{ series: { count: 2 } }]);
  });

  test('that were written though the answer was lost are not made twice', async () => {
    const { cluster, clock, counts, events, written } = recorder();
    cluster.after = () => {
      throw new Error('other side closed');
    };
    events.emit(event());
    await clock.advance(0);
    expect(counts).toEqual({ written: 0, failed: 1, dropped: 0 });
    cluster.after = () => {};
    events.emit(event());
    await clock.advance(5_000);
    expect(written()).toMatchObject([{ series: { count: 2 } }]);
  });

  test('of one object are limited, those of others are not', async () => {
    const { clock, counts, events, written } = recorder();
    for (let i = 0; i < 150; i += 1) events.emit(event({ note: `note ${i}` }));
    events.emit(event({ regarding: { ...change, metadata: { ...change.metadata, uid: 'other' } } }));
    await clock.advance(1_000);
    expect(written()).toHaveLength(101);
    expect(counts.dropped).toBe(50);
  });

  test.each([
    ['short', 'short'],
    ['x'.repeat(1024), 'x'.repeat(1024)],
    ['x'.repeat(1025), `${'x'.repeat(1021)}…`],
    ['ä'.repeat(600), `${'ä'.repeat(510)}…`],
    ['🙂'.repeat(300), `${'🙂'.repeat(255)}…`],
  ])('have a note of at most 1 kB, cut between characters (%#)', async (note, expected) => {
    const { clock, events, written } = recorder();
    events.emit(event({ note }));
    await clock.advance(0);
    expect(written()[0]?.note).toBe(expected);
    expect(Buffer.byteLength(written()[0]?.note ?? '')).toBeLessThanOrEqual(1024);
  });

  test('that wait are written when the operator stops, and none after', async () => {
    const { clock, events, written } = recorder();
    events.emit(event());
    events.emit(event());
    const stopped = events.stop();
    await clock.advance(0);
    await stopped;
    expect(written()).toMatchObject([{ series: { count: 2 } }]);
    events.emit(event({ note: 'too late' }));
    await clock.advance(10_000);
    expect(written()).toHaveLength(1);
  });

  test('never hold up a stop', async () => {
    const { cluster, clock, events } = recorder();
    cluster.before = (_call, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      });
    events.emit(event());
    let stopped = false;
    const stop = events.stop(2_000).then(() => (stopped = true));
    await clock.advance(1_999);
    expect(stopped).toBe(false);
    await clock.advance(1);
    await stop;
  });
});
