import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Cluster, connect } from '../../../src/kube/client.ts';
import { Reflector, type ReflectorOptions } from '../../../src/kube/reflector.ts';
import { type Ref, type Resource, namespaces } from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { type PrivateApiServer, startApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';

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
/** Straight to the server: what others do. */
let others: Cluster;
/** Through the proxy: what the operator does. */
let cluster: Cluster;
let namespace = '';
let tests = 0;
const running: Reflector<ConfigMap>[] = [];

beforeAll(async () => {
  api = await startApiServer();
  others = connect({ kubeconfig: api.kubeconfig });
}, 600_000);
afterAll(async () => {
  await others.close();
  await api.stop();
});

beforeEach(async () => {
  proxy = await FaultProxy.start(api);
  cluster = connect({ kubeconfig: proxy.kubeconfig, timeoutMs: 2_000 });
  tests += 1;
  namespace = `reflector-${tests}`;
  await others.create({ resource: namespaces, name: namespace }, {});
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((reflector) => reflector.stop()));
  await cluster.close();
  await proxy.stop();
});

const map = (name: string, where = namespace): Ref<ConfigMap> => ({
  resource: configMaps,
  namespace: where,
  name,
});
const put = (name: string, x: string) => others.apply(map(name), { data: { x } }, { force: true });
const quick = { baseMs: 20, capMs: 200, resetAfterMs: 120_000 };

/** A reflector that writes down what it tells and what it counts. */
function reflect(options: Partial<ReflectorOptions<ConfigMap>> = {}) {
  const told: string[] = [];
  const counts = { relists: [] as string[], restarts: [] as string[], received: [] as string[], failed: 0 };
  const name = (object: ConfigMap | undefined) => object?.data?.['x'] ?? (object === undefined ? '-' : '');
  const reflector = new Reflector<ConfigMap>({
    cluster,
    resource: configMaps,
    namespaces: [namespace],
    fieldSelector: 'metadata.name!=kube-root-ca.crt',
    onChange: (key, previous, current) =>
      told.push(`${key.split('/')[1]} ${name(previous)}→${name(current)}`),
    observer: {
      relisted: (_plural, reason) => counts.relists.push(reason),
      restarted: (_plural, reason) => counts.restarts.push(reason),
      received: (_plural, type) => counts.received.push(type),
      handlerFailed: () => (counts.failed += 1),
    },
    ...options,
    timing: { backoff: quick, ...options.timing },
  });
  running.push(reflector);
  reflector.start();
  return { reflector, told, counts };
}

const watches = () => proxy.seen(/^GET .*configmaps.*watch=true/u);
const lists = () => proxy.seen(/^GET .*configmaps(?!.*watch=true)/u);
const versionOf = (url: string | undefined) => Number(/resourceVersion=(\d+)/u.exec(url ?? '')?.[1]);
/** Waits until the watch stands, so that what comes next comes through it. */
const watching = (count = 1) => eventually(() => expect(watches().length).toBeGreaterThanOrEqual(count));

describe('a reflector', () => {
  test('tells what is there, then what is made, changed and deleted', async () => {
    await put('a', '1');
    const { reflector, told } = reflect();
    expect(reflector.hasSynced).toBe(false);
    await reflector.synced();
    expect(told).toEqual(['a -→1']);
    await put('b', '1');
    await put('a', '2');
    await others.delete(map('a'));
    await eventually(() => expect(told).toEqual(['a -→1', 'b -→1', 'a 1→2', 'a 2→-']));
    expect(reflector.get(`${namespace}/b`)?.data).toEqual({ x: '1' });
    expect(reflector.get(`${namespace}/a`)).toBeUndefined();
    expect(reflector.list().map(({ metadata }) => metadata.name)).toEqual(['b']);
    expect(reflector.list('elsewhere')).toEqual([]);
    expect(reflector.list()[0]?.metadata).not.toHaveProperty('managedFields');
    expect(watches()).toHaveLength(1);
    expect(watches()[0]?.url).toContain('allowWatchBookmarks=true');
    const seconds = Number(/timeoutSeconds=(\d+)/u.exec(watches()[0]?.url ?? '')?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(seconds).toBeLessThanOrEqual(600);
  });

  test('sees all namespaces, or those it was given', async () => {
    await others.create({ resource: namespaces, name: `${namespace}-b` }, {});
    await put('a', '1');
    await others.create(map('a', `${namespace}-b`), {});
    const all = reflect({ namespaces: undefined });
    const two = reflect({ namespaces: [namespace, `${namespace}-b`] });
    const one = reflect();
    await Promise.all([all, two, one].map(({ reflector }) => reflector.synced()));
    expect(all.reflector.list(namespace)).toHaveLength(1);
    expect(all.reflector.get(`${namespace}-b/a`)).toBeDefined();
    expect(two.reflector.list()).toHaveLength(2);
    expect(one.reflector.list()).toHaveLength(1);
    await others.delete(map('a', `${namespace}-b`));
    await eventually(() => expect(two.reflector.list()).toHaveLength(1));
    expect(() => reflect({ namespaces: [] })).toThrow('No namespace');
  });

  test('goes on from the last bookmark, though nothing that it watches has changed', async () => {
    const { reflector, counts } = reflect({
      fieldSelector: 'metadata.name=never',
      timing: { backoff: quick, watchSeconds: [5, 5] },
    });
    await reflector.synced();
    await eventually(async () => {
      await put('unrelated', String(performance.now())); // no bookmark comes unless the version moves
      expect(counts.received).toContain('BOOKMARK');
    }, 15_000);
    const before = watches().length;
    await watching(before + 1);
    const versions = watches().map(({ url }) => versionOf(url));
    expect(versions.at(-1)).toBeGreaterThan(versions[0] ?? Number.NaN);
    expect(lists()).toHaveLength(1);
    expect(counts.restarts).toEqual([]);
  }, 30_000);

  test('lists again every so often, and tells nothing that it has told before', async () => {
    await put('a', '1');
    const { told, counts } = reflect({ timing: { backoff: quick, relistMs: 1_000 } });
    await eventually(() => expect(counts.relists).toEqual(['start', 'periodic', 'periodic']));
    expect(told).toEqual(['a -→1']);
    expect(counts.restarts).toEqual([]);
  });

  test('passes over a change whose handler throws, and counts it', async () => {
    const seen: string[] = [];
    const { counts } = reflect({
      onChange: (key) => {
        seen.push(key);
        if (key.endsWith('/bad')) throw new Error('a bug');
      },
    });
    await put('bad', '1');
    await put('good', '1');
    await eventually(() => expect(seen).toContain(`${namespace}/good`));
    expect(counts.failed).toBeGreaterThanOrEqual(1);
    expect(counts.restarts).toEqual([]);
  });

  test('stops for good', async () => {
    const { reflector, told } = reflect();
    await reflector.synced();
    await watching();
    await reflector.stop();
    const before = proxy.requests.length;
    await put('a', '1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(told).toEqual([]);
    expect(proxy.requests).toHaveLength(before);
  });

  test('that never syncs lets those who wait for it go', async () => {
    proxy.inject({ match: /configmaps/u, answer: 403, reason: 'Forbidden', times: 1_000 });
    const { reflector } = reflect();
    await expect(reflector.synced(AbortSignal.timeout(200))).rejects.toThrow();
    const waiting = reflector.synced();
    await reflector.stop();
    await expect(waiting).rejects.toThrow('was stopped');
  });
});

describe('it survives', () => {
  test('cut connections', async () => {
    const { reflector, told, counts } = reflect();
    await reflector.synced();
    await watching();
    for (const x of ['1', '2', '3']) {
      proxy.cut();
      await put('a', x);
      await eventually(() => expect(told.at(-1)).toMatch(new RegExp(`→${x}$`, 'u')));
    }
    expect(counts.restarts).toContain('cut');
    expect(counts.relists).toEqual(['start']); // a version can be gone on from
  });

  test('a server that is away for a while, and what was made, changed and deleted meanwhile', async () => {
    for (const name of ['kept', 'changed', 'deleted', 'remade']) await put(name, '1');
    const { reflector, told } = reflect();
    await reflector.synced();
    await watching();
    proxy.refuse();
    await put('changed', '2');
    await others.delete(map('deleted'));
    await others.delete(map('remade'));
    await put('remade', '2');
    await put('made', '2');
    await new Promise((resolve) => setTimeout(resolve, 300));
    told.length = 0;
    proxy.accept();
    await eventually(() =>
      expect([...told].sort()).toEqual([
        'changed 1→2',
        'deleted 1→-',
        'made -→2',
        'remade -→2',
        'remade 1→-',
      ]),
    );
  });

  test('the same, when it comes back without its history: 410 to the watch', async () => {
    for (const name of ['kept', 'changed', 'deleted', 'remade']) await put(name, '1');
    const { reflector, told, counts } = reflect();
    await reflector.synced();
    await watching();
    proxy.refuse();
    await put('changed', '2');
    await others.delete(map('deleted'));
    await others.delete(map('remade'));
    await put('remade', '2');
    told.length = 0;
    proxy.inject({ match: /watch=true/u, answer: 410, reason: 'Expired' });
    proxy.accept();
    await eventually(() => expect(counts.relists).toEqual(['start', 'expired']));
    expect([...told].sort()).toEqual(['changed 1→2', 'deleted 1→-', 'remade -→2', 'remade 1→-']);
    expect(told.indexOf('remade 1→-')).toBeLessThan(told.indexOf('remade -→2'));
  });

  test('410 within the stream', async () => {
    const { reflector, told, counts } = reflect();
    await reflector.synced();
    await watching();
    await put('a', '1');
    await eventually(() => expect(told).toHaveLength(1));
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    expect(proxy.say({ type: 'ERROR', object: status })).toBe(1);
    await eventually(() => expect(counts.relists).toEqual(['start', 'expired']));
    await put('a', '2');
    await eventually(() => expect(told).toEqual(['a -→1', 'a 1→2']));
  });

  test.each([
    [
      'another error within the stream',
      { type: 'ERROR', object: { kind: 'Status', code: 500, reason: 'InternalError' } },
    ],
    ['an event that is none', { type: 'ADDED', object: {} }],
  ])('%s', async (_name, line) => {
    const { reflector, told, counts } = reflect();
    await reflector.synced();
    await watching();
    await eventually(() => expect(proxy.say(line)).toBe(1));
    await eventually(() => expect(counts.relists).toEqual(['start', 'failed']));
    await put('a', '1');
    await eventually(() => expect(told).toEqual(['a -→1']));
  });

  test('a connection that is open and silent', async () => {
    const { reflector, told, counts } = reflect({ timing: { backoff: quick, silenceMs: 1_500 } });
    await reflector.synced();
    // One that is asked for and not answered yet would be given up as a request, not as a watch.
    await eventually(() => expect(proxy.streams).toBe(1));
    proxy.silence();
    await put('a', '1');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(told).toEqual([]);
    proxy.speak();
    await eventually(() => expect(told).toEqual(['a -→1']));
    expect(counts.restarts).toContain('silent');
    expect(counts.relists).toEqual(['start']);
  });

  test('errors of the list at its start', async () => {
    await put('a', '1');
    proxy.inject({ match: /GET .*configmaps/u, answer: 500, times: 3 });
    proxy.inject({ match: /GET .*configmaps/u, answer: 403, times: 2 });
    proxy.inject({ match: /GET .*configmaps/u, answer: 'cut', times: 2 });
    const { reflector, told, counts } = reflect();
    await reflector.synced();
    expect(told).toEqual(['a -→1']);
    expect(counts.restarts.length).toBeGreaterThanOrEqual(6);
    expect(counts.restarts.every((reason) => reason === 'list failed')).toBe(true);
  });

  test('refusals of the watch, without a new list', async () => {
    proxy.inject({ match: /watch=true/u, answer: 429, reason: 'TooManyRequests' });
    proxy.inject({ match: /watch=true/u, answer: 503 });
    proxy.inject({ match: /watch=true/u, answer: 401 });
    const { told, counts } = reflect();
    await watching(4);
    await put('a', '1');
    await eventually(() => expect(told).toEqual(['a -→1']));
    expect(counts.restarts).toEqual(['429', '503', '401']);
    expect(counts.relists).toEqual(['start']);
  });

  test('pages that expire while a list is fetched', async () => {
    for (let i = 0; i < 3; i += 1) await put(`m-${i}`, '1');
    proxy.inject({ match: /configmaps\?limit=500/u, answer: 410, reason: 'Expired' });
    const { reflector, counts } = reflect();
    await reflector.synced();
    expect(reflector.list()).toHaveLength(3);
    expect(counts.restarts).toEqual([]);
    expect(lists()[1]?.url).not.toContain('limit=');
  });

  test('watches that end at once, without asking all the time', async () => {
    proxy.inject({ match: /watch=true/u, answer: 200, body: '', times: 1_000 });
    const { counts } = reflect({
      timing: { backoff: { ...quick, baseMs: 200, capMs: 200 } },
      random: () => 1,
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(counts.restarts.every((reason) => reason === 'very short')).toBe(true);
    expect(watches().length).toBeGreaterThan(1);
    expect(watches().length).toBeLessThan(8);
  });

  test('the death and return of the API server', async () => {
    await put('a', '1');
    const { reflector, told } = reflect();
    await reflector.synced();
    await watching();
    await api.killApiServer();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reflector.get(`${namespace}/a`)).toBeDefined();
    await api.startApiServer();
    await put('a', '2');
    await put('b', '1');
    await eventually(() => expect(told).toEqual(['a -→1', 'a 1→2', 'b -→1']));
  }, 60_000);
});

test('after any series of faults it has what the server has, and has told every step of it', async () => {
  /** What the handler has been told, as a copy of its own. */
  const told = new Map<string, string>();
  const wrong: string[] = [];
  const text = (object: ConfigMap | undefined) => object && `${object.metadata.uid} ${object.data?.['x']}`;
  const { reflector } = reflect({
    timing: { backoff: quick, silenceMs: 1_100, relistMs: 1_500 },
    onChange: (key, previous, current) => {
      const before = told.get(key);
      if (previous === undefined ? before !== undefined : before === undefined)
        wrong.push(`${key}: ${before}`);
      const now = text(current);
      if (now === undefined) told.delete(key);
      else told.set(key, now);
    },
  });
  await reflector.synced();
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % n;
  };
  const faults = [
    () => proxy.cut(),
    () => proxy.inject({ match: /watch=true/u, answer: 410, reason: 'Expired' }),
    () => proxy.inject({ match: /configmaps/u, answer: 500, times: 2 }),
    () => proxy.say({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }),
    () => proxy.inject({ match: /configmaps/u, answer: 'cut' }),
    () => proxy.silence(),
    () => proxy.speak(),
    () => proxy.refuse(),
    () => {
      proxy.inject({ match: /watch=true/u, answer: 410, reason: 'Expired' });
      proxy.refuse();
    },
    () => proxy.accept(),
    () => proxy.heal(),
  ];
  const end = performance.now() + 5_000;
  for (let i = 0; performance.now() < end; i += 1) {
    const name = `m-${below(5)}`;
    if (below(3) === 0) await others.delete(map(name));
    else await put(name, String(i));
    if (i % 4 === 0) faults[below(faults.length)]?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  proxy.heal();
  const { items } = await others.list(configMaps, {
    namespace,
    fieldSelector: 'metadata.name!=kube-root-ca.crt',
  });
  const expected = Object.fromEntries(
    items.map((item) => [`${namespace}/${item.metadata.name}`, text(item)]),
  );
  await eventually(() => expect({ seed, told: Object.fromEntries(told) }).toEqual({ seed, told: expected }));
  expect({ seed, wrong }).toEqual({ seed, wrong: [] });
  expect(new Set(reflector.list().map(text))).toEqual(new Set(told.values()));
}, 60_000);
