import { rm } from 'node:fs/promises';
import { clusterPaths, defaultClusterName, readRecord } from '../dev/cluster/cluster-state.ts';
import { step } from '../dev/cluster/progress.ts';
import { changeName, demoDirectory, operatorNamespace, shopNamespace } from './places.ts';
import { connectToCluster, takeDownCluster, type DemoCluster } from './stages/cluster.ts';
import { removeDatabase } from './stages/database.ts';
import { uninstallOperator } from './stages/operator.ts';

const waitSeconds = 60;

/** A teardown is not to be interrupted: what it leaves half-done somebody has to find. */
const never = new AbortController().signal;

/**
 * Removes what the demo puts into a cluster; harmless if there is nothing. The change goes first, while the
 * operator is still there to take its finalizer off.
 */
export async function clearCluster(cluster: DemoCluster): Promise<void> {
  const kubectl = cluster.kubectl.detached();
  const wait = [`--timeout=${waitSeconds}s`, '--ignore-not-found'];
  const remove = (...args: readonly string[]): Promise<string> =>
    kubectl.run(['delete', ...args, ...wait], '', (waitSeconds + 10) * 1000);
  const crd = await kubectl.run([
    'get',
    'crd',
    'schemachanges.segue.dev',
    '--ignore-not-found',
    '--output=name',
  ]);
  if (crd.trim() !== '') {
    await remove('schange', changeName, `--namespace=${shopNamespace}`).catch(() =>
      kubectl.run([
        'patch',
        'schange',
        changeName,
        `--namespace=${shopNamespace}`,
        '--type=merge',
        '--patch={"metadata":{"finalizers":null}}',
      ]),
    );
  }
  await remove('namespace', shopNamespace);
  await uninstallOperator(cluster, never);
  await remove('namespace', operatorNamespace);
  // The chart leaves the definition behind, because SchemaChanges of others go with it.
  if (crd.trim() === '') return;
  const others = await kubectl.run(['get', 'schange', '--all-namespaces', '--output=name']);
  if (others.trim() === '') await remove('crd', 'schemachanges.segue.dev');
}

/**
 * Ends everything that the demo started. A cluster that was up before stays up, without what the demo put
 * into it. Each part is ended even if another can't be.
 * @throws with everything that could not be ended
 */
export async function tearDown(): Promise<void> {
  const attempts = await Promise.allSettled([
    step('cluster', async () => {
      if (await takeDownCluster(never)) return;
      if (readRecord(clusterPaths(defaultClusterName))?.ready === true)
        await clearCluster(await connectToCluster(never));
    }),
    step('PostgreSQL', removeDatabase),
  ]);
  const failures = attempts
    .filter((attempt) => attempt.status === 'rejected')
    .map((attempt) => attempt.reason as unknown);
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  await rm(demoDirectory, { recursive: true, force: true });
}
