/** Argo CD as its own authors publish it: CRDs, controller, repository server and API server, as processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type CommandResult } from '../../dev/cluster/command.ts';
import { freePorts } from '../../dev/cluster/ports.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { PrivateApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';
import { sourceOf } from './go-module.ts';
import { Redis } from './redis.ts';

const root = join(import.meta.dirname, '../..');
const namespace = 'argocd';

/** What `kubectl patch` is given in a real one: health and actions of SchemaChanges. */
export const settings = join(root, 'gitops/argo-cd/argocd-cm.yaml');

/** Runs the command line; a command that fails is a result, not an exception. */
export const argocd = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> => {
  const programs = await ensurePrograms(['argocd']);
  return run(programs.argocd, args, { env: { ARGOCD_BINARY_NAME: 'argocd', KUBECONFIG: '', ...env } });
};

const labels = { 'app.kubernetes.io/part-of': 'argocd' };
const object = (apiVersion: string, kind: string, name: string, rest: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name, namespace, labels },
  ...rest,
});

/** What an installation has beside its programs, and no more than the programs ask for. */
const objects: readonly object[] = [
  object('v1', 'ConfigMap', 'argocd-rbac-cm'),
  object('v1', 'ConfigMap', 'argocd-ssh-known-hosts-cm'),
  object('v1', 'ConfigMap', 'argocd-tls-certs-cm'),
  object('v1', 'Secret', 'argocd-secret'),
  object('argoproj.io/v1alpha1', 'AppProject', 'default', {
    spec: {
      sourceRepos: ['*'],
      destinations: [{ server: '*', namespace: '*' }],
      clusterResourceWhitelist: [{ group: '*', kind: '*' }],
    },
  }),
];

const applied = async (api: PrivateApiServer, args: readonly string[], input?: string): Promise<void> => {
  const result = await api.kubectl(['apply', '--server-side', ...args], input);
  if (result.code !== 0) throw new Error(result.stderr);
};

/** CRDs, settings and the project that every installation has. */
const install = async (api: PrivateApiServer): Promise<void> => {
  const manifests = join(await sourceOf('argo-cd', 'github.com/argoproj/argo-cd/v3'), 'manifests');
  for (const name of ['application', 'appproject', 'applicationset'])
    await applied(api, ['-f', join(manifests, 'crds', `${name}-crd.yaml`)]);
  await api.kubectl(['create', 'namespace', namespace]);
  await applied(api, ['-n', namespace, '-f', join(manifests, 'base/config/argocd-cm.yaml')]);
  // As docs/argo-cd.md says.
  const patched = await api.kubectl([
    'patch',
    'configmap',
    'argocd-cm',
    '-n',
    namespace,
    '--patch-file',
    settings,
  ]);
  if (patched.code !== 0) throw new Error(patched.stderr);
  // The project's kind is known a moment after its CRD.
  await eventually(
    () => applied(api, ['-f', '-'], objects.map((one) => JSON.stringify(one)).join('\n')),
    60_000,
  );
};

/** One of the parts of which the program is told to be one. */
interface Part {
  readonly name: string;
  readonly arguments: readonly string[];
}

export class ArgoCd {
  /** `127.0.0.1:<port>` of its API server, where everybody may do everything. */
  readonly server: string;
  /** Gone with it. */
  readonly directory: string;
  readonly #redis: Redis;
  readonly #children: readonly ChildProcess[];

  private constructor(parts: {
    readonly server: string;
    readonly redis: Redis;
    readonly directory: string;
    readonly children: readonly ChildProcess[];
  }) {
    this.server = parts.server;
    this.#redis = parts.redis;
    this.directory = parts.directory;
    this.#children = parts.children;
  }

  /** Installs it, with `gitops/argo-cd/argocd-cm.yaml`, and starts its parts for the namespace `argocd`. */
  static async start(api: PrivateApiServer): Promise<ArgoCd> {
    const programs = await ensurePrograms(['argocd']);
    await install(api);
    const directory = mkdtempSync(join(tmpdir(), 'segue-argo-cd-'));
    const redis = await Redis.start(directory);
    const [repo = 0, repoMetrics = 0, metrics = 0, port = 0, serverMetrics = 0] = await freePorts(5);
    const repoServer = [`--repo-server=127.0.0.1:${repo}`, `--redis=${redis.address}`];
    const kube = [`--kubeconfig=${api.kubeconfig}`, `--namespace=${namespace}`];
    const parts: readonly Part[] = [
      {
        name: 'argocd-repo-server',
        arguments: [
          '--address=127.0.0.1',
          `--port=${repo}`,
          '--metrics-address=127.0.0.1',
          `--metrics-port=${repoMetrics}`,
          `--redis=${redis.address}`,
          '--disable-tls',
        ],
      },
      {
        name: 'argocd-application-controller',
        arguments: [...kube, ...repoServer, '--repo-server-plaintext', `--metrics-port=${metrics}`],
      },
      {
        name: 'argocd-server',
        arguments: [
          ...kube,
          ...repoServer,
          '--repo-server-plaintext',
          '--address=127.0.0.1',
          `--port=${port}`,
          '--metrics-address=127.0.0.1',
          `--metrics-port=${serverMetrics}`,
          '--insecure',
          '--disable-auth',
        ],
      },
    ];
    const env = {
      PATH: process.env['PATH'],
      HOME: directory,
      TMPDIR: directory,
      // Its own cluster is the one that the kubeconfig names.
      KUBECONFIG: api.kubeconfig,
      ARGOCD_FAKE_IN_CLUSTER: 'true',
      ARGOCD_GPG_ENABLED: 'false',
      ARGOCD_ASK_PASS_SOCK: join(directory, 'ask-pass.sock'),
      // It looks at Git as often as a test is impatient.
      ARGOCD_RECONCILIATION_TIMEOUT: '3s',
      ARGOCD_RECONCILIATION_JITTER: '0s',
    };
    const children = parts.map((part) => {
      const log = openSync(join(directory, `${part.name}.log`), 'a');
      // The kernel ends it when this process ends, however that happens.
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', programs.argocd, ...part.arguments], {
        stdio: ['ignore', log, log],
        env: { ...env, ARGOCD_BINARY_NAME: part.name },
      });
      closeSync(log);
      child.on('error', () => undefined);
      return child;
    });
    const started = new ArgoCd({ server: `127.0.0.1:${port}`, redis, directory, children });
    await started.#ready().catch(async (error: unknown) => {
      await started.stop();
      throw error;
    });
    return started;
  }

  async #ready(): Promise<void> {
    await eventually(async () => {
      const answer = await fetch(`http://${this.server}/healthz?full=true`).catch(() => undefined);
      if (answer?.ok !== true) throw new Error(`Argo CD is not ready:\n${this.log}`);
    }, 120_000);
  }

  /** The end of what its parts said, for the message of a test that fails. */
  get log(): string {
    return ['argocd-repo-server', 'argocd-application-controller', 'argocd-server']
      .map((name) => `${name}:\n${readFileSync(join(this.directory, `${name}.log`), 'utf8').slice(-4_000)}`)
      .join('\n');
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await this.#redis.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
