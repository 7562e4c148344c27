/**
 * The operator as it is shipped, one bundled file, against an API server of its own: no other process shares its
 * memory, and what stands in its image runs here.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SchemaChange } from '../src/api/schema-change.ts';
import { connect, type Cluster } from '../src/kube/client.ts';
import { namespaces, schemaChanges, secrets, type Ref } from '../src/kube/resources.ts';
import { startApiServer, type PrivateApiServer } from '../test/support/api-server.ts';
import { MemoryLimit } from './memory-limit.ts';
import { change } from './segue.ts';

const project = path.join(import.meta.dirname, '..');
const namespace = 'bench';
const resource: Ref<SchemaChange> = { resource: schemaChanges, namespace, name: 'change' };

const bundled = async (): Promise<string> => {
  const build = spawn('npm', ['run', '--silent', 'bundle'], { cwd: project, stdio: 'inherit' });
  const [code] = (await once(build, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`npm run bundle ended with ${code}.`);
  return path.join(project, 'build', 'segue.mjs');
};

/** What a process holds of the machine's memory, and the most that it ever held, in bytes (proc(5)). */
export interface Memory {
  readonly resident: number;
  readonly peak: number;
}

/** An API server of its own that knows SchemaChanges; the first time on a machine its programs are built, in minutes. */
export const startBenchApi = async (): Promise<PrivateApiServer> => {
  const api = await startApiServer();
  const crd = path.join(project, 'crds', 'schemachanges.segue.dev.yaml');
  for (const command of [
    ['apply', '--server-side', '-f', crd],
    ['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=30s'],
  ]) {
    const { code, stderr } = await api.kubectl(command);
    if (code !== 0) throw new Error(`kubectl ${command.join(' ')}: ${stderr}`);
  }
  return api;
};

/** The operator's process. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #limit: MemoryLimit | undefined;
  /** The end of it. */
  #log = '';
  /** Where it listens, which its first line says. */
  #port: string | undefined;

  private constructor(child: ChildProcess, limit: MemoryLimit | undefined) {
    this.#child = child;
    this.#limit = limit;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = `${this.#log}${text}`.slice(-20_000);
        this.#port ??= /"port":(\d+)/.exec(this.#log)?.[1];
      });
  }

  /** Bundles it and starts it, with the memory that the chart gives it where this process may limit it. */
  static async start(api: PrivateApiServer): Promise<OperatorProcess> {
    const program = await bundled();
    const limit = await MemoryLimit.make();
    const [command, args] = limit?.command(process.execPath, [program]) ?? [process.execPath, [program]];
    const child = spawn(command, args, {
      env: {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        KUBECONFIG: api.kubeconfig,
        SEGUE_LEASE_NAMESPACE: 'default',
        SEGUE_IDENTITY: 'bench',
        SEGUE_HTTP_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new OperatorProcess(child, limit);
  }

  /** How its memory was limited, for a note. */
  get memoryLimit(): string {
    return this.#limit === undefined
      ? 'without a memory limit, for this process may not set one'
      : `with a memory limit of ${this.#limit.bytes / 1024 ** 2} Mi, the chart's`;
  }

  /** @throws with the end of its log, if it has ended */
  mustRun(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw new Error(`The operator ended: ${this.#log}`);
  }

  async memory(): Promise<Memory> {
    const text = await readFile(`/proc/${this.#child.pid}/status`, 'utf8');
    const bytes = (name: string): number =>
      1_024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
    return { resident: bytes('VmRSS'), peak: bytes('VmHWM') };
  }

  /** What its telemetry server answers; undefined while it does not listen yet. */
  async ask(
    path: '/metrics' | '/readyz',
  ): Promise<{ readonly ok: boolean; readonly text: string } | undefined> {
    this.mustRun();
    if (this.#port === undefined) return undefined;
    const answer = await fetch(`http://127.0.0.1:${this.#port}${path}`).catch(() => undefined);
    return answer === undefined ? undefined : { ok: answer.ok, text: await answer.text() };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await Promise.race([ended, sleep(25_000, undefined, { ref: false })]);
      this.#child.kill('SIGKILL');
      await ended;
    }
    await this.#limit?.remove();
  }
}

/** Operator and API server of a benchmark of one change. */
export class BenchOperator {
  readonly #api: PrivateApiServer;
  readonly #cluster: Cluster;
  readonly #process: OperatorProcess;

  private constructor(api: PrivateApiServer, cluster: Cluster, operator: OperatorProcess) {
    this.#api = api;
    this.#cluster = cluster;
    this.#process = operator;
  }

  /** Starts both. */
  static async start(): Promise<BenchOperator> {
    const api = await startBenchApi();
    return new BenchOperator(api, connect({ kubeconfig: api.kubeconfig }), await OperatorProcess.start(api));
  }

  /** Has a change of a database carried out as far as Backfill. */
  async apply(uri: string): Promise<void> {
    await this.#cluster.create({ resource: namespaces, name: namespace }, {});
    const data = { uri: Buffer.from(uri).toString('base64') };
    await this.#cluster.apply({ resource: secrets, namespace, name: 'db' }, { data }, { force: true });
    await this.#cluster.apply(
      resource,
      { spec: { database: { secretRef: { name: 'db' } }, change, targetPhase: 'Backfill' } },
      { force: true, fieldManager: 'bench' },
    );
  }

  /** The condition `Backfilled`, and what the status says. @throws if the operator has ended */
  async progress(): Promise<{ readonly done: boolean; readonly message: string }> {
    this.#process.mustRun();
    const { status } = (await this.#cluster.get(resource)) ?? {};
    const done = status?.conditions?.some(({ type, status: is }) => type === 'Backfilled' && is === 'True');
    return { done: done ?? false, message: status?.message ?? '' };
  }

  memory(): Promise<Memory> {
    return this.#process.memory();
  }

  /** How its memory was limited, for a note. */
  get memoryLimit(): string {
    return this.#process.memoryLimit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await this.#cluster.close();
    await this.#api.stop();
  }
}
