/**
 * Mode Observe against real controllers, Argo Rollouts' own among them; the tests play the kubelet. Each scenario
 * has a workload of its own, all at once, and none is ever written to by Segue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { WorkloadFacts } from '../../../src/api/facts.ts';
import { codeLabel } from '../../../src/api/names.ts';
import { isBelow, type Code } from '../../../src/api/phase.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import { connect, type Cluster, type Partially } from '../../../src/kube/client.ts';
import {
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  namespaces,
  pods,
  replicaSets,
  rollouts,
  services,
  statefulSets,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { KubeObject, Rollout } from '../../../src/kube/types.ts';
import { runningCode } from '../../../src/phases/running-code.ts';
import { checkWorkload } from '../../../src/rollout/check.ts';
import { observeWorkload } from '../../../src/rollout/workload.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { allRolloutCrds, applyRolloutCrds, startRolloutsController } from '../../support/argo-rollouts.ts';
import { eventually } from '../../support/eventually.ts';
import type { OwnProcess } from '../../support/own-process.ts';
import { Kubelet } from './kubelet.ts';

const namespace = 'observed';
const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const change = { name: 'names', uid: 'uid-change' };
const setupTimeoutMs = 40 * 60_000;
const withinMs = 150_000;
const testTimeoutMs = 240_000;

let api: PrivateApiServer;
let cluster: Cluster;
/** What Segue looks through, and the verbs of all that it has asked for. */
let looks: Cluster;
const verbs = new Set<string>();
let kubelet: Kubelet;
let controller: OwnProcess;

const workload = (kind: Workload['kind'], deployment: string, service?: string): Workload => ({
  ...(kind === undefined ? {} : { kind }),
  deployment,
  ...(service === undefined ? {} : { service }),
  mode: 'Observe',
  releases: [],
});

const look = async (observed: Workload): Promise<WorkloadFacts> => {
  const fact = await observeWorkload(looks, {
    namespace,
    change,
    workload: observed,
    wanted: { kind: 'original' },
    retry: '',
    now: Date.now(),
  });
  if (!fact.known) throw new Error(`${fact.reason}: ${fact.message}`);
  return fact.value;
};

/** What keeps a gate that asks for new-only code waiting, in words; undefined if it lets pass. */
const waitsFor = (facts: WorkloadFacts): string | undefined =>
  runningCode([facts], { code: (code) => isBelow(code, 'new-only'), unknown: true });

const template = (app: string, code?: Code) => ({
  metadata: { labels: { app, ...(code === undefined ? {} : { [codeLabel(change.name)]: code }) } },
  spec: {
    terminationGracePeriodSeconds: 30,
    containers: [{ name: 'app', image: code === undefined ? 'shop:1' : 'shop:2' }],
  },
});

const selector = (app: string) => ({ matchLabels: { app } });

const create = <T extends KubeObject>(resource: Resource<T>, name: string, spec: object): Promise<T> =>
  cluster.create({ resource, namespace, name }, { spec } as unknown as Partially<T>);

const edit = (resource: Resource, name: string, spec: object): Promise<KubeObject> =>
  cluster.patch({ resource, namespace, name }, { spec }, { type: 'merge' });

const roll = (resource: Resource, name: string, code: Code): Promise<KubeObject> =>
  edit(resource, name, { template: template(name, code) });

/** Each look is several requests; a few in a second show enough. */
const until = (what: () => Promise<void>): Promise<void> =>
  eventually(async () => {
    await sleep(200);
    await what();
  }, withinMs);

const expectWaiting = async (observed: Workload, said: RegExp): Promise<void> =>
  until(async () => expect(waitsFor(await look(observed)) ?? 'nothing').toMatch(said));

const expectPassed = async (observed: Workload): Promise<void> =>
  until(async () => expect(waitsFor(await look(observed))).toBeUndefined());

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  cluster = connect({ kubeconfig: api.kubeconfig });
  looks = connect({ kubeconfig: api.kubeconfig, observer: { requested: (verb) => verbs.add(verb) } });
  await cluster.create({ resource: namespaces, name: namespace }, {});
  const before = await observeWorkload(looks, {
    namespace,
    change,
    workload: workload('Rollout', 'front'),
    wanted: { kind: 'original' },
    retry: '',
    now: Date.now(),
  });
  // Before the CRDs are there: a clear word, and no crash.
  expect(before).toMatchObject({
    known: false,
    reason: 'WorkloadNotFound',
    message: expect.stringContaining('The cluster knows no Rollouts (argoproj.io/v1alpha1)'),
  });
  await applyRolloutCrds(api, allRolloutCrds);
  await cluster.create({ resource: nodes, name: node }, {});
  kubelet = new Kubelet({ cluster, api, namespace, node });
  controller = await startRolloutsController(api, namespace);
}, setupTimeoutMs);

afterAll(async () => {
  await controller?.stop();
  await kubelet?.stop();
  await looks?.close();
  await cluster?.close();
  await api?.stop();
}, 60_000);

const rolloutStatus = async (name: string): Promise<Rollout & { status?: { phase?: string } }> => {
  const found = await cluster.get({ resource: rollouts, namespace, name });
  if (found === undefined) throw new Error(`Rollout ${name} is gone`);
  return found;
};

const expectHealthy = async (name: string): Promise<void> =>
  until(async () => {
    const { status } = await rolloutStatus(name);
    if (status?.phase !== 'Healthy')
      throw new Error(`Rollout ${name} is ${status?.phase}: ${controller.log.slice(-2_000)}`);
  });

test(
  'a blue/green Rollout is waited for until its old pods are gone, through the scale-down delay',
  async () => {
    const front = workload('Rollout', 'front', 'front');
    await create(services, 'front', { selector: { app: 'front' }, ports: [{ port: 80 }] });
    await create(rollouts, 'front', {
      replicas: 2,
      selector: selector('front'),
      template: template('front'),
      strategy: { blueGreen: { activeService: 'front', scaleDownDelaySeconds: 8 } },
    });
    await expectHealthy('front');
    expect((await look(front)).podsByCode.old).toBe(2);
    const { status: old } = await rolloutStatus('front');
    await roll(rollouts, 'front', 'new-only');
    const waits: string[] = [];
    await until(async () => {
      const { status } = await rolloutStatus('front');
      const facts = await look(front);
      const waiting = waitsFor(facts);
      // Promoted as far as Argo Rollouts is concerned, and the old pods still run.
      if (status?.stableRS !== old?.stableRS && facts.podsByCode.old > 0) waits.push(waiting ?? 'nothing');
      if (waiting !== undefined) throw new Error(waiting);
    });
    const labelSelector = `app=front,!${codeLabel(change.name)}`;
    expect((await cluster.list(pods, { namespace, labelSelector })).items).toEqual([]);
    expect(waits.length).toBeGreaterThan(0);
    for (const waiting of waits)
      expect(waiting).toMatch(/^Rollout front: \d old \(front-\S+ \(ReplicaSet front-/);
    expect((await look(front)).podsByCode).toMatchObject({ old: 0, 'new-only': 2 });
  },
  testTimeoutMs,
);

test(
  'an aborted Rollout, whose Git says new while the old runs, is waited for until it has been retried',
  async () => {
    const back = workload('Rollout', 'back');
    const command = (status: object): Promise<KubeObject> =>
      cluster.patch(
        { resource: rollouts, namespace, name: 'back' },
        { status },
        { type: 'merge', subresource: 'status' },
      );
    await create(rollouts, 'back', {
      replicas: 2,
      selector: selector('back'),
      template: template('back'),
      strategy: { canary: { steps: [{ setWeight: 50 }, { pause: {} }] } },
    });
    await expectHealthy('back');
    await roll(rollouts, 'back', 'new-only');
    await until(async () => expect((await rolloutStatus('back')).status?.phase).toBe('Paused'));
    await until(async () => {
      // Again and again: the controller's own next write may take it away.
      await command({ abort: true });
      expect((await rolloutStatus('back')).status?.phase).toBe('Degraded');
      expect((await look(back)).podsByCode).toMatchObject({ old: 2, 'new-only': 0 });
    });
    const aborted = await look(back);
    expect(aborted.templates).toContainEqual({ of: 'Rollout back', code: 'new-only' });
    expect(waitsFor(aborted)).toMatch(
      /^Rollout back: 2 old \(back-.*the next pod of ReplicaSet back-\S+ would be old, by its template's label/,
    );
    await command({ abort: false });
    await command({ promoteFull: true });
    await expectPassed(back);
    expect((await look(back)).podsByCode).toMatchObject({ old: 0, 'new-only': 2 });
  },
  testTimeoutMs,
);

test(
  'a StatefulSet at 0 replicas is what its template says; a partition keeps the former revision waiting',
  async () => {
    const worker = workload('StatefulSet', 'worker');
    await create(statefulSets, 'worker', {
      replicas: 0,
      serviceName: 'worker',
      selector: selector('worker'),
      template: template('worker'),
    });
    await expectWaiting(worker, /^StatefulSet worker: the next pod of StatefulSet worker would be old/);
    await roll(statefulSets, 'worker', 'new-only');
    await expectPassed(worker);
    await edit(statefulSets, 'worker', { replicas: 2 });
    await until(async () => expect((await look(worker)).podsByCode['new-only']).toBe(2));
    await edit(statefulSets, 'worker', { updateStrategy: { rollingUpdate: { partition: 1 } } });
    await edit(statefulSets, 'worker', { template: template('worker', 'reads-new') });
    await until(async () => expect((await look(worker)).podsByCode['reads-new']).toBe(1));
    const halfway = await look(worker);
    expect(halfway.templates).toEqual([
      { of: 'StatefulSet worker', code: 'reads-new' },
      { of: expect.stringMatching(/^revision worker-\S+ of StatefulSet worker$/), code: 'new-only' },
    ]);
  },
  testTimeoutMs,
);

test(
  'a DaemonSet, a bare ReplicaSet, and pods of others behind the same Service are named by pod and owner',
  async () => {
    const agent = workload('DaemonSet', 'agent');
    const bare = workload('ReplicaSet', 'bare', 'bare');
    await create(daemonSets, 'agent', { selector: selector('agent'), template: template('agent') });
    await create(services, 'bare', { selector: { tier: 'bare' }, ports: [{ port: 80 }] });
    const tier = (app: string, code?: Code) => {
      const made = template(app, code);
      return { ...made, metadata: { labels: { ...made.metadata.labels, tier: 'bare' } } };
    };
    await create(replicaSets, 'bare', {
      replicas: 1,
      selector: selector('bare'),
      template: tier('bare', 'new-only'),
    });
    await create(deployments, 'other', {
      replicas: 1,
      selector: selector('other'),
      template: tier('other'),
    });
    await expectWaiting(agent, /1 old \(agent-\S+ \(DaemonSet agent\)\); the next pod of DaemonSet agent/);
    await expectWaiting(bare, /^ReplicaSet bare: 1 old \(other-\S+ \(ReplicaSet other-\S+\)\)$/);
    await roll(daemonSets, 'agent', 'new-only');
    await cluster.delete({ resource: deployments, namespace, name: 'other' });
    await expectPassed(agent);
    await expectPassed(bare);
  },
  testTimeoutMs,
);

test(
  'a Deployment at 0 replicas is what its template says',
  async () => {
    const idle = workload(undefined, 'idle');
    await create(deployments, 'idle', {
      replicas: 0,
      selector: selector('idle'),
      template: template('idle'),
    });
    await expectWaiting(idle, /^idle: the next pod of Deployment idle would be old/);
    await roll(deployments, 'idle', 'new-only');
    await expectPassed(idle);
  },
  testTimeoutMs,
);

test(
  'a suspended CronJob is what its template says, and a Job that it has started is waited for',
  async () => {
    const report = workload('CronJob', 'report');
    const jobTemplate = (code?: Code) => {
      const made = template('report', code);
      return { spec: { template: { ...made, spec: { ...made.spec, restartPolicy: 'Never' } } } };
    };
    await create(cronJobs, 'report', { schedule: '0 3 * * *', suspend: true, jobTemplate: jobTemplate() });
    await expectWaiting(report, /the next pod of CronJob report would be old/);
    const made = await api.kubectl(['create', 'job', 'by-hand', '--from=cronjob/report', '-n', namespace]);
    expect(made).toMatchObject({ code: 0 });
    await edit(cronJobs, 'report', { jobTemplate: jobTemplate('new-only') });
    await expectWaiting(
      report,
      /1 old \(by-hand-\S+ \(Job by-hand\)\); the next pod of Job by-hand would be old/,
    );
    await cluster.delete({ resource: jobs, namespace, name: 'by-hand' });
    await expectPassed(report);
  },
  testTimeoutMs,
);

test('what is not there is unknown and named, and never passes for none', async () => {
  for (const kind of ['StatefulSet', 'DaemonSet', 'ReplicaSet', 'Rollout', 'CronJob'] as const) {
    await expect(look(workload(kind, 'nowhere'))).rejects.toThrow(
      `WorkloadNotFound: ${kind} observed/nowhere does not exist.`,
    );
    expect(
      await checkWorkload(looks, { namespace, change, workload: workload(kind, 'nowhere', 'no-service') }),
    ).toMatchObject({
      known: true,
      value: [{ reason: 'WorkloadNotFound' }, { reason: 'ServiceNotFound' }],
    });
  }
});

test('not one look has written anything', () => {
  expect([...verbs].toSorted()).toEqual(['get', 'list']);
});
