/** What the operator asks of a machine and of the API server with a thousand changes, and how soon it sees a new one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SchemaChange } from '../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../src/kube/client.ts';
import { pods, schemaChanges } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { changeOf, each, makeFleet, namespace, podCount, podName, population } from '../fleet.ts';
import { quantile, total } from '../metrics-text.ts';
import { OperatorProcess, startBenchApi } from '../operator.ts';
import { atMost, type Goal, type Measurement } from '../report.ts';
import type { BenchDatabase } from '../server.ts';
import { summarise } from '../statistics.ts';
import type { PrivateApiServer } from '../../test/support/api-server.ts';
import type { Suite } from './suite.ts';

const megabyte = 1e6;
const settleLimitMs = 20 * 60_000;
const idleMs = 60_000;
const newcomers = 100;
const stirredPods = 500;

const requests = 'segue_api_request_seconds_count';
const looks = 'segue_reconcile_seconds';

const measured = (name: string, unit: string, value: number): Measurement => ({
  name,
  unit,
  ...summarise([value]),
});

const scrape = async (operator: OperatorProcess): Promise<string> =>
  (await operator.ask('/metrics'))?.text ?? '';

/** Waits until there is nothing left to wait for, asking so often. */
const until = async (
  operator: OperatorProcess,
  everyMs: number,
  missing: () => Promise<string | undefined>,
): Promise<void> => {
  const end = performance.now() + settleLimitMs;
  for (;;) {
    const what = await missing();
    if (what === undefined) return;
    operator.mustRun();
    if (performance.now() > end) throw new Error(`The operator has not settled in time: ${what}`);
    await sleep(everyMs);
  }
};

const unready = async (operator: OperatorProcess): Promise<string | undefined> => {
  const answer = await operator.ask('/readyz');
  if (answer?.ok !== true) return answer?.text ?? 'it does not listen yet';
  return total(await scrape(operator), 'segue_leader') === 1 ? undefined : 'it does not lead yet';
};

/** Undefined once every change that is not over was looked at and nothing is left in the queue. */
const unseen = async (operator: OperatorProcess): Promise<string | undefined> => {
  const text = await scrape(operator);
  const [depth, looked] = [total(text, 'segue_workqueue_depth'), total(text, `${looks}_count`)];
  return depth === 0 && looked >= 1_000 ? undefined : `${depth} in the queue after ${looked} looks`;
};

/** Undefined once every change stands where it is meant to. */
const unsettled = async (cluster: Cluster): Promise<string | undefined> => {
  const { items } = await cluster.list<SchemaChange & KubeObject>(schemaChanges, {
    namespace,
    timeoutMs: 60_000,
  });
  const left = items.filter(({ metadata: { name }, status }) => {
    if (name.startsWith('held')) return status?.message?.includes('targetPhase') !== true;
    if (name.startsWith('inquarantine')) return status?.quarantine === undefined;
    return status?.message === undefined && status?.phase !== 'Completed';
  });
  const [first] = left;
  return (
    first && `${left.length} changes, such as ${first.metadata.name}: ${first.status?.message ?? 'no status'}`
  );
};

/** From the answer to the creation until the watch brings its first status, in ms. */
const pickUps = async (cluster: Cluster): Promise<readonly number[]> => {
  const created = new Map<string, number>();
  const taken: number[] = [];
  const stop = new AbortController();
  const { resourceVersion } = await cluster.list(schemaChanges, { namespace });
  const watch = (async () => {
    for await (const event of cluster.watch<SchemaChange & KubeObject>(schemaChanges, {
      namespace,
      resourceVersion,
      timeoutSeconds: 300,
      silenceMs: 120_000,
      signal: stop.signal,
    })) {
      if (event.type !== 'MODIFIED' || event.object.status?.message === undefined) continue;
      const since = created.get(event.object.metadata.name);
      if (since === undefined) continue;
      taken.push(performance.now() - since);
      created.delete(event.object.metadata.name);
    }
  })().catch(() => undefined);
  for (let n = 0; n < newcomers; n += 1) {
    const name = `newcomer-${n}`;
    created.set(name, performance.now());
    await cluster.create({ resource: schemaChanges, namespace, name }, changeOf('suspended', n));
    await sleep(100);
  }
  const end = performance.now() + 60_000;
  while (created.size > 0 && performance.now() < end) await sleep(100);
  stop.abort();
  await watch;
  if (taken.length < newcomers)
    throw new Error(`Of ${newcomers} new changes ${taken.length} were picked up within a minute.`);
  return taken;
};

/** Touches pods of ten Deployments that changes at work look at; gives the operator's requests for each. */
const stir = async (cluster: Cluster, operator: OperatorProcess): Promise<number> => {
  const before = total(await scrape(operator), requests);
  const touched = Array.from({ length: stirredPods }, (_, n) => podName(n % 10, Math.floor(n / 10)));
  await each(touched, (name) =>
    cluster.patch(
      { resource: pods, namespace, name },
      { metadata: { annotations: { stirred: 'yes' } } },
      { type: 'merge' },
    ),
  );
  await sleep(15_000);
  return (total(await scrape(operator), requests) - before) / stirredPods;
};

const quantileOf = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] ??
  Number.NaN;

interface Found {
  readonly memoryLimit: string;
  readonly measurements: readonly Measurement[];
  readonly goals: readonly Goal[];
}

/** A process that starts where everything stands already. */
const measure = async (api: PrivateApiServer, cluster: Cluster): Promise<Found> => {
  const began = performance.now();
  const operator = await OperatorProcess.start(api);
  try {
    await until(operator, 100, () => unready(operator));
    const synced = (performance.now() - began) / 1_000;
    await until(operator, 500, () => unseen(operator));
    const looked = (performance.now() - began) / 1_000;
    const first = await scrape(operator);
    await sleep(20_000);
    const idleFrom = await scrape(operator);
    await sleep(idleMs);
    const idleTo = await scrape(operator);
    const idle = (total(idleTo, requests) - total(idleFrom, requests)) / (idleMs / 1_000);
    const taken = await pickUps(cluster);
    const perPod = await stir(cluster, operator);
    const { resident, peak } = await operator.memory();
    const text = await scrape(operator);
    const p99 = quantileOf(taken, 0.99);
    const seconds = (share: number): number => (quantile('', text, looks, share) ?? Number.NaN) * 1_000;
    return {
      memoryLimit: operator.memoryLimit,
      measurements: [
        measured('from its start until all is listed', 's', synced),
        measured('from its start until every change was looked at', 's', looked),
        measured('requests to the API server until then', '', total(first, requests)),
        measured('idle: requests to the API server', '/s', idle),
        measured('resident memory', 'MB', resident / megabyte),
        measured('peak resident memory', 'MB', peak / megabyte),
        measured('a look, p50', 'ms', seconds(0.5)),
        measured('a look, p99', 'ms', seconds(0.99)),
        measured('new change picked up, p50', 'ms', quantileOf(taken, 0.5)),
        measured('new change picked up, p99', 'ms', p99),
        measured('requests for each of 500 pods that change', '', perPod),
      ],
      goals: [
        atMost('start until all is listed (s)', 20, synced),
        atMost('peak resident memory (MB)', 200, peak / megabyte),
        atMost('idle requests to the API server (1/s)', 1, idle),
        atMost('new change picked up, p99 (ms)', 500, p99),
      ],
    };
  } finally {
    await operator.stop();
  }
};

const withDatabase = async (database: BenchDatabase): Promise<Found> => {
  await using api = await startBenchApi();
  const cluster = connect({ kubeconfig: api.kubeconfig });
  try {
    await makeFleet(cluster, database);
    const operator = await OperatorProcess.start(api);
    try {
      await until(operator, 3_000, () => unsettled(cluster));
    } finally {
      await operator.stop();
    }
    return await measure(api, cluster);
  } finally {
    await cluster.close();
  }
};

export const operator: Suite = async (server) => {
  const template = await server.template(async () => undefined);
  const { memoryLimit, ...found } = await server.copy(template, withDatabase);
  await server.drop(template);
  const changes = Object.entries(population)
    .map(([standing, count]) => `${count} ${standing}`)
    .join(', ');
  return {
    ...found,
    failures: [],
    notes: [
      `Once. 1,000 SchemaChanges (${changes}) on one database and ${podCount} pods in 50 Deployments, all in one namespace, as plain objects on etcd and API server; the operator’s bundled program under Node ${process.version}, ${memoryLimit}, started anew where everything stands still. Idle is a minute, 20 s after that, without anybody asking /readyz.`,
    ],
  };
};
