import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../../src/kube/client.ts';
import { pods, type Resource } from '../../../src/kube/resources.ts';
import type { KubeObject, Pod } from '../../../src/kube/types.ts';
import { greenLabel } from '../../../src/rollout/record.ts';
import type { PrivateApiServer } from '../../support/api-server.ts';
import type { PodNetwork } from '../../support/pod-network.ts';

/** How long a pod lives on after it was told to end. */
const graceMs = 1_000;
/** The same where it answers requests: whoever sends them learns late that it is ending. */
const drainMs = 3_000;
const roundMs = 250;

/** What becomes of a pod. */
export type Fate = 'ready' | 'crashes' | 'hangs' | 'unschedulable';

/** True once a pod that was told to end has had its time. */
const isOver = ({ metadata }: Pod, lingersMs: number): boolean =>
  Date.now() > Date.parse(metadata.deletionTimestamp ?? '') - 30_000 + lingersMs;

/** Plays scheduler and kubelet for one namespace: binds pods to a node, reports them, and lets them end. */
export class Kubelet {
  /** By image, and whether the pod is a green one. */
  fate: (image: string, isGreen: boolean, name: string) => Fate = () => 'ready';
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  readonly #cluster: Cluster;
  readonly #api: PrivateApiServer;
  readonly #namespace: string;
  readonly #node: string;
  readonly #network: PodNetwork | undefined;
  #addresses = 0;

  constructor(options: {
    readonly cluster: Cluster;
    readonly api: PrivateApiServer;
    readonly namespace: string;
    readonly node: string;
    /** Where the pods are to answer; nowhere if not given. */
    readonly network?: PodNetwork | undefined;
  }) {
    this.#cluster = options.cluster;
    this.#api = options.api;
    this.#namespace = options.namespace;
    this.#node = options.node;
    this.#network = options.network;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const lingersMs = this.#network === undefined ? graceMs : drainMs;
    while (!this.#end.signal.aborted) {
      const { items } = await this.#cluster.list(pods, { namespace: this.#namespace });
      // A pod may go while it is written to.
      const ending = items.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
      const living = items.filter((pod) => !ending.includes(pod));
      await Promise.all([
        this.#remove(ending.filter((pod) => isOver(pod, lingersMs))),
        ...living.map((pod) => this.#sync(pod).catch(() => undefined)),
      ]);
      await sleep(roundMs);
    }
  }

  /** All that are due at once: each kubectl is a process. */
  async #remove(over: readonly Pod[]): Promise<void> {
    if (over.length === 0) return;
    for (const { status } of over) this.#network?.end(status?.podIP ?? '');
    const names = over.map(({ metadata }) => metadata.name);
    const at = ['-n', this.#namespace, '--force', '--grace-period=0'];
    await this.#api.kubectl(['delete', 'pod', ...names, ...at]);
  }

  async #sync(pod: Pod): Promise<void> {
    const { name } = pod.metadata;
    const image = pod.spec.containers[0]?.image ?? '';
    const fate = this.fate(image, pod.metadata.labels?.[greenLabel] !== undefined, name);
    if (fate === 'unschedulable') {
      await this.#refuse(pod);
      return;
    }
    if (pod.spec.nodeName === undefined) await this.#bind(name);
    const isReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (isReady === (fate === 'ready') && pod.status?.phase === 'Running') return;
    await this.#report(pod, fate, image);
  }

  async #bind(name: string): Promise<void> {
    const bindings: Resource = {
      group: '',
      version: 'v1',
      plural: `pods/${name}/binding`,
      kind: 'Binding',
      namespaced: true,
    };
    const target = { apiVersion: 'v1', kind: 'Node', name: this.#node };
    await this.#cluster.create({ resource: bindings, namespace: this.#namespace, name }, {
      target,
    } as Partial<KubeObject>);
  }

  /** Finds no room for a pod, as the scheduler says it. */
  async #refuse(pod: Pod): Promise<void> {
    if (pod.status?.conditions?.some(({ type }) => type === 'PodScheduled') === true) return;
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const message = '0/1 nodes are available: 1 Insufficient cpu.';
    const refused = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' };
    await this.#cluster.patch(
      { resource: pods, namespace: this.#namespace, name: pod.metadata.name },
      { status: { phase: 'Pending', conditions: [{ ...refused, message, lastTransitionTime }] } },
      { type: 'merge', subresource: 'status' },
    );
  }

  async #report(pod: Pod, fate: Fate, image: string): Promise<void> {
    this.#addresses += 1;
    const podIP =
      pod.status?.podIP ?? `10.1.${Math.floor(this.#addresses / 250)}.${1 + (this.#addresses % 250)}`;
    await this.#network?.serve(podIP, { pod: pod.metadata.name, image });
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const status = fate === 'ready' ? 'True' : 'False';
    const finished = {
      exitCode: 1,
      reason: 'Error',
      startedAt: lastTransitionTime,
      finishedAt: lastTransitionTime,
    };
    const containers = pod.spec.containers.map((container) => ({
      name: container.name,
      image,
      imageID: image,
      ready: fate === 'ready',
      restartCount: fate === 'crashes' ? 2 : 0,
      state:
        fate === 'crashes'
          ? { waiting: { reason: 'CrashLoopBackOff' } }
          : { running: { startedAt: lastTransitionTime } },
      ...(fate === 'crashes' ? { lastState: { terminated: finished } } : {}),
    }));
    const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
      type,
      status: type.endsWith('Ready') ? status : 'True',
      lastTransitionTime,
    }));
    await this.#cluster.patch(
      { resource: pods, namespace: this.#namespace, name: pod.metadata.name },
      {
        status: {
          phase: 'Running',
          podIP,
          podIPs: [{ ip: podIP }],
          conditions,
          containerStatuses: containers,
        },
      },
      { type: 'merge', subresource: 'status' },
    );
  }
}
