import { rmSync } from 'node:fs';
import type { ClusterPaths } from './cluster-state.ts';
import { Daemons } from './daemons.ts';
import { restoreMachine } from './footprint.ts';
import { removeKubernetesRules } from './iptables.ts';
import { findProcesses, killAll, removeCgroups, unmountAll } from './leftovers.ts';
import { removeNetwork } from './network.ts';

/**
 * Ends the cluster and takes all of it from this machine: processes, mounts, network namespaces, control
 * groups, interfaces, packet filter rules, changed kernel settings, files. It works from what it finds, so
 * it also cleans up after a crash at any point, and does nothing where there is nothing.
 */
export async function removeBareMachine(paths: ClusterPaths): Promise<void> {
  const daemons = new Daemons(paths);
  await killAll(() => [...daemons.running(), ...findProcesses(paths)]);
  // The namespaces of pods' networks are mounts too; with them go the pods' interfaces.
  await unmountAll(paths);
  await removeCgroups(paths);
  await removeNetwork();
  await removeKubernetesRules();
  restoreMachine(paths);
  rmSync(paths.runtime, { recursive: true, force: true });
  rmSync(paths.root, { recursive: true, force: true });
}
