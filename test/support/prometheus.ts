/** A real Prometheus, as Debian packages it, that scrapes an exporter of the test's own once a second. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { installedProgram, unpacked } from './debian-program.ts';
import { eventually } from './eventually.ts';

/** A program: the machine's own, or the one of Debian's package. */
export const prometheusProgram = async (name: 'prometheus' | 'promtool'): Promise<string> => {
  const path = `usr/bin/${name}`;
  return (await installedProgram(name)) ?? join(await unpacked({ packages: ['prometheus'], path }), path);
};

/** What it is to do beside scraping the exporter. */
interface Extras {
  /** `host:port` of operators; their own labels are kept. */
  readonly operators?: readonly string[];
  /** Paths of files of rules. */
  readonly rules?: readonly string[];
}

/** Prometheus with the exporter that it scrapes. */
export class Prometheus {
  readonly address: string;
  /** Value of each series, such as `errors{code="new"}`; read at each scrape. */
  readonly series = new Map<string, number>();
  readonly #child: ChildProcess;
  readonly #exporter: Server;
  readonly #directory: string;

  private constructor(parts: {
    readonly port: number;
    readonly child: ChildProcess;
    readonly exporter: Server;
    readonly directory: string;
  }) {
    this.address = `http://127.0.0.1:${parts.port}`;
    this.#child = parts.child;
    this.#exporter = parts.exporter;
    this.#directory = parts.directory;
    parts.exporter.on('request', (_, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end([...this.series].map(([name, value]) => `${name} ${value}\n`).join(''));
    });
  }

  /** Starts both on free ports of the loopback. */
  static async start({ operators = [], rules = [] }: Extras = {}): Promise<Prometheus> {
    const path = await prometheusProgram('prometheus');
    const directory = mkdtempSync(join(tmpdir(), 'segue-prometheus-'));
    const exporter = createServer();
    exporter.listen(0, '127.0.0.1');
    await once(exporter, 'listening');
    const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
    const config = join(directory, 'prometheus.yml');
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
        rule_files: rules,
        scrape_configs: [
          { job_name: 'shop', static_configs: [{ targets: [target] }] },
          { job_name: 'segue', honor_labels: true, static_configs: [{ targets: operators }] },
        ],
      }),
    );
    const [port = 0] = await freePorts(1);
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    // The kernel ends it when this process ends, however that happens.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', path, ...args], { stdio: 'ignore' });
    child.on('error', () => undefined);
    const prometheus = new Prometheus({ port, child, exporter, directory });
    await eventually(async () => {
      if (!(await fetch(`${prometheus.address}/-/ready`)).ok) throw new Error('Prometheus is not ready.');
    }, 60_000);
    return prometheus;
  }

  /** What its HTTP API answers, under `data`. @throws with its own words. */
  async ask<T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
    const query = new URLSearchParams(parameters).toString();
    const response = await fetch(`${this.address}/api/v1/${path}?${query}`);
    const answer = (await response.json()) as { readonly data: T; readonly error?: string };
    if (answer.error !== undefined) throw new Error(`${JSON.stringify(parameters)}: ${answer.error}`);
    return answer.data;
  }

  async stop(): Promise<void> {
    this.#exporter.closeAllConnections();
    this.#exporter.close();
    if (this.#child.exitCode === null && this.#child.pid !== undefined) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
