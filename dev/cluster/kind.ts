import { rmSync } from 'node:fs';
import { run, runOrThrow } from './command.ts';
import { writeRecord, type ClusterPaths, type ClusterRecord } from './cluster-state.ts';
import { step } from './progress.ts';
import { ensurePrograms } from './toolchain.ts';

const createTimeoutMs = 15 * 60_000;

/** The installed kind, else one built from the version that is pinned here. */
async function kindProgram(): Promise<string> {
  const installed = await run('kind', ['version']);
  // The npm registry has an unrelated program of the same name; the real one says `kind v0.…`.
  if (installed.code === 0 && installed.stdout.startsWith('kind v')) return 'kind';
  return (await ensurePrograms(['kind'])).kind;
}

/** kind names a cluster's containers after it; others of the user's must not be taken for ours. */
const kindName = (paths: ClusterPaths): string => `${paths.name}-local`;

async function clusterExists(kind: string, paths: ClusterPaths): Promise<boolean> {
  const clusters = await runOrThrow(kind, ['get', 'clusters']);
  return clusters.split('\n').includes(kindName(paths));
}

/** The address at which Docker's containers reach this machine: their network's gateway. */
async function hostAddress(): Promise<string | undefined> {
  const format = '{{range .IPAM.Config}}{{.Gateway}} {{end}}';
  const inspected = await run('docker', ['network', 'inspect', 'kind', '--format', format]);
  return inspected.stdout.split(/\s+/).find((address) => /^\d+\.\d+\.\d+\.\d+$/.test(address));
}

/** Whether kind's cluster is there and its API server answers. */
export async function kindIsHealthy(paths: ClusterPaths, kubectl: string): Promise<boolean> {
  const ready = await run(kubectl, [`--kubeconfig=${paths.kubeconfig}`, 'get', '--raw', '/readyz']);
  return ready.code === 0;
}

/** Starts a one-node cluster in Docker; a half-made one of an earlier try is removed first. */
export async function startKind(paths: ClusterPaths): Promise<ClusterRecord> {
  const starting: ClusterRecord = { driver: 'kind', ready: false, kubeconfig: paths.kubeconfig };
  writeRecord(paths, starting);
  const kind = await kindProgram();
  if (await clusterExists(kind, paths)) await removeKind(paths);
  writeRecord(paths, starting);
  await step('kind cluster', () =>
    runOrThrow(
      kind,
      ['create', 'cluster', '--name', kindName(paths), '--kubeconfig', paths.kubeconfig, '--wait', '180s'],
      { timeoutMs: createTimeoutMs },
    ),
  );
  const address = await hostAddress();
  const ready: ClusterRecord = {
    ...starting,
    ready: true,
    ...(address === undefined ? {} : { hostAddress: address }),
  };
  writeRecord(paths, ready);
  return ready;
}

export async function removeKind(paths: ClusterPaths): Promise<void> {
  const kind = await kindProgram();
  if (await clusterExists(kind, paths)) {
    await runOrThrow(kind, ['delete', 'cluster', '--name', kindName(paths)], { timeoutMs: 120_000 });
  }
  rmSync(paths.root, { recursive: true, force: true });
}

/** Copies an image archive into the cluster's node. */
export async function loadIntoKind(paths: ClusterPaths, archive: string): Promise<void> {
  const kind = await kindProgram();
  await runOrThrow(kind, ['load', 'image-archive', archive, '--name', kindName(paths)], {
    timeoutMs: 300_000,
  });
}
