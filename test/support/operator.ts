/** The operator as a process of its own, against a private API server and PostgreSQL: no part of it is a fake. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { startPostgres, type Postgres } from '../../dev/postgres.ts';
import type { ChangeSpec, SchemaChange, SchemaChangeStatus } from '../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../src/kube/client.ts';
import { events, namespaces, schemaChanges, secrets, type Ref } from '../../src/kube/resources.ts';
import { startApiServer, type ApiServerOptions, type PrivateApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';

const project = path.join(import.meta.dirname, '..', '..');

/** A running operator. */
export class Operator {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exited: Promise<unknown>;

  constructor(kubeconfig: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [path.join(project, 'src', 'main.ts')], {
      env: {
        ...process.env,
        KUBECONFIG: kubeconfig,
        SEGUE_LEASE_NAMESPACE: 'default',
        SEGUE_IDENTITY: 'operator-under-test',
        SEGUE_HTTP_PORT: '0',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = once(this.#child, 'exit');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#lines.push(text));
  }

  /** All that it has logged. */
  get log(): string {
    return this.#lines.join('');
  }

  /** Its exit code, once it has ended; null after a signal. */
  get exited(): Promise<number | null> {
    return this.#exited.then(() => this.#child.exitCode);
  }

  /** Stops its clock: SIGSTOP. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Ends a `freeze`. */
  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it as a power cut would. */
  async kill9(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Ends it as the kubelet does; resolves with its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM');
    await this.#exited;
    return this.#child.exitCode;
  }
}

/** Where a test puts its resource: a namespace and a database of its own. */
export interface Place {
  readonly namespace: string;
  /** Of a superuser, on the test's own database. */
  readonly uri: string;
  readonly client: pg.Client;
}

/** API server, PostgreSQL and operator, for a file of tests. */
export class Bench {
  readonly api: PrivateApiServer;
  readonly postgres: Postgres;
  readonly cluster: Cluster;
  operator: Operator;
  readonly #directory: string;
  readonly #clients: pg.Client[] = [];
  #places = 0;

  private constructor(parts: Pick<Bench, 'api' | 'postgres' | 'cluster'> & { readonly directory: string }) {
    this.api = parts.api;
    this.postgres = parts.postgres;
    this.cluster = parts.cluster;
    this.#directory = parts.directory;
    this.operator = new Operator(parts.api.kubeconfig);
  }

  /** Starts all three; the CRD is established before the operator looks for it. */
  static async start(options: ApiServerOptions = { controllerManager: true }): Promise<Bench> {
    const api = await startApiServer(options);
    const directory = await mkdtemp(path.join(tmpdir(), 'segue-bench-'));
    // PostgreSQL runs as another user, who must be able to pass.
    await chmod(directory, 0o755);
    const postgres = await startPostgres({ dataDir: path.join(directory, 'data'), durable: false });
    const crd = path.join(project, 'crds', 'schemachanges.segue.dev.yaml');
    await api.kubectl(['apply', '--server-side', '-f', crd]);
    await api.kubectl([
      'wait',
      '--for=condition=Established',
      'crd/schemachanges.segue.dev',
      '--timeout=30s',
    ]);
    const cluster = connect({ kubeconfig: api.kubeconfig });
    return new Bench({ api, postgres, cluster, directory });
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.end().catch(() => undefined);
    await this.operator.stop();
    await this.cluster.close();
    await this.postgres.stop();
    await this.api.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** A fresh namespace with a database and Secret `db`; `setup` is run in the database. */
  async place(setup: string): Promise<Place> {
    this.#places += 1;
    const namespace = `place-${this.#places}`;
    await this.cluster.create({ resource: namespaces, name: namespace }, {});
    const admin = new pg.Client(this.postgres.uri);
    await admin.connect();
    await admin.query(`CREATE DATABASE "${namespace}"`);
    await admin.end();
    const uri = this.postgres.uri.replace(/\/postgres$/, `/${namespace}`);
    const client = new pg.Client(uri);
    client.on('error', () => undefined);
    await client.connect();
    this.#clients.push(client);
    await client.query(setup);
    await this.secret(namespace, uri);
    return { namespace, uri, client };
  }

  /** Writes Secret `db` of a namespace. */
  async secret(namespace: string, uri: string, key = 'uri'): Promise<void> {
    const data = { [key]: Buffer.from(uri).toString('base64') };
    await this.cluster.apply(
      { resource: secrets, namespace, name: 'db' },
      { data },
      {
        force: true,
      },
    );
  }

  /** Applies a SchemaChange named `change`; quarantine is cut to a second. */
  async apply(place: Place, change: ChangeSpec, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.cluster.apply(
      this.refOf(place),
      {
        spec: { database: { secretRef: { name: 'db' } }, change, quarantine: { duration: '1s' }, ...spec },
      },
      { force: true, fieldManager: 'test' },
    );
  }

  /** Merges into the resource's spec or annotations, as `kubectl patch` would. */
  async patch(place: Place, body: object): Promise<void> {
    await this.cluster.patch(this.refOf(place), body, { type: 'merge' });
  }

  refOf({ namespace }: Place): Ref<SchemaChange> {
    return { resource: schemaChanges, namespace, name: 'change' };
  }

  async status(place: Place): Promise<SchemaChangeStatus> {
    const resource = await this.cluster.get(this.refOf(place));
    return resource?.status ?? {};
  }

  /** Waits until the status fits. @throws with the last status and the end of the operator's log. */
  async until(
    place: Place,
    fits: (status: SchemaChangeStatus) => boolean,
    withinMs = 30_000,
  ): Promise<SchemaChangeStatus> {
    return eventually(async () => {
      const status = await this.status(place);
      if (fits(status)) return status;
      throw new Error(`${JSON.stringify(status, undefined, 1)}\n${this.operator.log.slice(-4_000)}`);
    }, withinMs);
  }

  /** Notes of the Events about the resource, by reason. */
  async events({
    namespace,
  }: Place): Promise<readonly { readonly reason: string; readonly note: string; readonly type: string }[]> {
    const { items } = await this.cluster.list(events, { namespace });
    return items as never;
  }
}

/** True if a condition of the status is True. */
export const holds = (status: SchemaChangeStatus, type: string): boolean =>
  status.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

/** Everything in a database that Segue could have touched: columns, constraints, triggers, schemas, functions. */
export const fingerprint = async (client: pg.Client): Promise<string> => {
  const { rows } = await client.query<{ line: string }>(`
    SELECT format('%s.%s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull) AS line
      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
      WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' AND nspname <> 'segue'
    UNION ALL SELECT format('trigger %s', tgname) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('constraint %s', conname) FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = 'public' AND contype <> 'n'
    ORDER BY 1`);
  return rows.map(({ line }) => line).join('\n');
};

/** Schemas that the operator has made in a database. */
export const hasLedger = async (client: pg.Client): Promise<boolean> => {
  const { rowCount } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'segue'`);
  return rowCount === 1;
};
