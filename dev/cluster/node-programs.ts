import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterPaths } from './cluster-state.ts';
import type { Daemon } from './daemons.ts';
import { nodeAddress, podRange } from './network.ts';
import { networkPluginDirectory } from './prerequisites.ts';

export const nodeName = 'segue-node';
const kubeletPort = 10_250;
export const dnsServiceAddress = '10.96.0.10';
export const clusterDomain = 'cluster.local';
export const pauseImage = 'localhost/segue/pause:1';

const overlayFileSystem = 0x794c7630;

export const containerdSocket = (paths: ClusterPaths): string => join(paths.runtime, 'containerd.sock');
export const networkConfigurationDirectory = (paths: ClusterPaths): string => join(paths.root, 'cni');

/** The container runtime. Every path is the cluster's own, so a containerd of the machine is not touched. */
export function containerd(paths: ClusterPaths, program: string): Daemon {
  const configPath = join(paths.root, 'containerd.toml');
  // An overlay can't be laid upon an overlay, as when all this runs in a container itself.
  const snapshotter = statfsSync(paths.root).type === overlayFileSystem ? 'native' : 'overlayfs';
  writeFileSync(
    configPath,
    `version = 3
root = '${join(paths.root, 'containerd')}'
state = '${join(paths.runtime, 'containerd')}'

[grpc]
address = '${containerdSocket(paths)}'

[plugins.'io.containerd.nri.v1.nri']
# It would listen at a path that belongs to the machine.
disable = true

[plugins.'io.containerd.internal.v1.opt']
path = '${join(paths.root, 'containerd-opt')}'

[plugins.'io.containerd.cri.v1.images']
snapshotter = '${snapshotter}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '${pauseImage}'

[plugins.'io.containerd.cri.v1.runtime']
# Where the capability SYS_RESOURCE is missing no sandbox would start otherwise.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = 'runc'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
snapshotter = '${snapshotter}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
Root = '${join(paths.runtime, 'runc')}'

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['${networkPluginDirectory}']
conf_dir = '${networkConfigurationDirectory(paths)}'
`,
  );
  return { name: 'containerd', program, arguments: ['--config', configPath, '--log-level', 'info'] };
}

export interface KubeletOptions {
  readonly program: string;
  readonly kubeconfig: string;
  readonly clientAuthority: string;
}

/**
 * The node's agent, set so that it runs with any control groups, evicts nothing for want of disk or memory,
 * and never removes an image: there is no registry to get it back from.
 */
export function kubelet(paths: ClusterPaths, options: KubeletOptions): Daemon {
  const root = join(paths.root, 'kubelet');
  mkdirSync(root, { recursive: true });
  // The machine's own name servers and search domains are not for pods.
  const resolvConf = join(paths.root, 'resolv.conf');
  writeFileSync(resolvConf, '');
  const socket = `unix://${containerdSocket(paths)}`;
  const configuration = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: nodeAddress,
    port: kubeletPort,
    healthzPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: options.clientAuthority },
    },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    clusterDNS: [dnsServiceAddress],
    clusterDomain,
    resolvConf,
    containerRuntimeEndpoint: socket,
    imageServiceEndpoint: socket,
    podLogsDir: join(paths.root, 'pod-logs'),
    volumePluginDir: join(root, 'volume-plugins'),
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
  };
  const configPath = join(paths.root, 'kubelet.json');
  writeFileSync(configPath, `${JSON.stringify(configuration, null, 2)}\n`);
  return {
    name: 'kubelet',
    program: options.program,
    arguments: [
      `--config=${configPath}`,
      `--kubeconfig=${options.kubeconfig}`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${nodeAddress}`,
      `--root-dir=${root}`,
      `--cert-dir=${join(root, 'pki')}`,
    ],
  };
}

export interface KubeProxyOptions {
  readonly program: string;
  readonly kubeconfig: string;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Whether packets from pod to pod pass the packet filter. */
  readonly bridgedPacketsFiltered: boolean;
}

/** What makes Services' addresses work; it changes none of the machine's connection-tracking settings. */
export function kubeProxy(options: KubeProxyOptions): Daemon {
  return {
    name: 'kube-proxy',
    program: options.program,
    arguments: [
      `--kubeconfig=${options.kubeconfig}`,
      `--hostname-override=${nodeName}`,
      `--cluster-cidr=${podRange}`,
      '--proxy-mode=iptables',
      '--iptables-localhost-nodeports=false',
      // Node ports are for this machine alone, not for its neighbours.
      `--nodeport-addresses=${nodeAddress}/32`,
      '--conntrack-max-per-core=0',
      '--conntrack-tcp-timeout-established=0',
      '--conntrack-tcp-timeout-close-wait=0',
      '--oom-score-adj=0',
      `--healthz-bind-address=127.0.0.1:${options.healthPort}`,
      `--metrics-bind-address=127.0.0.1:${options.metricsPort}`,
      ...(options.bridgedPacketsFiltered ? [] : ['--masquerade-all=true']),
    ],
  };
}
