import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDirectory } from './cache.ts';
import { run, runOrThrow } from './command.ts';
import type { ClusterPaths } from './cluster-state.ts';
import { identify, isRunning, signal, type ProcessIdentity } from './process-identity.ts';

const pollMs = 50;
const endTimeoutMs = 20_000;
/** These are run by people, with the cluster's paths as arguments, and are not the cluster's. */
const clients: ReadonlySet<string> = new Set(['kubectl', 'helm', 'ctr', 'kind']);

/** As a mount point stands in /proc: blanks and the like in octal. */
function unescape(path: string): string {
  return path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    // The process has ended meanwhile, or is a thread of the kernel.
    return '';
  }
}

/** The ids of the cluster's containers; whatever the container runtime still knows, running or not. */
function containerIds(paths: ClusterPaths): readonly string[] {
  const directory = join(paths.runtime, 'containerd', 'io.containerd.runtime.v2.task', 'k8s.io');
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** The container runtime makes a control group for each container under this one, in each hierarchy. */
const cgroupParent = '/k8s.io';
const cgroupOf = (containerId: string): string => `${cgroupParent}/${containerId}`;

/** Whether a process is a server of this cluster, or a pod's, whoever started it and recorded or not. */
function belongsTo(
  paths: ClusterPaths,
  { cgroups, toolchain }: { readonly cgroups: readonly string[]; readonly toolchain: string },
  pid: number,
): boolean {
  // Lines of `id:controllers:path`.
  const lines = readOrEmpty(() => readFileSync(`/proc/${pid}/cgroup`, 'utf8')).split('\n');
  const own = lines.map((line) => line.split(':').slice(2).join(':'));
  if (own.some((path) => cgroups.some((cgroup) => isInside(path, cgroup)))) return true;
  const executable = readOrEmpty(() => readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, '');
  const program = basename(executable);
  const isOurs = isInside(executable, toolchain) && !clients.has(program);
  // The container runtime may have been killed while it waited for the runc that it had started.
  if (!isOurs && program !== 'runc') return false;
  const commandLine = readOrEmpty(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return [paths.root, paths.runtime].some((directory) => commandLine.includes(`${directory}/`));
}

/** The cluster's servers, container shims and pods' processes that run now, found by what they are. */
export function findProcesses(paths: ClusterPaths): readonly ProcessIdentity[] {
  const cgroups = containerIds(paths).map(cgroupOf);
  const linked = join(cacheDirectory(), 'toolchain');
  // The kernel names programs by their real paths.
  const toolchain = existsSync(linked) ? realpathSync(linked) : linked;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongsTo(paths, { cgroups, toolchain }, pid))
    .map(identify)
    .filter((identity) => identity !== undefined)
    .filter(isRunning);
}

/**
 * Kills the processes and waits for their end.
 * @param find is asked again until it finds none, for what the processes start while they are being killed
 * @throws if some of them do not end
 */
export async function killAll(find: () => readonly ProcessIdentity[]): Promise<void> {
  const deadline = performance.now() + endTimeoutMs;
  for (let left = find(); left.length > 0; left = find()) {
    if (performance.now() > deadline) {
      throw new Error(`processes ${left.map(({ pid }) => pid).join(', ')} do not end, though killed`);
    }
    for (const identity of left) signal(identity, 'SIGKILL');
    await delay(pollMs);
  }
}

function mountPointsInside(directories: readonly string[]): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescape(line.split(' ')[4] ?? ''))
    .filter((point) => directories.some((directory) => isInside(point, directory)));
}

/**
 * Unmounts everything mounted in the cluster's directories.
 * @throws if something stays: deleting the directories would then delete what is mounted there
 */
export async function unmountAll(paths: ClusterPaths): Promise<void> {
  const directories = [paths.root, paths.runtime];
  // What was mounted last may lie upon what was mounted before.
  for (const point of mountPointsInside(directories).toReversed()) {
    const unmounted = await run('umount', [point]);
    if (unmounted.code !== 0) await runOrThrow('umount', ['--lazy', point]);
  }
  const left = mountPointsInside(directories);
  if (left.length > 0) throw new Error(`still mounted, unmount it by hand: ${left.join(', ')}`);
}

async function removeCgroup(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(join(directory, entry.name));
  }
  const deadline = performance.now() + endTimeoutMs;
  for (;;) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      // The kernel lets go of a killed process's group a little later.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() > deadline) throw error;
      await delay(pollMs);
    }
  }
}

/** Removes the pods' control groups from every hierarchy; their processes must have ended. */
export async function removeCgroups(paths: ClusterPaths): Promise<void> {
  const hierarchies = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, point = '']) => unescape(point));
  for (const hierarchy of new Set(hierarchies)) {
    for (const id of containerIds(paths)) await removeCgroup(join(hierarchy, cgroupOf(id)));
    const parent = join(hierarchy, cgroupParent);
    const isEmpty =
      existsSync(parent) &&
      !readdirSync(parent, { withFileTypes: true }).some((entry) => entry.isDirectory());
    // Another container runtime of this machine may have containers of the same parent.
    if (isEmpty) await removeCgroup(parent);
  }
}
