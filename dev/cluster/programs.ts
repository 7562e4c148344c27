/**
 * A Go module under toolchain/ and what is built from it. Kubernetes pins versions of shared libraries that
 * containerd, helm and CoreDNS do not compile with, so each has a module of its own.
 */
export interface ToolModule {
  /** The module whose version, as the go.mod pins it, the programs are to report, if they report one. */
  readonly version?: {
    readonly of: string;
    readonly linkerVariables: (version: string) => Readonly<Record<string, string>>;
  };
  readonly tags?: readonly string[];
  /** Program name to Go package. */
  readonly programs: Readonly<Record<string, string>>;
}

const kubernetesVariables = (version: string): Record<string, string> => {
  const [major = '', minor = ''] = version.slice(1).split('.');
  const base = 'k8s.io/component-base/version';
  // Without these a program says v0.0.0-master, and clients misread what the server can do.
  return {
    [`${base}.gitVersion`]: version,
    [`${base}.gitMajor`]: major,
    [`${base}.gitMinor`]: minor,
    [`${base}.gitTreeState`]: 'clean',
    [`${base}.gitCommit`]: 'unknown',
    [`${base}.buildDate`]: '2026-01-01T00:00:00Z',
    'k8s.io/client-go/pkg/version.gitVersion': version,
  };
};

/** In the order in which they are built: what the tests of an API server need comes first. */
export const toolModules = {
  kubernetes: {
    version: { of: 'k8s.io/kubernetes', linkerVariables: kubernetesVariables },
    programs: {
      etcd: 'go.etcd.io/etcd/server/v3',
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
    },
  },
  containerd: {
    version: {
      of: 'github.com/containerd/containerd/v2',
      linkerVariables: (version) => ({ 'github.com/containerd/containerd/v2/version.Version': version }),
    },
    // Each of these snapshotters would need a C library or a device of its own; overlayfs is enough.
    tags: ['no_btrfs', 'no_zfs', 'no_devmapper'],
    programs: {
      containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
      'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
      ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
    },
  },
  pause: { programs: { pause: '.' } },
  coredns: { programs: { coredns: '.' } },
  helm: {
    version: {
      of: 'helm.sh/helm/v3',
      linkerVariables: (version) => ({ 'helm.sh/helm/v3/internal/version.version': version }),
    },
    programs: { helm: 'helm.sh/helm/v3/cmd/helm' },
  },
  kind: { programs: { kind: 'sigs.k8s.io/kind' } },
  'argo-rollouts': {
    version: {
      of: 'github.com/argoproj/argo-rollouts',
      linkerVariables: (version) => ({
        'github.com/argoproj/argo-rollouts/utils/version.version': version.slice(1),
        'github.com/argoproj/argo-rollouts/utils/version.gitTreeState': 'clean',
      }),
    },
    programs: { 'rollouts-controller': 'github.com/argoproj/argo-rollouts/cmd/rollouts-controller' },
  },
  flagger: { programs: { flagger: 'github.com/fluxcd/flagger/cmd/flagger' } },
  'argo-cd': {
    version: {
      of: 'github.com/argoproj/argo-cd/v3',
      linkerVariables: (version) => ({
        'github.com/argoproj/argo-cd/v3/common.version': version.slice(1),
        'github.com/argoproj/argo-cd/v3/common.gitTreeState': 'clean',
      }),
    },
    // One program for all of its parts, told by ARGOCD_BINARY_NAME which to be.
    programs: { argocd: 'github.com/argoproj/argo-cd/v3/cmd' },
  },
} as const satisfies Readonly<Record<string, ToolModule>>;

export type ToolModuleName = keyof typeof toolModules;

export type Program = {
  [M in ToolModuleName]: keyof (typeof toolModules)[M]['programs'];
}[ToolModuleName];

/** What a test against a real API server needs: no pods run. */
export const apiServerPrograms = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
] as const satisfies readonly Program[];

/** What a one-node cluster on this very machine needs, and the clients to use it with. */
export const bareMachinePrograms = [
  ...apiServerPrograms,
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'pause',
  'coredns',
  'helm',
] as const satisfies readonly Program[];

/** What a cluster in Docker needs, and the clients to use it with. */
export const kindPrograms = ['kind', 'kubectl', 'helm'] as const satisfies readonly Program[];

export const allPrograms: readonly Program[] = [
  ...bareMachinePrograms,
  'kind',
  'rollouts-controller',
  'flagger',
  'argocd',
];
