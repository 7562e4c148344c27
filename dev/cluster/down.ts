import { parseArgs } from 'node:util';
import { clusterPaths, defaultClusterName } from './cluster-state.ts';
import { withLock } from './lock.ts';
import { formatElapsed, report } from './progress.ts';
import { removeCluster } from './remove.ts';

const usage = `Ends a local cluster and leaves nothing of it on this machine.
  node dev/cluster/down.ts [--name NAME]`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: 'string', default: defaultClusterName },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const paths = clusterPaths(values.name);
  const started = performance.now();
  const removed = await withLock(
    paths.lock,
    () => removeCluster(paths),
    (pid) => report(`Waiting for process ${pid}, which brings this cluster up or down`),
  );
  const elapsed = formatElapsed(performance.now() - started);
  report(
    removed ? `The cluster "${paths.name}" is down (${elapsed})` : `There is no cluster "${paths.name}"`,
  );
}

try {
  await main();
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
