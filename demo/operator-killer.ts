import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { phases, type Phase } from '../src/api/phase.ts';
import { report } from '../dev/cluster/progress.ts';
import type { StatusPhase } from './follow-change.ts';
import type { Kubectl, KubernetesObject } from './kubectl.ts';

interface ContainerStatus {
  readonly containerID?: string;
  readonly state: { readonly waiting?: { readonly reason?: string } };
}

interface Pod extends KubernetesObject {
  readonly status?: { readonly containerStatuses?: readonly ContainerStatus[] };
}

/** When the operator is killed: once in each phase, and once on every way back. */
type Killed = Phase | 'RollingBack';

export interface Kill {
  readonly phase: Killed;
  readonly pids: readonly number[];
}

/** How often a kill is tried while the operator is not back yet from the one before. */
const retryMs = 50;

/** Within this time of its beginning a phase is hit, each run at another moment; short ones at once. */
const withinMs: Readonly<Record<Killed, number>> = {
  AddColumn: 0,
  DualWrite: 0,
  Backfill: 250,
  SwitchReads: 40_000,
  Quarantine: 10_000,
  Drop: 0,
  RollingBack: 10_000,
};

/** Where the operator's pods are found. */
export interface Operator {
  readonly namespace: string;
  readonly selector: string;
}

const isKilled = (phase: StatusPhase): phase is Killed =>
  phase === 'RollingBack' || (phases as readonly string[]).includes(phase);

const isHeldBack = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  (pod.status?.containerStatuses ?? []).some((status) => status.state.waiting?.reason === 'CrashLoopBackOff');

/** The processes of a container, found by its cgroup, which carries its id whichever runtime runs it. */
function pidsOf(containerId: string | undefined): readonly number[] {
  if (containerId === undefined || containerId === '') return [];
  const isMember = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(containerId);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && isMember(entry))
    .map(Number);
}

/**
 * Kills the operator's processes, the one that leads and the one that waits, with SIGKILL, once in every phase and
 * on every way back: no signal handler runs, no lease is released, no transaction is ended. Its containers are known
 * ahead, from a watch, so that the kill follows the phase's first report within milliseconds.
 */
export class OperatorKiller {
  readonly #kubectl: Kubectl;
  readonly #operator: Operator;
  readonly #signal: AbortSignal;
  readonly #kills: Kill[] = [];
  readonly #pods = new Map<string, Pod>();
  #phase: StatusPhase = 'Pending';

  constructor(kubectl: Kubectl, operator: Operator, signal: AbortSignal) {
    this.#kubectl = kubectl;
    this.#operator = operator;
    this.#signal = signal;
  }

  get kills(): readonly Kill[] {
    return this.#kills;
  }

  /** Follows the operator's pods until the signal, and brings one back where the kubelet would wait. */
  async follow(): Promise<void> {
    const { namespace, selector } = this.#operator;
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    for await (const pod of this.#kubectl.watch<Pod>(path, this.#signal)) {
      this.#pods.set(pod.metadata.name, pod);
      if (isHeldBack(pod)) await this.#replace(pod.metadata.name);
    }
  }

  /** To be called with every phase that the resource reports. */
  enter(phase: StatusPhase): void {
    this.#phase = phase;
    if (!isKilled(phase)) return;
    const again = phase === 'RollingBack' || !this.#kills.some((kill) => kill.phase === phase);
    if (again) void this.#killIn(phase);
  }

  async #killIn(phase: Killed): Promise<void> {
    await delay(Math.random() * withinMs[phase], undefined, { signal: this.#signal }).catch(() => undefined);
    while (this.#phase === phase && !this.#signal.aborted && !this.#kill(phase)) await delay(retryMs);
  }

  #kill(phase: Killed): boolean {
    const running = [...this.#pods.values()].flatMap((pod) => pod.status?.containerStatuses ?? []);
    const pids = running.flatMap(({ containerID }) => pidsOf(containerID?.split('://')[1]));
    if (pids.length === 0) return false;
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    this.#kills.push({ phase, pids });
    report(`            $ kill -9 ${pids.join(' ')}   # the operator, in ${phase}`);
    return true;
  }

  /** The kubelet waits longer after every crash. A new pod starts at once, and its process is just as new. */
  async #replace(pod: string): Promise<void> {
    this.#pods.delete(pod);
    await this.#kubectl
      .run([
        'delete',
        'pod',
        pod,
        `--namespace=${this.#operator.namespace}`,
        '--wait=false',
        '--ignore-not-found',
      ])
      .catch((error: unknown) => report(String(error)));
  }
}
