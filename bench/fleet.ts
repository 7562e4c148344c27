/** A thousand SchemaChanges and five thousand pods as plain API objects, in one namespace: the dearest case. */
import type { SchemaChange } from '../src/api/schema-change.ts';
import type { Cluster } from '../src/kube/client.ts';
import { deployments, namespaces, pods, schemaChanges, secrets, services } from '../src/kube/resources.ts';
import type { Resource } from '../src/kube/resources.ts';
import type { BenchDatabase } from './server.ts';

export const namespace = 'fleet';

/** How many changes stand how; together they are a thousand. */
export const population = {
  /** Over; the ledger is not asked any more. */
  completed: 780,
  /** Not begun, `suspend: true`. */
  suspended: 120,
  /** Dual-writing, held at `targetPhase: DualWrite`, each with a workload of 100 pods. */
  held: 40,
  /** Wait for the approval of AddColumn. */
  unapproved: 40,
  /** In a quarantine of a day. */
  inQuarantine: 5,
  /** Name a table that is not there. */
  withoutTable: 10,
  /** Name a Secret that is not there. */
  withoutSecret: 5,
} as const;

type Standing = keyof typeof population;

const deploymentCount = 50;
const podsEach = 100;
/** Pods of all Deployments. */
export const podCount = deploymentCount * podsEach;

const serviceAccounts = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
} as Resource;

/** Does the work on all items, so many at a time. */
export const each = async <T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> => {
  const left = items.toReversed();
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
};

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);
const tableOf = (standing: Standing, n: number): string => `${standing.toLowerCase()}_${n}`;
const nameOf = (standing: Standing, n: number): string => `${standing.toLowerCase()}-${n}`;

/** Of a hundred pods, with what a pod in earnest carries: about 4 kB. */
const templateOf = (app: string) => ({
  metadata: { labels: { app } },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'registry.example/shop:1',
        env: numbers(20).map((n) => ({ name: `SETTING_${n}`, value: `value ${n} of the application` })),
        ports: [{ containerPort: 8080 }],
      },
    ],
  },
});

/** A change as it is applied; its table need not be there. */
export const changeOf = (standing: Standing, n: number): Pick<SchemaChange, 'spec'> => {
  const app = `app-${n % deploymentCount}`;
  const spec = {
    database: { secretRef: { name: standing === 'withoutSecret' ? 'nothing' : 'db' } },
    change: { renameColumn: { table: `public.${tableOf(standing, n)}`, from: 'name', to: 'title' } },
    quarantine: { duration: '24h' },
    ...(standing === 'suspended' ? { suspend: true } : {}),
    ...(standing === 'held' ? { targetPhase: 'DualWrite' } : {}),
    ...(standing === 'unapproved' ? { approvals: ['AddColumn'] } : {}),
    ...(standing === 'held' ? { workloads: [{ deployment: app, service: app, mode: 'Observe' }] } : {}),
  };
  return { spec } as unknown as Pick<SchemaChange, 'spec'>;
};

const makeTables = async ({ client }: BenchDatabase): Promise<void> => {
  for (const standing of ['suspended', 'held', 'unapproved', 'inQuarantine'] as const)
    for (const n of numbers(population[standing])) {
      const table = tableOf(standing, n);
      await client.query(`CREATE TABLE ${table} (id bigint PRIMARY KEY, name text NOT NULL);
        INSERT INTO ${table} SELECT i, 'name ' || i FROM generate_series(1, 10) i`);
    }
};

const makeWorkload = async (cluster: Cluster, n: number): Promise<void> => {
  const name = `app-${n}`;
  const template = templateOf(name);
  await cluster.create(
    { resource: deployments, namespace, name },
    { spec: { replicas: podsEach, selector: { matchLabels: { app: name } }, template } },
  );
  await cluster.create(
    { resource: services, namespace, name },
    { spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] } },
  );
  for (const pod of numbers(podsEach)) {
    await cluster.create(
      { resource: pods, namespace, name: podName(n, pod) },
      { metadata: { labels: { app: name, 'pod-template-hash': 'abc' } }, spec: template.spec },
    );
  }
};

/** A pod of a Deployment. */
export const podName = (deployment: number, pod: number): string => `app-${deployment}-abc-${pod}`;

const makeChange = async (cluster: Cluster, standing: Standing, n: number): Promise<void> => {
  const ref = { resource: schemaChanges, namespace, name: nameOf(standing, n) };
  const { metadata } = await cluster.create(ref, changeOf(standing, n));
  if (standing !== 'completed') return;
  const status = { observedGeneration: metadata.generation, phase: 'Completed' } as const;
  await cluster.patch(ref, { status }, { type: 'merge', subresource: 'status' });
};

/** Makes all of it. */
export const makeFleet = async (cluster: Cluster, database: BenchDatabase): Promise<void> => {
  await makeTables(database);
  await cluster.create({ resource: namespaces, name: namespace }, {});
  await cluster.create({ resource: serviceAccounts, namespace, name: 'default' }, {});
  const data = { uri: Buffer.from(database.uri).toString('base64') };
  await cluster.apply({ resource: secrets, namespace, name: 'db' }, { data }, { force: true });
  await each(numbers(deploymentCount), (n) => makeWorkload(cluster, n));
  const all = (Object.keys(population) as Standing[]).flatMap((standing) =>
    numbers(population[standing]).map((n) => ({ standing, n })),
  );
  await each(all, ({ standing, n }) => makeChange(cluster, standing, n));
};
