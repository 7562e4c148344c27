import { step } from '../../dev/cluster/progress.ts';
import { runChild } from '../child.ts';
import { chartDirectory, operatorNamespace, operatorRelease } from '../places.ts';
import type { DemoCluster } from './cluster.ts';

const helmTimeoutMs = 180_000;

function helm(cluster: DemoCluster, args: readonly string[], signal: AbortSignal): Promise<string> {
  const flags = [`--kubeconfig=${cluster.kubeconfig}`, `--namespace=${operatorNamespace}`];
  return runChild(cluster.programs.helm, [...args, ...flags], { signal, timeoutMs: helmTimeoutMs });
}

/** Installs Segue as a user would, but with the image that was built here, and has it test itself. */
export async function installOperator(cluster: DemoCluster, signal: AbortSignal): Promise<void> {
  await step('helm install segue', () =>
    helm(
      cluster,
      [
        'upgrade',
        operatorRelease,
        chartDirectory,
        '--install',
        '--create-namespace',
        '--wait',
        '--timeout=90s',
        '--set=image.repository=segue',
        '--set=image.tag=dev',
      ],
      signal,
    ),
  );
  await step('helm test segue', () => helm(cluster, ['test', operatorRelease, '--timeout=150s'], signal));
}

export async function uninstallOperator(cluster: DemoCluster, signal: AbortSignal): Promise<void> {
  await helm(
    cluster,
    ['uninstall', operatorRelease, '--ignore-not-found', '--wait', '--timeout=60s'],
    signal,
  );
}
