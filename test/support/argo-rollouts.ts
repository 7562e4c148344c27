/** Argo Rollouts as its own authors publish it: the CRDs and the controller of the version that the toolchain pins. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { PrivateApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';
import { sourceOf } from './go-module.ts';

/** Teaches an API server some of Argo Rollouts' kinds: `rollout`, `analysis-run`, … */
export const applyRolloutCrds = async (
  api: PrivateApiServer,
  names: readonly string[] = ['rollout'],
): Promise<void> => {
  const crds = join(await sourceOf('argo-rollouts', 'github.com/argoproj/argo-rollouts'), 'manifests/crds');
  for (const name of names) {
    const path = join(crds, `${name}-crd.yaml`);
    // The client side's annotation would be longer than the API server takes.
    const applied = await api.kubectl(['apply', '--server-side', '-f', path]);
    if (applied.code !== 0) throw new Error(applied.stderr);
    // `kubectl wait` fails on a CRD whose status has not been written at all yet.
    await eventually(async () => {
      const ready = await api.kubectl(['wait', '--for=condition=Established', '-f', path, '--timeout=30s']);
      if (ready.code !== 0) throw new Error(ready.stderr);
    }, 60_000);
  }
};

/** Every kind that the controller watches: it does not start without one of them. */
export const allRolloutCrds = [
  'rollout',
  'analysis-run',
  'analysis-template',
  'cluster-analysis-template',
  'experiment',
] as const;

/** The controller, as a process of this one's. */
export class RolloutsController {
  readonly #child: ChildProcess;
  #log = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (data: Buffer) => {
      this.#log = `${this.#log}${data.toString()}`.slice(-20_000);
    });
  }

  /** For one namespace of an API server that knows its CRDs. */
  static async start(api: PrivateApiServer, namespace: string): Promise<RolloutsController> {
    const programs = await ensurePrograms(['rollouts-controller']);
    const [healthPort = 0, metricsPort = 0] = await freePorts(2);
    const child = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        '--',
        programs['rollouts-controller'],
        `--kubeconfig=${api.kubeconfig}`,
        '--namespaced',
        `--namespace=${namespace}`,
        '--leader-elect=false',
        `--healthzPort=${healthPort}`,
        `--metricsPort=${metricsPort}`,
        '--loglevel=info',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } },
    );
    return new RolloutsController(child);
  }

  /** The end of what it said, for the message of a test that fails. */
  get log(): string {
    return this.#log;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
