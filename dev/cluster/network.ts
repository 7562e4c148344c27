import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runOrThrow } from './command.ts';
import { serviceRange } from './control-plane.ts';

/** The pods' network: a bridge of this machine, on which the machine itself has the first address. */
const bridge = 'segue0';
export const podRange = '10.244.0.0/24';
export const nodeAddress = '10.244.0.1';
const firstPodAddress = '10.244.0.10';

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(cidr: string): Range | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(cidr);
  if (match === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, length = 32] = match
    .slice(1)
    .filter((part) => part !== undefined)
    .map(Number);
  const size = 2 ** (32 - length);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}

/** Whether two IPv4 ranges in CIDR notation share an address; what is no such range shares none. */
export function rangesOverlap(left: string, right: string): boolean {
  const [a, b] = [parseRange(left), parseRange(right)];
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last;
}

/** Routes of this machine, not ours, that cover addresses the cluster needs; one line each. */
export async function conflictingRoutes(): Promise<readonly string[]> {
  const { stdout } = await run('ip', ['-4', 'route', 'show', 'table', 'all']);
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !line.includes(`dev ${bridge}`))
    .filter((line) => {
      const words = line.split(' ');
      const kinds = ['local', 'broadcast', 'unreachable', 'blackhole', 'prohibit'];
      const destination = (kinds.includes(words[0] ?? '') ? words[1] : words[0]) ?? '';
      return [podRange, serviceRange].some((range) => rangesOverlap(range, destination));
    });
}

/**
 * Makes the bridge and routes the Services' addresses to it, so that an address that no Service has never
 * leaves this machine: to be called before anything may send to one.
 */
export async function createNetwork(): Promise<void> {
  // With an address of its own the bridge keeps it; otherwise it changes with each pod that comes or goes,
  // and its neighbours send into the void until they have learnt the new one.
  await runOrThrow('ip', ['link', 'add', 'name', bridge, 'address', '02:5e:90:e0:00:01', 'type', 'bridge']);
  await runOrThrow('ip', ['address', 'add', `${nodeAddress}/24`, 'dev', bridge]);
  await runOrThrow('ip', ['link', 'set', bridge, 'up']);
  await runOrThrow('ip', ['route', 'add', serviceRange, 'dev', bridge, 'src', nodeAddress]);
}

/** Removes the bridge, what pods left plugged into it, and with it the routes. */
export async function removeNetwork(): Promise<void> {
  const { stdout } = await run('ip', ['-o', 'link', 'show', 'master', bridge]);
  for (const line of stdout.split('\n')) {
    const port = /^\d+: ([^:@]+)/.exec(line)?.[1];
    // It may go by itself meanwhile: the kernel removes it some time after its pod's network namespace.
    if (port !== undefined) await run('ip', ['link', 'delete', port]);
  }
  const existing = await run('ip', ['link', 'show', bridge]);
  if (existing.code === 0) await runOrThrow('ip', ['link', 'delete', bridge]);
}

/**
 * Writes how the container runtime connects a pod. A pod reaches pods, Services and this machine; it has no
 * route to anywhere else.
 */
export function writeNetworkConfiguration(directory: string, addressStore: string): void {
  mkdirSync(directory, { recursive: true });
  const configuration = {
    cniVersion: '1.0.0',
    name: 'segue',
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: addressStore,
          ranges: [[{ subnet: podRange, rangeStart: firstPodAddress, gateway: nodeAddress }]],
          routes: [{ dst: serviceRange }],
        },
      },
    ],
  };
  writeFileSync(join(directory, '10-segue.conflist'), `${JSON.stringify(configuration, null, 2)}\n`);
}
