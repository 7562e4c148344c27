import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './command.ts';
import type { ClusterPaths } from './cluster-state.ts';
import { currentBootId } from './process-identity.ts';

/** Kernel settings that kubelet, kube-proxy and the network plugin change. */
const settings = [
  'kernel/keys/root_maxbytes',
  'kernel/keys/root_maxkeys',
  'kernel/panic',
  'kernel/panic_on_oops',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/ipv4/conf/all/route_localnet',
  'net/ipv4/ip_forward',
  'net/netfilter/nf_conntrack_max',
  'net/netfilter/nf_conntrack_tcp_be_liberal',
  'net/netfilter/nf_conntrack_tcp_timeout_close_wait',
  'net/netfilter/nf_conntrack_tcp_timeout_established',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
] as const;

/** Directories with fixed paths that kubelet and the container runtime make outside the state directory. */
const fixedDirectories = [
  '/etc/cni',
  '/opt/cni',
  '/opt/containerd',
  '/run/containerd',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
] as const;

interface Footprint {
  readonly bootId: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly newDirectories: readonly string[];
}

const footprintPath = (paths: ClusterPaths): string => join(paths.root, 'footprint.json');

function readSetting(name: string): string | undefined {
  const path = `/proc/sys/${name}`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

/** Keeps what the machine was like, before anything is changed, for `restoreMachine`. */
export function recordMachine(paths: ClusterPaths): void {
  const found = settings.map((name) => [name, readSetting(name)] as const);
  const footprint: Footprint = {
    bootId: currentBootId(),
    settings: Object.fromEntries(
      found.filter((entry): entry is [(typeof entry)[0], string] => entry[1] !== undefined),
    ),
    newDirectories: fixedDirectories.filter((directory) => !existsSync(directory)),
  };
  mkdirSync(dirname(footprintPath(paths)), { recursive: true, mode: 0o700 });
  // A record that a crash cut off would leave the machine changed for good.
  const unfinished = `${footprintPath(paths)}.tmp`;
  writeFileSync(unfinished, JSON.stringify(footprint, null, 2));
  renameSync(unfinished, footprintPath(paths));
}

/** Puts kernel settings back and removes directories that were not there before. */
export function restoreMachine(paths: ClusterPaths): void {
  if (!existsSync(footprintPath(paths))) return;
  const footprint = JSON.parse(readFileSync(footprintPath(paths), 'utf8')) as Footprint;
  // A reboot has put the settings back already, perhaps to values that were changed since the record.
  if (footprint.bootId === currentBootId()) {
    for (const [name, value] of Object.entries(footprint.settings)) {
      if (readSetting(name) !== value) writeFileSync(`/proc/sys/${name}`, value);
    }
  }
  for (const directory of footprint.newDirectories) rmSync(directory, { recursive: true, force: true });
}

/**
 * Lets packets between two pods on one bridge pass the packet filter.
 * @returns whether that is so: without it, a Service that leads from one pod to another needs every packet's
 * sender replaced
 */
export async function filterBridgedPackets(): Promise<boolean> {
  const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  if (!existsSync(setting)) await run('modprobe', ['br_netfilter']);
  if (!existsSync(setting)) return false;
  writeFileSync(setting, '1');
  return true;
}
