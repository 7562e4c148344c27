import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';

export const defaultClusterName = 'segue';

/**
 * - `bare-machine`: Kubernetes' own programs as processes of this machine
 * - `kind`: nodes in Docker containers
 * - `kubeconfig`: a cluster of the user's, which is neither made nor ended here
 */
export type Driver = 'bare-machine' | 'kind' | 'kubeconfig';

/** What a cluster's user has to know; kept in the cluster's state directory. */
export interface ClusterRecord {
  readonly driver: Driver;
  /** False from the first step until the node is ready: what a crash half-way leaves behind. */
  readonly ready: boolean;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** The address of this machine at which pods reach its programs, where it is known. */
  readonly hostAddress?: string;
}

/** Where a cluster's files are; nothing of a cluster is anywhere in the checkout. */
export interface ClusterPaths {
  readonly name: string;
  readonly root: string;
  readonly record: string;
  readonly lock: string;
  readonly kubeconfig: string;
  readonly certificates: string;
  readonly processes: string;
  readonly logs: string;
  /**
   * Sockets and runtime state of the container runtime. The path of a socket is limited to 107 bytes, which
   * a deep cache directory exceeds.
   */
  readonly runtime: string;
}

const clustersDirectory = (): string => join(cacheDirectory(), 'clusters');

/** @throws if the name can't be part of the names of directories, cgroups and containers */
export function clusterPaths(name: string): ClusterPaths {
  if (!/^[a-z][a-z0-9-]{0,20}$/.test(name)) {
    throw new Error(`"${name}" is no cluster name: use at most 21 of a-z, 0-9 and "-", a letter first`);
  }
  const root = join(clustersDirectory(), name);
  return {
    name,
    root,
    record: join(root, 'cluster.json'),
    lock: `${root}.lock`,
    kubeconfig: join(root, 'kubeconfig'),
    certificates: join(root, 'certificates'),
    processes: join(root, 'processes'),
    logs: join(root, 'logs'),
    runtime: `/run/segue-${name}`,
  };
}

export function writeRecord(paths: ClusterPaths, record: ClusterRecord): void {
  mkdirSync(paths.root, { recursive: true, mode: 0o700 });
  writeFileSync(paths.record, `${JSON.stringify(record, null, 2)}\n`);
}

/** The cluster's record; undefined if there is no such cluster. */
export function readRecord(paths: ClusterPaths): ClusterRecord | undefined {
  if (!existsSync(paths.record)) return undefined;
  try {
    return JSON.parse(readFileSync(paths.record, 'utf8')) as ClusterRecord;
  } catch {
    // A record cut off by a crash while it was written.
    return undefined;
  }
}

/** Names of all clusters that have a state directory. */
export function clusterNames(): readonly string[] {
  if (!existsSync(clustersDirectory())) return [];
  const entries = readdirSync(clustersDirectory(), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/**
 * The running cluster of this name.
 * @throws if `make cluster-up` has not brought it up
 */
export function requireCluster(name: string = defaultClusterName): ClusterRecord {
  const record = readRecord(clusterPaths(name));
  if (record?.ready !== true) throw new Error(`the cluster "${name}" is not up: run \`make cluster-up\``);
  return record;
}
