import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bareMachineHealth, startBareMachine } from './bare-machine-up.ts';
import {
  clusterPaths,
  defaultClusterName,
  readRecord,
  writeRecord,
  type ClusterPaths,
  type ClusterRecord,
  type Driver,
} from './cluster-state.ts';
import { run } from './command.ts';
import { kindIsHealthy, startKind } from './kind.ts';
import { withLock } from './lock.ts';
import { bareMachineProblems, dockerAnswers, installPackages, missingPackages } from './prerequisites.ts';
import { bareMachinePrograms, kindPrograms } from './programs.ts';
import { formatElapsed, report, step } from './progress.ts';
import { removeCluster } from './remove.ts';
import { ensurePrograms } from './toolchain.ts';

const usage = `Brings up a local Kubernetes cluster and prints the KUBECONFIG to use.
  node dev/cluster/up.ts [--name NAME] [--driver bare-machine|kind | --use-kubeconfig]

  --driver          default: kind where Docker answers, else bare-machine
  --use-kubeconfig  use the cluster of $KUBECONFIG, whatever it is, instead of making one`;

/** Uses the cluster that $KUBECONFIG names: only ever when told so. */
async function useKubeconfig(paths: ClusterPaths): Promise<ClusterRecord> {
  const given = process.env['KUBECONFIG'] ?? '';
  const kubeconfig = resolve(given);
  if (given === '' || !existsSync(kubeconfig)) {
    throw new Error('--use-kubeconfig needs KUBECONFIG to be the path of a kubeconfig file');
  }
  const { kubectl } = await ensurePrograms(['kubectl', 'helm']);
  const flags = [`--kubeconfig=${kubeconfig}`, '--request-timeout=10s'];
  const server = await run(kubectl, [...flags, 'get', '--raw', '/readyz']);
  if (server.code !== 0) {
    throw new Error(`the cluster of KUBECONFIG=${kubeconfig} does not answer: ${server.stderr.trim()}`);
  }
  const context = await run(kubectl, [...flags, 'config', 'current-context']);
  report(`Using the cluster of KUBECONFIG=${kubeconfig}, context ${context.stdout.trim()}`);
  const record: ClusterRecord = { driver: 'kubeconfig', ready: true, kubeconfig };
  writeRecord(paths, record);
  return record;
}

async function bareMachine(paths: ClusterPaths, existing: ClusterRecord | undefined): Promise<ClusterRecord> {
  const problems = await bareMachineProblems(paths.name);
  if (problems.length > 0) {
    throw new Error(['The cluster can not run here:', ...problems.map((line) => `  - ${line}`)].join('\n'));
  }
  const programs = await ensurePrograms(bareMachinePrograms);
  if (existing?.driver === 'bare-machine' && existing.ready) {
    const health = await bareMachineHealth(paths, programs.kubectl);
    if (health.healthy) return existing;
    report(`The cluster is no longer whole and is made anew: ${health.reason}`);
  }
  const packages = await missingPackages();
  if (packages.length > 0) await step(`installing ${packages.join(', ')}`, () => installPackages(packages));
  if (existsSync(paths.root))
    await step('removing what is left of an earlier run', () => removeCluster(paths));
  try {
    return await startBareMachine(paths, programs);
  } catch (error) {
    report(`The logs are in ${paths.logs}; the next cluster-up, or cluster-down, removes what was started.`);
    throw error;
  }
}

async function kind(paths: ClusterPaths, existing: ClusterRecord | undefined): Promise<ClusterRecord> {
  const { kubectl } = await ensurePrograms(kindPrograms.filter((program) => program !== 'kind'));
  if (existing?.driver === 'kind' && existing.ready && (await kindIsHealthy(paths, kubectl))) return existing;
  if (existing !== undefined) await removeCluster(paths);
  return startKind(paths);
}

/**
 * Without a word about it, a cluster that is up stays what it is; one of the user's is used only as long as
 * each call says so.
 */
async function chooseDriver(
  existing: ClusterRecord | undefined,
  wanted: Driver | undefined,
): Promise<Driver> {
  if (wanted !== undefined) return wanted;
  if (existing !== undefined && existing.driver !== 'kubeconfig') return existing.driver;
  return (await dockerAnswers()) ? 'kind' : 'bare-machine';
}

async function bringUp(paths: ClusterPaths, wanted: Driver | undefined): Promise<ClusterRecord> {
  const existing = readRecord(paths);
  const driver = await chooseDriver(existing, wanted);
  if (existing !== undefined && existing.driver !== driver) {
    if (existing.driver !== 'kubeconfig') {
      throw new Error(
        `the cluster "${paths.name}" is a ${existing.driver} cluster, not ${driver}: \`make cluster-down\` ends it`,
      );
    }
    await removeCluster(paths);
  }
  switch (driver) {
    case 'kubeconfig':
      return useKubeconfig(paths);
    case 'kind':
      return kind(paths, existing);
    case 'bare-machine':
      return bareMachine(paths, existing);
  }
}

function parseDriver(values: {
  readonly driver?: string;
  readonly 'use-kubeconfig': boolean;
}): Driver | undefined {
  const { driver, 'use-kubeconfig': given } = values;
  if (given && driver !== undefined) throw new Error('--driver and --use-kubeconfig exclude each other');
  if (given) return 'kubeconfig';
  if (driver === undefined || driver === 'kind' || driver === 'bare-machine') return driver;
  throw new Error(`--driver is bare-machine or kind, not "${driver}"`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: 'string', default: defaultClusterName },
      driver: { type: 'string' },
      'use-kubeconfig': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const paths = clusterPaths(values.name);
  const driver = parseDriver(values);
  const started = performance.now();
  const record = await withLock(
    paths.lock,
    () => bringUp(paths, driver),
    (pid) => report(`Waiting for process ${pid}, which brings this cluster up or down`),
  );
  report(`The cluster "${paths.name}" is up (${formatElapsed(performance.now() - started)})`);
  console.log(`export KUBECONFIG=${record.kubeconfig}`);
}

try {
  await main();
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
