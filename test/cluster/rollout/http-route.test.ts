/** A canary by HTTPRoute on a real API server with the Gateway API's own CRD, and real requests through a small Gateway. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import { httpRoutes, services, type Resource } from '../../../src/kube/resources.ts';
import { httpRouteCrd } from '../../../dev/cluster/gateway-api.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { RequestLoad, send } from '../../support/http-requests.ts';
import { PodNetwork } from '../../support/pod-network.ts';
import { Scenarios } from '../scenarios.ts';
import { blueGreen, Shop } from './shop.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const runMs = 150_000;

const routed: Workload = {
  ...blueGreen,
  strategy: {
    canary: {
      httpRoute: 'shop',
      headers: { 'x-canary': 'always' },
      steps: [
        { weight: 0, pause: '0s' },
        { weight: 20, pause: '1s' },
      ],
    },
  },
};

/** As kubectl apply sends it; the API server fills in the rest. */
const route = {
  spec: {
    parentRefs: [{ name: 'public' }],
    rules: [
      {
        name: 'api',
        matches: [{ path: { type: 'PathPrefix', value: '/api' } }],
        backendRefs: [
          { name: 'shop', port: 80, weight: 3 },
          { name: 'legacy', port: 80 },
        ],
      },
      { backendRefs: [{ name: 'shop', port: 80 }] },
    ],
  },
};

let api: PrivateApiServer;
let cluster: Cluster;
let withoutRoutes: RolloutFacts;

/** A shop behind a Gateway, under requests. */
interface Scene {
  readonly shop: Shop;
  readonly gateway: Gateway;
  readonly load: RequestLoad;
}

const scenarios = new Scenarios();

const scenario = (name: string, body: (scene: Scene) => Promise<void>): void =>
  scenarios.add(name, async (number) => {
    const namespace = `routed-${number}`;
    const network = new PodNetwork();
    const shop = await Shop.open({ cluster, api, node, network }, namespace, routed);
    await cluster.create(
      { resource: services, namespace, name: 'legacy' },
      { spec: { selector: { app: 'shop' }, ports: [{ port: 80, targetPort: 8080 }] } },
    );
    const ref = { resource: httpRoutes, namespace, name: 'shop' };
    await cluster.apply(ref, route as object, { force: false, fieldManager: 'owner' });
    const gateway = await Gateway.open(cluster, namespace, network);
    await eventually(
      async () => expect(await send(gateway.port, '/')).toMatchObject({ image: 'shop:1' }),
      30_000,
    );
    const load = new RequestLoad(gateway.port);
    try {
      await body({ shop, gateway, load });
    } finally {
      await load.stop();
      await gateway.stop();
      await shop.kubelet.stop();
      network.stop();
    }
  });

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: nodes, name: node }, {});
  const early = await Shop.open({ cluster, api, node }, 'without-routes', routed);
  withoutRoutes = (await early.look()).rollout;
  await early.kubelet.stop();
  const applied = await api.kubectl(['apply', '--server-side', '-f', await httpRouteCrd()]);
  if (applied.code !== 0) throw new Error(applied.stderr);
  await eventually(() => cluster.list(httpRoutes, { namespace: 'without-routes' }), 30_000);
}, 40 * 60_000);

afterAll(async () => {
  await scenarios.settled();
  await cluster?.close();
  await api?.stop();
}, 300_000);

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const atEnd = ({ kind }: RolloutFacts) => kind === 'done' || kind === 'failed';
const says = (text: string) => (facts: RolloutFacts) =>
  facts.kind === 'waiting' && facts.message.includes(text);

const routeOf = async (shop: Shop) =>
  cluster.get({ resource: httpRoutes, namespace: shop.namespace, name: 'shop' });

/** Percent of a hundred requests that the new code answered, once the proxy goes by the route as it is now. */
const share = async ({ shop, gateway, load }: Scene, path: string, headers = {}): Promise<number> => {
  const generation = (await routeOf(shop))?.metadata.generation ?? 0;
  await eventually(() => expect(gateway.generation).toBe(generation), 30_000);
  const answers: unknown[] = [];
  // Any hundred in a row are shared out exactly, as long as nobody else takes a turn.
  await load.whilePaused(async () => {
    for (let n = 0; n < 100; n += 1) answers.push(await send(gateway.port, path, headers));
  });
  return answers.filter((answer) => (answer as { image?: string }).image === 'shop:2').length;
};

/** Nothing of ours is left, and no request was lost. */
const expectClean = async (
  { shop, load }: Scene,
  before: Awaited<ReturnType<typeof routeOf>>,
): Promise<void> => {
  await eventually(async () => expect(await shop.leftovers()).toEqual([]), 60_000);
  const after = await routeOf(shop);
  expect(after?.spec).toEqual(before?.spec);
  expect(Object.keys(after?.metadata.annotations ?? {})).toEqual([]);
  const left = await cluster.list(services, { namespace: shop.namespace });
  expect(left.items.map(({ metadata }) => metadata.name).sort()).toEqual(['legacy', 'shop']);
  expect(load.count).toBeGreaterThan(100);
  expect(load.failures).toEqual([]);
};

scenario('each step has its weight exactly, testers come first, and no request is lost', async (scene) => {
  const { shop } = scene;
  const before = await routeOf(shop);
  const testers = { 'x-canary': 'always' };
  await shop.run(says('sends 0 %'), runMs);
  expect(await share(scene, '/')).toBe(0);
  expect(await share(scene, '/', testers)).toBe(100);
  expect(await share(scene, '/api/orders', testers)).toBe(100);
  expect(await share(scene, '/', { 'x-canary': 'never' })).toBe(0);
  await shop.run(says('sends 20 %'), runMs);
  expect(await share(scene, '/')).toBe(20);
  expect((await shop.look()).weight).toBe(20);
  expect(await shop.run(atEnd, runMs)).toEqual({ kind: 'done' });
  expect(await share(scene, '/')).toBe(100);
  await expectClean(scene, before);
  // The rules are their owner's again: a server-side apply of others meets no conflict with us.
  const [api, root] = route.spec.rules;
  await cluster.apply(
    { resource: httpRoutes, namespace: shop.namespace, name: 'shop' },
    { spec: { ...route.spec, rules: [root, api] } } as object,
    { force: false, fieldManager: 'owner' },
  );
});

scenario('a canary that breaks loses its traffic at once, and no request is lost', async (scene) => {
  const { shop } = scene;
  const before = await routeOf(shop);
  await shop.run(says('sends 20 %'), runMs);
  const first = (await shop.podNames()).find((name) => name.startsWith('shop-green'));
  shop.kubelet.fate = (_image, _isGreen, name) => (name === first ? 'crashes' : 'ready');
  await shop.run(stepIs('RestoreRoute'), runMs);
  expect(await share(scene, '/')).toBe(0);
  const facts = await shop.run(atEnd, runMs);
  expect(facts).toMatchObject({
    kind: 'failed',
    message: expect.stringMatching(/pod shop-green-\S+ crashed/),
  });
  expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
  await expectClean(scene, before);
});

scenario(
  'a GitOps tool puts the route back, then the resource is deleted: no request is lost',
  async (scene) => {
    const { shop } = scene;
    const before = await routeOf(shop);
    const ref = { resource: httpRoutes, namespace: shop.namespace, name: 'shop' };
    await shop.run(says('sends 20 %'), runMs);
    await cluster.apply(ref, route as object, { force: true, fieldManager: 'owner' });
    // On a slow machine the time to wait may be over by now.
    await shop.run(
      (facts) =>
        facts.kind !== 'done' && /put HTTPRoute shop back|is to be divided again/.test(facts.message),
      runMs,
    );
    expect(await share(scene, '/')).toBe(0);
    await shop.run(says('sends 20 %'), runMs);
    shop.wanted = { kind: 'abandon' };
    expect(await shop.run(atEnd, runMs)).toEqual({ kind: 'done' });
    expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
    await expectClean(scene, before);
  },
);

scenario('it is walked back at 20 %, and again once it is done, and no request is lost', async (scene) => {
  const { shop } = scene;
  const before = await routeOf(shop);
  const { wanted } = shop;
  const walkBack = async (): Promise<void> => {
    shop.wanted = { kind: 'original' };
    expect(await shop.run(atEnd, runMs)).toEqual({ kind: 'done' });
    expect(await share(scene, '/')).toBe(0);
    expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
    await expectClean(scene, before);
  };
  await shop.run(says('sends 20 %'), runMs);
  expect(await share(scene, '/')).toBe(20);
  await walkBack();
  shop.wanted = wanted;
  expect(await shop.run(atEnd, runMs)).toEqual({ kind: 'done' });
  expect(await share(scene, '/')).toBe(100);
  await walkBack();
});

test('a cluster without HTTPRoutes is said to be one', () => {
  expect(withoutRoutes).toMatchObject({
    kind: 'waiting',
    reason: 'HTTPRouteNotFound',
    message: expect.stringContaining('This cluster has no HTTPRoutes'),
  });
});
