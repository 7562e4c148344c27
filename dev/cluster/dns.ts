import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterPaths } from './cluster-state.ts';
import type { Daemon } from './daemons.ts';
import { nodeAddress } from './network.ts';
import { clusterDomain, dnsServiceAddress } from './node-programs.ts';

/** Not 53, which a name server of the machine may have on all addresses. */
const dnsPort = 10_053;

export interface DnsOptions {
  readonly program: string;
  readonly kubeconfig: string;
  readonly readyPort: number;
}

/** The user that the name server is to the API server. */
export const dnsUser = 'segue:cluster-dns';

/** The name server of the cluster; names outside the cluster do not exist for it. */
export function clusterDns(paths: ClusterPaths, options: DnsOptions): Daemon {
  const configPath = join(paths.root, 'Corefile');
  writeFileSync(
    configPath,
    `.:${dnsPort} {
  bind ${nodeAddress}
  errors
  ready 127.0.0.1:${options.readyPort}
  kubernetes ${clusterDomain} in-addr.arpa {
    kubeconfig ${options.kubeconfig}
    ttl 5
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`,
  );
  return { name: 'coredns', program: options.program, arguments: ['-conf', configPath] };
}

const metadata = { name: 'kube-dns', namespace: 'kube-system' } as const;
const ports = (port: number): readonly object[] => [
  { name: 'dns', protocol: 'UDP', port },
  { name: 'dns-tcp', protocol: 'TCP', port },
];

/** The name server's rights, and a Service that leads to it, a process of the machine and not a pod. */
export const dnsManifests = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: dnsUser },
      rules: [
        { apiGroups: [''], resources: ['services', 'namespaces', 'pods'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: dnsUser },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: dnsUser },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: dnsUser }],
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: dnsServiceAddress, ports: ports(53) },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': metadata.name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
      ports: ports(dnsPort),
    },
  ],
} as const;
