import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { EventObserver } from '../../../src/kube/events.ts';
import type { ReadObserver } from '../../../src/kube/fresh-reads.ts';
import type { QueueObserver } from '../../../src/kube/queue.ts';
import type { ReflectorObserver } from '../../../src/kube/reflector.ts';
import type { RequestObserver } from '../../../src/kube/requests.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { ResourceGauge } from '../../../src/telemetry/resource-gauge.ts';

let registry = new Registry();
let metrics = createMetrics(registry);

afterEach(() => {
  metrics.stop();
  registry = new Registry();
  metrics = createMetrics(registry);
});

const linesOf = async (name: string): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));

const a = { namespace: 'shop', name: 'a' };
const b = { namespace: 'shop', name: 'b' };

test('a SchemaChange is in one phase', async () => {
  const { phase } = metrics.changes;
  phase.set(a, 1, { phase: 'AddColumn' });
  phase.set(b, 1, { phase: 'AddColumn' });
  phase.set(a, 1, { phase: 'DualWrite' });
  expect(await linesOf('segue_schemachange_info')).toEqual([
    'segue_schemachange_info{namespace="shop",name="b",phase="AddColumn"} 1',
    'segue_schemachange_info{namespace="shop",name="a",phase="DualWrite"} 1',
  ]);
});

test('it is blocked for one reason, or for none', async () => {
  const { blocked } = metrics.changes;
  blocked.set(a, 1, { reason: 'LockNotAvailable' });
  blocked.set(a, 1, { reason: 'ReplicaLagging' });
  expect(await linesOf('segue_blocked')).toEqual([
    'segue_blocked{namespace="shop",name="a",reason="ReplicaLagging"} 1',
  ]);
  blocked.set(a, undefined);
  expect(await linesOf('segue_blocked')).toEqual([]);
});

test('pods of a code that is no more are not counted any more', async () => {
  const { rolloutPods } = metrics.changes;
  const pods = (code: string, value: number) => ({
    labels: { kind: 'Deployment', workload: 'shop', code },
    value,
  });
  rolloutPods.setAll(a, [pods('old', 2), pods('new-only', 1)]);
  rolloutPods.setAll(a, [pods('new-only', 3)]);
  expect(await linesOf('segue_rollout_pods')).toEqual([
    'segue_rollout_pods{namespace="shop",name="a",kind="Deployment",workload="shop",code="new-only"} 3',
  ]);
});

/** Everything that can be said of a SchemaChange. */
const sayAll = (resource: typeof a): void => {
  const { phaseSeconds: _, settle: __, forget: ___, ...about } = metrics.changes;
  for (const metric of Object.values(about))
    if (metric instanceof ResourceGauge) metric.set(resource, 1);
    else metric.inc(resource, 5);
};

test('nothing is said any more of one that is gone', async () => {
  sayAll(a);
  sayAll(b);
  const before = await registry.metrics();
  metrics.changes.forget(a);
  const text = await registry.metrics();
  expect(before.match(/name="a"/gu)?.length).toBeGreaterThan(20);
  expect(text).not.toContain('name="a"');
  expect(text.match(/name="b"/gu)).toEqual(before.match(/name="b"/gu));
});

test('of one that is over its phase stays, and what was counted', async () => {
  sayAll(a);
  metrics.changes.settle(a, 'Completed');
  const text = await registry.metrics();
  expect(
    text
      .split('\n')
      .filter((line) => line.includes('name="a"'))
      .map((line) => line.split('{')[0]),
  ).toEqual([
    'segue_schemachange_info',
    'segue_backfill_rows_total',
    'segue_verification_rows_total',
    'segue_repaired_rows_total',
    'segue_quarantine_restarts_total',
  ]);
});

test('the adapters fit the observers of src/kube, and count in seconds', async () => {
  const queue: Partial<QueueObserver> = metrics.queueObserver;
  const reflector: ReflectorObserver = metrics.reflectorObserver;
  const requests: RequestObserver = metrics.requestObserver;
  const events: EventObserver = metrics.eventObserver;
  const reads: ReadObserver = metrics.readObserver;
  queue.depth?.(3);
  queue.waited?.(1_500);
  reflector.relisted('pods', 'expired');
  reflector.restarted('pods', 'silent');
  requests.requested('get', 'pods', '200', 20);
  events.dropped();
  reads.stale();
  metrics.setLeading(true);
  const text = await registry.metrics();
  for (const line of [
    'segue_workqueue_depth 3',
    'segue_workqueue_wait_seconds_sum 1.5',
    'segue_relists_total{resource="pods",reason="expired"} 1',
    'segue_watch_restarts_total{resource="pods",reason="silent"} 1',
    'segue_api_request_seconds_sum{verb="get",resource="pods",status="200"} 0.02',
    'segue_events_total{result="dropped"} 1',
    'segue_stale_requeues_total{cause="read"} 1',
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

test('what the process costs is read at each scrape', async () => {
  const valueOf = async (name: string) => Number((await linesOf(name))[0]?.split(' ').at(-1));
  const before = await valueOf('process_cpu_seconds_total');
  const start = process.cpuUsage();
  while (process.cpuUsage(start).user < 50_000);
  expect((await valueOf('process_cpu_seconds_total')) - before).toBeGreaterThanOrEqual(0.05);
  expect(await valueOf('process_resident_memory_bytes')).toBeGreaterThan(20e6);
  expect(await valueOf('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
  expect(Math.abs((await valueOf('process_start_time_seconds')) - Date.now() / 1000)).toBeLessThan(86_400);
});

/** Rows of the tables in docs/metrics.md: name, type, labels, meaning. */
const documented = (): readonly string[][] =>
  readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, name = '', type = '', labels = '', unit = '', meaning = ''] = line
        .split('|')
        .map((cell) => cell.trim());
      return [name.replaceAll('`', ''), type, labels.replaceAll('`', ''), unit, meaning];
    });

const unitOf = (name: string): string => {
  if (name.includes('timestamp_seconds') || name === 'process_start_time_seconds') return 'Unix time';
  return /_(seconds|bytes|ratio|percent)(_total)?$/u.exec(name)?.[1] ?? '';
};

test('docs/metrics.md has every metric as it is, and no other', () => {
  // The type of a metric is not in prom-client's declarations.
  const registered = registry.getMetricsAsArray() as unknown as readonly {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly string[];
    readonly type: string;
  }[];
  const expected = registered.map(({ name, help, labelNames, type }) => [
    name,
    type,
    labelNames.join(', '),
    unitOf(name),
    help,
  ]);
  const byName = (x: readonly string[], y: readonly string[]): number =>
    (x[0] ?? '').localeCompare(y[0] ?? '');
  const rows = documented().map(([name = '', type = '', labels = '', unit = '', meaning = '']) => [
    name,
    type,
    labels,
    /^(seconds|bytes|ratio|percent|Unix time)$/u.test(unit) ? unit : '',
    meaning,
  ]);
  expect(rows.toSorted(byName)).toEqual(expected.toSorted(byName));
});
