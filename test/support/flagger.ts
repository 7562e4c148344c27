/** Flagger as its own authors publish it: its CRDs and its controller, of the version that the toolchain pins. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { PrivateApiServer } from './api-server.ts';
import { sourceOf } from './go-module.ts';

/** The controller, as a process of this one's. */
export class Flagger {
  readonly #child: ChildProcess;
  #log = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (data: Buffer) => {
      this.#log = `${this.#log}${data.toString()}`.slice(-20_000);
    });
  }

  /** For one namespace; rolls out blue/green by Services alone, which needs no mesh. */
  static async start(api: PrivateApiServer, namespace: string): Promise<Flagger> {
    const { flagger } = await ensurePrograms(['flagger']);
    const crds = join(await sourceOf('flagger', 'github.com/fluxcd/flagger'), 'artifacts/flagger/crd.yaml');
    for (const args of [
      ['apply', '--server-side', '-f', crds],
      ['wait', '--for=condition=Established', '-f', crds, '--timeout=60s'],
    ]) {
      const { code, stderr } = await api.kubectl(args);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    }
    const [port = 0] = await freePorts(1);
    const child = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        '--',
        flagger,
        `-kubeconfig=${api.kubeconfig}`,
        `-namespace=${namespace}`,
        '-mesh-provider=kubernetes',
        // Nobody is there, which it logs: no metric is asked for.
        '-metrics-server=http://127.0.0.1:9',
        '-control-loop-interval=1s',
        `-port=${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } },
    );
    return new Flagger(child);
  }

  /** The end of what it said, for the message of a test that fails. */
  get log(): string {
    return this.#log;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
