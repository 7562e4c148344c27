/**
 * Two operators as real processes on one Lease, with the usual times, while a backfill is under way: whoever is
 * killed, stopped, cut off or has a wrong clock, there is one leader, soon, and the former one writes nothing.
 * The scenarios run side by side, each with a Lease, a namespace and a database of its own.
 */
import { afterAll, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { Database } from '../../../src/database/databases.ts';
import { claim } from '../../../src/database/fence.ts';
import { leases, type Ref, type Resource } from '../../../src/kube/resources.ts';
import type { Lease } from '../../../src/kube/types.ts';
import { eventually } from '../../support/eventually.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { Bench, Operator, type Place } from '../../support/operator.ts';

const limitMs = 300_000;
const rows = 30_000;
const table = `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
  INSERT INTO customers SELECT i, 'name ' || i FROM generate_series(1, ${rows}) i`;
const rename = { renameColumn: { table: 'customers', from: 'name', to: 'title' } };

const clusterRoleBindings: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  namespaced: false,
};
const serviceAccounts: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** What the election promises: 15 s for which the Lease must have been seen unchanged, a try, and requests. */
const takeOverMs = 20_000;

let starting: Promise<Bench> | undefined;
const ended: (() => Promise<unknown>)[] = [];

const started = (): Promise<Bench> =>
  (starting ??= (async () => {
    const bench = await Bench.start();
    await bench.operator.stop();
    return bench;
  })());

afterAll(async () => {
  for (const end of ended) await end();
  await (await starting)?.stop();
}, 120_000);

/** One scenario: a change whose backfill takes minutes, and the Lease that its operators are after. */
class Scene {
  readonly bench: Bench;
  readonly place: Place;
  readonly #lease: Ref<Lease>;

  private constructor(bench: Bench, place: Place) {
    this.bench = bench;
    this.place = place;
    this.#lease = { resource: leases, namespace: 'default', name: place.namespace };
  }

  static async open(): Promise<Scene> {
    const bench = await started();
    const place = await bench.place(table);
    await bench.apply(place, rename, { backfill: { maxRowsPerSecond: 200 } });
    return new Scene(bench, place);
  }

  operator(
    identity: string,
    {
      kubeconfig = this.bench.api.kubeconfig,
      env = {},
    }: {
      readonly kubeconfig?: string;
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Operator {
    const operator = new Operator(kubeconfig, {
      SEGUE_IDENTITY: identity,
      SEGUE_LEASE_NAME: this.place.namespace,
      SEGUE_WATCH_NAMESPACES: this.place.namespace,
      ...env,
    });
    ended.push(() => operator.kill9());
    return operator;
  }

  lease(): Promise<Lease | undefined> {
    return this.bench.cluster.get(this.#lease);
  }

  /** Has the Lease name another holder, as an administrator would. */
  async leaseTo(holderIdentity: string): Promise<void> {
    await this.bench.cluster.patch(this.#lease, { spec: { holderIdentity } }, { type: 'merge' });
  }

  /** Waits for a holder; gives the time that it took, in ms. */
  async ledBy(identity: string, withinMs = 60_000): Promise<number> {
    const since = performance.now();
    await eventually(async () => {
      expect((await this.lease())?.spec?.holderIdentity).toMatch(new RegExp(`^${identity}_`));
    }, withinMs);
    return performance.now() - since;
  }

  async filled(): Promise<number> {
    const { rows } = await this.place.client.query<{ n: number }>(
      `SELECT count(title)::int AS n FROM customers`,
    );
    return rows[0]?.n ?? 0;
  }

  /** Waits until rows are filled beyond a number. */
  async fillsOn(beyond: number): Promise<void> {
    await eventually(async () => expect(await this.filled()).toBeGreaterThan(beyond), 60_000);
  }

  async holder(): Promise<string> {
    const { rows } = await this.place.client.query<{ holder: string }>('SELECT holder FROM segue.fence');
    return rows[0]?.holder ?? '';
  }

  /** Lets the backfill run as fast as it can: all rows must be right in the end. */
  async completes(): Promise<void> {
    await this.bench.patch(this.place, { spec: { backfill: { maxRowsPerSecond: 0 } } });
    const status = await this.bench.until(this.place, ({ phase }) => phase === 'Completed', 120_000);
    expect(status.verification).toMatchObject({ rowsCompared: rows, mismatches: 0 });
  }
}

/** Opens a scene with a leader at work and another operator that waits. */
const withTwo = async (
  first: Parameters<Scene['operator']>[1] = {},
  second: Parameters<Scene['operator']>[1] = {},
): Promise<{ readonly scene: Scene; readonly a: Operator; readonly b: Operator }> => {
  const scene = await Scene.open();
  const a = scene.operator('a', first);
  await scene.ledBy('a');
  const b = scene.operator('b', second);
  await scene.fillsOn(0).catch((error: unknown) => {
    throw new Error(a.log.slice(-3_000), { cause: error });
  });
  await eventually(() => expect(b.log).toContain('started'), 60_000);
  return { scene, a, b };
};

test.concurrent(
  'a leader that is killed is followed within 20 seconds',
  async () => {
    const { scene, a } = await withTwo();
    await a.kill9();
    const filled = await scene.filled();
    expect(await scene.ledBy('b')).toBeLessThan(takeOverMs);
    await scene.fillsOn(filled);
    expect(await scene.holder()).toMatch(/^b_/);
    await scene.completes();
  },
  limitMs,
);

test.concurrent(
  'a leader that was stopped for longer than its Lease exits when it goes on, and its writes are refused',
  async () => {
    const { scene, a } = await withTwo();
    a.freeze();
    // A transaction that it may be in the middle of keeps the next leader waiting for no longer than 5 s.
    expect(await scene.ledBy('b')).toBeLessThan(takeOverMs);
    await eventually(async () => expect(await scene.holder()).toMatch(/^b_/), 60_000);
    await scene.fillsOn(await scene.filled());
    a.thaw();
    expect(await a.exited).toBe(1);
    expect(a.log).toMatch(/lost the lead|another operator has taken over/);
    expect(await scene.holder()).toMatch(/^b_/);
    expect((await scene.lease())?.spec?.holderIdentity).toMatch(/^b_/);
    await scene.completes();
  },
  limitMs,
);

test.concurrent(
  'clocks that differ by two hours make no second leader, nor keep the next one out',
  async () => {
    const clock = (shiftMs: number) => ({
      env: {
        NODE_OPTIONS: `--import=${path.join(import.meta.dirname, '../../support/shifted-clock-process.ts')}`,
        CLOCK_SHIFT_MS: String(shiftMs),
      },
    });
    const { scene, a, b } = await withTwo(clock(-3_600_000), clock(3_600_000));
    const first = await scene.lease();
    const behind = Date.now() - Date.parse(first?.spec?.renewTime ?? '');
    expect(behind).toBeGreaterThan(3_000_000);
    // By its timestamps it ran out an hour ago. As long as it is renewed it is held: for longer than it lasts.
    const renewals = new Set<string>();
    await eventually(async () => {
      const lease = await scene.lease();
      expect(lease?.spec?.holderIdentity).toMatch(/^a_/);
      renewals.add(lease?.spec?.renewTime ?? '');
      expect(renewals.size).toBeGreaterThan(9);
    }, 120_000);
    expect(b.log).not.toContain('became leader');
    expect((await scene.lease())?.spec?.leaseTransitions).toBe(first?.spec?.leaseTransitions);
    await a.kill9();
    expect(await scene.ledBy('b')).toBeLessThan(takeOverMs);
    await scene.completes();
  },
  limitMs,
);

test.concurrent(
  'a leader that can reach the database and not the API server ends before another leads',
  async () => {
    const { api } = await started();
    const proxy = await FaultProxy.start(api);
    ended.push(() => proxy.stop());
    const { scene, a } = await withTwo({ kubeconfig: proxy.kubeconfig });
    const times = { ended: Number.POSITIVE_INFINITY };
    const exit = a.exited.then((code) => {
      times.ended = performance.now();
      return code;
    });
    proxy.silence();
    expect(await scene.ledBy('b')).toBeLessThan(takeOverMs);
    expect(times.ended).toBeLessThan(performance.now());
    expect(await exit).toBe(1);
    expect(a.log).toContain('lost the lead');
    await scene.completes();
  },
  limitMs,
);

test.concurrent(
  'a leader that does not know that another has taken over is refused by the database, and exits',
  async () => {
    const { api } = await started();
    const proxy = await FaultProxy.start(api);
    ended.push(() => proxy.stop());
    const scene = await Scene.open();
    const a = scene.operator('a', { kubeconfig: proxy.kubeconfig });
    await scene.ledBy('a');
    await scene.fillsOn(0);
    // It renews its Lease and thinks nothing of it; but another takes the database, and nobody confirms its lead.
    proxy.inject({ match: /GET .*leases/u, answer: 500, times: 1_000 });
    const db = new Database(scene.place.uri);
    ended.push(() => db.close());
    const claimed = await claim(db, 'usurper');
    expect(claimed.kind).toBe('claimed');
    const filled = await scene.filled();
    await eventually(() => expect(a.log).toContain('a look failed and is tried again'), 60_000);
    // Neither a yes nor a no: it goes on asking, and what it would write is refused meanwhile.
    expect(await scene.holder()).toBe('usurper');
    expect(await scene.filled()).toBe(filled);
    await scene.leaseTo('usurper');
    proxy.heal();
    expect(await a.exited).toBe(1);
    expect(a.log).toMatch(/lost the lead|another operator has taken over/);
    expect(await scene.filled()).toBe(filled);
  },
  limitMs,
);

test.concurrent(
  'the API server away from both operators for longer than the Lease: one of them leads when it is back',
  async () => {
    const { api } = await started();
    const proxies = [await FaultProxy.start(api), await FaultProxy.start(api)] as const;
    for (const proxy of proxies) ended.push(() => proxy.stop());
    const [first, second] = proxies.map(({ kubeconfig }) => ({ kubeconfig }));
    const { scene, a, b } = await withTwo(first, second);
    const before = await scene.lease();
    for (const proxy of proxies) proxy.refuse();
    await Promise.all([sleep(25_000), a.exited]);
    expect(await a.exited).toBe(1);
    expect((await scene.lease())?.spec?.renewTime).toBeDefined();
    // As the kubelet starts it again.
    const again = scene.operator('again', first);
    await eventually(() => expect(again.log).toContain('started'), 60_000);
    const filled = await scene.filled();
    for (const proxy of proxies) proxy.accept();
    expect(await scene.ledBy('(again|b)')).toBeLessThan(takeOverMs);
    await scene.fillsOn(filled);
    await scene.completes();
    expect(`${again.log}${b.log}`.match(/became leader/g)).toHaveLength(1);
    const transitions = (lease: Lease | undefined) => lease?.spec?.leaseTransitions ?? 0;
    expect(transitions(await scene.lease())).toBe(transitions(before) + 1);
  },
  limitMs,
);

/** A kubeconfig with a user that has its token in a file, as a pod's service account has, and what writes that token. */
const withTokenFile = async (
  { bench, place }: Scene,
  directory: string,
): Promise<{ readonly kubeconfig: string; readonly become: (account: string) => Promise<void> }> => {
  const { api, cluster } = bench;
  const { namespace } = place;
  const [kubeconfig, tokenFile] = [path.join(directory, 'kubeconfig'), path.join(directory, 'token')];
  const config = parse(readFileSync(api.kubeconfig, 'utf8')) as { users: { user: object }[] };
  for (const user of config.users)
    user.user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } };
  writeFileSync(kubeconfig, stringify(config));
  const become = async (name: string): Promise<void> => {
    await cluster.create({ resource: serviceAccounts, namespace, name }, {});
    await cluster.create({ resource: clusterRoleBindings, name: `${namespace}-${name}` }, {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', namespace, name }],
    } as object);
    const { stdout } = await api.kubectl(['create', 'token', name, '-n', namespace]);
    writeFileSync(tokenFile, stdout.trim());
  };
  return { kubeconfig, become };
};

test.concurrent(
  'a leader whose token is replaced, and the account of the former one deleted, leads on',
  async () => {
    const scene = await Scene.open();
    const { namespace } = scene.place;
    const directory = await mkdtemp(path.join(tmpdir(), 'segue-token-'));
    ended.push(() => rm(directory, { recursive: true }));
    const { kubeconfig, become } = await withTokenFile(scene, directory);
    await become('first');
    const a = scene.operator('a', { kubeconfig });
    await scene.ledBy('a');
    await scene.fillsOn(0);
    const before = await scene.lease();
    await become('second');
    await scene.bench.cluster.delete({ resource: serviceAccounts, namespace, name: 'first' });
    // The server may take the former token for some seconds more.
    const renewed = Date.now() + 20_000;
    await eventually(async () => {
      const { renewTime = '' } = (await scene.lease())?.spec ?? {};
      expect(Date.parse(renewTime)).toBeGreaterThan(renewed);
    }, 120_000);
    await scene.fillsOn(await scene.filled());
    await scene.completes();
    expect((await scene.lease())?.spec?.holderIdentity).toBe(before?.spec?.holderIdentity);
    expect(a.log).not.toContain('lost the lead');
  },
  limitMs,
);
