import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateStore, type KeyPair } from '../../dev/cluster/certificates.ts';
import { run, type CommandResult } from '../../dev/cluster/command.ts';
import {
  apiServerArguments,
  controllerManagerArguments,
  etcdArguments,
} from '../../dev/cluster/control-plane.ts';
import { freePorts } from '../../dev/cluster/ports.ts';
import { identify } from '../../dev/cluster/process-identity.ts';
import { apiServerPrograms } from '../../dev/cluster/programs.ts';
import { waitForApiServer } from '../../dev/cluster/readiness.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';

const readyTimeoutMs = 60_000;
const directoryPrefix = 'segue-api-server-';

export interface ApiServerOptions {
  /** Also runs the controllers: Deployments get pods (which stay Pending), garbage is collected. */
  readonly controllerManager?: boolean;
}

interface Launch {
  readonly name: string;
  readonly program: string;
  readonly arguments: readonly string[];
}

/** A test process that was killed leaves its directory behind, though not its servers. */
function removeAbandonedDirectories(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = name.startsWith(directoryPrefix) ? Number(name.split('-')[3]) : Number.NaN;
    if (Number.isInteger(owner) && identify(owner) === undefined) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

/**
 * A real API server with an etcd of its own, on free ports of the loopback address; no pods run. Several may
 * run side by side. It ends with the process that started it, even if that one is killed.
 */
export class PrivateApiServer {
  /** Base URL, `https://127.0.0.1:<port>`. */
  readonly url: string;
  /** Path of a kubeconfig for a user who may do everything. */
  readonly kubeconfig: string;

  readonly #directory: string;
  readonly #authority: string;
  readonly #admin: KeyPair;
  readonly #kubectl: string;
  readonly #launches: readonly Launch[];
  readonly #running = new Map<string, ChildProcess>();

  private constructor(parts: {
    readonly url: string;
    readonly kubeconfig: string;
    readonly directory: string;
    readonly authority: string;
    readonly admin: KeyPair;
    readonly kubectl: string;
    readonly launches: readonly Launch[];
  }) {
    this.url = parts.url;
    this.kubeconfig = parts.kubeconfig;
    this.#directory = parts.directory;
    this.#authority = parts.authority;
    this.#admin = parts.admin;
    this.#kubectl = parts.kubectl;
    this.#launches = parts.launches;
  }

  /**
   * Starts the servers and waits until they are ready, a few seconds; the first time on a machine it builds
   * their programs, which takes minutes.
   */
  static async start(options: ApiServerOptions = {}): Promise<PrivateApiServer> {
    removeAbandonedDirectories();
    const programs = await ensurePrograms(apiServerPrograms);
    const directory = mkdtempSync(join(tmpdir(), `${directoryPrefix}${process.pid}-`));
    const certificates = new CertificateStore(join(directory, 'certificates'));
    const authority = await certificates.authority();
    const [server, admin] = await Promise.all([
      certificates.issue('server', {
        commonName: 'kube-apiserver',
        hosts: ['127.0.0.1', 'localhost', 'kubernetes.default.svc'],
      }),
      certificates.issue('admin', { commonName: 'admin', organization: 'system:masters' }),
    ]);
    const serviceAccount = certificates.serviceAccountKeys();
    const [port = 0, clientPort = 0, peerPort = 0, controllerPort = 0] = await freePorts(4);
    const url = `https://127.0.0.1:${port}`;
    const kubeconfig = await certificates.kubeconfig(join(directory, 'kubeconfig'), url, admin);
    const api = new PrivateApiServer({
      url,
      kubeconfig,
      directory,
      authority: authority.certificate,
      admin,
      kubectl: programs.kubectl,
      launches: [
        {
          name: 'etcd',
          program: programs.etcd,
          arguments: etcdArguments({ dataDirectory: join(directory, 'etcd'), clientPort, peerPort }),
        },
        {
          name: 'kube-apiserver',
          program: programs['kube-apiserver'],
          arguments: apiServerArguments({
            etcdPort: clientPort,
            port,
            bindAddress: '127.0.0.1',
            authority,
            server,
            kubeletClient: admin,
            serviceAccount,
          }),
        },
        {
          name: 'kube-controller-manager',
          program: programs['kube-controller-manager'],
          arguments: [
            ...controllerManagerArguments({ kubeconfig, port: controllerPort, authority, serviceAccount }),
            // Nodes stand on paper: after a minute without a heartbeat no DaemonSet would get a pod on them.
            '--node-startup-grace-period=24h',
          ],
        },
      ],
    });
    try {
      api.#launch('etcd');
      await api.startApiServer();
      if (options.controllerManager === true) api.#launch('kube-controller-manager');
      return api;
    } catch (error) {
      await api.stop();
      throw error;
    }
  }

  #launch(name: string): void {
    const launch = this.#launches.find((candidate) => candidate.name === name);
    if (launch === undefined) throw new Error(`no such server: ${name}`);
    const log = openSync(join(this.#directory, `${name}.log`), 'a');
    // The kernel ends the server when this process ends, however that happens.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', launch.program, ...launch.arguments], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', () => undefined);
    this.#running.set(name, child);
  }

  #ended(name: string): string | undefined {
    const child = this.#running.get(name);
    if (
      child !== undefined &&
      child.pid !== undefined &&
      child.exitCode === null &&
      child.signalCode === null
    ) {
      return undefined;
    }
    const log = readFileSync(join(this.#directory, `${name}.log`), 'utf8');
    return `${name} ended: ${log.split('\n').slice(-15).join('\n')}`;
  }

  async #kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Kills the API server, connections and all, and keeps its port and etcd for `startApiServer`. */
  async killApiServer(): Promise<void> {
    await this.#kill('kube-apiserver');
  }

  /** Starts the API server again on the same port, with what etcd holds, and waits until it is ready. */
  async startApiServer(): Promise<void> {
    this.#launch('kube-apiserver');
    await waitForApiServer(this.url, this.#authority, this.#admin, {
      timeoutMs: readyTimeoutMs,
      what: `the API server at ${this.url}`,
      givenUp: () => this.#ended('etcd') ?? this.#ended('kube-apiserver'),
    });
  }

  /** Makes the API server fall silent: its connections stay open and nothing is answered. */
  pauseApiServer(): void {
    this.#running.get('kube-apiserver')?.kill('SIGSTOP');
  }

  /** Ends a `pauseApiServer`. */
  resumeApiServer(): void {
    this.#running.get('kube-apiserver')?.kill('SIGCONT');
  }

  /** Runs kubectl against this server; a command that fails is a result, not an exception. */
  async kubectl(args: readonly string[], input?: string): Promise<CommandResult> {
    return run(this.#kubectl, [`--kubeconfig=${this.kubeconfig}`, ...args], {
      ...(input === undefined ? {} : { input }),
      // Otherwise kubectl keeps what it discovered in the user's home directory.
      env: { KUBECACHEDIR: join(this.#directory, 'kubectl-cache') },
    });
  }

  /** Ends the servers and removes their directory. */
  async stop(): Promise<void> {
    for (const name of ['kube-controller-manager', 'kube-apiserver', 'etcd']) await this.#kill(name);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** See {@link PrivateApiServer.start}. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<PrivateApiServer> {
  return PrivateApiServer.start(options);
}
