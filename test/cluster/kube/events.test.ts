import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, connect } from '../../../src/kube/client.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { events as eventsResource, namespaces } from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { type PrivateApiServer, startApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';

let api: PrivateApiServer;
let cluster: Cluster;
let regarding: KubeObject;

beforeAll(async () => {
  api = await startApiServer();
  cluster = connect({ kubeconfig: api.kubeconfig });
  const resource = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
  await cluster.create({ resource: namespaces, name: 'shop' }, {});
  regarding = await cluster.create({ resource, namespace: 'shop', name: 'customers' }, {});
}, 600_000);
afterAll(async () => {
  await cluster.close();
  await api.stop();
});

test('people read one line for what was said many times', async () => {
  const events = new EventRecorder({ cluster, instance: 'segue-0', gatherMs: 50 });
  const note = 'pid 4711 holds a lock on customers.';
  const locked = { regarding, type: 'Warning', reason: 'Locked', action: 'AddColumn', note } as const;
  for (let i = 0; i < 5; i += 1) events.emit(locked);
  events.emit({ ...locked, type: 'Normal', reason: 'Started', note: 'ä'.repeat(600) });
  await eventually(async () => {
    const { items } = await cluster.list(eventsResource, { namespace: 'shop' });
    expect(new Set(items.map(({ reason }) => reason))).toEqual(new Set(['Locked', 'Started']));
    expect(items.find(({ reason }) => reason === 'Locked')?.series?.count).toBe(5);
  });
  events.emit(locked);
  await events.stop();
  const { items } = await cluster.list(eventsResource, { namespace: 'shop' });
  expect(items).toHaveLength(2);
  const locks = items.find(({ reason }) => reason === 'Locked');
  expect(locks).toMatchObject({
    type: 'Warning',
    action: 'AddColumn',
    note,
    reportingController: 'segue.dev/operator',
    reportingInstance: 'segue-0',
    series: { count: 6 },
    regarding: { kind: 'ConfigMap', name: 'customers', namespace: 'shop', uid: regarding.metadata.uid },
  });
  const { stdout } = await api.kubectl(['-n', 'shop', 'events', '--for', 'configmap/customers']);
  expect(stdout).toMatch(/\(x6 over .*\)\s+Warning\s+Locked\s+ConfigMap\/customers\s+pid 4711 holds/u);
});

test('an Event that is not allowed harms nobody', async () => {
  const counts = { written: 0, failed: 0, dropped: 0 };
  const events = new EventRecorder({
    cluster,
    instance: 'segue-0',
    observer: {
      written: () => (counts.written += 1),
      failed: () => (counts.failed += 1),
      dropped: () => (counts.dropped += 1),
    },
  });
  const gone = { ...regarding, metadata: { ...regarding.metadata, namespace: 'no-such-namespace' } };
  events.emit({ regarding: gone, type: 'Normal', reason: 'Any', action: 'Any', note: 'Any.' });
  await events.stop();
  expect(counts).toEqual({ written: 0, failed: 1, dropped: 0 });
});
