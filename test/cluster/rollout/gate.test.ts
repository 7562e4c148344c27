/**
 * The gate, asked by the controllers of Argo Rollouts and of Flagger with the manifests of docs/gates.md. A replica of the operator
 * answers that does not lead; a real API server has the SchemaChange; the tests play the kubelet and the leader. In the
 * end that replica leads, and posts what it is held for.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { connect, type Cluster, type Partially } from '../../../src/kube/client.ts';
import {
  deployments,
  leases,
  namespaces,
  pods,
  replicaSets,
  rollouts,
  schemaChanges,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { allRolloutCrds, applyRolloutCrds, startRolloutsController } from '../../support/argo-rollouts.ts';
import { eventually } from '../../support/eventually.ts';
import type { OwnProcess } from '../../support/own-process.ts';
import { startFlagger } from '../../support/flagger.ts';
import { Operator } from '../../support/operator.ts';
import { places, shortSpec } from '../../support/places.ts';
import { Kubelet } from './kubelet.ts';

const root = join(import.meta.dirname, '../../..');
const namespace = 'shop';
const node = 'node-1';
const change = 'customers-full-name';
const setupTimeoutMs = 40 * 60_000;
const withinMs = 150_000;

jest.setTimeout(300_000);

interface Measurement {
  readonly phase: string;
  readonly value?: string;
  readonly message?: string;
}

interface AnalysisRun extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly metricResults?: readonly { readonly measurements?: readonly Measurement[] }[];
  };
}

const argo = <T extends KubeObject>(plural: string, kind: string): Resource<T> => ({
  group: 'argoproj.io',
  version: 'v1alpha1',
  plural,
  kind,
  namespaced: true,
});
const analysisRuns = argo<AnalysisRun>('analysisruns', 'AnalysisRun');
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

let api: PrivateApiServer;
let cluster: Cluster;
let kubelet: Kubelet;
let controller: OwnProcess;
let flagger: OwnProcess;
let operator: Operator;
let gate: string;
const posted: { readonly type: string; readonly data: object }[] = [];
const receiver = createServer((request, response) => {
  let body = '';
  request.on('data', (part: Buffer) => (body += part.toString()));
  request.on('end', () => {
    posted.push(JSON.parse(body) as (typeof posted)[number]);
    response.end();
  });
});

/** Manifests of the first code block after a heading of docs/gates.md that asks this test's gate, and often. */
const documented = (heading: string): readonly (KubeObject & { readonly spec: Record<string, never> })[] => {
  const text = readFileSync(join(root, 'docs/gates.md'), 'utf8');
  const [, block = ''] = /```yaml\n(.*?)```/s.exec(text.slice(text.indexOf(`## ${heading}`))) ?? [];
  const asked = block
    .replaceAll('http://segue-gate.segue-system', gate)
    .replace('interval: 10s', 'interval: 1s');
  return parseAllDocuments(asked).map((document) => document.toJS() as never);
};

const create = <T extends KubeObject>(resource: Resource<T>, name: string, body: object): Promise<T> =>
  cluster.create({ resource, namespace, name }, body as unknown as Partially<T>);

const stands = async (place: string): Promise<void> => {
  const status = places.find(({ name }) => name === place)?.status;
  if (status === undefined) throw new Error(`There is no place ${place} with a status.`);
  await cluster.apply<SchemaChange & KubeObject>(
    { resource: schemaChanges, namespace, name: change },
    { status },
    { force: true, subresource: 'status' },
  );
};

/** An operator that waits for the lead, which somebody else has, and the address of its server. */
const startReplica = async (): Promise<void> => {
  const renewTime = `${new Date().toISOString().slice(0, -1)}000Z`;
  await cluster.create(
    { resource: leases, namespace: 'default', name: 'segue' },
    {
      spec: {
        holderIdentity: 'the-leader',
        leaseDurationSeconds: 3_600,
        acquireTime: renewTime,
        renewTime,
        leaseTransitions: 0,
      },
    },
  );
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port: receiverPort } = receiver.address() as AddressInfo;
  operator = new Operator(api.kubeconfig, {
    SEGUE_GATE: 'true',
    SEGUE_NOTIFY_URL: `http://127.0.0.1:${receiverPort}/services/very-secret`,
    SEGUE_NOTIFY_ON: 'Held',
  });
  gate = await eventually(() => {
    const [, port] = /"port":(\d+)/.exec(operator.log) ?? [];
    if (port === undefined) throw new Error(`It does not listen yet: ${operator.log}`);
    return Promise.resolve(`http://127.0.0.1:${port}`);
  }, withinMs);
};

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: namespaces, name: namespace }, {});
  await cluster.create({ resource: nodes, name: node }, {});
  const crd = join(root, 'crds/schemachanges.segue.dev.yaml');
  for (const args of [
    ['apply', '--server-side', '-f', crd],
    ['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=60s'],
  ])
    expect(await api.kubectl(args)).toMatchObject({ code: 0 });
  await applyRolloutCrds(api, allRolloutCrds);
  await create(schemaChanges, change, { spec: shortSpec });
  kubelet = new Kubelet({ cluster, api, namespace, node });
  controller = await startRolloutsController(api, namespace);
  flagger = await startFlagger(api, namespace);
  await startReplica();
}, setupTimeoutMs);

afterAll(async () => {
  await operator?.stop();
  receiver.close();
  await flagger?.stop();
  await controller?.stop();
  await kubelet?.stop();
  await cluster?.close();
  await api?.stop();
}, 60_000);

const measurements = ({ status }: AnalysisRun): readonly Measurement[] =>
  status?.metricResults?.[0]?.measurements ?? [];

const healthy = async (name: string): Promise<void> =>
  eventually(async () => {
    const { status } = ((await cluster.get({ resource: rollouts, namespace, name })) ?? {}) as {
      readonly status?: { readonly phase?: string; readonly message?: string };
    };
    if (status?.phase !== 'Healthy')
      throw new Error(`${status?.phase}: ${status?.message}\n${controller.log.slice(-2_000)}`);
  }, withinMs);

/** Replicas that the ReplicaSets of the new code are asked for. */
const newReplicas = async (): Promise<readonly (number | undefined)[]> => {
  const { items } = await cluster.list(replicaSets, {
    namespace,
    labelSelector: `change.segue.dev/${change}=new-only`,
  });
  return items.map(({ spec }) => spec.replicas);
};

test('a Rollout starts no pod of new code before the schema serves it, and goes on by itself then', async () => {
  await stands('in-backfill');
  const [template, rollout] = documented('Argo Rollouts');
  if (template === undefined || rollout === undefined) throw new Error('The example is not there.');
  await create(argo('analysistemplates', 'AnalysisTemplate'), template.metadata.name, template);
  // What ran before. The first revision of a Rollout goes through no steps.
  const old = {
    metadata: { labels: { app: 'shop' } },
    spec: { containers: [{ name: 'app', image: 'shop:1' }] },
  };
  await create(rollouts, 'shop', { spec: { ...rollout.spec, template: old } });
  await healthy('shop');
  await cluster.patch(
    { resource: rollouts, namespace, name: 'shop' },
    { spec: { template: rollout.spec['template'] } },
    { type: 'merge' },
  );
  const run = await eventually(async () => {
    const [found] = (await cluster.list(analysisRuns, { namespace })).items;
    if (found === undefined || measurements(found).length < 3) throw new Error(controller.log.slice(-2_000));
    return found;
  }, withinMs);
  expect(run.status?.phase).toBe('Running');
  for (const { phase, value = '' } of measurements(run)) {
    expect(phase).toBe('Failed');
    expect(JSON.parse(value)).toMatchObject({
      allowed: false,
      phase: 'Backfill',
      message: expect.stringContaining('It may come once condition Backfilled is True'),
    });
  }
  expect(await newReplicas()).toEqual([0]);
  await stands('in-switch-reads');
  await healthy('shop');
  expect(await newReplicas()).toEqual([2]);
  const done = await cluster.get({ resource: analysisRuns, namespace, name: run.metadata.name });
  expect(done?.status?.phase).toBe('Successful');
});

test('a gate for a change that is not there is an error in the end, never a success', async () => {
  const [template] = documented('Argo Rollouts');
  const [metric] = (template?.spec['metrics'] ?? []) as readonly object[];
  await create(analysisRuns, 'typo', {
    spec: {
      metrics: [{ ...metric, consecutiveErrorLimit: 1 }],
      args: [
        { name: 'change', value: 'no-such-change' },
        { name: 'code', value: 'new-only' },
      ],
    },
  });
  const ended = await eventually(async () => {
    const found = await cluster.get({ resource: analysisRuns, namespace, name: 'typo' });
    if (found?.status?.phase !== 'Error') throw new Error(JSON.stringify(found?.status));
    return found;
  }, withinMs);
  expect(measurements(ended)).toEqual([
    expect.objectContaining({ phase: 'Error', message: 'received non 2xx response code: 404' }),
    expect.objectContaining({ phase: 'Error' }),
  ]);
});

test("the documented pipeline's loop goes on with the answer", async () => {
  await stands('in-backfill');
  await eventually(async () => {
    expect((await fetch(`${gate}/gate/v1/${namespace}/${change}?code=new-only`)).status).toBe(409);
  }, withinMs);
  await stands('completed');
  await eventually(async () => {
    expect((await fetch(`${gate}/gate/v1/${namespace}/${change}?code=new-only`)).status).toBe(200);
  }, withinMs);
});

interface Canary extends KubeObject {
  readonly spec: object;
  readonly status?: { readonly phase?: string };
}

test('Flagger starts no pod of new code before the schema serves it, and goes on by itself then', async () => {
  const canaries: Resource<Canary> = {
    ...argo('canaries', 'Canary'),
    group: 'flagger.app',
    version: 'v1beta1',
  };
  const web = { resource: deployments, namespace, name: 'web' };
  const template = (image: string, labels: object) => ({
    metadata: { labels: { app: 'web', ...labels } },
    spec: { containers: [{ name: 'app', image }] },
  });
  const phase = (wanted: string): Promise<void> =>
    eventually(async () => {
      const found = (await cluster.get({ resource: canaries, namespace, name: 'web' }))?.status?.phase;
      if (found !== wanted) throw new Error(`${found}, not ${wanted}: ${flagger.log.slice(-2_000)}`);
    }, withinMs);
  const image = async (name: string): Promise<string | undefined> =>
    (await cluster.get({ resource: deployments, namespace, name }))?.spec.template.spec.containers[0]?.image;
  await stands('in-backfill');
  await create(deployments, 'web', {
    spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template: template('web:1', {}) },
  });
  const analysis = documented('Flagger')[0]?.spec['analysis'] as
    { readonly webhooks: readonly object[] } | undefined;
  await create(canaries, 'web', {
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      service: { port: 80 },
      analysis: { interval: '1s', threshold: 10, iterations: 1, webhooks: analysis?.webhooks },
    },
  });
  await phase('Initialized');
  const labels = { [`change.segue.dev/${change}`]: 'new-only' };
  await cluster.patch(web, { spec: { template: template('web:2', labels) } }, { type: 'merge' });
  await phase('Waiting');
  await sleep(3_000);
  await phase('Waiting');
  // Its own Deployment is the canary's, and rests at no replicas.
  expect((await cluster.get(web))?.spec.replicas).toBe(0);
  expect(await image('web-primary')).toBe('web:1');
  await stands('in-switch-reads');
  await phase('Succeeded');
  expect(await image('web-primary')).toBe('web:2');
  const { items } = await cluster.list(pods, { namespace, labelSelector: 'app=web-primary' });
  expect(items.map(({ metadata }) => metadata.labels)).toContainEqual(expect.objectContaining(labels));
});

test('once it leads, it posts what it is held for, and its log does not have the address', async () => {
  expect(posted).toEqual([]);
  await cluster.delete({ resource: leases, namespace: 'default', name: 'segue' });
  await eventually(() => expect(posted).toHaveLength(1), withinMs);
  expect(posted[0]).toMatchObject({
    type: 'dev.segue.schemachange.held',
    data: {
      name: change,
      reason: 'SecretNotFound',
      message: expect.stringContaining('Secret shop/shop-db'),
    },
  });
  expect(operator.log).not.toContain('very-secret');
});
