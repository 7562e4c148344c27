/** What a change is given to do, so that it needs a certain right of the chart. */
import { expect } from '@jest/globals';
import {
  configMaps,
  cronJobs,
  deployments,
  events,
  httpRoutes,
  services,
  statefulSets,
} from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import type { Bench, Place } from '../../support/operator.ts';
import { standUp } from './stood-up.ts';

/** Where it is done. */
export interface Site {
  readonly bench: Bench;
  readonly place: Place;
}

export interface Errand {
  readonly workload: object;
  /** What has to be there before the change is applied. */
  readonly prepare?: (site: Site) => Promise<unknown>;
  /** What happens meanwhile, where the change alone does not need the right. */
  readonly provoke?: (site: Site) => Promise<unknown>;
  /** What happens once the right is granted, where nothing would ask for it again. */
  readonly again?: (site: Site) => Promise<unknown>;
  /** True once everything was done that can be done without controllers. */
  readonly isDone: (site: Site) => Promise<boolean>;
}

const withinMs = 120_000;

const shop = { deployment: 'shop', service: 'shop', mode: 'Manage' };
const released = { ...shop, releases: [{ phase: 'DualWrite', image: 'shop:2' }] };
const blueGreen = { ...released, strategy: { blueGreen: { settle: '1s' } } };
/** Goes no further than its first weight, so that this can be seen. */
const routed = {
  ...released,
  strategy: { canary: { httpRoute: 'shop', steps: [{ weight: 20, pause: '1h' }] } },
};
const toggled = {
  ...shop,
  releases: [
    {
      phase: 'DualWrite',
      code: 'writes-both',
      toggle: { configMap: 'flags', data: { WRITE: 'both' }, acknowledge: 'Annotation' },
    },
  ],
};
const observed = (kind: string, deployment: string, service?: string) => ({
  kind,
  deployment,
  ...(service === undefined ? {} : { service }),
  mode: 'Observe',
  releases: [{ phase: 'DualWrite', code: 'writes-both' }],
});

const deployment = ({ bench, place }: Site, name: string) =>
  bench.cluster.get({ resource: deployments, namespace: place.namespace, name });
const service = ({ bench, place }: Site, name: string) =>
  bench.cluster.get({ resource: services, namespace: place.namespace, name });
const route = ({ place }: Site) => ({ resource: httpRoutes, namespace: place.namespace, name: 'shop' });

const deleteChange = ({ bench, place }: Site) => bench.cluster.delete(bench.refOf(place));

const says =
  (text: string) =>
  async ({ bench, place }: Site): Promise<boolean> =>
    (await bench.status(place)).message?.includes(text) === true;

const waitsFor =
  (reason: string) =>
  async ({ bench, place }: Site): Promise<boolean> =>
    (await bench.status(place)).conditions?.some((condition) => condition.reason === reason) === true;

/** Resolves with an object once it is there. */
const there = <T>(
  site: Site,
  get: (site: Site, name: string) => Promise<T | undefined>,
  name: string,
): Promise<T> =>
  eventually(async () => {
    const found = await get(site, name);
    if (found !== undefined) return found;
    const { message } = await site.bench.status(site.place);
    throw new Error(`${name} is not there yet: ${message ?? 'no status'}`);
  }, withinMs);

/** A route that its Gateway goes by. */
const createRoute = async (site: Site): Promise<void> => {
  const { cluster } = site.bench;
  const parentRef = { name: 'public' };
  await cluster.create(route(site), {
    spec: { parentRefs: [parentRef], rules: [{ backendRefs: [{ name: 'shop', port: 80 }] }] },
  });
  const conditions = ['Accepted', 'ResolvedRefs'].map((type) => ({
    type,
    status: 'True',
    reason: type,
    message: '',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }));
  const status = { parents: [{ parentRef, controllerName: 'example.com/gateway', conditions }] };
  await cluster.patch(route(site), { status }, { type: 'merge', subresource: 'status' });
};

const template = (restartPolicy: string) => ({
  metadata: { labels: { app: 'other' } },
  spec: { restartPolicy, containers: [{ name: 'app', image: 'other:1' }] },
});

/** Each time that it is suspended the same is told. */
const suspend = async ({ bench, place }: Site, series: readonly boolean[]): Promise<void> => {
  for (const value of series) {
    await bench.patch(place, { spec: { suspend: value } });
    const isSo = ({ type, status }: { readonly type: string; readonly status: string }): boolean =>
      type === 'Suspended' && (status === 'True') === value;
    await bench.until(place, ({ conditions = [] }) => conditions.some(isSo), withinMs);
  }
};

const usual: Errand = {
  workload: blueGreen,
  isDone: async (site) => (await deployment(site, 'shop-green')) !== undefined,
};

const observing = (kind: string, name = 'nowhere', text = `${kind} `): Errand => ({
  workload: observed(kind, name),
  isDone: says(text),
});

/** By the right; the others are needed by a change with a blue/green roll-out. */
const errands: Readonly<Record<string, Errand>> = {
  // Blue/green makes a Deployment and patches none as far as it comes here.
  'patch deployments.apps': {
    workload: { ...released, strategy: { rollingUpdate: {} } },
    isDone: async (site) =>
      (await deployment(site, 'shop'))?.spec.template.spec.containers[0]?.image === 'shop:2',
  },
  'delete deployments.apps': {
    workload: blueGreen,
    provoke: async (site) => {
      await there(site, deployment, 'shop-green');
      await deleteChange(site);
    },
    isDone: async (site) => (await deployment(site, 'shop-green'))?.metadata.deletionTimestamp !== undefined,
  },
  // Only where green has more pods than the Deployment is there a question who scaled that down.
  'list horizontalpodautoscalers.autoscaling': {
    workload: blueGreen,
    provoke: async (site) => {
      await there(site, deployment, 'shop-green');
      const ref = { resource: deployments, namespace: site.place.namespace, name: 'shop-green' };
      await site.bench.cluster.patch(ref, { spec: { replicas: 2 } }, { type: 'merge' });
    },
    isDone: says('green pods of shop'),
  },
  'get services': { workload: observed('DaemonSet', 'nowhere', 'shop'), isDone: says('DaemonSet ') },
  'create services': {
    workload: routed,
    prepare: createRoute,
    isDone: async (site) => (await service(site, 'shop-canary')) !== undefined,
  },
  'delete services': {
    workload: routed,
    prepare: createRoute,
    provoke: async (site) => {
      await there(site, service, 'shop-canary');
      await deleteChange(site);
    },
    isDone: async (site) => (await service(site, 'shop-canary')) === undefined,
  },
  'get httproutes.gateway.networking.k8s.io': { workload: routed, isDone: waitsFor('HTTPRouteNotFound') },
  'list httproutes.gateway.networking.k8s.io': { workload: routed, isDone: waitsFor('HTTPRouteNotFound') },
  'patch httproutes.gateway.networking.k8s.io': {
    workload: routed,
    prepare: createRoute,
    provoke: async (site) => {
      const green = await there(site, deployment, 'shop-green');
      await standUp(site.bench.cluster, site.place.namespace, green);
    },
    isDone: async (site) =>
      JSON.stringify((await site.bench.cluster.get(route(site)))?.spec).includes('shop-canary'),
  },
  'get configmaps': { workload: toggled, isDone: says('ConfigMap ') },
  'patch configmaps': {
    workload: toggled,
    prepare: ({ bench, place }) =>
      bench.cluster.create({ resource: configMaps, namespace: place.namespace, name: 'flags' }, {}),
    isDone: async ({ bench, place }) =>
      (await bench.cluster.get({ resource: configMaps, namespace: place.namespace, name: 'flags' }))?.data?.[
        'WRITE'
      ] === 'both',
  },
  'get replicasets.apps': observing('ReplicaSet'),
  'get daemonsets.apps': observing('DaemonSet'),
  'get statefulsets.apps': observing('StatefulSet'),
  // In the middle of an update: pods of the former revision may be made again.
  'get controllerrevisions.apps': {
    ...observing('StatefulSet', 'worker', 'DualWrite is done'),
    prepare: async ({ bench: { cluster }, place: { namespace } }) => {
      const ref = { resource: statefulSets, namespace, name: 'worker' };
      const selector = { matchLabels: { app: 'other' } };
      await cluster.create(ref, {
        spec: { serviceName: 'worker', selector, template: template('Always') },
      } as object);
      const status = { replicas: 1, currentRevision: 'worker-1', updateRevision: 'worker-2' };
      await cluster.patch(ref, { status }, { type: 'merge', subresource: 'status' });
    },
  },
  'get cronjobs.batch': observing('CronJob'),
  'list jobs.batch': {
    ...observing('CronJob', 'report', 'DualWrite is done'),
    prepare: ({ bench: { cluster }, place: { namespace } }) =>
      cluster.create({ resource: cronJobs, namespace, name: 'report' }, {
        spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: template('Never') } } },
      } as object),
  },
  'get rollouts.argoproj.io': observing('Rollout', 'nowhere', 'knows no Rollouts'),
  'list rollouts.argoproj.io': observing('Rollout', 'nowhere', 'knows no Rollouts'),
  // What is told once more within ten minutes is counted.
  'patch events.events.k8s.io': {
    workload: blueGreen,
    provoke: async (site) => {
      await there(site, deployment, 'shop-green');
      await suspend(site, [true, false, true]);
    },
    again: (site) => suspend(site, [false, true]),
    isDone: async ({ bench, place }) =>
      (await bench.cluster.list(events, { namespace: place.namespace })).items.some(
        ({ series }) => (series?.count ?? 0) > 1,
      ),
  },
};

/** The errand for a right, as `verb resource.group`. */
export const errandFor = (right: string): Errand => errands[right] ?? usual;

/** Fails if there is an errand that no right of the chart needs. */
export const expectAllErrands = (rights: readonly string[]): void => {
  expect(Object.keys(errands).filter((right) => !rights.includes(right))).toEqual([]);
};
