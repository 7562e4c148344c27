/** Roll-outs measured by a real Prometheus, a real HTTP server and a real PostgreSQL, against a real API server. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { freePorts } from '../../../dev/cluster/ports.ts';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Analysis, Workload } from '../../../src/api/schema-change.ts';
import { Databases } from '../../../src/database/databases.ts';
import { measureQuery } from '../../../src/database/measure.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import type { Resource } from '../../../src/kube/resources.ts';
import { createMeter } from '../../../src/rollout/analysis/meter.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { eventually } from '../../support/eventually.ts';
import { Prometheus } from '../../support/prometheus.ts';
import { Scenarios } from '../scenarios.ts';
import { blueGreen, canary, replicas, rollingUpdate, Shop } from './shop.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const table = { schema: 'public', name: 'orders' };
const limits = {
  interval: '1s',
  timeout: '5s',
  failureLimit: 0,
  inconclusiveLimit: 0,
  consecutiveErrorLimit: 1,
};

let api: PrivateApiServer;
let cluster: Cluster;
let prometheus: Prometheus;
let server: TestServer;
let sandbox: TestDatabase;
const databases = new Databases();

const scenarios = new Scenarios();

/** Each in a namespace of its own, all at once: they wait most of the time. */
const scenario = (name: string, workload: Workload, body: (shop: Shop) => Promise<void>): void =>
  scenarios.add(name, async (number) => {
    const shop = await Shop.open({ cluster, api, node }, `analysis-${number}`, workload);
    shop.meter = createMeter((query, timeoutMs) =>
      measureQuery(databases.open(sandbox.uri), query, { table, timeoutMs }),
    );
    try {
      await body(shop);
    } finally {
      await shop.kubelet.stop();
    }
  });

beforeAll(async () => {
  [api, prometheus, server] = await Promise.all([
    startApiServer({ controllerManager: true }),
    Prometheus.start(),
    startServer(),
  ]);
  sandbox = await server.database();
  await sandbox.script('CREATE TABLE orders (id int, total numeric); INSERT INTO orders VALUES (1, NULL)');
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: nodes, name: node }, {});
  prometheus.series.set('error_ratio{code="good"}', 0.001);
  prometheus.series.set('error_ratio{code="bad"}', 0.2);
}, 40 * 60_000);

afterAll(async () => {
  await scenarios.settled();
  await databases.close();
  await sandbox?.close();
  await server?.stop();
  await prometheus?.stop();
  await cluster?.close();
  await api?.stop();
}, 300_000);

const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);
const reasonIs = (reason: string) => (facts: RolloutFacts) =>
  (facts.kind === 'waiting' || facts.kind === 'failed') && facts.reason === reason;
const patienceMs = 180_000;

const withAnalysis = (workload: Workload, analysis: () => Analysis): Workload => ({
  ...workload,
  // The address is known once Prometheus has been started.
  get analysis() {
    return [analysis()];
  },
});

const errors =
  (code: string): (() => Analysis) =>
  () => ({
    ...limits,
    name: 'errors',
    prometheus: { address: prometheus.address, query: `error_ratio{code="${code}"}` },
    successCondition: 'result < 0.01',
  });

/** The old code has all the traffic, and nothing is left of what stood beside. */
const expectOldCode = async (shop: Shop): Promise<void> => {
  await eventually(async () => expect(await shop.leftovers()).toEqual([]), 60_000);
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
  expect(await shop.endpoints()).toBe(replicas);
  expect(shop.fewest).toBeGreaterThanOrEqual(replicas);
};
const isDone = (facts: RolloutFacts): boolean => facts.kind === 'done';

scenario(
  'a canary goes on while Prometheus says that it is well',
  withAnalysis(canary, errors('good')),
  async (shop) => {
    await eventually(() => fetch(`${prometheus.address}/api/v1/query?query=error_ratio`), 60_000);
    await shop.run((facts) => isDone(facts) || facts.kind === 'failed', patienceMs);
    expect(shop.steps.filter((kind) => kind === 'Measure').length).toBeGreaterThanOrEqual(2);
    const { rollout, analysis } = await shop.look();
    expect(rollout).toEqual({ kind: 'done' });
    expect(analysis).toMatchObject([
      { name: 'errors', phase: 'Successful', lastValue: '0.001', failures: 0 },
    ]);
  },
);

scenario(
  'blue/green that Prometheus speaks against has the traffic brought back',
  withAnalysis(blueGreen, errors('bad')),
  async (shop) => {
    const facts = await shop.run(({ kind }) => kind === 'failed', patienceMs);
    expect(messageOf(facts)).toContain(
      'errors: 0.2 does not meet result < 0.01 (1 failure in 1 measurement, failureLimit is 0)',
    );
    expect(shop.steps).toContain('SwitchToGreen');
    expect(shop.steps).not.toContain('RollDeployment');
    await expectOldCode(shop);
  },
);

scenario(
  'a canary without any series waits, until there is one and somebody says so',
  withAnalysis(canary, errors('rare')),
  async (shop) => {
    const facts = await shop.run(reasonIs('AnalysisInconclusive'), patienceMs);
    expect(messageOf(facts)).toContain('errors: the result is no series');
    prometheus.series.set('error_ratio{code="rare"}', 0.002);
    await eventually(async () => {
      const answer = await fetch(`${prometheus.address}/api/v1/query?query=error_ratio{code="rare"}`);
      expect(await answer.text()).toContain('0.002');
    }, 60_000);
    shop.retry = 'look again';
    await shop.run(isDone, patienceMs);
  },
);

scenario(
  'a rolling update that leaves the data wrong is rolled back, and goes on once it is mended',
  withAnalysis(rollingUpdate, () => ({
    ...limits,
    sql: { query: 'SELECT count(*) FROM orders WHERE total IS NULL -- of all' },
    failureCondition: 'result > 0',
  })),
  async (shop) => {
    const facts = await shop.run(({ kind }) => kind === 'failed', patienceMs);
    expect(messageOf(facts)).toContain('sql-1: 1 meets failureCondition result > 0');
    await expectOldCode(shop);
    await sandbox.script('UPDATE orders SET total = 1');
    shop.retry = 'mended';
    await shop.run(isDone, patienceMs);
  },
);

let port = 0;
scenario(
  'while an address is silent the old code serves; once it answers the roll-out begins anew',
  withAnalysis(canary, () => ({
    ...limits,
    name: 'probe',
    http: { url: `http://user:secret@127.0.0.1:${port}/health?token=secret`, method: 'GET' },
  })),
  async (shop) => {
    [port = 0] = await freePorts(1);
    const facts = await shop.run(reasonIs('AnalysisUnavailable'), patienceMs);
    expect(messageOf(facts)).toContain(
      `probe: http://127.0.0.1:${port}/health can't be reached: ECONNREFUSED`,
    );
    expect(JSON.stringify([facts, await shop.deployment()])).not.toContain('secret');
    await expectOldCode(shop);
    const asked: (string | undefined)[] = [];
    const health: Server = createServer((request, response) => {
      asked.push(request.headers.authorization);
      response.end('ok');
    });
    health.listen(port, '127.0.0.1');
    await once(health, 'listening');
    expect((health.address() as AddressInfo).port).toBe(port);
    try {
      await shop.run(isDone, patienceMs);
    } finally {
      health.closeAllConnections();
      health.close();
    }
    expect(new Set(asked)).toEqual(new Set([`Basic ${Buffer.from('user:secret').toString('base64')}`]));
  },
);
