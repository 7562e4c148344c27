import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isConflict, isExpired, isInvalid, isUnreachable } from '../../../src/kube/api-error.ts';
import { type Cluster, connect } from '../../../src/kube/client.ts';
import {
  type Ref,
  type Resource,
  deployments,
  metadataOf,
  namespaces,
  pods,
  secrets,
  services,
} from '../../../src/kube/resources.ts';
import type { Deployment, KubeObject } from '../../../src/kube/types.ts';
import { type PrivateApiServer, startApiServer } from '../../support/api-server.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { rejectionOf } from '../../support/rejection.ts';

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };
const configMaps: Resource<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

let api: PrivateApiServer;
let proxy: FaultProxy;
let cluster: Cluster;
let namespace = '';
let tests = 0;

beforeAll(async () => {
  api = await startApiServer();
}, 600_000);
afterAll(async () => {
  await api.stop();
});

beforeEach(async () => {
  proxy = await FaultProxy.start(api);
  cluster = connect({ kubeconfig: proxy.kubeconfig, timeoutMs: 5_000 });
  tests += 1;
  namespace = `test-${tests}`;
  await cluster.create({ resource: namespaces, name: namespace }, {});
});
afterEach(async () => {
  await cluster.close();
  await proxy.stop();
});

const map = (name: string): Ref<ConfigMap> => ({ resource: configMaps, namespace, name });
const shop = (): Ref<Deployment> => ({ resource: deployments, namespace, name: 'shop' });
const deployment = (fields: object = {}) => ({
  spec: {
    selector: { matchLabels: { app: 'shop' } },
    template: {
      metadata: { labels: { app: 'shop' } },
      spec: { containers: [{ name: 'shop', image: 'shop:1' }] },
    },
    ...fields,
  },
});

describe('objects', () => {
  test('are made, read as they are, and deleted', async () => {
    const made = await cluster.create(map('a'), { data: { x: '1' } });
    expect(await cluster.get(map('a'))).toEqual(made);
    expect(made).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace } });
    expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-.*Z$/u);
    await expect(cluster.create(map('a'), {})).rejects.toMatchObject({
      status: 409,
      reason: 'AlreadyExists',
    });
    expect(await cluster.delete(map('a'))).toBe(true);
    expect(await cluster.get(map('a'))).toBeUndefined();
    expect(await cluster.delete(map('a'))).toBe(false);
  });

  test('keep fields that Segue has never heard of', async () => {
    const template = {
      metadata: { labels: { app: 'shop' } },
      spec: {
        containers: [{ name: 'shop', image: 'shop:1', livenessProbe: { httpGet: { path: '/', port: 80 } } }],
        priority: 7,
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
      },
    };
    await cluster.create(shop(), deployment({ template }));
    expect((await cluster.get(shop()))?.spec.template).toMatchObject(template);
  });

  test('are listed in pages, whole, with their kind, by selectors', async () => {
    for (let i = 0; i < 7; i += 1) {
      await cluster.create(map(`m-${i}`), { metadata: { labels: { even: String(i % 2 === 0) } } });
    }
    const all = await cluster.list(configMaps, { namespace, pageSize: 3 });
    expect(all.items.map(({ metadata }) => metadata.name)).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((i) => `m-${i}`),
    );
    expect(all.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(Number(all.resourceVersion)).toBeGreaterThan(0);
    expect(proxy.seen(/^GET .*configmaps.*continue=/u)).toHaveLength(2);
    const even = await cluster.list(configMaps, { namespace, labelSelector: 'even=true' });
    expect(even.items).toHaveLength(4);
    const one = await cluster.list(configMaps, { namespace, fieldSelector: 'metadata.name=m-3' });
    expect(one.items).toHaveLength(1);
    expect((await cluster.list(pods)).items).toEqual([]);
  });

  test('are listed and watched by their metadata alone where no more is asked for', async () => {
    await cluster.create(map('a'), { metadata: { labels: { app: 'shop' } }, data: { x: '1' } });
    const partial = metadataOf(configMaps);
    const { items, resourceVersion } = await cluster.list(partial, { namespace });
    expect(items).toHaveLength(1);
    expect(items[0]?.metadata).toMatchObject({ name: 'a', namespace, labels: { app: 'shop' } });
    expect(items[0]).not.toHaveProperty('data');
    await cluster.patch(map('a'), { data: { x: '2' } }, { type: 'merge' });
    const options = { namespace, resourceVersion, timeoutSeconds: 5, silenceMs: 10_000 };
    const signal = AbortSignal.timeout(10_000);
    for await (const event of cluster.watch(partial, { ...options, signal })) {
      expect(event).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'a' } } });
      expect(event).not.toHaveProperty('object.data');
      break;
    }
    expect.assertions(6);
    expect(await cluster.get({ ...map('a'), resource: partial })).toMatchObject({ data: { x: '2' } });
  });

  test('that expire between two pages are fetched anew, all at once', async () => {
    for (let i = 0; i < 4; i += 1) await cluster.create(map(`m-${i}`), {});
    proxy.inject({ match: /continue=/u, answer: 410, reason: 'Expired' });
    expect((await cluster.list(configMaps, { namespace, pageSize: 2 })).items).toHaveLength(4);
    expect(proxy.seen(/configmaps$/u)).toHaveLength(1);
    proxy.inject({ match: /GET .*configmaps/u, answer: 410, reason: 'Expired', times: 2 });
    expect(isExpired(await rejectionOf(cluster.list(configMaps, { namespace, pageSize: 2 })))).toBe(true);
  });

  test('are patched by merging, by strategy, and by operations', async () => {
    await cluster.create(shop(), deployment());
    await cluster.patch(shop(), { spec: { replicas: 3 } }, { type: 'merge' });
    const containers = [{ name: 'shop', env: [{ name: 'A', value: '1' }] }];
    await cluster.patch(shop(), { spec: { template: { spec: { containers } } } }, { type: 'strategic' });
    const operations = [{ op: 'replace', path: '/spec/minReadySeconds', value: 5 }];
    await cluster.patch(shop(), [{ ...operations[0], op: 'add' }], { type: 'json' });
    expect((await cluster.get(shop()))?.spec).toMatchObject({
      replicas: 3,
      minReadySeconds: 5,
      template: {
        spec: { containers: [{ name: 'shop', image: 'shop:1', env: [{ name: 'A', value: '1' }] }] },
      },
    });
    const status = { status: { replicas: 2, observedGeneration: 1 } };
    const patched = await cluster.patch(shop(), status, { type: 'merge', subresource: 'status' });
    expect(patched.status).toMatchObject({ replicas: 2 });
  });

  test('that somebody else changed are a conflict to a patch or a delete that says so', async () => {
    const old = await cluster.create(map('a'), { data: { x: '1' } });
    const body = (resourceVersion: string) => ({ metadata: { resourceVersion }, data: { x: '2' } });
    const { resourceVersion, uid } = old.metadata;
    await cluster.patch(map('a'), body(resourceVersion), { type: 'merge' });
    expect(
      isConflict(await rejectionOf(cluster.patch(map('a'), body(resourceVersion), { type: 'merge' }))),
    ).toBe(true);
    expect(isConflict(await rejectionOf(cluster.delete(map('a'), { resourceVersion })))).toBe(true);
    expect(
      isConflict(
        await rejectionOf(cluster.delete(map('a'), { uid: 'b32f2a3e-0000-4000-8000-000000000000' })),
      ),
    ).toBe(true);
    expect(await cluster.delete(map('a'), { uid })).toBe(true);
  });

  test('are only tried in a dry run', async () => {
    await cluster.apply(map('a'), { data: { x: '1' } }, { force: true, dryRun: true });
    expect(await cluster.get(map('a'))).toBeUndefined();
  });
});

describe('server-side apply', () => {
  test('makes, changes, and takes away what it no longer says, and nothing else', async () => {
    await cluster.apply(map('a'), { data: { ours: '1', gone: '1' } }, { force: true });
    await cluster.patch(map('a'), { data: { theirs: '1' } }, { type: 'merge' });
    const applied = await cluster.apply(map('a'), { data: { ours: '2' } }, { force: true });
    expect(applied.data).toEqual({ ours: '2', theirs: '1' });
    expect(applied.metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: 'segue', operation: 'Apply' }),
    );
  });

  test('of a field that another manager applied is a conflict, unless forced', async () => {
    await cluster.apply(shop(), deployment({ replicas: 2 }), { force: true, fieldManager: 'argocd' });
    const refused = cluster.apply(shop(), { spec: { replicas: 5 } }, { force: false });
    expect(isConflict(await rejectionOf(refused))).toBe(true);
    await expect(refused).rejects.toThrow(/argocd.*\.spec\.replicas/su);
    expect((await cluster.get(shop()))?.spec.replicas).toBe(2);
    const forced = await cluster.apply(
      shop(),
      { spec: { replicas: 5 } },
      {
        force: true,
      },
    );
    expect(forced.spec.replicas).toBe(5);
    expect(forced.spec.template.spec.containers).toHaveLength(1);
  });

  test('never makes again what was deleted, if it says which object it means', async () => {
    const { metadata } = await cluster.create(map('a'), {});
    await cluster.delete(map('a'));
    const again = { metadata: { uid: metadata.uid }, data: { x: '1' } };
    expect(isConflict(await rejectionOf(cluster.apply(map('a'), again, { force: true })))).toBe(true);
    expect(await cluster.get(map('a'))).toBeUndefined();
  });

  test('reaches a subresource', async () => {
    await cluster.create(shop(), deployment());
    const status = { status: { replicas: 4 } } as Partial<Deployment>;
    const applied = await cluster.apply(shop(), status, { force: true, subresource: 'status' });
    expect(applied.status?.replicas).toBe(4);
  });
});

describe('connections', () => {
  test('are kept: many requests, hardly any handshakes', async () => {
    for (let i = 0; i < 60; i += 1) await cluster.get(map('a'));
    expect(proxy.requests.length).toBeGreaterThanOrEqual(61);
    // undici may open a second one while the first winds up an answer.
    expect(proxy.handshakes).toBeLessThanOrEqual(2);
  });

  test('are kept, too, when requests run side by side', async () => {
    for (let i = 0; i < 20; i += 1) await Promise.all([1, 2, 3, 4].map(() => cluster.get(map('a'))));
    expect(proxy.handshakes).toBeLessThanOrEqual(8);
  });

  test('that were closed while idle cost nothing', async () => {
    await cluster.get(map('a'));
    proxy.cut();
    await expect(cluster.get(map('a'))).resolves.toBeUndefined();
  });

  test('trust a new CA as soon as its file is there', async () => {
    await cluster.get(map('a'));
    await proxy.renewAuthority();
    proxy.cut();
    // At most one request meets the new certificate with the old CA.
    await cluster.get(map('a')).catch(() => undefined);
    await expect(cluster.get(map('a'))).resolves.toBeUndefined();
  });

  test('refuse a server that the CA does not know', async () => {
    const stranger = await FaultProxy.start(api);
    try {
      writeFileSync(stranger.authority, readFileSync(proxy.authority));
      const deceived = connect({ kubeconfig: stranger.kubeconfig });
      await expect(deceived.version()).rejects.toThrow(/can't be reached.*certificate/su);
      expect(stranger.requests).toEqual([]);
      await deceived.close();
    } finally {
      await stranger.stop();
    }
  });
});

describe('in a pod', () => {
  const reviews: Resource<KubeObject & { status?: { userInfo: { username: string } } }> = {
    group: 'authentication.k8s.io',
    version: 'v1',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    namespaced: false,
  };
  const environment = { ...process.env };
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
    process.env = environment;
  });

  test('the service account is used, its namespace known, and a new token read', async () => {
    const root = mkdtempSync(join(tmpdir(), 'segue-pod-'));
    const directory = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
    mkdirSync(directory, { recursive: true });
    const token = async (account: string): Promise<void> => {
      await api.kubectl(['-n', namespace, 'create', 'serviceaccount', account]);
      const { stdout } = await api.kubectl(['-n', namespace, 'create', 'token', account]);
      writeFileSync(join(directory, 'token'), stdout.trim());
    };
    writeFileSync(join(directory, 'namespace'), namespace);
    writeFileSync(join(directory, 'ca.crt'), readFileSync(proxy.authority));
    process.env['KUBERNETES_SERVICE_HOST'] = '127.0.0.1';
    process.env['KUBERNETES_SERVICE_PORT'] = String(proxy.port);
    await token('first');
    const pod = connect({ serviceAccountRoot: root });
    const user = async () =>
      (await pod.create({ resource: reviews, name: 'me' }, {})).status?.userInfo.username;
    try {
      expect(pod.namespace).toBe(namespace);
      expect(await user()).toBe(`system:serviceaccount:${namespace}:first`);
      await token('second');
      jest.useFakeTimers({
        doNotFake: [
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'setImmediate',
          'clearImmediate',
          'nextTick',
          'queueMicrotask',
          'hrtime',
          'performance',
        ],
      });
      jest.advanceTimersByTime(61_000);
      // A faked one would start at 0: before the reading that it should follow, in an old process.
      const now = performance.now.bind(performance);
      jest.spyOn(performance, 'now').mockImplementation(() => now() + 61_000);
      expect(await user()).toBe(`system:serviceaccount:${namespace}:second`);
      expect(proxy.handshakes).toBeLessThanOrEqual(2); // ours, and that of the administrator
    } finally {
      await pod.close();
      rmSync(root, { recursive: true });
    }
  });

  test('and nowhere else, without a kubeconfig, it is said what is missing', () => {
    delete process.env['KUBERNETES_SERVICE_HOST'];
    delete process.env['KUBERNETES_SERVICE_PORT'];
    expect(() => connect()).toThrow('not in a pod');
  });
});

describe('a request', () => {
  test('that meets silence ends in time, and the next one is not held up by it', async () => {
    await cluster.get(map('a'));
    proxy.silence();
    const before = performance.now();
    const stuck = cluster.get(map('a'), { timeoutMs: 300 });
    await expect(stuck).rejects.toMatchObject({ name: 'UnreachableError', code: 'TIMEOUT' });
    expect(performance.now() - before).toBeLessThan(2_000);
    proxy.speak();
    await expect(cluster.get(map('a'))).resolves.toBeUndefined();
  });

  test('ends when its caller has had enough, with the reason', async () => {
    proxy.silence();
    const enough = new AbortController();
    const stuck = cluster.get(map('a'), { signal: enough.signal });
    enough.abort(new Error('enough'));
    await expect(stuck).rejects.toThrow('enough');
    await expect(cluster.get(map('a'), { signal: enough.signal })).rejects.toThrow('enough');
  });

  test('to a server that is away says where it was sent', async () => {
    proxy.refuse();
    await expect(cluster.get(map('a'))).rejects.toThrow(`https://127.0.0.1:${proxy.port} can't be reached`);
    expect(isUnreachable(await rejectionOf(cluster.get(map('a'))))).toBe(true);
  });

  test('whose answer was lost is sent again, unless doing it twice matters', async () => {
    proxy.inject({ match: /^GET .*configmaps\/a/u, answer: 'cut' });
    await expect(cluster.get(map('a'))).resolves.toBeUndefined();
    proxy.inject({ match: /^PATCH/u, answer: 'cut' });
    await cluster.apply(map('a'), { data: { x: '1' } }, { force: true });
    proxy.inject({ match: /^POST/u, answer: 'cut' });
    expect(isUnreachable(await rejectionOf(cluster.create(map('b'), {})))).toBe(true);
    expect(proxy.seen(/^POST .*configmaps/u)).toHaveLength(1);
    proxy.inject({ match: /^GET .*configmaps\/a/u, answer: 'cut', times: 5 });
    expect(isUnreachable(await rejectionOf(cluster.get(map('a'))))).toBe(true);
    expect(proxy.seen(/^GET .*configmaps\/a/u)).toHaveLength(4); // two each time
  });

  test('that is refused for now comes back when it is told to', async () => {
    const headers = { 'retry-after': '1' };
    proxy.inject({ match: /^POST .*configmaps/u, answer: 429, headers });
    const before = performance.now();
    await cluster.create(map('a'), {});
    expect(performance.now() - before).toBeGreaterThanOrEqual(990);
    proxy.inject({ match: /^GET .*configmaps\/a/u, answer: 503, headers });
    await expect(cluster.get(map('a'))).resolves.toBeDefined();
    // A 503 may come from a proxy that has passed it on.
    proxy.inject({ match: /^POST .*configmaps/u, answer: 503, headers });
    await expect(cluster.create(map('b'), {})).rejects.toMatchObject({ status: 503, retryAfterMs: 1_000 });
  });

  test('does not come back for ever, nor after minutes, nor where it was not told to', async () => {
    proxy.inject({
      match: /^GET .*configmaps\/a/u,
      answer: 429,
      headers: { 'retry-after': '0.05' },
      times: 9,
    });
    await expect(cluster.get(map('a'))).rejects.toMatchObject({ status: 429 });
    expect(proxy.seen(/^GET .*configmaps\/a/u)).toHaveLength(4);
    proxy.inject({ match: /^GET .*configmaps\/b/u, answer: 429, headers: { 'retry-after': '300' } });
    await expect(cluster.get(map('b'))).rejects.toMatchObject({ status: 429, retryAfterMs: 300_000 });
    proxy.inject({ match: /^GET .*configmaps\/c/u, answer: 500 });
    await expect(cluster.get(map('c'))).rejects.toMatchObject({ status: 500 });
  });

  test('that fails says which object, why, and nothing of what was sent', async () => {
    const secret = { resource: secrets, namespace, name: 'Not_A_Name' };
    const bad = cluster.create(secret, { data: { uri: 'c2VjcmV0LXZhbHVl' } });
    expect(isInvalid(await rejectionOf(bad))).toBe(true);
    await expect(bad).rejects.toThrow(/create Secret test-\d+\/Not_A_Name \(422 Invalid\).*metadata\.name/su);
    await expect(bad).rejects.not.toThrow(/c2VjcmV0|secret-value/u);
    proxy.inject({ match: /secrets/u, answer: 502, body: '<html>c2VjcmV0LXZhbHVl</html>' });
    const page = cluster.get({ resource: secrets, namespace, name: 'a' });
    await expect(page).rejects.toThrow(/^The API server refused to get Secret test-\d+\/a \(502\)$/u);
  });

  test('is counted with its verb, kind and status', async () => {
    const seen: string[] = [];
    const observed = connect({
      kubeconfig: proxy.kubeconfig,
      observer: {
        requested: (verb, plural, status, ms) => seen.push(`${verb} ${plural} ${status} ${ms > 0}`),
      },
    });
    await observed.get({ resource: services, namespace, name: 'none' });
    await observed.list(services, { namespace });
    proxy.refuse();
    await observed.list(services, { namespace }).catch(() => undefined);
    expect(seen.slice(0, 3)).toEqual([
      'get services 404 true',
      'list services 200 true',
      'list services error true',
    ]);
    await observed.close();
  });
});

test('the version is the cheapest question', async () => {
  await expect(cluster.version()).resolves.toMatch(/^v1\.\d+\.\d+/u);
  proxy.inject({ match: /version/u, answer: 200, body: '{}' });
  await expect(cluster.version()).rejects.toThrow('not as a Kubernetes API server');
});
