/** Toggles against a real API server: what is written to a ConfigMap, refused and put back there. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Workload } from '../../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import { configMaps, pods, type Resource } from '../../../src/kube/resources.ts';
import type { ConfigMap } from '../../../src/kube/types.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { replicas, Shop } from './shop.ts';

const node = 'node-1';
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const limitMs = 180_000;

let api: PrivateApiServer;
let cluster: Cluster;

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: nodes, name: node }, {});
}, 40 * 60_000);
afterAll(async () => {
  await cluster?.close();
  await api?.stop();
}, limitMs);

const workload: Workload = {
  deployment: 'shop',
  service: 'shop',
  mode: 'Manage',
  releases: [
    {
      phase: 'SwitchReads',
      code: 'new-only',
      toggle: { configMap: 'flags', data: { READ: 'full_name', NEW: '' }, acknowledge: 'Annotation' },
    },
  ],
};

test(
  'keys are set and put back with their note, pods say when, others are told of',
  async () => {
    const shop = await Shop.open({ cluster, api, node }, 'toggled', workload);
    try {
      const ref = { resource: configMaps, namespace: 'toggled', name: 'flags' };
      const values = async (): Promise<ConfigMap | undefined> => cluster.get(ref);
      const annotate = async (code: string): Promise<void> => {
        for (const name of await shop.podNames())
          await cluster.patch(
            { resource: pods, namespace: 'toggled', name },
            { metadata: { annotations: { 'change.segue.dev/names': code } } },
            { type: 'merge' },
          );
      };
      const before = await shop.deployment();
      const podsBefore = await shop.podNames();
      shop.wanted = { kind: 'release', releases: workload.releases };
      expect((await shop.look()).rollout).toMatchObject({
        kind: 'waiting',
        message: expect.stringContaining('ConfigMap toggled/flags'),
      });
      await cluster.create(ref, { data: { READ: 'names', THEME: 'dark' } });

      // A step that was decided from an object that has changed since is refused, and decided anew.
      const stale = await shop.look();
      await cluster.patch(ref, { data: { THEME: 'light' } }, { type: 'merge' });
      expect(await shop.act(stale.rollout)).toMatchObject({ kind: 'stale' });

      const waits = await shop.run(({ kind }) => kind === 'waiting');
      expect(waits).toMatchObject({ message: expect.stringContaining('change.segue.dev/names: new-only') });
      expect((await values())?.data).toEqual({ READ: 'full_name', NEW: '', THEME: 'light' });
      expect((await shop.look()).podsByCode).toMatchObject({ old: replicas, 'new-only': 0 });
      await annotate('new-only');
      expect(await shop.toEnd()).toEqual({ kind: 'done' });
      expect(await shop.look()).toMatchObject({
        strategy: 'Toggle',
        podsByCode: { old: 0, 'new-only': replicas },
      });

      await cluster.patch(ref, { data: { READ: 'elsewhere' } }, { type: 'merge' });
      const told = await shop.run(({ kind }) => kind === 'waiting');
      expect(told).toMatchObject({ message: expect.stringContaining('edited by somebody else') });
      expect((await values())?.data?.['READ']).toBe('elsewhere');
      await cluster.patch(ref, { data: { READ: 'full_name' } }, { type: 'merge' });
      expect(await shop.toEnd()).toEqual({ kind: 'done' });

      shop.wanted = { kind: 'original' };
      await shop.run(({ kind }) => kind === 'waiting');
      expect((await values())?.data).toEqual({ READ: 'names', THEME: 'light' });
      expect((await shop.look()).podsByCode).toMatchObject({ old: 0, 'new-only': replicas });
      await annotate('old');
      expect(await shop.toEnd()).toEqual({ kind: 'done' });
      expect((await shop.look()).podsByCode).toMatchObject({ old: replicas, 'new-only': 0 });
      expect((await values())?.metadata.annotations).toBeUndefined();
      expect((await shop.deployment())?.spec).toEqual(before?.spec);
      expect(await shop.podNames()).toEqual(podsBefore);

      await cluster.patch(ref, { immutable: true }, { type: 'merge' });
      shop.wanted = { kind: 'release', releases: workload.releases };
      await eventually(async () =>
        expect((await shop.look()).rollout).toMatchObject({
          message: expect.stringContaining('immutable'),
        }),
      );
    } finally {
      await shop.kubelet.stop();
    }
  },
  limitMs,
);
