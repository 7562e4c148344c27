import type { KeyPair, ServiceAccountKeys } from './certificates.ts';

/** Virtual addresses of Services; a range of its own, so that one route covers it. */
export const serviceRange = '10.96.0.0/16';
/** The first address of the service range: the Service `kubernetes`. */
export const apiServiceAddress = '10.96.0.1';

export interface EtcdOptions {
  readonly dataDirectory: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

/**
 * etcd on loopback. It does not wait for the disk: a local cluster does not outlive the machine's crash
 * anyway, and a slow disk would make the API server slow.
 */
export function etcdArguments({ dataDirectory, clientPort, peerPort }: EtcdOptions): readonly string[] {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    '--name=default',
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export interface ApiServerOptions {
  readonly etcdPort: number;
  readonly port: number;
  /** Where it listens. */
  readonly bindAddress: string;
  /** The address behind the Service `kubernetes`; undefined keeps that Service without endpoints. */
  readonly advertiseAddress?: string;
  readonly authority: KeyPair;
  readonly server: KeyPair;
  /** The API server as a client of kubelets. */
  readonly kubeletClient: KeyPair;
  readonly serviceAccount: ServiceAccountKeys;
}

export function apiServerArguments(options: ApiServerOptions): readonly string[] {
  const { advertiseAddress, authority, server, kubeletClient, serviceAccount } = options;
  return [
    `--etcd-servers=http://127.0.0.1:${options.etcdPort}`,
    `--secure-port=${options.port}`,
    `--bind-address=${options.bindAddress}`,
    ...(advertiseAddress === undefined
      ? ['--advertise-address=127.0.0.1', '--endpoint-reconciler-type=none']
      : [`--advertise-address=${advertiseAddress}`]),
    `--client-ca-file=${authority.certificate}`,
    `--tls-cert-file=${server.certificate}`,
    `--tls-private-key-file=${server.key}`,
    `--kubelet-client-certificate=${kubeletClient.certificate}`,
    `--kubelet-client-key=${kubeletClient.key}`,
    // Names of nodes can't be resolved; without this, logs and exec fail.
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${serviceAccount.publicKey}`,
    `--service-account-signing-key-file=${serviceAccount.privateKey}`,
    `--service-cluster-ip-range=${serviceRange}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--profiling=false',
  ];
}

export interface ControllerManagerOptions {
  readonly kubeconfig: string;
  readonly port: number;
  readonly authority: KeyPair;
  readonly serviceAccount: ServiceAccountKeys;
}

export function controllerManagerArguments(options: ControllerManagerOptions): readonly string[] {
  return [
    `--kubeconfig=${options.kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${options.port}`,
    '--leader-elect=false',
    // Each controller with no more rights than its own, as in any real cluster.
    '--use-service-account-credentials=true',
    `--root-ca-file=${options.authority.certificate}`,
    `--service-account-private-key-file=${options.serviceAccount.privateKey}`,
    `--cluster-signing-cert-file=${options.authority.certificate}`,
    `--cluster-signing-key-file=${options.authority.key}`,
    '--profiling=false',
  ];
}

export function schedulerArguments(kubeconfig: string, port: number): readonly string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--leader-elect=false',
    '--profiling=false',
  ];
}
