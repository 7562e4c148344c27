/**
 * Input that can't be carried out: each has a condition, an Event and a message that says what to do, the
 * database is as it was, and once the cause is mended the change goes on by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { deployments, secrets, services } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { Bench, fingerprint, hasLedger, holds, type Place } from '../../support/operator.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
}, 40 * 60_000);
afterAll(async () => bench?.stop(), 60_000);

const table = `CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL, last_name text);
  INSERT INTO customers (first_name, last_name) SELECT 'Ann' || i, 'Lee' FROM generate_series(1, 100) i`;

const merge = (over: Partial<NonNullable<ChangeSpec['replaceColumns']>> = {}): ChangeSpec => ({
  replaceColumns: {
    table: 'public.customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: `first_name || ' ' || coalesce(last_name, '')` },
    backward: { first_name: `split_part(full_name, ' ', 1)`, last_name: `split_part(full_name, ' ', 2)` },
    ...over,
  },
});

const managed = (service?: string) => ({
  workloads: [
    {
      deployment: 'shop',
      ...(service === undefined ? {} : { service }),
      strategy: service === undefined ? { rollingUpdate: {} } : { blueGreen: {} },
      releases: [{ phase: 'SwitchReads', image: 'shop:2', code: 'new-only' }],
    },
  ],
});

const shop = (place: Place): Promise<unknown> =>
  bench.cluster.create(
    { resource: deployments, namespace: place.namespace, name: 'shop' },
    {
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'shop' } },
        template: {
          metadata: { labels: { app: 'shop' } },
          spec: { containers: [{ name: 'shop', image: 'shop:1' }] },
        },
      },
    },
  );

const shopService = (place: Place): Promise<unknown> =>
  bench.cluster.create(
    { resource: services, namespace: place.namespace, name: 'shop' },
    {
      spec: { selector: { app: 'shop' }, ports: [{ port: 80 }] },
    },
  );

interface Case {
  readonly name: string;
  readonly reason: string;
  readonly says: RegExp;
  readonly setup?: string;
  readonly before?: (place: Place) => Promise<unknown>;
  readonly change?: ChangeSpec;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly mend: (place: Place) => Promise<unknown>;
}

const cases: readonly Case[] = [
  {
    name: 'a table that does not exist',
    reason: 'TableNotFound',
    says: /no table public\.customers.*Create it/,
    setup: 'SELECT 1',
    mend: ({ client }) => client.query(table),
  },
  {
    name: 'a column that does not exist',
    reason: 'ColumnNotFound',
    says: /public\.customers has no column "last_name"/,
    setup: 'CREATE TABLE customers (id bigint PRIMARY KEY, first_name text)',
    mend: ({ client }) => client.query('ALTER TABLE customers ADD COLUMN last_name text'),
  },
  {
    name: 'a target column that exists',
    reason: 'TargetColumnExists',
    says: /already has a column "full_name"/,
    setup: `${table}; ALTER TABLE customers ADD COLUMN full_name text`,
    mend: ({ client }) => client.query('ALTER TABLE customers DROP COLUMN full_name'),
  },
  {
    name: 'a view over an old column',
    reason: 'DependentObjects',
    says: /view .*names.*on "first_name".*CASCADE/,
    setup: `${table}; CREATE VIEW names AS SELECT first_name FROM customers`,
    mend: ({ client }) => client.query('DROP VIEW names'),
  },
  {
    name: 'an old column with a default',
    reason: 'UnsupportedColumn',
    says: /"last_name".*has a default/,
    setup: `${table}; ALTER TABLE customers ALTER COLUMN last_name SET DEFAULT 'x'`,
    mend: ({ client }) => client.query('ALTER TABLE customers ALTER COLUMN last_name DROP DEFAULT'),
  },
  {
    name: 'an expression that does not parse',
    reason: 'InvalidExpression',
    says: /forward\.full_name.*syntax error/s,
    change: merge({ forward: { full_name: 'first_name ||' } }),
    mend: (place) => bench.patch(place, { spec: { change: merge() } }),
  },
  {
    name: 'an expression over a column that is not replaced',
    reason: 'InvalidExpression',
    says: /backward\.last_name.*column "nickname" does not exist/s,
    change: merge({ backward: { first_name: 'full_name', last_name: 'nickname' } }),
    mend: (place) => bench.patch(place, { spec: { change: merge() } }),
  },
  {
    name: 'an expression that closes its parenthesis to smuggle in a statement',
    reason: 'InvalidExpression',
    says: /forward\.full_name/,
    change: merge({ forward: { full_name: `first_name); DROP TABLE customers; SELECT (1` } }),
    mend: (place) => bench.patch(place, { spec: { change: merge() } }),
  },
  {
    name: 'a Secret that does not exist',
    reason: 'SecretNotFound',
    says: /no Secret place-\d+\/db/,
    before: ({ namespace }) => bench.cluster.delete({ resource: secrets, namespace, name: 'db' }),
    mend: ({ namespace, uri }) => bench.secret(namespace, uri),
  },
  {
    name: 'a Secret without the key',
    reason: 'SecretKeyMissing',
    says: /has no key uri; it has url/,
    before: async ({ namespace, uri }) => {
      await bench.cluster.delete({ resource: secrets, namespace, name: 'db' });
      await bench.secret(namespace, uri, 'url');
    },
    mend: ({ namespace, uri }) => bench.secret(namespace, uri),
  },
  {
    name: 'a wrong password',
    reason: 'InvalidCredentials',
    says: /./,
    before: async ({ namespace, uri, client }) => {
      await client.query(`DROP ROLE IF EXISTS stranger`);
      await bench.secret(namespace, uri.replace(/\/\/[^@]+@/, '//stranger:wrong@'));
    },
    mend: ({ namespace, uri }) => bench.secret(namespace, uri),
  },
  {
    name: 'a database server that is not there',
    reason: 'DatabaseUnreachable',
    says: /goes on by itself/,
    before: ({ namespace }) => bench.secret(namespace, 'postgresql://postgres:x@127.0.0.1:9/postgres'),
    mend: ({ namespace, uri }) => bench.secret(namespace, uri),
  },
  {
    name: 'a Deployment that does not exist',
    reason: 'DeploymentNotFound',
    says: /shop/,
    spec: managed(),
    mend: shop,
  },
  {
    name: 'a Service that does not exist',
    reason: 'ServiceNotFound',
    says: /shop/,
    spec: managed('shop'),
    before: shop,
    mend: shopService,
  },
];

describe('input that cannot be carried out', () => {
  test.each(cases)(
    '$name',
    async ({ reason, says, setup, before, change, spec, mend }) => {
      const place = await bench.place(setup ?? table);
      await before?.(place);
      const was = await fingerprint(place.client);
      await bench.apply(place, change ?? merge(), spec);
      const refused = await bench.until(place, ({ conditions }) =>
        (conditions ?? []).some((condition) => condition.type === 'Ready' && condition.reason === reason),
      );
      expect(refused.message).toMatch(says);
      expect(refused.message).not.toContain(bench.postgres.password);
      expect(refused.phase).toBe('Pending');
      expect(holds(refused, 'Stalled')).toBe(reason !== 'DatabaseUnreachable');
      expect(await fingerprint(place.client)).toBe(was);
      expect(await hasLedger(place.client)).toBe(false);
      const event = await eventually(async () => {
        const found = (await bench.events(place)).find((candidate) => candidate.reason === reason);
        if (found === undefined) throw new Error(`There is no Event with reason ${reason}.`);
        return found;
      });
      expect(event.note).toMatch(says);
      await mend(place);
      await bench.until(place, ({ phase }) => phase !== undefined && phase !== 'Pending');
    },
    60_000,
  );
});
