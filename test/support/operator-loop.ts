/**
 * The operator's own loop over one SchemaChange and a real database: observe, decide, act, status. Only the API
 * server is in memory. Nothing is kept between two looks that a restart would lose.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { approveAnnotation, retryAnnotation, verifyAnnotation } from '../../src/api/names.ts';
import type { Phase } from '../../src/api/phase.ts';
import type { ChangeSpec, SchemaChange, SchemaChangeSpec } from '../../src/api/schema-change.ts';
import type { Notifier } from '../../src/notify/notifier.ts';
import { Databases } from '../../src/database/databases.ts';
import { systemClock } from '../../src/kube/clock.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { objectPath, schemaChanges, secrets } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { Claims } from '../../src/reconcile/claims.ts';
import type { ClusterSide } from '../../src/reconcile/observe.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { glance } from '../../src/reconcile/glance.ts';
import type { Next } from '../../src/reconcile/next.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { SecretReader, secretFreshMs } from '../../src/reconcile/secret-reader.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { MemoryCluster } from './memory-cluster.ts';
import { aSpec } from './world.ts';

const namespace = 'shop';

/** What a look led to. */
export interface Look {
  /** What was done, by the loop's name for it; undefined if it only waited. */
  readonly did: string | undefined;
  readonly phase: string;
  /** Why it stands as it does, whatever could be read. */
  readonly reason: string;
  readonly message: string;
  readonly blockedBy: string;
  /** When the loop wants to look again; undefined: not before something changes. */
  readonly afterMs: number | undefined;
}

/** What a test may say of its resource; the rest is as the API server fills it in, without workloads. */
export interface LoopOptions {
  readonly name?: string;
  readonly spec?: Partial<SchemaChangeSpec>;
  /** Addresses of read replicas; of each a Secret is made, and named in the resource. */
  readonly replicas?: readonly string[];
  /** Made anew with every start of the loop, as all else that is in memory. */
  readonly notifier?: () => Notifier;
}

/** See the file's head. */
export class OperatorLoop {
  readonly name: string;
  /** Every look that did something or had something new to say. */
  readonly told: Look[] = [];
  readonly #cluster = new MemoryCluster();
  readonly #log = pino({ level: 'silent' });
  readonly #registry = new Registry();
  readonly #metrics: Metrics = createMetrics(this.#registry);
  readonly #events: EventRecorder;
  readonly #notifier: (() => Notifier) | undefined;
  #databases = new Databases();
  #ports: Ports;
  #memory: ClusterSide | undefined;
  #generations = 1;
  #laterMs = 0;

  constructor(
    uri: string,
    change: ChangeSpec,
    { name = 'change', spec = {}, replicas = [], notifier }: LoopOptions = {},
  ) {
    this.name = name;
    this.#notifier = notifier;
    this.#events = new EventRecorder({ cluster: new MemoryCluster(), instance: 'test' });
    this.#ports = this.#started();
    this.#secret(`db-${name}`, uri);
    replicas.forEach((replica, n) => this.#secret(`replica-${n}`, replica));
    this.#put(schemaChanges, name, {
      apiVersion: 'segue.dev/v1alpha1',
      kind: 'SchemaChange',
      metadata: this.#metadata(name, `uid-${name}`),
      spec: aSpec({
        change,
        workloads: [],
        approvals: [],
        quarantine: { ...aSpec().quarantine, duration: '100ms' },
        ...spec,
        database: {
          secretRef: { name: `db-${name}`, key: 'uri' },
          replicas: replicas.map((_, n) => ({ name: `replica-${n}`, key: 'uri' })),
        },
      }),
    });
  }

  get #key(): string {
    return `${namespace}/${this.name}`;
  }

  /** The resource as it stands. */
  get resource(): SchemaChange {
    const found = this.#cluster.objects.get(
      objectPath({ resource: schemaChanges, namespace, name: this.name }),
    );
    if (found === undefined) throw new Error('The resource is gone.');
    return found as unknown as SchemaChange;
  }

  /** Names another database user or address from now on. */
  secret(uri: string): void {
    this.#secret(`db-${this.name}`, uri);
    this.secondsLater();
  }

  /** Takes the Secret away, as the deletion of a namespace does. */
  withoutSecret(): void {
    this.#cluster.objects.delete(objectPath({ resource: secrets, namespace, name: `db-${this.name}` }));
    this.secondsLater();
  }

  /** Alters the spec, as `kubectl patch` would. */
  patch(over: Partial<SchemaChangeSpec>): void {
    this.#generations += 1;
    const { metadata, spec, ...rest } = this.resource;
    this.#put(schemaChanges, this.name, {
      ...rest,
      metadata: { ...metadata, generation: this.#generations },
      spec: { ...spec, ...over },
    });
  }

  /** Has the next status not be written, as if the operator died before. */
  failNextStatus(): void {
    this.#cluster.before = (call) => {
      if (call !== 'apply schemachanges') return Promise.resolve();
      this.#cluster.before = () => Promise.resolve();
      return Promise.reject(new Error('The operator died.'));
    };
  }

  /** Approves a phase, as `kubectl annotate` would. */
  approve(phase: Phase): void {
    this.#annotate({ annotations: { [approveAnnotation]: phase } });
  }

  /** Sets the retry annotation to a value that it never had. */
  retry(): void {
    this.#generations += 1;
    this.#annotate({ annotations: { [retryAnnotation]: `try-${this.#generations}` } });
  }

  /** Sets the verify annotation to a value that it never had. */
  compareAgain(): void {
    this.#generations += 1;
    this.#annotate({ annotations: { [verifyAnnotation]: `verify-${this.#generations}` } });
  }

  /** Asks for the resource's deletion, or dates it so far back. */
  delete(agoMs = 0): void {
    this.#annotate({ deletionTimestamp: new Date(Date.now() - agoMs).toISOString() });
  }

  /** Looks once and does the next thing. */
  async look(): Promise<Look> {
    const next = await reconcile(this.#ports, this.#key, AbortSignal.timeout(60_000));
    this.#memory = next.waits?.memory;
    const { status } = this.resource;
    const look: Look = {
      did: next.did,
      phase: status?.phase ?? '',
      reason: status?.conditions?.find(({ type }) => type === 'Stalled')?.reason ?? '',
      message: status?.message ?? '',
      blockedBy: status?.blockedBy?.message ?? '',
      afterMs: next.afterMs,
    };
    const last = this.told.at(-1);
    if (last?.message !== look.message || last.did !== look.did) this.told.push(look);
    return look;
  }

  /**
   * Looks as the loop does between two whole looks, by what the last of these left; undefined if it left nothing or a
   * whole look is due. With the requests to the API server that it took.
   */
  async glance(): Promise<{ readonly next: Next | undefined; readonly requests: readonly string[] }> {
    const before = this.#cluster.calls.length;
    const memory = this.#memory;
    const next = memory && (await glance(this.#ports, this.resource, memory, AbortSignal.timeout(60_000)));
    return { next, requests: this.#cluster.calls.slice(before) };
  }

  /** Looks until a look fits. Waits are cut to a tenth of a second. @throws with what was told, once the time is over. */
  async until(fits: (look: Look) => boolean, withinMs = 20_000): Promise<Look> {
    const end = performance.now() + withinMs;
    for (;;) {
      const look = await this.look();
      if (fits(look)) return look;
      if (performance.now() > end) throw new Error(`It did not come to pass:\n${this.story()}`);
      await sleep(Math.min(look.afterMs ?? 100, 100));
    }
  }

  /** Looks until the change is complete. */
  async complete(withinMs = 20_000): Promise<Look> {
    return this.until(({ phase }) => phase === 'Completed', withinMs);
  }

  /** Goes to the end of a phase and holds there. */
  async to(targetPhase: SchemaChangeSpec['targetPhase'], withinMs = 20_000): Promise<Look> {
    this.patch({ targetPhase });
    return this.until(({ reason }) => reason === 'TargetPhaseReached', withinMs);
  }

  /** The value of a metric that has one series; undefined while it has none. */
  async metric(name: string): Promise<number | undefined> {
    const found = await this.#registry.getSingleMetric(name)?.get();
    return found?.values[0]?.value;
  }

  /** What was told so far, for the message of a test that fails. */
  story(): string {
    return this.told
      .slice(-25)
      .map(({ did = '-', phase, reason, message }) => `${phase} ${did} ${reason}: ${message}`)
      .join('\n');
  }

  /** Ends the process and starts another: connections, claims, all memory of the loop are gone. */
  async restart(): Promise<void> {
    await this.#databases.close();
    this.#databases = new Databases();
    this.#ports = this.#started();
  }

  async close(): Promise<void> {
    await this.#databases.close();
    await this.#events.stop();
    this.#metrics.stop();
  }

  #started(): Ports {
    const leadership = { stillHeld: () => Promise.resolve(true) };
    return {
      cluster: this.#cluster,
      secrets: new SecretReader(this.#cluster, {
        ...systemClock,
        now: () => performance.now() + this.#laterMs,
      }),
      databases: this.#databases,
      claims: new Claims(leadership, 'test'),
      events: this.#events,
      notifier: this.#notifier?.(),
      log: this.#log,
      metrics: this.#metrics,
    };
  }

  /** What was read of Secrets a moment ago counts no more. */
  secondsLater(): void {
    this.#laterMs += secretFreshMs;
  }

  #metadata(name: string, uid: string): SchemaChange['metadata'] {
    return { name, namespace, uid, resourceVersion: '1', generation: 1, creationTimestamp: '' };
  }

  #put(resource: typeof secrets | typeof schemaChanges, name: string, object: object): void {
    const stored: KubeObject = { metadata: this.#metadata(name, ''), ...object };
    this.#cluster.objects.set(objectPath({ resource, namespace, name }), stored);
  }

  #secret(name: string, uri: string): void {
    this.#put(secrets, name, {
      metadata: this.#metadata(name, 'uid-secret'),
      data: { uri: Buffer.from(uri).toString('base64') },
    });
  }

  #annotate(over: Partial<SchemaChange['metadata']>): void {
    const { metadata, ...rest } = this.resource;
    this.#put(schemaChanges, this.name, { ...rest, metadata: { ...metadata, ...over } });
  }
}
