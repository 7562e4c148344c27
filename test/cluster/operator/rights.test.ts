/**
 * Each right of the chart taken away in turn, with the API server's own RBAC and a service account's token: the operator
 * says which it lacks, asks seldom meanwhile, and goes on by itself once it is granted. The list is the rendered chart,
 * so a right that is added there is tried here. Each right has a namespace and a loop of its own; all run side by side.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { run } from '../../../dev/cluster/command.ts';
import { ensurePrograms } from '../../../dev/cluster/toolchain.ts';
import { Databases } from '../../../src/database/databases.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { Election } from '../../../src/kube/lease.ts';
import {
  deployments,
  leases,
  pods,
  replicaSets,
  services,
  type Ref,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { Claims } from '../../../src/reconcile/claims.ts';
import { Controller } from '../../../src/reconcile/controller.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { eventually } from '../../support/eventually.ts';
import { Bench, type Place } from '../../support/operator.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** One verb on one resource. */
interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

const chart = path.join(import.meta.dirname, '../../../charts/segue');
const limitMs = 600_000;
const quietMs = 5_000;
/** A change that waits for its green pods looks at them every second, with some ten requests; nothing asks more. */
const mostPerSecond = 20;

/** Where these are named. Others that the scenario needs are named somewhere; the rest it does without. */
const expected = {
  'get schemachanges.segue.dev': 'Event',
  'list schemachanges.segue.dev': 'readiness',
  'watch schemachanges.segue.dev': 'condition',
  'patch schemachanges.segue.dev': 'condition',
  'patch schemachanges/status.segue.dev': 'Event',
  'get secrets': 'condition',
  'get deployments.apps': 'condition',
  'list deployments.apps': 'condition',
  'watch deployments.apps': 'condition',
  'create deployments.apps': 'condition',
  'patch deployments.apps': 'condition',
  'delete deployments.apps': 'condition',
  'list replicasets.apps': 'condition',
  'list pods': 'condition',
  'watch pods': 'condition',
  'list services': 'condition',
  'watch services': 'condition',
  'patch services': 'condition',
  'create events.events.k8s.io': 'log',
} as const;

const rightsOf = (rules: readonly Rule[]): readonly Right[] =>
  rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb }))),
    ),
  );

const textOf = ({ group, resource, verb }: Right): string =>
  `${verb} ${resource}${group === '' ? '' : `.${group}`}`;

/** How a message names a right: in the API server's words, or in ours. */
const names = ({ resource, verb }: Right, text: string): boolean =>
  text.includes(`cannot ${verb} resource \\"${resource}\\"`) ||
  text.includes(`cannot ${verb} resource "${resource}"`) ||
  text.includes(`${verb} on ${resource}`);

let bench: Bench;
let directory: string;
let chartRules: { readonly work: readonly Right[]; readonly lead: readonly Right[] };

const rulesIn = async (): Promise<typeof chartRules> => {
  const { helm } = await ensurePrograms(['helm']);
  // Its users' roles are no rights of the operator.
  const flags = ['--kube-version=1.36', '--set=rbac.aggregateClusterRoles=false'];
  const { code, stdout, stderr } = await run(helm, ['template', 'segue', chart, ...flags], {
    env: { HELM_CACHE_HOME: directory, HELM_CONFIG_HOME: directory, HELM_DATA_HOME: directory },
  });
  if (code !== 0) throw new Error(stderr);
  const manifests = parseAllDocuments(stdout).map(
    (document) => document.toJS() as { kind: string; rules: readonly Rule[] } | null,
  );
  const of = (kind: string): readonly Right[] =>
    manifests.flatMap((manifest) => (manifest?.kind === kind ? rightsOf(manifest.rules) : []));
  return { work: of('ClusterRole'), lead: of('Role') };
};

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'segue-rights-'));
  chartRules = await rulesIn();
  // No controllers: what a Deployment and its pods look like is written down, and stays so.
  bench = await Bench.start({ controllerManager: false });
  await bench.operator.stop();
}, 40 * 60_000);
afterAll(async () => {
  await bench?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

const kind = (group: string, plural: string, name: string): Resource => ({
  group,
  version: 'v1',
  plural,
  kind: name,
  namespaced: true,
});
const rbac = 'rbac.authorization.k8s.io';
const roles = kind(rbac, 'roles', 'Role');
const roleBindings = kind(rbac, 'rolebindings', 'RoleBinding');
const accounts = kind('', 'serviceaccounts', 'ServiceAccount');

/** Grants the account `operator` of a namespace these rights and no others. */
const grant = async (namespace: string, rights: readonly Right[]): Promise<void> => {
  const rules = rights.map(({ group, resource, verb }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [verb],
  }));
  const role = { resource: roles, namespace, name: 'operator' };
  await bench.cluster.apply(role, { rules } as object, { force: true });
};

/** A client with the token of a namespace's account `operator`. */
const asOperator = async (namespace: string, observer: () => void): Promise<Cluster> => {
  const named = { namespace, name: 'operator' };
  await bench.cluster.create({ resource: accounts, ...named }, {});
  await bench.cluster.create({ resource: roleBindings, ...named }, {
    roleRef: { apiGroup: rbac, kind: 'Role', name: 'operator' },
    subjects: [{ kind: 'ServiceAccount', ...named }],
  } as object);
  const { stdout } = await bench.api.kubectl(['create', 'token', 'operator', '-n', namespace]);
  const config = parse(readFileSync(bench.api.kubeconfig, 'utf8')) as { users: { user: object }[] };
  for (const user of config.users) user.user = { token: stdout.trim() };
  const kubeconfig = path.join(directory, `${namespace}.yaml`);
  writeFileSync(kubeconfig, stringify(config));
  return connect({ kubeconfig, observer: { requested: observer } });
};

const labels = { app: 'shop' };

const owned = (owner: KubeObject, apiVersion: string, kindOf: string) => [
  { apiVersion, kind: kindOf, name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
];

/** A complete Deployment of one ready pod behind a Service, as the controllers and a kubelet would leave it. */
const makeShop = async (namespace: string): Promise<void> => {
  const { cluster } = bench;
  const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'shop:1' }] } };
  await cluster.create({ resource: accounts, namespace, name: 'default' }, {});
  await cluster.create(
    { resource: services, namespace, name: 'shop' },
    {
      spec: { selector: labels, ports: [{ port: 80 }] },
    },
  );
  const counts = { replicas: 1, readyReplicas: 1, availableReplicas: 1, observedGeneration: 1 };
  const status = async (ref: Ref, body: object): Promise<void> => {
    await cluster.patch(ref, { status: body }, { type: 'merge', subresource: 'status' });
  };
  const shop = { resource: deployments, namespace, name: 'shop' };
  const deployment = await cluster.create(shop, {
    metadata: { annotations: { 'deployment.kubernetes.io/revision': '1' } },
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  });
  await status(shop, { ...counts, updatedReplicas: 1 });
  const hash = { ...labels, 'pod-template-hash': 'abc' };
  const set = { resource: replicaSets, namespace, name: 'shop-abc' };
  const made = await cluster.create(set, {
    metadata: {
      labels: hash,
      annotations: { 'deployment.kubernetes.io/revision': '1' },
      ownerReferences: owned(deployment, 'apps/v1', 'Deployment'),
    },
    spec: {
      replicas: 1,
      selector: { matchLabels: hash },
      template: { ...template, metadata: { labels: hash } },
    },
  });
  await status(set, counts);
  const pod = { resource: pods, namespace, name: 'shop-abc-1' };
  await cluster.create(pod, {
    metadata: { labels: hash, ownerReferences: owned(made, 'apps/v1', 'ReplicaSet') },
    spec: template.spec,
  });
  const since = new Date(Date.now() - 60_000).toISOString().replace(/\.\d+/u, '');
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: since,
  }));
  await status(pod, { phase: 'Running', conditions });
};

const isOn = ({ resource, verb }: Right, name: string): boolean => `${verb} ${resource}` === name;

/** Blue/green makes a Deployment and patches none as far as it comes here; a rolling update does. */
const workloadFor = (right: Right) => ({
  deployment: 'shop',
  service: 'shop',
  mode: 'Manage',
  strategy: isOn(right, 'patch deployments') ? { rollingUpdate: {} } : { blueGreen: { settle: '1s' } },
  releases: [{ phase: 'DualWrite', image: 'shop:2' }],
});

/** One loop that has all rights but one. */
class Trial {
  readonly right: Right;
  readonly place: Place;
  readonly #controller: Controller;
  readonly #stop: () => Promise<void>;
  readonly #log: readonly string[];
  readonly #count: { readonly requests: number };

  private constructor(
    right: Right,
    place: Place,
    parts: {
      readonly controller: Controller;
      readonly stop: () => Promise<void>;
      readonly log: readonly string[];
      readonly count: { readonly requests: number };
    },
  ) {
    this.right = right;
    this.place = place;
    this.#controller = parts.controller;
    this.#stop = parts.stop;
    this.#log = parts.log;
    this.#count = parts.count;
  }

  static async begin(right: Right): Promise<Trial> {
    const place = await bench.place(`CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
      INSERT INTO customers VALUES (1, 'Ann')`);
    const { namespace } = place;
    await makeShop(namespace);
    await grant(
      namespace,
      chartRules.work.filter((other) => other !== right),
    );
    const count = { requests: 0 };
    const metrics = createMetrics(new Registry());
    const cluster = await asOperator(namespace, () => (count.requests += 1));
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const events = new EventRecorder({ cluster, instance: 'test', log });
    const databases = new Databases();
    const claims = new Claims({ stillHeld: () => Promise.resolve(true) }, namespace);
    const controller = new Controller({
      ports: { cluster, databases, claims, events, log, metrics },
      namespaces: [namespace],
      workers: 1,
      onFenced: (error) => {
        throw error;
      },
    });
    const trial = new Trial(right, place, {
      controller,
      log: lines,
      count,
      stop: async () => {
        await controller.stop();
        await events.stop();
        await databases.close();
        metrics.stop();
        await cluster.close();
      },
    });
    controller.start();
    await bench.apply(
      place,
      { renameColumn: { table: 'customers', from: 'name', to: 'title' } },
      { workloads: [workloadFor(right)], targetPhase: 'DualWrite' },
    );
    return trial;
  }

  /** Requests so far. */
  get requests(): number {
    return this.#count.requests;
  }

  /** Where the missing right is named: for whom it concerns, or, where nothing can be written, for the operator's own. */
  async named(): Promise<string | undefined> {
    const { message = '', conditions = [] } = await bench.status(this.place);
    const isStalled = conditions.some(({ type, status }) => type === 'Stalled' && status === 'True');
    if (isStalled && names(this.right, message)) return 'condition';
    const told = await bench.events(this.place);
    if (told.some(({ note }) => names(this.right, note))) return 'Event';
    if (this.#controller.refusals.some((text) => names(this.right, text))) return 'readiness';
    return this.#log.some((line) => names(this.right, line)) ? 'log' : undefined;
  }

  /** Everything was done that can be done without controllers. */
  async isThrough(): Promise<boolean> {
    const { namespace } = this.place;
    const get = (name: string) => bench.cluster.get({ resource: deployments, namespace, name });
    if (isOn(this.right, 'patch deployments'))
      return (await get('shop'))?.spec.template.spec.containers[0]?.image === 'shop:2';
    const green = await get('shop-green');
    const isDeleted = green?.metadata.deletionTimestamp !== undefined;
    return isOn(this.right, 'delete deployments') ? isDeleted : green !== undefined;
  }

  /** Asks for what needs the right, where the change alone does not. */
  async provoke(): Promise<void> {
    if (!isOn(this.right, 'delete deployments')) return;
    const ref = { resource: deployments, namespace: this.place.namespace, name: 'shop-green' };
    await eventually(async () => expect(await bench.cluster.get(ref)).toBeDefined(), 120_000);
    await bench.cluster.delete(bench.refOf(this.place));
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

/** Where it is named, or that nothing in this scenario needs it. */
const named = async (trial: Trial): Promise<string> =>
  eventually(async () => {
    const where = await trial.named();
    if (where !== undefined) return where;
    if (await trial.isThrough()) return 'not needed';
    const { message } = await bench.status(trial.place);
    throw new Error(`${textOf(trial.right)} is not named: ${message ?? 'no status'}`);
  }, 120_000);

test(
  'each right that is missing is named, and once it is granted the change goes on by itself',
  async () => {
    const trials: Trial[] = [];
    try {
      for (const right of chartRules.work) trials.push(await Trial.begin(right));
      const found: Record<string, string> = {};
      await Promise.all(
        trials.map(async (trial) => {
          await trial.provoke();
          found[textOf(trial.right)] = await named(trial);
        }),
      );
      const before = trials.map(({ requests }) => requests);
      await sleep(quietMs);
      const perSecond = trials.map(({ right, requests }, n) => ({
        right: textOf(right),
        requests: (requests - (before[n] ?? 0)) / (quietMs / 1_000),
      }));
      expect(perSecond.filter(({ requests }) => requests > mostPerSecond)).toEqual([]);
      expect(found).toMatchObject(expected);
      for (const { place } of trials) await grant(place.namespace, chartRules.work);
      await Promise.all(
        trials.map((trial) =>
          eventually(async () => {
            const { message } = await bench.status(trial.place);
            expect([textOf(trial.right), message, await trial.isThrough()]).toEqual([
              textOf(trial.right),
              message,
              true,
            ]);
          }, 300_000),
        ),
      );
    } finally {
      await Promise.all(trials.map((trial) => trial.stop()));
    }
  },
  limitMs,
);

test.each(['get', 'create', 'patch'])(
  'without %s on its Lease it waits for the lead, says why, and leads once that is granted',
  async (verb) => {
    const { namespace } = await bench.place('SELECT 1');
    const all = chartRules.lead;
    await grant(
      namespace,
      all.filter((right) => right.verb !== verb),
    );
    const cluster = await asOperator(namespace, () => undefined);
    const election = new Election({
      cluster,
      namespace,
      name: 'segue',
      identity: 'test',
      timing: { durationMs: 2_000, renewDeadlineMs: 1_500, retryMs: 300 },
    });
    const right = { group: 'coordination.k8s.io', resource: 'leases', verb };
    if (verb === 'patch') {
      const ref = { resource: leases, namespace, name: 'segue' };
      await bench.cluster.create(ref, { spec: { holderIdentity: '', leaseDurationSeconds: 1 } });
    }
    const stop = new AbortController();
    const ledTo = Promise.withResolvers<void>();
    const end = election.run({
      signal: stop.signal,
      onStarted: () => {
        ledTo.resolve();
        return Promise.resolve();
      },
    });
    try {
      await eventually(() => expect(names(right, election.trouble ?? '')).toBe(true), 30_000);
      await grant(namespace, all);
      await ledTo.promise;
      expect(election.trouble).toBeUndefined();
    } finally {
      stop.abort();
      await end;
      await cluster.close();
    }
  },
  60_000,
);
