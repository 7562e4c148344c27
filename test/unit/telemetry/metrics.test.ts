import { afterEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { EventObserver } from '../../../src/kube/events.ts';
import type { QueueObserver } from '../../../src/kube/queue.ts';
import type { ReflectorObserver } from '../../../src/kube/reflector.ts';
import type { RequestObserver } from '../../../src/kube/requests.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

let registry = new Registry();
let metrics = createMetrics(registry);

afterEach(() => {
  metrics.stop();
  registry = new Registry();
  metrics = createMetrics(registry);
});

const linesOf = async (name: string): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));

test('a SchemaChange is in one phase', async () => {
  metrics.setPhase('shop', 'a', 'AddColumn');
  metrics.setPhase('shop', 'b', 'AddColumn');
  metrics.setPhase('shop', 'a', 'DualWrite');
  expect(await linesOf('segue_schemachange_info')).toEqual([
    'segue_schemachange_info{namespace="shop",name="b",phase="AddColumn"} 1',
    'segue_schemachange_info{namespace="shop",name="a",phase="DualWrite"} 1',
  ]);
});

test('it is blocked for one reason, or for none', async () => {
  metrics.setBlocked('shop', 'a', 'LockTimeout');
  metrics.setBlocked('shop', 'a', 'ReplicaLag');
  expect(await linesOf('segue_blocked')).toEqual([
    'segue_blocked{namespace="shop",name="a",reason="ReplicaLag"} 1',
  ]);
  metrics.setBlocked('shop', 'a', undefined);
  expect(await linesOf('segue_blocked')).toEqual([]);
});

test('nothing is said any more of one that is gone', async () => {
  for (const name of ['a', 'b']) {
    metrics.setPhase('shop', name, 'Backfill');
    metrics.setBlocked('shop', name, 'ReplicaLag');
    metrics.backfillRows.inc({ namespace: 'shop', name }, 5);
    metrics.backfillRowsRemaining.set({ namespace: 'shop', name }, 5);
    metrics.mismatches.set({ namespace: 'shop', name }, 0);
    metrics.quarantineEnds.set({ namespace: 'shop', name }, 5);
    metrics.quarantineRestarts.inc({ namespace: 'shop', name });
  }
  metrics.forget('shop', 'a');
  const text = await registry.metrics();
  expect(text).not.toContain('name="a"');
  expect(text.match(/name="b"/gu)).toHaveLength(7);
});

test('the adapters fit the observers of src/kube, and count in seconds', async () => {
  const queue: Partial<QueueObserver> = metrics.queueObserver;
  const reflector: ReflectorObserver = metrics.reflectorObserver;
  const requests: RequestObserver = metrics.requestObserver;
  const events: EventObserver = metrics.eventObserver;
  queue.depth?.(3);
  queue.waited?.(1_500);
  reflector.relisted('pods', 'expired');
  reflector.restarted('pods', 'silent');
  requests.requested('get', 'pods', '200', 20);
  events.dropped();
  metrics.setLeading(true);
  const text = await registry.metrics();
  for (const line of [
    'segue_workqueue_depth 3',
    'segue_workqueue_wait_seconds_sum 1.5',
    'segue_relists_total{resource="pods",reason="expired"} 1',
    'segue_watch_restarts_total{resource="pods",reason="silent"} 1',
    'segue_api_request_seconds_sum{verb="get",resource="pods",status="200"} 0.02',
    'segue_events_total{result="dropped"} 1',
    'segue_leader 1',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

test('a blocked event loop is seen, once', async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const end = performance.now() + 200;
  while (performance.now() < end);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const worst = async () =>
    Number((await linesOf('segue_event_loop_lag_seconds{quantile="1"}'))[0]?.split(' ').at(-1));
  expect(await worst()).toBeGreaterThan(0.15);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await worst()).toBeLessThan(0.15);
});

test('every metric has the prefix and a help text', async () => {
  for (const metric of await registry.getMetricsAsJSON()) {
    expect(metric.name).toMatch(/^segue_[a-z_]+$/u);
    expect(metric.help).not.toBe('');
  }
});
