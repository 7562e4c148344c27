/** What the whole changes of a file of tests share: an API server with its controllers, a PostgreSQL server, the operator's program. */
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runOrThrow } from '../../../dev/cluster/command.ts';
import { startPostgres, type Postgres } from '../../../dev/postgres.ts';
import { connect, type Cluster } from '../../../src/kube/client.ts';
import type { Resource } from '../../../src/kube/resources.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';

const project = path.join(import.meta.dirname, '..', '..', '..');
const nodes: Resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

/** The name of the one node that there is on paper. */
export const node = 'node-1';

export class Servers {
  readonly api: PrivateApiServer;
  readonly postgres: Postgres;
  /** Past every proxy. */
  readonly cluster: Cluster;
  /** The operator in one file, which starts in a third of the time. */
  readonly program: string;
  /** Gone with the servers. */
  readonly directory: string;

  private constructor(parts: Pick<Servers, 'api' | 'postgres' | 'cluster' | 'program' | 'directory'>) {
    this.api = parts.api;
    this.postgres = parts.postgres;
    this.cluster = parts.cluster;
    this.program = parts.program;
    this.directory = parts.directory;
  }

  static async start(): Promise<Servers> {
    const api = await startApiServer({ controllerManager: true });
    const directory = await mkdtemp(path.join(tmpdir(), 'segue-faults-'));
    // PostgreSQL runs as another user, who must be able to pass.
    await chmod(directory, 0o755);
    const postgres = await startPostgres({ dataDir: path.join(directory, 'data'), durable: false });
    const program = await bundle(directory);
    const crd = path.join(project, 'crds', 'schemachanges.segue.dev.yaml');
    await api.kubectl(['apply', '--server-side', '-f', crd]);
    await api.kubectl([
      'wait',
      '--for=condition=Established',
      'crd/schemachanges.segue.dev',
      '--timeout=60s',
    ]);
    const cluster = connect({ kubeconfig: api.kubeconfig });
    await cluster.create({ resource: nodes, name: node }, {});
    return new Servers({ api, postgres, cluster, program, directory });
  }

  async stop(): Promise<void> {
    await this.cluster.close();
    await this.postgres.stop();
    await this.api.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Makes one file of the operator, as its image has it, out of the way of whoever bundles next. */
const bundle = async (directory: string): Promise<string> => {
  await runOrThrow('npm', ['run', '--silent', 'bundle'], { cwd: project });
  for (const file of ['segue.mjs', 'libpg-query.wasm'])
    await copyFile(path.join(project, 'build', file), path.join(directory, file));
  return path.join(directory, 'segue.mjs');
};
