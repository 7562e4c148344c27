import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateStore, type KeyPair } from './certificates.ts';
import { writeRecord, type ClusterPaths, type ClusterRecord } from './cluster-state.ts';
import { run, runOrThrow } from './command.ts';
import {
  apiServerArguments,
  apiServiceAddress,
  controllerManagerArguments,
  etcdArguments,
  schedulerArguments,
} from './control-plane.ts';
import { Daemons } from './daemons.ts';
import { clusterDns, dnsManifests, dnsUser } from './dns.ts';
import { filterBridgedPackets, recordMachine } from './footprint.ts';
import { writeImageArchive } from './image-archive.ts';
import { createNetwork, nodeAddress, writeNetworkConfiguration } from './network.ts';
import {
  clusterDomain,
  containerd,
  containerdSocket,
  kubelet,
  kubeProxy,
  networkConfigurationDirectory,
  nodeName,
  pauseImage,
} from './node-programs.ts';
import { freePorts } from './ports.ts';
import type { bareMachinePrograms } from './programs.ts';
import { step } from './progress.ts';
import { statusOf, waitForApiServer, waitUntil, type WaitOptions } from './readiness.ts';

const apiUrl = `https://${nodeAddress}:6443`;
const readyTimeoutMs = 120_000;

export type ProgramPaths = Readonly<Record<(typeof bareMachinePrograms)[number], string>>;

interface Credentials {
  readonly authority: KeyPair;
  readonly admin: KeyPair;
  readonly server: KeyPair;
  /** Paths of kubeconfigs. */
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly kubeProxy: string;
  readonly kubelet: string;
  readonly dns: string;
}

async function issueCredentials(paths: ClusterPaths, store: CertificateStore): Promise<Credentials> {
  const authority = await store.authority();
  const kubeconfigOf = async (name: string, commonName: string, organization?: string): Promise<string> => {
    const pair = await store.issue(name, {
      commonName,
      ...(organization === undefined ? {} : { organization }),
    });
    return store.kubeconfig(join(paths.certificates, `${name}.kubeconfig`), apiUrl, pair);
  };
  const admin = await store.issue('admin', { commonName: 'admin', organization: 'system:masters' });
  await store.kubeconfig(paths.kubeconfig, apiUrl, admin);
  return {
    authority,
    admin,
    server: await store.issue('server', {
      commonName: 'kube-apiserver',
      hosts: [
        nodeAddress,
        apiServiceAddress,
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${clusterDomain}`,
      ],
    }),
    controllerManager: await kubeconfigOf('controller-manager', 'system:kube-controller-manager'),
    scheduler: await kubeconfigOf('scheduler', 'system:kube-scheduler'),
    kubeProxy: await kubeconfigOf('kube-proxy', 'system:kube-proxy'),
    kubelet: await kubeconfigOf('kubelet', `system:node:${nodeName}`, 'system:nodes'),
    dns: await kubeconfigOf('dns', dnsUser),
  };
}

async function startRuntime(paths: ClusterPaths, daemons: Daemons, programs: ProgramPaths): Promise<void> {
  mkdirSync(paths.runtime, { recursive: true, mode: 0o711 });
  writeNetworkConfiguration(networkConfigurationDirectory(paths), join(paths.root, 'pod-addresses'));
  daemons.start(containerd(paths, programs.containerd));
  const ctr = ['--address', containerdSocket(paths), '--namespace', 'k8s.io'] as const;
  await waitUntil(async () => (await run(programs.ctr, [...ctr, 'version'])).code === 0, {
    timeoutMs: readyTimeoutMs,
    what: 'containerd',
    givenUp: () => daemons.firstEnded(),
  });
  const archive = join(paths.root, 'pause.tar');
  await writeImageArchive(
    {
      name: pauseImage,
      files: [{ kind: 'copy', from: programs.pause, to: '/pause' }],
      entrypoint: ['/pause'],
      user: '65535:65535',
    },
    archive,
  );
  await runOrThrow(programs.ctr, [...ctr, 'images', 'import', archive]);
  rmSync(archive);
}

async function nodeIsReady(kubectl: readonly [string, ...string[]]): Promise<boolean> {
  const [program, ...args] = kubectl;
  const ready = '{.status.conditions[?(@.type=="Ready")].status}';
  const node = await run(program, [...args, 'get', 'node', nodeName, '--output', `jsonpath=${ready}`]);
  return node.code === 0 && node.stdout === 'True';
}

function kubectlFor(paths: ClusterPaths, program: string): readonly [string, ...string[]] {
  return [program, `--kubeconfig=${paths.kubeconfig}`, `--cache-dir=${join(paths.root, 'kubectl-cache')}`];
}

/** Whether every process of the cluster runs and its node is ready; if not, why. */
export async function bareMachineHealth(
  paths: ClusterPaths,
  kubectl: string,
): Promise<{ readonly healthy: true } | { readonly healthy: false; readonly reason: string }> {
  const ended = new Daemons(paths).firstEnded();
  if (ended !== undefined) return { healthy: false, reason: ended };
  if (await nodeIsReady(kubectlFor(paths, kubectl))) return { healthy: true };
  return { healthy: false, reason: 'the node is not ready, or the API server does not answer' };
}

/**
 * Starts a one-node cluster on this machine, which must have none of its leftovers.
 * @throws with the end of the log if a program ends or does not become ready; what has been started goes on
 */
export async function startBareMachine(paths: ClusterPaths, programs: ProgramPaths): Promise<ClusterRecord> {
  const starting: ClusterRecord = {
    driver: 'bare-machine',
    ready: false,
    kubeconfig: paths.kubeconfig,
    hostAddress: nodeAddress,
  };
  writeRecord(paths, starting);
  recordMachine(paths);
  const daemons = new Daemons(paths);
  const wait = (what: string): WaitOptions => ({
    what,
    timeoutMs: readyTimeoutMs,
    givenUp: () => daemons.firstEnded(),
  });
  const [etcdPort = 0, peerPort = 0, controllerPort = 0, schedulerPort = 0, ...nodePorts] =
    await freePorts(7);
  const [healthPort = 0, metricsPort = 0, dnsReadyPort = 0] = nodePorts;
  const bridgedPacketsFiltered = await filterBridgedPackets();
  await step('network', createNetwork);

  const store = new CertificateStore(paths.certificates);
  const credentials = await step('certificates', () => issueCredentials(paths, store));
  const { authority, admin } = credentials;
  const serviceAccount = store.serviceAccountKeys();

  daemons.start({
    name: 'etcd',
    program: programs.etcd,
    arguments: etcdArguments({
      dataDirectory: join(paths.root, 'etcd'),
      clientPort: etcdPort,
      peerPort,
    }),
  });
  daemons.start({
    name: 'kube-apiserver',
    program: programs['kube-apiserver'],
    arguments: apiServerArguments({
      etcdPort,
      port: Number(new URL(apiUrl).port),
      bindAddress: nodeAddress,
      advertiseAddress: nodeAddress,
      authority,
      server: credentials.server,
      kubeletClient: admin,
      serviceAccount,
    }),
  });
  await Promise.all([
    step('API server', () =>
      waitForApiServer(apiUrl, authority.certificate, admin, wait(`the API server at ${apiUrl}`)),
    ),
    step('container runtime', () => startRuntime(paths, daemons, programs)),
  ]);

  daemons.start({
    name: 'kube-controller-manager',
    program: programs['kube-controller-manager'],
    arguments: controllerManagerArguments({
      kubeconfig: credentials.controllerManager,
      port: controllerPort,
      authority,
      serviceAccount,
    }),
  });
  daemons.start({
    name: 'kube-scheduler',
    program: programs['kube-scheduler'],
    arguments: schedulerArguments(credentials.scheduler, schedulerPort),
  });
  daemons.start(
    kubelet(paths, {
      program: programs.kubelet,
      kubeconfig: credentials.kubelet,
      clientAuthority: authority.certificate,
    }),
  );
  daemons.start(
    kubeProxy({
      program: programs['kube-proxy'],
      kubeconfig: credentials.kubeProxy,
      healthPort,
      metricsPort,
      bridgedPacketsFiltered,
    }),
  );
  const kubectl = kubectlFor(paths, programs.kubectl);
  const [kubectlProgram, ...kubectlArguments] = kubectl;
  await step('cluster DNS', async () => {
    const manifests = JSON.stringify(dnsManifests);
    const apply = ['apply', '--server-side', '--field-manager=segue-cluster', '--filename=-'];
    await runOrThrow(kubectlProgram, [...kubectlArguments, ...apply], { input: manifests });
    daemons.start(
      clusterDns(paths, { program: programs.coredns, kubeconfig: credentials.dns, readyPort: dnsReadyPort }),
    );
    await waitUntil(
      async () => (await fetch(`http://127.0.0.1:${dnsReadyPort}/ready`)).status === 200,
      wait('cluster DNS'),
    );
  });
  await step('node', () => waitUntil(() => nodeIsReady(kubectl), wait(`the node ${nodeName}`)));
  // A pod of the namespace `default` is refused until the controllers have made this.
  const account = `${apiUrl}/api/v1/namespaces/default/serviceaccounts/default`;
  await waitUntil(
    async () => (await statusOf(account, authority.certificate, admin)) === 200,
    wait('the controllers'),
  );
  const ready: ClusterRecord = { ...starting, ready: true };
  writeRecord(paths, ready);
  return ready;
}
