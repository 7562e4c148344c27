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
import { httpRouteCrd } from '../../../dev/cluster/gateway-api.ts';
import { ensurePrograms } from '../../../dev/cluster/toolchain.ts';
import { Databases } from '../../../src/database/databases.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { Election } from '../../../src/kube/lease.ts';
import { leases, type Resource } from '../../../src/kube/resources.ts';
import { Claims } from '../../../src/reconcile/claims.ts';
import { Controller } from '../../../src/reconcile/controller.ts';
import { SecretReader } from '../../../src/reconcile/secret-reader.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { eventually } from '../../support/eventually.ts';
import { Bench, type Place } from '../../support/operator.ts';
import { errandFor, expectAllErrands, type Errand } from './errands.ts';
import { makeShop } from './stood-up.ts';

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

/** Where each is named. */
const expected: Readonly<Record<string, string>> = {
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
  'get replicasets.apps': 'condition',
  'list replicasets.apps': 'condition',
  'get statefulsets.apps': 'condition',
  'get daemonsets.apps': 'condition',
  'get controllerrevisions.apps': 'condition',
  'get cronjobs.batch': 'condition',
  'list jobs.batch': 'condition',
  'get rollouts.argoproj.io': 'condition',
  'list rollouts.argoproj.io': 'condition',
  'list pods': 'condition',
  'watch pods': 'condition',
  'get services': 'condition',
  'list services': 'condition',
  'watch services': 'condition',
  'create services': 'condition',
  'patch services': 'condition',
  'delete services': 'condition',
  'get httproutes.gateway.networking.k8s.io': 'condition',
  'list httproutes.gateway.networking.k8s.io': 'condition',
  'patch httproutes.gateway.networking.k8s.io': 'condition',
  'get configmaps': 'condition',
  'patch configmaps': 'condition',
  'list horizontalpodautoscalers.autoscaling': 'condition',
  'create events.events.k8s.io': 'log',
  'patch events.events.k8s.io': 'log',
};

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
  const applied = await bench.api.kubectl(['apply', '--server-side', '-f', await httpRouteCrd()]);
  if (applied.code !== 0) throw new Error(applied.stderr);
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

/** One loop that has all rights but one. */
class Trial {
  readonly right: Right;
  readonly place: Place;
  readonly #errand: Errand;
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
    this.#errand = errandFor(textOf(right));
    this.#controller = parts.controller;
    this.#stop = parts.stop;
    this.#log = parts.log;
    this.#count = parts.count;
  }

  static async begin(right: Right): Promise<Trial> {
    const place = await bench.place(`CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
      INSERT INTO customers VALUES (1, 'Ann')`);
    const { namespace } = place;
    const errand = errandFor(textOf(right));
    await makeShop(bench.cluster, namespace);
    await errand.prepare?.({ bench, place });
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
      ports: { cluster, secrets: new SecretReader(cluster), databases, claims, events, log, metrics },
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
      { workloads: [errand.workload], targetPhase: 'DualWrite' },
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

  isDone(): Promise<boolean> {
    return this.#errand.isDone({ bench, place: this.place });
  }

  async provoke(): Promise<void> {
    await this.#errand.provoke?.({ bench, place: this.place });
  }

  async again(): Promise<void> {
    await this.#errand.again?.({ bench, place: this.place });
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

/** Waits until it is named where it should be: what is written first may be the Event, the condition or the log. */
const expectNamed = async (trial: Trial): Promise<void> =>
  eventually(async () => {
    const right = textOf(trial.right);
    const where = await trial.named();
    if (where !== undefined && where === expected[right]) return;
    const { message } = await bench.status(trial.place);
    throw new Error(
      `${right} is named in ${where ?? 'no place'}, not ${expected[right]}: ${message ?? 'no status'}`,
    );
  }, 180_000);

test(
  'each right that is missing is named, and once it is granted the change goes on by itself',
  async () => {
    const rights = chartRules.work.map(textOf);
    expect(rights.toSorted()).toEqual(Object.keys(expected).toSorted());
    expectAllErrands(rights);
    const trials: Trial[] = [];
    try {
      for (const right of chartRules.work) trials.push(await Trial.begin(right));
      await Promise.all(
        trials.map(async (trial) => {
          await trial.provoke();
          await expectNamed(trial);
        }),
      );
      const before = trials.map(({ requests }) => requests);
      await sleep(quietMs);
      const perSecond = trials.map(({ right, requests }, n) => ({
        right: textOf(right),
        requests: (requests - (before[n] ?? 0)) / (quietMs / 1_000),
      }));
      expect(perSecond.filter(({ requests }) => requests > mostPerSecond)).toEqual([]);
      for (const { place } of trials) await grant(place.namespace, chartRules.work);
      await Promise.all(
        trials.map(async (trial) => {
          await trial.again();
          await eventually(async () => {
            const { message } = await bench.status(trial.place);
            expect([textOf(trial.right), message, await trial.isDone()]).toEqual([
              textOf(trial.right),
              message,
              true,
            ]);
          }, 300_000);
        }),
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
