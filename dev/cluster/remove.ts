import { existsSync, rmSync } from 'node:fs';
import { removeBareMachine } from './bare-machine-down.ts';
import { readRecord, type ClusterPaths } from './cluster-state.ts';
import { removeKind } from './kind.ts';

/**
 * Removes the cluster, whatever it is and however far it got. A cluster of the user's is only forgotten.
 * @returns whether there was one
 */
export async function removeCluster(paths: ClusterPaths): Promise<boolean> {
  if (!existsSync(paths.root)) return false;
  // Without a readable record only the beginnings of a cluster on this machine can be there.
  switch (readRecord(paths)?.driver ?? 'bare-machine') {
    case 'kubeconfig':
      rmSync(paths.root, { recursive: true, force: true });
      return true;
    case 'kind':
      await removeKind(paths);
      return true;
    case 'bare-machine':
      await removeBareMachine(paths);
      return true;
  }
}
