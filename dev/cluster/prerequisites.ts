import { existsSync } from 'node:fs';
import { run } from './command.ts';
import { clusterNames, clusterPaths, readRecord } from './cluster-state.ts';
import { conflictingRoutes, podRange } from './network.ts';
import { serviceRange } from './control-plane.ts';
import { bareMachinePrograms } from './programs.ts';
import { goProblem } from './toolchain.ts';

/** Where Debian's package puts the plugins that connect a pod to the network. */
export const networkPluginDirectory = '/usr/lib/cni';

/** What is needed besides our own programs, and the package of Debian and Ubuntu that brings it. */
const systemPrograms = [
  { packageName: 'runc', program: 'runc' },
  { packageName: 'containernetworking-plugins', program: `${networkPluginDirectory}/bridge` },
  { packageName: 'iptables', program: 'iptables-restore' },
  { packageName: 'conntrack', program: 'conntrack' },
  { packageName: 'iproute2', program: 'ip' },
  { packageName: 'openssl', program: 'openssl' },
] as const;

async function isInstalled(program: string): Promise<boolean> {
  if (program.startsWith('/')) return existsSync(program);
  return (await run('sh', ['-c', `command -v ${program}`])).code === 0;
}

/** The Debian packages that are missing on this machine. */
export async function missingPackages(): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const { packageName, program } of systemPrograms) {
    if (!(await isInstalled(program))) missing.push(packageName);
  }
  return missing;
}

/** Whether a Docker engine answers. */
export async function dockerAnswers(): Promise<boolean> {
  const answer = await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 10_000 });
  return answer.code === 0 && answer.stdout.trim() !== '';
}

/** Everything that keeps a cluster from running on this machine itself, each with its way out. */
export async function bareMachineProblems(name: string): Promise<readonly string[]> {
  if (process.platform !== 'linux') {
    return [`a cluster without Docker needs Linux, not ${process.platform}: install and start Docker`];
  }
  const problems: string[] = [];
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) {
    problems.push(
      'a cluster without Docker needs root, for network namespaces and mounts: start Docker, or use sudo',
    );
  }
  const go = await goProblem(bareMachinePrograms);
  if (go !== undefined) problems.push(`neither Docker answers nor can the programs be built: ${go}`);
  const packages = await missingPackages();
  if (packages.length > 0 && !(isRoot && (await isInstalled('apt-get')))) {
    problems.push(`missing on this machine: install ${packages.join(', ')} (Debian's and Ubuntu's names)`);
  }
  for (const route of await conflictingRoutes()) {
    problems.push(
      `the cluster's addresses ${podRange} and ${serviceRange} are in use by the route "${route}"`,
    );
  }
  for (const other of clusterNames().filter((candidate) => candidate !== name)) {
    if (readRecord(clusterPaths(other))?.driver === 'bare-machine') {
      problems.push(
        `the cluster "${other}" has this machine's network: \`node dev/cluster/down.ts --name ${other}\` ends it`,
      );
    }
  }
  return problems;
}

/** Installs the missing Debian packages. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  const apt = (...args: readonly string[]): ReturnType<typeof run> =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      timeoutMs: 10 * 60_000,
    });
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  if ((await apt(...install)).code === 0) return;
  // The package lists may be missing or old.
  await apt('update');
  const second = await apt(...install);
  if (second.code !== 0) {
    throw new Error(`apt-get could not install ${packages.join(', ')}: ${second.stderr.trim()}`);
  }
}
