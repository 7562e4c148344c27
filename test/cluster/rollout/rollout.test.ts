/** Roll-outs against a real API server with its real controllers; the tests play the kubelet. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import { deployments, services, type Resource } from '../../../src/kube/resources.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { Scenarios } from '../scenarios.ts';
import { autoscaler, evictions, manyServices, removed, several } from './with-others.ts';
import { blueGreen, canary, release, replicas, rollingUpdate, Shop } from './shop.ts';
import { exceededQuota, goesOnWhenMended, unschedulable } from './without-capacity.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

const scenarios = new Scenarios();
let api: PrivateApiServer;
let cluster: Cluster;

/** Each in a namespace of its own, all at once: they wait most of the time. */
const scenario = (name: string, workload: Workload, body: (shop: Shop) => Promise<void>): void =>
  scenarios.add(name, async (number) => {
    const shop = await Shop.open({ cluster, api, node }, `shop-${number}`, workload);
    try {
      await body(shop);
    } finally {
      await shop.kubelet.stop();
    }
  });

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: nodes, name: node }, {});
}, 40 * 60_000);

afterAll(async () => {
  await scenarios.settled();
  await cluster?.close();
  await api?.stop();
}, 480_000);

const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);
const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;

const expectClean = async (shop: Shop): Promise<void> =>
  eventually(async () => expect(await shop.leftovers()).toEqual([]), 120_000);

scenario('blue/green goes forward and back, never an endpoint short', blueGreen, async (shop) => {
  const before = await shop.deployment();
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.steps).toEqual([
    'NarrowService',
    'CreateGreen',
    'SwitchToGreen',
    'RollDeployment',
    'SettleRecord',
    'SwitchToBase',
    'RemoveGreen',
    'RestoreService',
  ]);
  expect(await shop.leftovers()).toEqual([]);
  const rolled = await shop.deployment();
  expect(rolled?.spec.template.metadata?.labels).toEqual({
    app: 'shop',
    tier: 'web',
    'change.segue.dev/names': 'reads-new',
  });
  expect(rolled?.spec.template.spec.containers[0]).toMatchObject({
    image: 'shop:2',
    env: [{ name: 'READ_FROM', value: 'full_name' }, { name: 'LOG', value: 'info' }, { name: 'EMPTY' }],
  });
  expect((await shop.look()).podsByCode).toEqual({
    old: 0,
    'writes-both': 0,
    'reads-new': replicas,
    'new-only': 0,
  });
  shop.wanted = { kind: 'original' };
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(await shop.leftovers()).toEqual([]);
  const after = await shop.deployment();
  expect(after?.spec).toEqual(before?.spec);
  expect(Object.keys(after?.metadata.annotations ?? {})).toEqual(
    Object.keys(before?.metadata.annotations ?? {}),
  );
  expect((await shop.look()).podsByCode.old).toBe(replicas);
  expect(shop.fewest).toBe(replicas);
});

scenario(
  'green is looked at pod by pod while it comes up, and carries no label that a GitOps tool goes by',
  blueGreen,
  async (shop) => {
    shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'hangs' : 'ready');
    await shop.run(
      ({ kind, ...facts }) =>
        kind === 'waiting' && /pod shop-green-\S+ is not ready/.test(String(Object(facts).message)),
    );
    const green = await shop.deployment('shop-green');
    expect(green?.metadata.labels).toEqual({
      'segue.dev/green': 'names',
      'app.kubernetes.io/managed-by': 'segue',
    });
    expect(green?.spec.selector.matchLabels).toEqual({ app: 'shop', 'segue.dev/green': 'names' });
    await eventually(async () =>
      expect((await shop.look()).podsByCode).toMatchObject({ old: replicas, 'reads-new': replicas }),
    );
    shop.kubelet.fate = () => 'ready';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  },
);

scenario('green that crashes never gets the traffic', blueGreen, async (shop) => {
  shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'crashes' : 'ready');
  const facts = await shop.toEnd();
  expect(facts.kind).toBe('failed');
  expect(messageOf(facts)).toMatch(
    /pod shop-green-\S+ crashes again and again: container app was restarted 2 times/,
  );
  expect(shop.steps).not.toContain('SwitchToGreen');
  await expectClean(shop);
  expect(shop.fewest).toBe(replicas);
  shop.kubelet.fate = () => 'ready';
  shop.retry = 'now';
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
});

scenario('green that breaks while it serves loses the traffic at once', blueGreen, async (shop) => {
  await shop.run(stepIs('SwitchToGreen'));
  shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'crashes' : 'ready');
  const facts = await shop.toEnd();
  expect(messageOf(facts)).toMatch(/pod shop-green-\S+ crashed/);
  await expectClean(shop);
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
});

scenario('the Deployment that fails behind green is rolled back behind green', blueGreen, async (shop) => {
  shop.kubelet.fate = (image, isGreen) => (image === 'shop:2' && !isGreen ? 'hangs' : 'ready');
  const facts = await shop.toEnd();
  expect(messageOf(facts)).toMatch(/Deployment shop did not become available within 20 s/);
  expect(shop.steps).toContain('RollBackDeployment');
  shop.kubelet.fate = () => 'ready';
  await goesOnWhenMended(shop);
});

scenario(
  'a quota that refuses green is said in the words of the API server; without it the roll-out goes on',
  blueGreen,
  exceededQuota,
);
scenario(
  'a canary for which there is no room says so, the old code serves, and it goes on once there is',
  canary,
  unschedulable,
);

scenario('a canary goes forward and back, never an endpoint short', canary, async (shop) => {
  const before = await shop.deployment();
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(shop.steps).toEqual([
    'CreateCanary',
    'NoteCanary',
    'ScaleCanary',
    'NoteCanary',
    'RollDeployment',
    'RemoveCanary',
    'SettleRecord',
  ]);
  expect(await shop.leftovers()).toEqual([]);
  expect((await shop.look()).podsByCode).toMatchObject({ old: 0, 'reads-new': replicas });
  shop.wanted = { kind: 'original' };
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect(await shop.leftovers()).toEqual([]);
  expect((await shop.deployment())?.spec).toEqual(before?.spec);
  expect(shop.fewest).toBe(replicas);
});

scenario('a canary that breaks while it serves leaves the old code all its pods', canary, async (shop) => {
  await shop.run(stepIs('ScaleCanary'));
  shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'crashes' : 'ready');
  const facts = await shop.toEnd();
  expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
  expect(messageOf(facts)).toMatch(/pod shop-canary-\S+ crash/);
  expect(shop.steps).not.toContain('RollDeployment');
  await expectClean(shop);
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
  expect(shop.fewest).toBe(replicas);
});

scenario('a rolling update goes forward and back', rollingUpdate, async (shop) => {
  const before = await shop.deployment();
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect((await shop.look()).podsByCode).toEqual({
    old: 0,
    'writes-both': 0,
    'reads-new': replicas,
    'new-only': 0,
  });
  shop.wanted = { kind: 'original' };
  expect(await shop.toEnd()).toEqual({ kind: 'done' });
  expect((await shop.deployment())?.spec).toEqual(before?.spec);
  expect(shop.fewest).toBe(replicas);
});

scenario('a rolling update that fails is rolled back', rollingUpdate, async (shop) => {
  shop.kubelet.fate = (image) => (image === 'shop:2' ? 'hangs' : 'ready');
  const facts = await shop.toEnd();
  expect(facts).toMatchObject({ kind: 'failed', reason: 'RolloutFailed' });
  expect(messageOf(facts)).toMatch(/did not become available within 20 s \(pod shop-\S+ is not ready\)/);
  await eventually(
    async () => expect((await shop.look()).podsByCode).toMatchObject({ old: replicas, 'reads-new': 0 }),
    30_000,
  );
  shop.kubelet.fate = () => 'ready';
  await goesOnWhenMended(shop);
});

scenario(
  'a Deployment that is edited while its Service is narrow loses no endpoint',
  blueGreen,
  async (shop) => {
    await shop.run(stepIs('CreateGreen'));
    await cluster.patch(
      { resource: deployments, namespace: shop.namespace, name: 'shop' },
      { spec: { template: { metadata: { annotations: { team: 'a' } } } } },
      { type: 'merge' },
    );
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.steps).toContain('OpenService');
    expect((await shop.deployment())?.spec.template.metadata?.annotations).toEqual({ team: 'a' });
    expect(shop.fewest).toBe(replicas);
    expect(await shop.leftovers()).toEqual([]);
  },
);

scenario(
  'a step that was decided from what is no longer so is refused, and nothing is written',
  blueGreen,
  async (shop) => {
    const rollout = await eventually(async () => {
      const found = (await shop.look()).rollout;
      expect(found).toMatchObject({ kind: 'step', step: { kind: 'NarrowService' } });
      return found;
    });
    const ref = { resource: services, namespace: shop.namespace, name: 'shop' };
    await cluster.patch(ref, { metadata: { labels: { edited: 'yes' } } }, { type: 'merge' });
    expect(await shop.act(rollout)).toMatchObject({ kind: 'stale' });
    expect(await shop.leftovers()).toEqual([]);
    await shop.run(stepIs('NarrowService'));
    const create = (await shop.look()).rollout;
    expect(create).toMatchObject({ kind: 'step', step: { kind: 'CreateGreen' } });
    expect(await shop.act(create)).toMatchObject({ kind: 'done' });
    // As if the answer had been lost: the same write again is refused.
    expect(await shop.act(create)).toMatchObject({ kind: 'stale' });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  },
);

scenario(
  'green goes with its Deployment, and deletion of the resource lets the Service go',
  blueGreen,
  async (shop) => {
    await shop.run(stepIs('SwitchToGreen'));
    await cluster.delete({ resource: deployments, namespace: shop.namespace, name: 'shop' });
    await eventually(async () => expect(await shop.deployment('shop-green')).toBeUndefined(), 120_000);
    await expect(shop.look()).rejects.toThrow('DeploymentNotFound');
    shop.wanted = { kind: 'abandon' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    await expectClean(shop);
  },
);

scenario(
  'what the API server will never take is refused, not tried for ever',
  { ...blueGreen, releases: [{ ...release, image: '' }] },
  async (shop) => {
    shop.wanted = { kind: 'release', releases: shop.workload.releases };
    await expect(shop.toEnd()).rejects.toThrow(/CreateGreen.*image/);
    shop.wanted = { kind: 'abandon' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    await expectClean(shop);
  },
);

scenario(
  'a Deployment of one pod with several containers never is without an endpoint, and keeps its sidecar',
  { ...blueGreen, releases: [{ ...release, container: 'shop' }] },
  async (shop) => {
    const { spec } = (await shop.deployment())?.spec.template ?? {};
    const containers = [
      { name: 'proxy', image: 'proxy:1' },
      { ...spec?.containers[0], name: 'shop' },
    ];
    await cluster.patch(
      { resource: deployments, namespace: shop.namespace, name: 'shop' },
      { spec: { replicas: 1, template: { spec: { containers } } } },
      { type: 'merge' },
    );
    await eventually(async () => {
      expect((await shop.deployment())?.status).toMatchObject({ replicas: 1, availableReplicas: 1 });
      expect(await shop.podNames()).toHaveLength(1);
      expect(await shop.endpoints()).toBe(1);
    }, 120_000);
    const before = await shop.deployment();
    shop.fewest = 1;
    shop.wanted = { kind: 'release', releases: shop.workload.releases };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect((await shop.deployment())?.spec.template.spec.containers).toMatchObject([
      { name: 'proxy', image: 'proxy:1' },
      {
        name: 'shop',
        image: 'shop:2',
        env: expect.arrayContaining([{ name: 'READ_FROM', value: 'full_name' }]),
      },
    ]);
    shop.wanted = { kind: 'original' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect((await shop.deployment())?.spec).toEqual(before?.spec);
    expect(shop.fewest).toBe(1);
    await expectClean(shop);
  },
);

scenario('several Services and a preview go along, none an endpoint short', several, manyServices);
scenario('a drain in the middle is survived, and its budget holds nothing up', blueGreen, (shop) =>
  evictions(shop, { cluster, api }),
);
scenario('an autoscaler scales the idle Deployment, and no capacity is lost', blueGreen, (shop) =>
  autoscaler(shop, { cluster, api }),
);
scenario('a workload taken out of the spec half-way is brought to its end', several, removed);
