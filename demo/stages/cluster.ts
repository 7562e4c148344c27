import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  clusterPaths,
  defaultClusterName,
  readRecord,
  requireCluster,
  type Driver,
} from '../../dev/cluster/cluster-state.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import { runChild } from '../child.ts';
import { Kubectl } from '../kubectl.ts';
import { clusterMark, demoDirectory, root } from '../places.ts';

export interface DemoCluster {
  readonly driver: Driver;
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** Paths of programs. */
  readonly programs: { readonly kubectl: string; readonly helm: string };
  /** The address of this machine at which pods reach its programs. */
  readonly hostAddress: string;
}

const upTimeoutMs = 3_600_000;
const downTimeoutMs = 180_000;

const script = (name: string): string => join(root, 'dev', 'cluster', name);

/** The clients of a cluster that is up. */
export async function connectToCluster(signal: AbortSignal): Promise<DemoCluster> {
  const { driver, kubeconfig, hostAddress } = requireCluster();
  if (hostAddress === undefined)
    throw new Error('the cluster has no address at which its pods reach this machine');
  const programs = await ensurePrograms(['kubectl', 'helm']);
  return {
    driver,
    kubeconfig,
    hostAddress,
    programs,
    kubectl: new Kubectl(programs.kubectl, kubeconfig, signal),
  };
}

/** Brings the local cluster up, or takes the one that is up already, which then is left up at the end. */
export async function bringUpCluster(signal: AbortSignal): Promise<DemoCluster> {
  const existing = readRecord(clusterPaths(defaultClusterName));
  if (existing?.driver === 'kubeconfig') {
    throw new Error(
      'the demo puts its images on a node of its own, and can not use a cluster of yours: run `make cluster-down` first',
    );
  }
  mkdirSync(demoDirectory, { recursive: true });
  if (existing?.ready !== true) writeFileSync(clusterMark, '');
  await runChild(process.execPath, [script('up.ts')], { signal, timeoutMs: upTimeoutMs, loud: true });
  return await connectToCluster(signal);
}

/** Ends the cluster if the demo made it, and says whether it did. */
export async function takeDownCluster(signal: AbortSignal): Promise<boolean> {
  if (!existsSync(clusterMark)) return false;
  await runChild(process.execPath, [script('down.ts')], { signal, timeoutMs: downTimeoutMs, loud: true });
  rmSync(clusterMark);
  return true;
}
