/** One SchemaChange with a blue/green roll-out, made by a real operator behind a faulty line to the API server. */
import pg from 'pg';
import type { SchemaChange, SchemaChangeSpec, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { events, leases, schemaChanges, secrets, type Ref } from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { PostgresLine } from '../../support/postgres-line.ts';
import { blueGreen, release, replicas, Shop } from '../rollout/shop.ts';
import { History } from './history.ts';
import { node, type Servers } from './servers.ts';
import { SupervisedOperator } from './supervised-operator.ts';

const rows = 2_000;

/** On a machine that has many other things to do. */
const limitMs = 900_000;

// The audit is the test's own: every command that changes the schema, in the transaction that does it.
const tables = `CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL, last_name text NOT NULL, city text);
  INSERT INTO customers (first_name, last_name) SELECT 'Ann' || i, 'Lee' FROM generate_series(1, ${rows}) i;
  CREATE SCHEMA audit;
  CREATE TABLE audit.ddl (n bigint GENERATED ALWAYS AS IDENTITY, command text);
  CREATE FUNCTION audit.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit.ddl (command) SELECT tg_tag || coalesce(' ' || string_agg(object_identity, ', '), '') FROM pg_event_trigger_ddl_commands();
  END $$;
  CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION audit.note()`;

const change: SchemaChangeSpec['change'] = {
  replaceColumns: {
    table: 'customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: `first_name || ' ' || last_name` },
    backward: { first_name: `split_part(full_name, ' ', 1)`, last_name: `split_part(full_name, ' ', 2)` },
  },
};

/** What a change works on, in a form that is the same for each place. */
interface Surroundings {
  readonly objects: readonly string[];
  readonly schema: readonly string[];
  readonly rows: unknown;
}

/** What a change leaves behind, in a form that is the same for each run that went as it should. */
export interface EndState extends Surroundings {
  readonly resource: unknown;
  /** Steps as the ledger has them, each written with its effect. */
  readonly ledger: readonly string[];
  /** Commands that changed the schema. */
  readonly ddl: readonly string[];
  /** What was done to the shop. */
  readonly steps: readonly string[];
  /** No endpoint was ever missing. */
  readonly fewestEndpoints: number;
}

export class WholeChange {
  readonly shop: Shop;
  readonly proxy: FaultProxy;
  readonly line: PostgresLine;
  readonly history: History;
  readonly client: pg.Client;
  readonly namespace: string;
  readonly #servers: Servers;
  readonly #stop = new AbortController();
  #operator: SupervisedOperator | undefined;

  private constructor(
    parts: Pick<WholeChange, 'shop' | 'proxy' | 'line' | 'history' | 'client' | 'namespace'>,
    servers: Servers,
  ) {
    this.shop = parts.shop;
    this.proxy = parts.proxy;
    this.line = parts.line;
    this.history = parts.history;
    this.client = parts.client;
    this.namespace = parts.namespace;
    this.#servers = servers;
  }

  /** A shop, its database and the lines to both; no operator yet. */
  static async open(servers: Servers, namespace: string): Promise<WholeChange> {
    const shop = await Shop.open({ cluster: servers.cluster, api: servers.api, node }, namespace, blueGreen);
    const admin = new pg.Client(servers.postgres.uri);
    await admin.connect();
    await admin.query(`CREATE DATABASE "${namespace}"`);
    await admin.end();
    const uri = servers.postgres.uri.replace(/\/postgres$/, `/${namespace}`);
    const client = new pg.Client(uri);
    client.on('error', () => undefined);
    await client.connect();
    await client.query(tables);
    const line = await PostgresLine.open(uri);
    await servers.cluster.create(
      { resource: secrets, namespace, name: 'db' },
      { data: { uri: Buffer.from(line.uri).toString('base64') } },
    );
    const proxy = await FaultProxy.start(servers.api);
    const history = new History(servers.cluster, namespace);
    await history.begin();
    return new WholeChange({ shop, proxy, line, history, client, namespace }, servers);
  }

  /** Aborted when it is cleared away. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** The operator that runs, and runs again. */
  get operator(): SupervisedOperator {
    if (this.#operator === undefined) throw new Error('No operator was started.');
    return this.#operator;
  }

  /** Its Lease lies beside the resource unless said otherwise. */
  startOperator({
    onEnd,
    leaseNamespace = this.namespace,
  }: { readonly onEnd?: () => Promise<void>; readonly leaseNamespace?: string } = {}): void {
    const { program, directory } = this.#servers;
    const env = {
      KUBECONFIG: this.proxy.kubeconfig,
      NODE_COMPILE_CACHE: `${directory}/compiled`,
      SEGUE_WATCH_NAMESPACES: this.namespace,
      SEGUE_LEASE_NAMESPACE: leaseNamespace,
      SEGUE_IDENTITY: 'operator',
      SEGUE_HTTP_PORT: '0',
    };
    this.#operator = new SupervisedOperator({ program, env, ...(onEnd === undefined ? {} : { onEnd }) });
  }

  /** Applies the SchemaChange. */
  async apply(spec: Partial<SchemaChangeSpec> = {}): Promise<void> {
    await this.#servers.cluster.apply(
      this.ref,
      {
        spec: {
          database: { secretRef: { name: 'db' } },
          change,
          workloads: [{ ...blueGreen, releases: [{ ...release, code: 'new-only' }] }],
          quarantine: { duration: '1s' },
          ...spec,
        },
      },
      { force: true, fieldManager: 'test' },
    );
  }

  get ref(): Ref<SchemaChange> {
    return { resource: schemaChanges, namespace: this.namespace, name: 'names' };
  }

  /** Merges into the resource, as `kubectl patch` would. */
  async patch(body: object): Promise<void> {
    await this.#servers.cluster.patch(this.ref, body, { type: 'merge' });
  }

  /** Takes the Lease away from a process that is known to be dead, which its successor could only wait for. */
  async takeLease(): Promise<void> {
    await this.#servers.cluster.delete({ resource: leases, namespace: this.namespace, name: 'segue' });
  }

  async status(): Promise<SchemaChangeStatus> {
    return (await this.#servers.cluster.get(this.ref))?.status ?? {};
  }

  /** Waits until the status fits. @throws with the last status and the end of the operator's log. */
  async until(fits: (status: SchemaChangeStatus) => boolean, withinMs: number): Promise<SchemaChangeStatus> {
    return eventually(async () => {
      const status = await this.status();
      if (fits(status)) return status;
      throw new Error(`${JSON.stringify(status, undefined, 1)}\n${this.operator.log}`);
    }, withinMs);
  }

  async reached(phase: SchemaChangeStatus['phase'], withinMs = limitMs): Promise<void> {
    await this.until((status) => status.phase === phase, withinMs);
  }

  /** The Events about the resource as `Type Reason Action: note`, times taken out. */
  async told(): Promise<readonly string[]> {
    const { items } = await this.#servers.cluster.list(events, { namespace: this.namespace });
    return items
      .filter(({ regarding }) => regarding?.kind === 'SchemaChange')
      .map(
        ({ type, reason, action, note = '' }) =>
          `${type} ${reason} ${action}: ${note.replaceAll(/\d+-\d+-\d+T[\d:.]+Z/g, '…')}`,
      );
  }

  /** Resolves with the resource once the shop's pods have come to rest and nothing holds it. */
  async atRest(): Promise<SchemaChange | undefined> {
    return eventually(async () => {
      const left = [...(await this.shop.leftovers())];
      const { length } = await this.shop.podNames();
      const found = await this.#servers.cluster.get(this.ref);
      left.push(...(found?.metadata.finalizers ?? []));
      if (left.length > 0 || length !== replicas) throw new Error(`${length} pods; ${left.join(', ')}`);
      return found;
    }, limitMs);
  }

  /** The shop's objects, the schema and the rows. */
  async surroundings(): Promise<Surroundings> {
    const deployment = await this.shop.deployment();
    const service = await this.shop.service();
    const found = await this.client.query(
      `SELECT count(*)::int, md5(string_agg(c::text, '|' ORDER BY id)) FROM customers c`,
    );
    return {
      objects: [
        JSON.stringify(deployment?.spec),
        ...Object.keys(deployment?.metadata.annotations ?? {}),
        JSON.stringify(deployment?.metadata.labels),
        JSON.stringify(service?.spec.selector),
        ...Object.keys(service?.metadata.annotations ?? {}),
      ],
      schema: await this.#lines(schemaQuery),
      rows: found.rows[0],
    };
  }

  /** What there is once it has come to rest. */
  async endState(): Promise<EndState> {
    const status = (await this.atRest())?.status;
    return {
      ...(await this.surroundings()),
      resource: {
        phase: status?.phase,
        conditions: status?.conditions?.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`),
        history: status?.history?.map(({ phase, completedAt }) => [phase, completedAt !== undefined]),
        verification: status?.verification,
        rollouts: status?.rollouts,
      },
      ledger: await this.#lines(
        `SELECT format('%s %s %s', step, purpose, direction) AS line FROM (TABLE segue.expand_step UNION ALL TABLE segue.contract_step) s ORDER BY started_at, number`,
      ),
      // Numbers of changes have gaps where a transaction was undone.
      ddl: await this.#lines(
        `SELECT regexp_replace(command, '(~segue|forward|backward|sync|differs|compare)_\\d+', '\\1_n', 'g') AS line FROM audit.ddl WHERE command NOT LIKE '%audit.%' ORDER BY n`,
      ),
      steps: this.history.steps,
      fewestEndpoints: this.history.fewest,
    };
  }

  async #lines(query: string): Promise<readonly string[]> {
    return (await this.client.query<{ line: string }>(query)).rows.map(({ line }) => line);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.proxy.shuffle = undefined;
    this.proxy.decide = () => undefined;
    this.proxy.heal();
    await this.#operator?.stop();
    await this.shop.kubelet.stop();
    await this.history.end();
    await this.client.end();
    await this.line.close();
    await this.proxy.stop();
  }
}

const schemaQuery = `
  SELECT format('%s.%s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND nspname = 'public'
  UNION ALL SELECT format('trigger %s', tgname) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT format('function %s', proname) FROM pg_proc WHERE pronamespace = to_regnamespace('segue') AND proname !~ '^note_'
  UNION ALL SELECT format('constraint %s', conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  ORDER BY 1`;
