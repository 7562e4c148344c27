import { expect, test } from '@jest/globals';
import type { Workload } from '../../../src/api/schema-change.ts';
import { ApiError, UnreachableError } from '../../../src/kube/api-error.ts';
import type { Cluster } from '../../../src/kube/client.ts';
import { checkWorkload } from '../../../src/rollout/check.ts';
import { greenName } from '../../../src/rollout/observed.ts';
import { blueGreen, rollingUpdate, Shop } from './shop.ts';

const check = async (shop: Shop, workload: Workload = blueGreen) => {
  const fact = await checkWorkload(shop.sim.cluster, {
    namespace: 'shop',
    change: { name: 'names', uid: 'uid' },
    workload,
  });
  if (!fact.known) throw new Error(fact.message);
  return fact.value;
};

const shop = (edit: (sim: Shop['sim']) => void): Shop => {
  const made = new Shop();
  edit(made.sim);
  return made;
};
const edit = (kind: 'Deployment' | 'Service', spec: object): Shop =>
  shop((sim) => sim.edit(kind, 'shop', { spec }));
const greenTwin = (labels: object): Shop =>
  shop((sim) =>
    sim.put('Deployment', 'shop-green', {
      metadata: { labels },
      spec: { selector: {}, template: { spec: { containers: [] } } },
    }),
  );
const annotated = (kind: 'Deployment' | 'Service', annotations: object): Shop =>
  shop((sim) => sim.edit(kind, 'shop', { metadata: { annotations } }));
const observe: Workload = { deployment: 'shop', service: 'shop', mode: 'Observe', releases: [] };
const rolling = JSON.stringify({ rolling: { from: { containers: {}, code: null }, target: 'x', at: 0 } });

const cases: readonly [string, Shop, Workload, string, RegExp][] = [
  [
    'no Deployment',
    new Shop(),
    { ...blueGreen, deployment: 'shopp' },
    'DeploymentNotFound',
    /^Deployment shop\/shopp does not exist\. Create it, or correct spec\.workloads\.$/,
  ],
  [
    'no Deployment to observe',
    new Shop(),
    { ...observe, deployment: 'x' },
    'DeploymentNotFound',
    /x does not exist/,
  ],
  [
    'no Service',
    new Shop(),
    { ...blueGreen, service: 'shopp' },
    'ServiceNotFound',
    /^Service shop\/shopp does not exist/,
  ],
  ['no Service to observe', new Shop(), { ...observe, service: 'x' }, 'ServiceNotFound', /x does not exist/],
  [
    'blueGreen without a Service',
    new Shop(),
    { deployment: 'shop', mode: 'Manage', strategy: { blueGreen: { settle: '1s' } }, releases: [] },
    'InvalidWorkload',
    /needs a Service to switch; name it in service, or use strategy rollingUpdate/,
  ],
  [
    'no strategy',
    new Shop(),
    { deployment: 'shop', mode: 'Manage', releases: [] },
    'InvalidWorkload',
    /has mode Manage and no strategy/,
  ],
  [
    'a container that is not there',
    new Shop(),
    { ...blueGreen, releases: [{ phase: 'DualWrite', container: 'web', image: 'x' }] },
    'InvalidWorkload',
    /no container web, which a release in spec\.workloads names; it has app, sidecar/,
  ],
  ['paused', edit('Deployment', { paused: true }), blueGreen, 'InvalidWorkload', /is paused; resume it/],
  ['scaled to 0', edit('Deployment', { replicas: 0 }), rollingUpdate, 'InvalidWorkload', /is scaled to 0/],
  [
    'Recreate',
    edit('Deployment', { strategy: { type: 'Recreate' } }),
    rollingUpdate,
    'InvalidWorkload',
    /Recreate.*use strategy blueGreen/,
  ],
  [
    'a Service without a selector',
    edit('Service', { selector: null }),
    blueGreen,
    'InvalidWorkload',
    /selects no pods/,
  ],
  [
    'an external Service',
    edit('Service', { type: 'ExternalName' }),
    blueGreen,
    'InvalidWorkload',
    /selects no pods/,
  ],
  [
    'a headless Service',
    edit('Service', { clusterIP: 'None' }),
    blueGreen,
    'InvalidWorkload',
    /is headless.*rollingUpdate/,
  ],
  [
    'a Service for other pods',
    edit('Service', { selector: { app: 'shopp' } }),
    blueGreen,
    'InvalidWorkload',
    /selects app=shopp, which the pods of Deployment shop do not carry/,
  ],
  [
    'a Service that is narrow already',
    edit('Service', { selector: { 'pod-template-hash': 'abc' } }),
    blueGreen,
    'InvalidWorkload',
    /remove that key from its selector/,
  ],
  [
    'a Service with pods of others',
    shop((sim) =>
      sim.put('Pod', 'worker-1', {
        metadata: {
          labels: { app: 'shop' },
          ownerReferences: [{ kind: 'StatefulSet', name: 'worker', uid: 'x', controller: true }],
        },
        spec: { containers: [] },
      }),
    ),
    blueGreen,
    'InvalidWorkload',
    /also selects pod worker-1 of StatefulSet worker, which blueGreen would take out of rotation/,
  ],
  [
    'a further Service that is not there',
    new Shop(),
    { ...blueGreen, services: ['grpc'] },
    'ServiceNotFound',
    /^Service shop\/grpc does not exist/,
  ],
  [
    'a further Service for other pods',
    shop((sim) => sim.put('Service', 'grpc', { spec: { selector: { app: 'grpc' } } })),
    { ...blueGreen, services: ['grpc'] },
    'InvalidWorkload',
    /Service grpc selects app=grpc, which the pods of Deployment shop do not carry/,
  ],
  [
    'a further Service that another roll-out holds',
    shop((sim) =>
      sim.put('Service', 'grpc', {
        metadata: {
          annotations: {
            'segue.dev/blue-green': JSON.stringify({ change: 'emails', deployment: 'x', at: 0 }),
          },
        },
        spec: { selector: { app: 'shop' } },
      }),
    ),
    { ...blueGreen, services: ['grpc'] },
    'InvalidWorkload',
    /Service grpc is held by the roll-out of Deployment x for SchemaChange emails/,
  ],
  [
    'a preview that is narrow already',
    shop((sim) =>
      sim.put('Service', 'preview', { spec: { selector: { app: 'shop', 'pod-template-hash': 'abc' } } }),
    ),
    { ...blueGreen, strategy: { blueGreen: { settle: '1s', preview: 'preview' } } },
    'InvalidWorkload',
    /Service preview selects the pods of one ReplicaSet alone/,
  ],
  [
    'a rolling update that loses pods',
    edit('Deployment', { replicas: 8 }),
    rollingUpdate,
    'InvalidWorkload',
    /Deployment shop may go without 2 of its 8 pods while it is rolled.*set it to 0/,
  ],
  [
    'green’s name is taken',
    greenTwin({}),
    blueGreen,
    'InvalidWorkload',
    /A Deployment shop-green exists already; rename or remove it/,
  ],
  [
    'another change’s green',
    greenTwin({ 'segue.dev/green': 'emails' }),
    blueGreen,
    'InvalidWorkload',
    /is being rolled for SchemaChange emails/,
  ],
  [
    'another change’s green, rolling',
    greenTwin({ 'segue.dev/green': 'emails' }),
    rollingUpdate,
    'InvalidWorkload',
    /is being rolled for SchemaChange emails/,
  ],
  [
    'another change is rolling it',
    shop((sim) =>
      sim.edit('Deployment', 'shop', {
        metadata: { annotations: { 'rollout.segue.dev/emails': rolling } },
        spec: { template: { metadata: { annotations: { edited: 'yes' } } } },
      }),
    ),
    rollingUpdate,
    'InvalidWorkload',
    /is being rolled for SchemaChange emails/,
  ],
  [
    'a record that can’t be read',
    annotated('Deployment', { 'rollout.segue.dev/names': '"' }),
    rollingUpdate,
    'InvalidWorkload',
    /rollout\.segue\.dev\/names of Deployment shop can't be read/,
  ],
  [
    'a note that can’t be read',
    annotated('Service', { 'segue.dev/blue-green': '{}' }),
    blueGreen,
    'InvalidWorkload',
    /segue\.dev\/blue-green of Service shop can't be read/,
  ],
];

test.each(cases)('refuses %s', async (_name, where, workload, reason, message) => {
  const violations = await check(where, workload);
  expect(violations).toHaveLength(1);
  expect(violations[0]).toMatchObject({ reason, message: expect.stringMatching(message) });
});

test('takes a plain Deployment and Service, and in mode Observe anything that is there', async () => {
  expect(await check(new Shop())).toEqual([]);
  expect(await check(new Shop(), rollingUpdate)).toEqual([]);
  expect(await check(edit('Deployment', { paused: true, replicas: 0 }), observe)).toEqual([]);
  expect(
    await check(
      shop((sim) =>
        sim.put('Service', 'metrics', { spec: { clusterIP: 'None', selector: { app: 'shop' } } }),
      ),
      { ...blueGreen, services: ['metrics'] },
    ),
  ).toEqual([]);
  // It has rolled it, and is gone since or names it no more.
  const over = annotated('Deployment', { 'rollout.segue.dev/emails': rolling });
  expect(await check(over, rollingUpdate)).toEqual([]);
  const strict = { replicas: 8, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } };
  expect(await check(edit('Deployment', strict), rollingUpdate)).toEqual([]);
  expect(await check(annotated('Deployment', { 'rollout.segue.dev/emails': '{}' }))).toEqual([]);
});

test('what can’t be read is unknown, and says why', async () => {
  const failing = (problem: Error) => {
    const get = async () => {
      throw await Promise.resolve(problem);
    };
    return checkWorkload({ get } as unknown as Cluster, {
      namespace: 'shop',
      change: { name: 'names', uid: 'uid' },
      workload: blueGreen,
    });
  };
  expect(await failing(new UnreachableError('no route', 'EHOSTUNREACH'))).toMatchObject({
    known: false,
    reason: 'ClusterUnreachable',
  });
  expect(await failing(new ApiError('no', { status: 403 }))).toMatchObject({
    known: false,
    reason: 'Forbidden',
  });
  expect(await failing(new ApiError('busy', { status: 503 }))).toMatchObject({
    known: false,
    reason: 'ClusterUnreachable',
  });
  await expect(failing(new TypeError('a bug'))).rejects.toThrow('a bug');
});

test('green’s name fits, whatever the Deployment is called', () => {
  expect(greenName('shop')).toBe('shop-green');
  const long = greenName('a'.repeat(253));
  expect(long).toMatch(/^a+-[0-9a-f]{12}-green$/);
  expect(long.length).toBeLessThanOrEqual(242);
  expect(greenName(`${'a'.repeat(222)}.${'b'.repeat(30)}`)).toMatch(/^a+-[0-9a-f]{12}-green$/);
  expect(greenName('a'.repeat(252))).not.toBe(long);
});
