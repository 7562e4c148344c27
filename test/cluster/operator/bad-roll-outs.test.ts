/**
 * New code that is no good, through the whole operator on a real API server and a real PostgreSQL: a clear message, the
 * old code serves, nothing is lost, and it goes on once that is mended.
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { ChangeSpec, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { pods, type Resource } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { Bench, type Place } from '../../support/operator.ts';
import { replicas, Shop } from '../rollout/shop.ts';
import { Scenarios } from '../scenarios.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const limitMs = 300_000;
const rows = 1_000;

const scenarios = new Scenarios();
let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
  await bench.cluster.create({ resource: nodes, name: node }, {});
}, 40 * 60_000);
afterAll(async () => {
  await scenarios.settled();
  await bench?.stop();
}, 480_000);

const table = `CREATE TABLE orders (id int PRIMARY KEY, amount integer NOT NULL);
  INSERT INTO orders SELECT i, i FROM generate_series(1, ${rows}) i`;

/** What the new code may write, the old columns need not be able to hold. */
const widen: ChangeSpec = {
  replaceColumns: {
    table: 'orders',
    from: ['amount'],
    to: [{ name: 'total', type: 'bigint', nullable: false }],
    forward: { total: 'amount::bigint' },
    backward: { amount: 'total::integer' },
  },
};

const workload = {
  deployment: 'shop',
  service: 'shop',
  strategy: { blueGreen: { settle: '1s' } },
  releases: [{ phase: 'SwitchReads' as const, image: 'shop:2', code: 'new-only' as const }],
};

/** A shop and its change, under the operator. */
class Scene {
  readonly place: Place;
  readonly shop: Shop;

  private constructor(place: Place, shop: Shop) {
    this.place = place;
    this.shop = shop;
  }

  static async open(): Promise<Scene> {
    const place = await bench.place(table);
    const { api, cluster } = bench;
    const shop = await Shop.open({ api, cluster, node }, place.namespace, { ...workload, mode: 'Manage' });
    return new Scene(place, shop);
  }

  async apply(strategy: object = workload.strategy): Promise<void> {
    await bench.apply(this.place, widen, { workloads: [{ ...workload, strategy }] });
  }

  /** Waits until the status fits, and counts the shop's endpoints all the while. */
  async until(fits: (status: SchemaChangeStatus) => boolean): Promise<SchemaChangeStatus> {
    const { place, shop } = this;
    return eventually(async () => {
      shop.fewest = Math.min(shop.fewest, await shop.endpoints());
      const status = await bench.status(place);
      if (!fits(status)) throw new Error(`${JSON.stringify(status)}\n${bench.operator.log.slice(-4_000)}`);
      return status;
    }, limitMs);
  }

  /** Waits until the roll-out has been given up: said, and told as a Warning. */
  async givenUp(why: RegExp): Promise<void> {
    const { message, conditions } = await this.until(({ conditions: all = [] }) =>
      all.some(({ type, status }) => type === 'Stalled' && status === 'True'),
    );
    expect(conditions?.find(({ type }) => type === 'Stalled')).toMatchObject({ reason: 'RolloutFailed' });
    expect(message).toMatch(why);
    await eventually(async () => {
      const told = await bench.events(this.place);
      expect(told).toContainEqual(
        expect.objectContaining({
          type: 'Warning',
          reason: 'RolloutFailed',
          note: expect.stringMatching(why),
        }),
      );
    });
  }

  /** The old code alone serves, with all its pods, and never had fewer. */
  async expectOldCode(): Promise<void> {
    const { shop } = this;
    await eventually(async () => {
      expect(await shop.leftovers()).toEqual([]);
      const { items } = await bench.cluster.list(pods, { namespace: shop.namespace });
      expect(items.map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(replicas).fill('shop:1'));
    }, limitMs);
    expect((await shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:1');
    expect(shop.fewest).toBe(replicas);
  }

  async retry(): Promise<void> {
    await bench.patch(this.place, { metadata: { annotations: { 'segue.dev/retry': 'mended' } } });
  }

  /** Goes on to the end, with every row. */
  async completes(): Promise<void> {
    await this.until(({ phase }) => phase === 'Completed');
    const { rows: found } = await this.place.client.query(
      'SELECT count(*)::int AS n, count(*) FILTER (WHERE total = id)::int AS right FROM orders',
    );
    expect(found).toEqual([{ n: rows, right: rows }]);
    expect((await this.shop.deployment())?.spec.template.spec.containers[0]?.image).toBe('shop:2');
    expect(this.shop.fewest).toBe(replicas);
  }
}

const scenario = (name: string, live: (scene: Scene) => Promise<void>): void =>
  scenarios.add(name, async () => {
    const scene = await Scene.open();
    try {
      await live(scene);
    } finally {
      await scene.shop.kubelet.stop();
    }
  });

scenario(
  'an image that crashes: the old one serves, a Warning names the pod, a retry goes on',
  async (scene) => {
    scene.shop.kubelet.fate = (_image, isGreen) => (isGreen ? 'crashes' : 'ready');
    await scene.apply();
    await scene.givenUp(/pod shop-green-\S+ crashes again and again/);
    await scene.expectOldCode();
    scene.shop.kubelet.fate = () => 'ready';
    await scene.retry();
    await scene.completes();
  },
);

scenario(
  'code that writes what old code can not read: the database shows it, and the old one serves',
  async (scene) => {
    const { client } = scene.place;
    const watched = (pause: string) => ({ canary: { steps: [{ weight: 25, pause }] } });
    await scene.apply(watched('10m'));
    await scene.until(({ rollouts = [] }) => rollouts[0]?.weight === 25);
    await client.query('UPDATE orders SET total = 5000000000 + id WHERE id <= 10');
    await scene.givenUp(/check dual-write: 10 rows were written that old and new columns can't agree on/);
    await scene.expectOldCode();
    await client.query('UPDATE orders SET total = id WHERE id <= 10');
    await scene.apply(watched('1s'));
    await scene.retry();
    await scene.completes();
  },
);
