/** Whole changes, nearly all without workloads, by a real operator on a real API server and a real PostgreSQL. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { deployments, type Resource } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { secretFreshMs } from '../../../src/reconcile/secret-reader.ts';
import { Bench, fingerprint, holds, Operator, type Place } from '../../support/operator.ts';
import { Kubelet } from '../rollout/kubelet.ts';

const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
}, 40 * 60_000);
afterAll(async () => bench?.stop(), 60_000);

const limitMs = 60_000;

const table = `CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL, last_name text NOT NULL, city text);
  INSERT INTO customers (first_name, last_name) SELECT 'Ann' || i, 'Lee' FROM generate_series(1, 5000) i`;

const merge: ChangeSpec = {
  replaceColumns: {
    table: 'customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: `first_name || ' ' || last_name` },
    backward: { first_name: `split_part(full_name, ' ', 1)`, last_name: `split_part(full_name, ' ', 2)` },
  },
};

/** A place with a Deployment of one pod, kept by a kubelet of the test's. */
const withShop = async (): Promise<{ readonly place: Place; readonly kubelet: Kubelet }> => {
  const place = await bench.place(table);
  const { namespace } = place;
  const { api, cluster } = bench;
  const node = `node-of-${namespace}`;
  await cluster.create({ resource: nodes, name: node }, {});
  const labels = { app: 'shop' };
  await cluster.create(
    { resource: deployments, namespace, name: 'shop' },
    {
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'app', image: 'shop:1' }] },
        },
      },
    },
  );
  return { place, kubelet: new Kubelet({ cluster, api, node, namespace }) };
};

const columns = async ({ client }: Place): Promise<readonly string[]> => {
  const { rows } = await client.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  );
  return rows.map(({ attname }) => attname);
};

const leftovers = async ({ client }: Place): Promise<number> => {
  const { rows } = await client.query<{ n: number }>(
    `SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)::int
      + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname ~ '^(sync|forward|backward)_')::int AS n`,
  );
  return rows[0]?.n ?? -1;
};

const write = (place: Place, name: string): Promise<unknown> =>
  place.client.query(`INSERT INTO customers (first_name, last_name) VALUES ($1, 'Writer')`, [name]);

test(
  'columns are merged from Pending to Completed, and nothing of Segue is left on the table',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, merge);
    const status = await bench.until(place, ({ phase }) => phase === 'Completed');
    expect(await columns(place)).toEqual(['id', 'city', 'full_name']);
    const { rows } = await place.client.query(
      `SELECT count(*)::int AS n, count(*) FILTER (WHERE full_name = 'Ann' || id || ' Lee')::int AS right FROM customers`,
    );
    expect(rows).toEqual([{ n: 5000, right: 5000 }]);
    expect(await leftovers(place)).toBe(0);
    expect(status.history?.map(({ phase }) => phase)).toEqual([
      'AddColumn',
      'DualWrite',
      'Backfill',
      'SwitchReads',
      'Quarantine',
      'Drop',
    ]);
    expect(status.history?.every(({ completedAt }) => completedAt !== undefined)).toBe(true);
    expect(status.verification).toEqual({
      share: 100,
      percent: 100,
      rowsCompared: 5000,
      mismatches: 0,
      sampleKeys: [],
      repaired: 0,
    });
    const resource = await bench.cluster.get(bench.refOf(place));
    expect(resource?.metadata.finalizers ?? []).toEqual([]);
    for (const type of [
      'Ready',
      'ColumnsAdded',
      'DualWriting',
      'Backfilled',
      'Verified',
      'ReadsSwitched',
      'Quarantined',
      'Dropped',
    ])
      expect([type, holds(status, type)]).toEqual([type, true]);
    for (const type of ['Reconciling', 'Stalled']) expect([type, holds(status, type)]).toEqual([type, false]);
    const printed = await bench.api.kubectl(['get', 'schange', '-n', place.namespace]);
    expect(printed.stdout).toMatch(/PHASE\s+READY\s+PROGRESS\s+MESSAGE\s+AGE/);
    expect(printed.stdout).toMatch(/change\s+Completed\s+True\s+6\/6/);
  },
  limitMs,
);

test(
  'in mode Observe a Deployment at 0 replicas is judged by its template: ahead of its schema, behind it, and right',
  async () => {
    const place = await bench.place(table);
    const { namespace } = place;
    const shop = { resource: deployments, namespace, name: 'shop' };
    const template = (code: string | null) => ({
      metadata: { labels: { app: 'shop', 'change.segue.dev/change': code } },
      spec: { containers: [{ name: 'app', image: 'shop:1' }] },
    });
    await bench.cluster.create(shop, {
      spec: { replicas: 0, selector: { matchLabels: { app: 'shop' } }, template: template('reads-new') },
    } as object);
    const workloads = [{ deployment: 'shop', mode: 'Observe', releases: [{ phase: 'SwitchReads' }] }];
    await bench.apply(place, merge, { workloads });
    const ahead = await bench.until(
      place,
      (status) => holds(status, 'CodeAhead') && holds(status, 'ColumnsAdded'),
      limitMs,
    );
    expect(ahead.message).toContain('the next pod of Deployment shop would be reads-new');
    expect(ahead.phase).toBe('AddColumn');
    expect(holds(ahead, 'Ready')).toBe(false);
    await eventually(async () => {
      const told = (await bench.events(place)).filter(({ reason }) => reason === 'CodeAhead');
      expect(told).toMatchObject([{ type: 'Warning', note: expect.stringContaining('Roll that code back') }]);
    }, limitMs);
    const roll = (code: string | null): Promise<unknown> =>
      bench.cluster.patch(shop, { spec: { template: template(code) } }, { type: 'merge' });
    await roll(null);
    const behind = await bench.until(place, ({ phase }) => phase === 'SwitchReads', limitMs);
    expect(holds(behind, 'CodeAhead')).toBe(false);
    expect(holds(behind, 'Ready')).toBe(true);
    const waiting = await bench.until(
      place,
      ({ blockedBy }) => blockedBy?.kind === 'OldCodeRunning',
      limitMs,
    );
    expect(waiting.rollouts).toMatchObject([{ deployment: 'shop', templates: ['Deployment shop: old'] }]);
    await roll('new-only');
    const done = await bench.until(place, ({ phase }) => phase === 'Completed', limitMs);
    expect(holds(done, 'Ready')).toBe(true);
  },
  4 * limitMs,
);

test(
  'a column is renamed: type and NOT NULL stay',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, { renameColumn: { table: 'customers', from: 'last_name', to: 'surname' } });
    await bench.until(place, ({ phase }) => phase === 'Completed');
    expect(await columns(place)).toEqual(['id', 'first_name', 'city', 'surname']);
    const { rows } = await place.client.query(
      `SELECT attnotnull, atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'surname'`,
    );
    expect(rows).toEqual([{ attnotnull: true, atttypid: 'text' }]);
  },
  limitMs,
);

test(
  'a column is retyped; a row that does not convert holds the change, by its key, and its neighbours are done',
  async () => {
    const place = await bench.place(
      `CREATE TABLE customers (id int PRIMARY KEY, amount text); INSERT INTO customers SELECT i, i::text FROM generate_series(1, 3000) i; UPDATE customers SET amount = 'many' WHERE id = 1500`,
    );
    await bench.apply(place, {
      changeType: {
        table: 'customers',
        column: 'amount',
        to: { name: 'quantity', type: 'bigint' },
        forward: 'amount::bigint',
        backward: 'quantity::text',
      },
    });
    const held = await bench.until(place, ({ conditions }) =>
      (conditions ?? []).some(({ type, reason }) => type === 'Stalled' && reason === 'BadRows'),
    );
    expect(held.message).toContain('{"id": 1500}');
    expect(held.message).not.toContain('many');
    expect(held.backfill).toMatchObject({ badRows: 1, sampleBadKeys: ['{"id": 1500}'] });
    const { rows } = await place.client.query(`SELECT count(quantity)::int AS n FROM customers`);
    expect(rows).toEqual([{ n: 2999 }]);
    await place.client.query(`UPDATE customers SET amount = '7' WHERE id = 1500`);
    await bench.patch(place, { metadata: { annotations: { 'segue.dev/retry': '1' } } });
    await bench.until(place, ({ phase }) => phase === 'Completed');
    const after = await place.client.query(`SELECT quantity FROM customers WHERE id = 1500`);
    expect(after.rows).toEqual([{ quantity: '7' }]);
  },
  limitMs,
);

test(
  'it holds at its target phase and when suspended, waits for approval, and goes on',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, merge, { targetPhase: 'Backfill', approvals: ['Drop'] });
    const held = await bench.until(place, ({ message }) => message?.includes('targetPhase') ?? false);
    expect(held.phase).toBe('Backfill');
    expect(holds(held, 'Ready')).toBe(true);
    await bench.patch(place, { spec: { suspend: true, targetPhase: 'Drop' } });
    await bench.until(place, (status) => holds(status, 'Suspended'));
    expect((await bench.status(place)).phase).toBe('Backfill');
    await bench.patch(place, { spec: { suspend: false } });
    const waiting = await bench.until(place, (status) => holds(status, 'AwaitingApproval'));
    expect(waiting.message).toContain('segue.dev/approve=Drop');
    expect(await columns(place)).toContain('first_name');
    await bench.patch(place, { metadata: { annotations: { 'segue.dev/approve': 'Drop' } } });
    const status = await bench.until(place, ({ phase }) => phase === 'Completed');
    expect(status.approvals).toMatchObject([{ phase: 'Drop' }]);
  },
  limitMs,
);

test.each(['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine'])(
  'walked back from %s, the schema is as it was and rows written by either side are kept',
  async (target) => {
    const place = await bench.place(table);
    const was = await fingerprint(place.client);
    await bench.apply(place, merge, { targetPhase: target });
    await bench.until(place, ({ message }) => message?.includes('targetPhase') ?? false);
    await write(place, 'Old');
    // Code that writes the new side alone may run once the backfill is done, not before.
    const both = !['AddColumn', 'DualWrite'].includes(target);
    if (both) await place.client.query(`UPDATE customers SET full_name = 'New Side' WHERE id = 1`);
    await bench.patch(place, { spec: { rollback: true } });
    await bench.until(place, ({ phase }) => phase === 'RolledBack');
    expect(await fingerprint(place.client)).toBe(was);
    expect(await leftovers(place)).toBe(0);
    const { rows } = await place.client.query(
      `SELECT first_name, last_name FROM customers WHERE id = 1 OR first_name = 'Old' ORDER BY id`,
    );
    expect(rows).toEqual([
      both ? { first_name: 'New', last_name: 'Side' } : { first_name: 'Ann1', last_name: 'Lee' },
      { first_name: 'Old', last_name: 'Writer' },
    ]);
  },
  limitMs,
);

test(
  'a write to an old column in quarantine sets the clock back and is on record',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, merge, { quarantine: { duration: '6s' } });
    const first = await bench.until(place, ({ quarantine }) => quarantine !== undefined);
    // The status names whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await write(place, 'Straggler');
    const later = await bench.until(
      place,
      ({ quarantine }) => Date.parse(quarantine?.endsAt ?? '') > Date.parse(first.quarantine?.endsAt ?? ''),
    );
    expect(later.quarantine?.lastUse).toMatchObject({
      kind: 'Write',
      by: expect.stringContaining('postgres'),
    });
    await bench.until(place, ({ phase }) => phase === 'Completed');
    const { rows } = await place.client.query(
      `SELECT count(*)::int AS n FROM customers WHERE full_name = 'Straggler Writer'`,
    );
    expect(rows).toEqual([{ n: 1 }]);
  },
  limitMs,
);

test(
  'deleted half-way, it goes within a minute, triggers go, and no data does',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, merge, { targetPhase: 'SwitchReads' });
    await bench.until(place, ({ message }) => message?.includes('targetPhase') ?? false);
    await bench.cluster.delete(bench.refOf(place));
    await bench.until(place, (status) => Object.keys(status).length === 0);
    expect(await leftovers(place)).toBe(0);
    expect(await columns(place)).toEqual(['id', 'first_name', 'last_name', 'city', 'full_name']);
    await write(place, 'Old');
    await place.client.query(`INSERT INTO customers (full_name) VALUES ('New Code')`);
  },
  limitMs,
);

test('the resource deleted with the database away is let go with a Warning', async () => {
  const place = await bench.place(table);
  await bench.apply(place, merge, { targetPhase: 'DualWrite' });
  await bench.until(place, ({ message }) => message?.includes('targetPhase') ?? false);
  await bench.secret(place.namespace, 'postgresql://postgres:x@127.0.0.1:9/postgres');
  // Until then it may be tidied up with the address that was read last.
  await sleep(secretFreshMs);
  await bench.cluster.delete(bench.refOf(place));
  await bench.until(place, (status) => Object.keys(status).length === 0, 70_000);
  await eventually(async () => {
    expect((await bench.events(place)).map(({ reason }) => reason)).toContain('CleanupAbandoned');
  });
  // The same resource, applied again, takes the change over where it was.
  await bench.secret(place.namespace, place.uri);
  await bench.apply(place, merge);
  await bench.until(place, ({ phase }) => phase === 'Completed');
  expect(await columns(place)).toEqual(['id', 'city', 'full_name']);
}, 150_000);

test(
  'a lock that does not come is waited for without stalling others, and its holder is named',
  async () => {
    const place = await bench.place(table);
    const { client } = place;
    await client.query(`SET application_name = 'report'`);
    await client.query('BEGIN');
    await client.query('SELECT count(*) FROM customers');
    await bench.apply(place, merge);
    const blocked = await bench.until(place, ({ blockedBy }) => blockedBy?.kind === 'Lock');
    expect(blocked.blockedBy?.message).toMatch(/pid \d+ \(.*report.*\).*AccessShareLock.*customers/);
    expect(holds(blocked, 'Stalled')).toBe(false);
    await client.query('COMMIT');
    await bench.until(place, ({ phase }) => phase === 'Completed');
  },
  limitMs,
);

test(
  'new code is measured by a query in the change’s own database: refused, failed, mended, gone on with',
  async () => {
    const { place, kubelet } = await withShop();
    const analysed = (successCondition: string) => ({
      deployment: 'shop',
      strategy: { rollingUpdate: {} },
      releases: [{ phase: 'SwitchReads', env: { READ_FROM: 'full_name' }, code: 'new-only' }],
      analysis: [
        {
          name: 'converted',
          sql: { query: 'SELECT count(full_name) FROM customers' },
          successCondition,
          interval: '1s',
        },
      ],
    });
    try {
      await bench.apply(place, merge, { workloads: [analysed('result >')] });
      const refused = await bench.until(place, ({ message = '' }) => message.includes('successCondition'));
      expect(refused.conditions?.find(({ type }) => type === 'Stalled')).toMatchObject({
        status: 'True',
        reason: 'InvalidAnalysis',
      });
      expect(await columns(place)).not.toContain('full_name');

      await bench.patch(place, { spec: { workloads: [analysed('result > 5000')] } });
      const failed = await bench.until(
        place,
        ({ message = '' }) => message.includes('was taken back'),
        limitMs,
      );
      expect(failed.message).toContain(
        'converted: 5000 does not meet result > 5000 (1 failure in 1 measurement, failureLimit is 0)',
      );
      expect(failed.rollouts?.[0]?.analysis).toMatchObject([
        { name: 'converted', phase: 'Failed', lastValue: '5000', measurements: 1, failures: 1 },
      ]);

      await bench.patch(place, {
        metadata: { annotations: { 'segue.dev/retry': 'mended' } },
        spec: { workloads: [analysed('result == 5000')] },
      });
      await bench.until(place, ({ phase }) => phase === 'Completed', limitMs);
      const shop = await bench.cluster.get({
        resource: deployments,
        namespace: place.namespace,
        name: 'shop',
      });
      const { annotations = {}, labels } = shop?.spec.template.metadata ?? {};
      expect(labels).toMatchObject({ 'change.segue.dev/change': 'new-only' });
      const notes = Object.keys({ ...annotations, ...shop?.metadata.annotations });
      expect(notes.filter((key) => key.includes('segue.dev'))).toEqual([]);
    } finally {
      await kubelet.stop();
    }
  },
  3 * limitMs,
);

test(
  'rows that differ stop the change before reads switch, by their keys',
  async () => {
    const place = await bench.place(table);
    await bench.apply(place, merge, { targetPhase: 'DualWrite' });
    await bench.until(place, ({ message }) => message?.includes('targetPhase') ?? false);
    // A session with triggers off, as a restore or logical replication is.
    await place.client.query(`SET session_replication_role = replica`);
    await place.client.query(`UPDATE customers SET full_name = 'Some Body' WHERE id = 42`);
    await place.client.query(`SET session_replication_role = origin`);
    await bench.patch(place, { spec: { targetPhase: 'Drop' } });
    const held = await bench.until(
      place,
      ({ message }) => message?.includes('differ between old and new') ?? false,
    );
    expect(held.verification).toMatchObject({
      rowsCompared: 5000,
      mismatches: 1,
      sampleKeys: ['{"id": 42}'],
      repaired: 0,
    });
    expect(held.phase).toBe('Backfill');
    expect(holds(held, 'ReadsSwitched')).toBe(false);
    expect(held.message).toContain('segue.dev/repair=');
    await bench.patch(place, { metadata: { annotations: { 'segue.dev/repair': '1' } } });
    const status = await bench.until(place, ({ phase }) => phase === 'Completed');
    expect(status).toMatchObject({ handledRepair: '1', verification: { mismatches: 0, repaired: 1 } });
    const { rows } = await place.client.query('SELECT full_name FROM customers WHERE id = 42');
    expect(rows).toEqual([{ full_name: 'Ann42 Lee' }]);
  },
  limitMs,
);

test('killed in the middle of the backfill, it goes on where it was after a restart', async () => {
  const place = await bench.place(table.replace('5000', '200000'));
  await bench.apply(place, merge, { backfill: { maxRowsPerSecond: 20_000 } });
  await bench.until(place, ({ backfill }) => (backfill?.rowsDone ?? 0) > 20_000);
  await bench.operator.kill9();
  const { rows } = await place.client.query<{ n: number }>(
    'SELECT count(full_name)::int AS n FROM customers',
  );
  const filled = rows[0]?.n ?? 0;
  expect(filled).toBeGreaterThan(20_000);
  expect(filled).toBeLessThan(200_000);
  await write(place, 'Meanwhile');
  bench.operator = new Operator(bench.api.kubeconfig);
  await bench.patch(place, { spec: { backfill: { maxRowsPerSecond: 0 } } });
  const status = await bench.until(place, ({ phase }) => phase === 'Completed', 60_000);
  expect(status.verification).toMatchObject({ rowsCompared: 200_001, mismatches: 0 });
}, 120_000);

test('told to stop, it ends by itself and says so', async () => {
  expect(await bench.operator.stop()).toBe(0);
  expect(bench.operator.log).toContain('released the lead');
  bench.operator = new Operator(bench.api.kubeconfig);
});
