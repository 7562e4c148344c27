import { isDeepStrictEqual } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { phases } from '../src/api/phase.ts';
import type { SchemaChange } from '../src/api/schema-change.ts';
import type { LoadReport } from './load/report.ts';
import type { Kill } from './operator-killer.ts';
import { shopNamespace } from './places.ts';
import type { DemoCluster } from './stages/cluster.ts';
import { withClient } from './stages/database.ts';
import { readService, type ServiceState } from './stages/shop.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in words. */
  readonly found: string;
}

const minRequests = 5_000;
const shopReplicas = 3;
/** Pods that were told to stop may take their grace period. */
const settleMs = 45_000;
const pollMs = 1_000;

export const check = (name: string, ok: boolean, found: unknown): Check => ({
  name,
  ok,
  found: typeof found === 'string' ? found : JSON.stringify(found),
});

/** What the load saw. */
export function checkLoad(load: LoadReport): readonly Check[] {
  const { requests, failedRequests, staleAnswers, comparison, comparisonError, answersByVersion } = load;
  return [
    check('no request failed', failedRequests === 0, `${failedRequests} of ${requests}`),
    check(`there were at least ${minRequests} requests`, requests >= minRequests, String(requests)),
    check('every answer held what was last acknowledged', staleAnswers === 0, `${staleAnswers} did not`),
    check(
      'every row holds what was last acknowledged',
      comparison?.mismatches === 0,
      comparison === undefined
        ? (comparisonError ?? 'not compared')
        : `${comparison.mismatches} of ${comparison.rows} differ ${comparison.sampleIds.join(' ')}`,
    ),
    check(
      'both versions of the shop served',
      (answersByVersion['1'] ?? 0) > 0 && (answersByVersion['2'] ?? 0) > 0,
      answersByVersion,
    ),
  ];
}

/** What the resource says of itself. */
export function checkChange(change: SchemaChange): readonly Check[] {
  const { phase, history = [], conditions = [] } = change.status ?? {};
  const done = new Set(
    history.filter((entry) => entry.completedAt !== undefined).map((entry) => entry.phase),
  );
  const ready = conditions.find((condition) => condition.type === 'Ready')?.status;
  return [
    check('the change is Completed', phase === 'Completed', phase ?? 'no phase'),
    check(
      'its history has all six phases',
      phases.every((each) => done.has(each)),
      [...done].join(', '),
    ),
    check('it is Ready', ready === 'True', ready ?? 'no condition'),
  ];
}

/** What the change left in the database. */
export function checkDatabase(uri: string): Promise<readonly Check[]> {
  return withClient(uri, async (client) => {
    const names = async (sql: string): Promise<string> =>
      (await client.query<{ name: string }>(sql)).rows.map((row) => row.name).join(', ');
    const columns = await names(
      `SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS name
       FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname`,
    );
    const triggers = await names(
      `SELECT tgname AS name FROM pg_trigger WHERE tgrelid = 'customers'::regclass AND NOT tgisinternal`,
    );
    const functions = await names(
      `SELECT p.oid::regprocedure::text AS name FROM pg_proc p
       WHERE prorettype = 'trigger'::regtype AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
    );
    const constraints = await names(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'customers'::regclass AND contype = 'c'`,
    );
    return [
      check('the old columns are gone', !/first_name|last_name/.test(columns), columns),
      check('the new column is NOT NULL', columns.includes('full_name text NOT NULL'), columns),
      check('no trigger is left', triggers === '', triggers || 'none'),
      check('no trigger function is left', functions === '', functions || 'none'),
      check('no check constraint is left', constraints === '', constraints || 'none'),
    ];
  });
}

interface Deployment {
  readonly metadata: {
    readonly name: string;
    readonly generation: number;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly replicas: number; readonly template: PodTemplate };
  readonly status: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
  };
}

interface PodTemplate {
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
}

const imageOf = (of: {
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
}): string => of.spec.containers[0]?.image ?? 'none';

async function list<T>(cluster: DemoCluster, kind: string): Promise<readonly T[]> {
  return (await cluster.kubectl.json<{ items: T[] }>(['get', kind, `--namespace=${shopNamespace}`])).items;
}

async function workloadChecks(
  cluster: DemoCluster,
  serviceBefore: ServiceState,
  image: string,
): Promise<readonly Check[]> {
  const service = await readService(cluster);
  const deployments = await list<Deployment>(cluster, 'deployments');
  const pods = await list<PodTemplate>(cluster, 'pods');
  const [shop] = deployments;
  const status = shop?.status;
  const complete =
    shop !== undefined &&
    imageOf(shop.spec.template) === image &&
    shop.spec.replicas === shopReplicas &&
    status?.observedGeneration === shop.metadata.generation &&
    [status.replicas, status.updatedReplicas, status.availableReplicas].every(
      (count) => count === shopReplicas,
    );
  const images = pods.map(imageOf);
  return [
    check(
      'the Service selects as before',
      isDeepStrictEqual(service.spec.selector, serviceBefore.spec.selector),
      service.spec.selector,
    ),
    check('the Service is otherwise as before', isDeepStrictEqual(service, serviceBefore), service),
    check(
      'there is no Deployment but the shop',
      deployments.length === 1,
      deployments.map((each) => each.metadata.name),
    ),
    check(
      'no note of Segue is left on the Deployment',
      Object.keys(shop?.metadata.annotations ?? {}).every((name) => !name.includes('segue.dev')),
      shop?.metadata.annotations,
    ),
    check(`the Deployment is complete, with ${image}`, complete, {
      image: shop && imageOf(shop.spec.template),
      status,
    }),
    check(
      `its pods are the only ones, and run ${image}`,
      images.length === shopReplicas && images.every((each) => each === image),
      images,
    ),
  ];
}

/** What the change left in the cluster, once the last pods of other images than `image` have ended. */
export async function checkWorkloads(
  cluster: DemoCluster,
  serviceBefore: ServiceState,
  image: string,
): Promise<readonly Check[]> {
  const end = performance.now() + settleMs;
  for (;;) {
    const checks = await workloadChecks(cluster, serviceBefore, image);
    if (checks.every(({ ok }) => ok) || performance.now() > end) return checks;
    await delay(pollMs);
  }
}

/** What the change left of the feature flags. */
export async function checkFlags(cluster: DemoCluster): Promise<readonly Check[]> {
  const { metadata, data } = await cluster.kubectl.json<{
    readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
    readonly data: Readonly<Record<string, string>>;
  }>(['get', 'configmap', 'shop-flags', `--namespace=${shopNamespace}`]);
  const notes = Object.keys(metadata.annotations ?? {}).filter((name) => name.includes('segue.dev'));
  return [
    check('the flag says the new column', isDeepStrictEqual(data, { READ_FROM: 'full_name' }), data),
    check('no note of Segue is left on the flags', notes.length === 0, notes),
  ];
}

/** Whether anybody wrote to the Deployment and the Service but Git, by kubectl, and Kubernetes' own controllers. */
export async function checkUntouched(cluster: DemoCluster): Promise<readonly Check[]> {
  const writersOf = async (object: string): Promise<readonly string[]> => {
    const { metadata } = await cluster.kubectl.json<{
      readonly metadata: { readonly managedFields?: readonly { readonly manager: string }[] };
    }>(['get', object, `--namespace=${shopNamespace}`, '--show-managed-fields']);
    return [...new Set(metadata.managedFields?.map(({ manager }) => manager))];
  };
  const known = (manager: string): boolean =>
    manager.startsWith('kubectl') || manager === 'kube-controller-manager';
  const objects = ['deployment/shop', 'service/shop'];
  return Promise.all(
    objects.map(async (object) => {
      const writers = await writersOf(object);
      return check(`Segue wrote nothing to ${object}`, writers.length > 0 && writers.every(known), writers);
    }),
  );
}

/** Whether the operator was killed as often as was asked for. */
export function checkKills(kills: readonly Kill[]): readonly Check[] {
  const killed = kills.map((kill) => kill.phase);
  return [
    check(
      'the operator was killed in every phase',
      phases.every((phase) => killed.includes(phase)),
      killed.join(', '),
    ),
  ];
}
