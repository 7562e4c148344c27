/**
 * Application and SchemaChanges in one Git repository, deployed by the real Argo CD with prune and self-heal on: its
 * controller, its repository server, its API server, Redis. Kubernetes, PostgreSQL and the operator are real as well; the
 * tests play the kubelet. The manifests are those of examples/argo-cd, changed by one commit after the other.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { codeLabel } from '../../src/api/names.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../src/api/schema-change.ts';
import {
  deployments,
  replicaSets,
  schemaChanges,
  secrets,
  services,
  type Resource,
} from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { argocd, ArgoCd } from '../support/argo-cd.ts';
import { WatchedApplication } from '../support/argo-cd-application.ts';
import { deployment, example, names, ofNames, ofTotals, slow, totals } from '../support/argo-cd-shop.ts';
import { eventually } from '../support/eventually.ts';
import { GitRepository } from '../support/git-repository.ts';
import { Bench, holds, type Place } from '../support/operator.ts';
import { Kubelet } from './rollout/kubelet.ts';

const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const node = 'node-1';
const limitMs = 120_000;
const testTimeoutMs = 300_000;

let bench: Bench;
let place: Place;
let kubelet: Kubelet;
let argo: ArgoCd;
let git: GitRepository;
let app: WatchedApplication;
const commits: string[] = [];

/** Notes a commit as one that has to be synced once, and has Argo CD look. */
const pushed = async (commit: Promise<string>): Promise<string> => {
  const revision = await commit;
  commits.push(revision);
  await app.refresh();
  return revision;
};

const commit = (message: string, files: Readonly<Record<string, object | undefined>>): Promise<string> =>
  pushed(git.commit(message, files));

const deployed = async (revision: Promise<string>): Promise<void> => {
  try {
    await app.healthyAt(await revision, limitMs);
  } catch (error) {
    throw new Error(`${argo.log}\n${bench.operator.log.slice(-4_000)}`, { cause: error });
  }
};

const changeOf = async (name: string): Promise<SchemaChange | undefined> =>
  bench.cluster.get({ resource: schemaChanges, namespace: place.namespace, name });

const until = (name: string, fits: (status: SchemaChangeStatus) => boolean): Promise<SchemaChangeStatus> =>
  eventually(async () => {
    const status = (await changeOf(name))?.status ?? {};
    if (fits(status)) return status;
    throw new Error(`${name}: ${JSON.stringify(status, undefined, 1)}\n${bench.operator.log.slice(-4_000)}`);
  }, limitMs);

/** Image of the pods to be, or that run. */
const image = async (): Promise<string | undefined> => {
  const found = await bench.cluster.get({
    resource: deployments,
    namespace: place.namespace,
    name: 'shop',
  });
  return found?.spec.template.spec?.containers[0]?.image;
};

const columnsOf = async (table: string): Promise<readonly string[]> => {
  const { rows } = await place.client.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return rows.map(({ attname }) => attname);
};

const triggersOf = async (table: string): Promise<number> => {
  const { rows } = await place.client.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal`,
    [table],
  );
  return rows[0]?.n ?? -1;
};

/** For Argo CD's command line. */
const login = (): readonly string[] => ['--server', argo.server, '--plaintext'];

/** Actions as the UI is told of them. */
const offered = async (name: string): Promise<readonly object[]> => {
  const query = new URLSearchParams({
    namespace: place.namespace,
    resourceName: name,
    group: 'segue.dev',
    version: 'v1alpha1',
    kind: 'SchemaChange',
  });
  const url = `http://${argo.server}/api/v1/applications/shop/resource/actions?${query.toString()}`;
  const answer = await fetch(url);
  return ((await answer.json()) as { readonly actions: readonly object[] }).actions;
};

/** Runs an action by Argo CD's own command line. */
const act = async (action: string, name: string): Promise<void> => {
  const args = ['app', 'actions', 'run', 'shop', action, '--kind', 'SchemaChange', '--resource-name', name];
  const result = await argocd([...args, ...login()], { HOME: '/nonexistent' });
  if (result.code !== 0) throw new Error(`${action}: ${result.stderr}`);
};

beforeAll(async () => {
  bench = await Bench.start();
  const { cluster, api } = bench;
  place = await bench.place(`
    CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL, last_name text NOT NULL);
    INSERT INTO customers (first_name, last_name) SELECT 'Ann' || i, 'Lee' FROM generate_series(1, 5000) i;
    CREATE TABLE orders (id bigint PRIMARY KEY, total numeric);
    INSERT INTO orders SELECT i, i FROM generate_series(1, 50000) i`);
  const { namespace } = place;
  await cluster.create(
    { resource: secrets, namespace, name: 'shop-db' },
    { data: { uri: Buffer.from(place.uri).toString('base64') } },
  );
  await cluster.create({ resource: nodes, name: node }, {});
  kubelet = new Kubelet({ cluster, api, namespace, node });
  argo = await ArgoCd.start(api);
  git = await GitRepository.init(join(argo.directory, 'repository'));
  commits.push(
    await git.commit('The shop', {
      ...deployment('shop:1'),
      'shop/service.yaml': example('shop/service.yaml'),
    }),
  );
  const { metadata, spec, ...rest } = example('application.yaml');
  const source = { ...(spec['source'] as object), repoURL: git.url };
  const destination = { ...(spec['destination'] as object), namespace };
  app = await WatchedApplication.create(cluster, {
    ...rest,
    metadata,
    // Long enough for every sync of this file.
    spec: { ...spec, source, destination, revisionHistoryLimit: 50 },
  } as KubeObject);
  await deployed(Promise.resolve(commits[0] ?? ''));
}, 40 * 60_000);

afterAll(async () => {
  await app?.stop();
  await argo?.stop();
  await kubelet?.stop();
  await bench?.stop();
}, 60_000);

test(
  'one commit with a change and its code: the code waits until readyAt is reached, and for no later phase',
  async () => {
    const revision = commit('Full names', {
      ...ofNames(500),
      ...deployment('shop:2', [names]),
    });
    await eventually(async () => {
      const { operationState } = await app.read();
      expect(operationState).toMatchObject({ phase: 'Running', syncResult: { revision: await revision } });
      expect(operationState?.message).toContain(`healthy state of segue.dev/SchemaChange/${names}`);
    }, limitMs);
    await until(names, ({ phase }) => phase === 'Backfill');
    expect(await image()).toBe('shop:1');
    await deployed(revision);
    for (const state of ['condition=Ready', 'condition=Backfilled', 'jsonpath={.status.phase}=Quarantine']) {
      const wait = ['wait', `--for=${state}`, `schange/${names}`, '-n', place.namespace, '--timeout=60s'];
      expect(await bench.api.kubectl(wait)).toMatchObject({ code: 0 });
    }
    const { status = {} } = (await changeOf(names)) ?? {};
    expect(await image()).toBe('shop:2');
    const { items } = await bench.cluster.list(replicaSets, {
      namespace: place.namespace,
      labelSelector: codeLabel(names),
    });
    const backfilled = status.conditions?.find(({ type }) => type === 'Backfilled')?.lastTransitionTime ?? '';
    expect(items).toHaveLength(1);
    expect(Date.parse(items[0]?.metadata.creationTimestamp ?? '')).toBeGreaterThanOrEqual(
      Date.parse(backfilled),
    );
    expect((await bench.events(place)).filter(({ reason }) => reason === 'CodeAhead')).toEqual([]);
  },
  testTimeoutMs,
);

test(
  'git revert of that commit before Drop: the older code first, then the change, with every row kept',
  async () => {
    await place.client.query(`INSERT INTO customers (full_name) VALUES ('New Code')`);
    const revision = pushed(git.revert());
    const deletedAt = await eventually(async () => {
      const at = (await changeOf(names))?.metadata.deletionTimestamp;
      expect(at).toBeDefined();
      return Date.parse(at ?? '');
    }, limitMs);
    // The pods of older code were made before.
    const { items } = await bench.cluster.list(replicaSets, { namespace: place.namespace });
    const old = items.find(({ metadata }) => metadata.labels?.[codeLabel(names)] === undefined);
    expect(old?.status).toMatchObject({ replicas: 2, availableReplicas: 2 });
    expect(await image()).toBe('shop:1');
    expect(deletedAt).toBeGreaterThan(0);
    await deployed(revision);
    expect(await changeOf(names)).toBeUndefined();
    expect(await columnsOf('customers')).toEqual(['id', 'first_name', 'last_name', 'full_name']);
    expect(await triggersOf('customers')).toBe(0);
    const { rows } = await place.client.query(
      `SELECT first_name, last_name FROM customers WHERE full_name = 'New Code'`,
    );
    expect(rows).toEqual([{ first_name: 'New', last_name: 'Code' }]);
  },
  testTimeoutMs,
);

test(
  'two commits for a long backfill: a hotfix goes out meanwhile, actions are no drift, the second commit waits',
  async () => {
    await deployed(commit('Cents, first half', ofTotals({ ...slow, readyAt: 'DualWrite' })));
    expect((await until(totals, ({ phase }) => phase === 'Backfill')).phase).toBe('Backfill');
    await deployed(commit('Hotfix', deployment('shop:1', [], 'debug')));
    const during = (await changeOf(totals))?.status ?? {};
    expect(during.phase).toBe('Backfill');
    expect(holds(during, 'Backfilled')).toBe(false);
    await act('suspend', totals);
    await until(totals, (status) => holds(status, 'Suspended'));
    await deployed(commit('Hotfix while suspended', deployment('shop:1', [], 'trace')));
    expect(holds((await changeOf(totals))?.status ?? {}, 'Suspended')).toBe(true);
    await act('resume', totals);
    await until(totals, (status) => !holds(status, 'Suspended'));
    // Without readyAt, Ready means Backfill again: a commit that comes too early waits.
    const second = commit('Cents, second half', { ...ofTotals(), ...deployment('shop:3', [totals]) });
    await deployed(second);
    expect(await image()).toBe('shop:3');
    expect(holds(await until(totals, ({ phase }) => phase === 'Quarantine'), 'Verified')).toBe(true);
    await deployed(commit('Hotfix in quarantine', deployment('shop:3.1', [totals])));
    expect((await changeOf(totals))?.status?.phase).toBe('Quarantine');
  },
  testTimeoutMs,
);

test(
  'older code in quarantine is deployed like any other, and both sides stay in step',
  async () => {
    await deployed(commit('Back to the code before', deployment('shop:1')));
    const status = await until(totals, ({ message = '' }) => message.includes('Still there: shop: 2 old'));
    expect(holds(status, 'Ready')).toBe(true);
    await place.client.query('UPDATE orders SET total = 9.5 WHERE id = 1');
    const { rows } = await place.client.query('SELECT total_cents::int FROM orders WHERE id = 1');
    expect(rows).toEqual([{ total_cents: 950 }]);
    await deployed(pushed(git.revert()));
    expect(await image()).toBe('shop:3.1');
  },
  testTimeoutMs,
);

test(
  'rollback: true and the older code in one commit: neither waits for the other',
  async () => {
    await deployed(commit('Walk back', { ...ofTotals({ rollback: true }), ...deployment('shop:1') }));
    await until(totals, ({ phase }) => phase === 'RolledBack');
    await eventually(async () => expect((await app.read()).health?.status).toBe('Healthy'), limitMs);
    expect(await image()).toBe('shop:1');
    expect(await columnsOf('orders')).toEqual(['id', 'total']);
    await deployed(commit('Hotfix after the walk back', deployment('shop:1.1')));
    await deployed(commit('Without the change', { 'shop/orders.yaml': undefined }));
    expect(await changeOf(totals)).toBeUndefined();
  },
  testTimeoutMs,
);

test(
  'approved, then walked back by action while its sync waits: the sync fails and brings no new code',
  async () => {
    await git.commit('Cents again, all at once', {
      ...ofTotals({ ...slow, approvals: ['Backfill'] }),
      ...deployment('shop:4', [totals]),
    });
    await app.refresh();
    await until(totals, (status) => holds(status, 'AwaitingApproval'));
    await eventually(async () => expect((await app.read()).health?.status).toBe('Suspended'), limitMs);
    expect(await offered(totals)).toContainEqual(
      expect.objectContaining({ name: 'approve', displayName: 'Approve Backfill' }),
    );
    await act('approve', totals);
    const { approvals } = await until(totals, ({ phase }) => phase === 'Backfill');
    expect(approvals).toMatchObject([{ phase: 'Backfill', by: expect.stringMatching(/^argocd/) }]);
    await act('rollback', totals);
    await until(totals, ({ phase }) => phase === 'RolledBack');
    await eventually(async () => {
      const { operationState, health } = await app.read();
      expect(health?.status).toBe('Degraded');
      expect(operationState?.message).toContain('completed unsuccessfully');
    }, limitMs);
    expect(await image()).toBe('shop:1.1');
    // It would try five times before it looks at the next commit.
    expect(await argocd(['app', 'terminate-op', 'shop', ...login()], { HOME: '/nonexistent' })).toMatchObject(
      {
        code: 0,
      },
    );
    await deployed(
      commit('Without the change, once more', { 'shop/orders.yaml': undefined, ...deployment('shop:5') }),
    );
    expect(await image()).toBe('shop:5');
  },
  testTimeoutMs,
);

test('nothing was ever OutOfSync after its sync, nothing was healed, and Segue wrote to no workload', async () => {
  expect(app.drifted).toEqual([]);
  expect(await app.synced()).toEqual(commits);
  const { namespace } = place;
  for (const resource of [deployments, services] as readonly Resource[]) {
    const found = await bench.cluster.get({ resource, namespace, name: 'shop' });
    const { managedFields = [] } = (found?.metadata ?? {}) as { managedFields?: { manager?: string }[] };
    expect(managedFields.length).toBeGreaterThan(0);
    expect(managedFields.map(({ manager }) => manager)).not.toContain('segue');
  }
});
