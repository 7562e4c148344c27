/** Writes down what controllers and a kubelet would leave behind, where neither runs. */
import type { Cluster } from '../../../src/kube/client.ts';
import {
  deployments,
  pods,
  replicaSets,
  services,
  type Ref,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { Deployment, KubeObject } from '../../../src/kube/types.ts';

const labels = { app: 'shop' };
const accounts: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

const owned = (owner: KubeObject, apiVersion: string, kind: string) => [
  { apiVersion, kind, name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
];

/** Gives a Deployment its one ready pod. */
export const standUp = async (
  cluster: Cluster,
  namespace: string,
  { metadata, spec }: Deployment,
): Promise<void> => {
  const { name } = metadata;
  const revision = { 'deployment.kubernetes.io/revision': '1' };
  // Ahead of every write to come: nobody is there who would take over a new generation.
  const counts = { replicas: 1, readyReplicas: 1, availableReplicas: 1, observedGeneration: 1_000 };
  const status = async (ref: Ref, body: object): Promise<void> => {
    await cluster.patch(ref, { status: body }, { type: 'merge', subresource: 'status' });
  };
  const ref = { resource: deployments, namespace, name };
  const deployment = await cluster.patch(ref, { metadata: { annotations: revision } }, { type: 'merge' });
  const hash = { ...spec.template.metadata?.labels, 'pod-template-hash': name };
  const set = { resource: replicaSets, namespace, name: `${name}-${name}` };
  const made = await cluster.create(set, {
    metadata: {
      labels: hash,
      annotations: revision,
      ownerReferences: owned(deployment, 'apps/v1', 'Deployment'),
    },
    spec: {
      replicas: 1,
      selector: { matchLabels: hash },
      template: { ...spec.template, metadata: { labels: hash } },
    },
  });
  await status(set, counts);
  const pod = { resource: pods, namespace, name: `${name}-${name}-1` };
  await cluster.create(pod, {
    metadata: { labels: hash, ownerReferences: owned(made, 'apps/v1', 'ReplicaSet') },
    spec: spec.template.spec,
  });
  const since = new Date(Date.now() - 60_000).toISOString().replace(/\.\d+/u, '');
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: since,
  }));
  await status(pod, { phase: 'Running', conditions });
  await status(ref, { ...counts, updatedReplicas: 1 });
};

/** A complete Deployment of one ready pod behind a Service. */
export const makeShop = async (cluster: Cluster, namespace: string): Promise<void> => {
  await cluster.create({ resource: accounts, namespace, name: 'default' }, {});
  await cluster.create(
    { resource: services, namespace, name: 'shop' },
    { spec: { selector: labels, ports: [{ port: 80 }] } },
  );
  const deployment = await cluster.create(
    { resource: deployments, namespace, name: 'shop' },
    {
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'shop:1' }] } },
      },
    },
  );
  await standUp(cluster, namespace, deployment);
};
