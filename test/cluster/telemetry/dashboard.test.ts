/**
 * A real Prometheus scrapes a real operator while a change goes its whole way: throttled, with a canary, a use in the
 * quarantine and an approval; another change stalls. Every query of the dashboard then has something to show.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Resource } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { alerts, alertsFile, metricsIn, queries } from '../../support/charted.ts';
import { Bench, holds, type Place } from '../../support/operator.ts';
import { Prometheus } from '../../support/prometheus.ts';
import { canary, release, replicas, Shop } from '../rollout/shop.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

const limitMs = 300_000;
const rows = 20_000;

const table = `CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL, last_name text NOT NULL);
  INSERT INTO customers (first_name, last_name) SELECT 'Ann' || i, 'Lee' FROM generate_series(1, ${rows}) i`;

const change = {
  replaceColumns: {
    table: 'customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: `first_name || ' ' || last_name` },
    backward: { first_name: `split_part(full_name, ' ', 1)`, last_name: `split_part(full_name, ' ', 2)` },
  },
};

/** What counts troubles has nothing to show where there were none. */
const ofTroubles = [
  'segue_stale_requeues_total',
  'segue_watch_restarts_total',
  'segue_watch_handler_errors_total',
];

let bench: Bench;
let prometheus: Prometheus;
let shop: Shop;
let place: Place;
let stalled: Place;
let beganAt: number;
beforeAll(async () => {
  bench = await Bench.start();
  await bench.cluster.create({ resource: nodes, name: node }, {});
  shop = await Shop.open({ cluster: bench.cluster, api: bench.api, node }, 'shop', canary);
  const database = await bench.place(table);
  place = { ...database, namespace: 'shop' };
  await bench.secret('shop', database.uri);
  stalled = await bench.place('');
  prometheus = await Prometheus.start({ operators: [`127.0.0.1:${await port()}`], rules: [alertsFile] });
  beganAt = Date.now() / 1_000;
}, 40 * 60_000);
afterAll(async () => {
  await shop?.kubelet.stop();
  await prometheus?.stop();
  await bench?.stop();
}, 60_000);

/** Where the operator serves its metrics. */
const port = (): Promise<string> =>
  eventually(() => {
    const [, found] = /"port":(\d+)/.exec(bench.operator.log) ?? [];
    if (found === undefined) throw new Error(`It has not started: ${bench.operator.log}`);
    return Promise.resolve(found);
  }, limitMs);

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

/** What Grafana would draw of a query since the test began. */
const drawn = async (expr: string): Promise<readonly Result[]> => {
  const query = expr.replaceAll('$__rate_interval', '15s').replaceAll(/\$(namespace|name)\b/g, '.*');
  const range = { start: String(beganAt), end: String(Date.now() / 1_000), step: '1' };
  const { result } = await prometheus.ask<{ readonly result: readonly Result[] }>('query_range', {
    query,
    ...range,
  });
  return result;
};

const numbers = (result: readonly Result[]): readonly number[] =>
  result.flatMap(({ values }) => values.map(([, value]) => Number(value)));

const liveThrough = async (): Promise<void> => {
  await bench.apply(stalled, change, { database: { secretRef: { name: 'nowhere' } } });
  await bench.apply(place, change, {
    backfill: { maxRowsPerSecond: 2_000 },
    workloads: [{ ...canary, releases: [{ ...release, code: 'new-only' }] }],
    quarantine: { duration: '1h' },
    approvals: ['Drop'],
  });
  await bench.until(place, ({ quarantine }) => quarantine !== undefined, limitMs);
  await place.client.query(`UPDATE customers SET first_name = 'Eve' WHERE id = 1`);
  await bench.until(place, ({ quarantine }) => quarantine?.lastUse !== undefined, limitMs);
  await eventually(async () => {
    const restarts = await drawn('segue_quarantine_restarts_total');
    expect(Math.max(...numbers(restarts))).toBeGreaterThan(0);
  }, limitMs);
  await bench.patch(place, { spec: { quarantine: { duration: '1s' } } });
  await bench.until(place, (status) => holds(status, 'AwaitingApproval'), limitMs);
  await eventually(
    async () => expect(await drawn('segue_blocked{reason="AwaitingApproval"}')).not.toEqual([]),
    limitMs,
  );
  await bench.patch(place, { metadata: { annotations: { 'segue.dev/approve': 'Drop' } } });
  await bench.until(place, ({ phase }) => phase === 'Completed', limitMs);
  await eventually(
    async () => expect(await drawn('segue_schemachange_info{phase="Completed"}')).not.toEqual([]),
    limitMs,
  );
};

test(
  'every query of the dashboard names metrics that exist, and has something to show',
  async () => {
    await liveThrough();
    const names = await prometheus.ask<readonly string[]>('label/__name__/values');
    const known = names.map((name) => name.replace(/(_seconds)_(bucket|sum|count)$/, '$1'));
    for (const [panel, expr] of queries()) {
      const named = metricsIn(expr);
      if (named.some((name) => ofTroubles.includes(name))) continue;
      expect([panel, named.filter((name) => !known.includes(name))]).toEqual([panel, []]);
      const finite = numbers(await drawn(expr)).filter((value) => Number.isFinite(value));
      expect([panel, expr, finite.length > 0]).toEqual([panel, expr, true]);
    }
  },
  4 * limitMs,
);

test('what they show is what happened', async () => {
  const phases = await drawn('segue_schemachange_info{namespace="shop"}');
  expect(phases.map(({ metric }) => metric['phase'])).toEqual(
    expect.arrayContaining(['Backfill', 'SwitchReads', 'Quarantine', 'Completed']),
  );
  const most = async (expr: string): Promise<number> => Math.max(...numbers(await drawn(expr)));
  expect(await most('segue_backfill_progress_ratio')).toBe(1);
  expect(await most('segue_backfill_rows_total')).toBe(rows);
  expect(await most('segue_verification_rows_total')).toBeGreaterThanOrEqual(rows);
  expect(await most('segue_mismatches')).toBe(0);
  expect(await most('segue_rollout_weight_percent')).toBeGreaterThan(0);
  expect(await most('segue_rollout_pods{code="new-only"}')).toBeGreaterThanOrEqual(replicas);
  const reasons = await drawn('segue_stalled');
  expect(reasons.map(({ metric }) => [metric['namespace'], metric['reason']])).toEqual([
    [stalled.namespace, 'SecretNotFound'],
  ]);
});

test('the alerts are evaluated, and the one that there is reason for is raised', async () => {
  const { groups } = await prometheus.ask<{
    readonly groups: readonly {
      readonly rules: readonly {
        readonly name: string;
        readonly health: string;
        readonly alerts: readonly {
          readonly labels: Readonly<Record<string, string>>;
          readonly annotations: Readonly<Record<string, string>>;
        }[];
      }[];
    }[];
  }>('rules');
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.map(({ name, health }) => [name, health])).toEqual(alerts().map(({ alert }) => [alert, 'ok']));
  const raised = rules.find(({ name }) => name === 'SegueStalled')?.alerts;
  expect(raised).toMatchObject([
    {
      labels: { namespace: stalled.namespace, name: 'change', reason: 'SecretNotFound' },
      annotations: { summary: `SchemaChange ${stalled.namespace}/change needs a person (SecretNotFound).` },
    },
  ]);
  const down = rules.filter(
    ({ name, alerts: raisedNow }) => /Operator|Leader/.test(name) && raisedNow.length > 0,
  );
  expect(down).toEqual([]);
});

test(
  'a resource that is deleted has no series any more',
  async () => {
    const address = `http://127.0.0.1:${await port()}/metrics`;
    const about = async ({ namespace }: Place): Promise<readonly string[]> =>
      (await (await fetch(address)).text())
        .split('\n')
        .filter((line) => line.includes(`namespace="${namespace}"`));
    for (const one of [stalled, place]) {
      expect(await about(one)).not.toEqual([]);
      await bench.cluster.delete(bench.refOf(one));
      await eventually(async () => expect(await about(one)).toEqual([]), limitMs);
    }
  },
  2 * limitMs,
);
