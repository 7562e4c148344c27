/** Wires everything: settings, connections, leadership, the loop and the telemetry server. */
import { Registry } from 'prom-client';
import { readConfig, type Config } from './config.ts';
import { Recent } from './dashboard/recent.ts';
import { dashboardRoutes } from './dashboard/routes.ts';
import { Databases } from './database/databases.ts';
import { ChangeReader } from './gate/changes.ts';
import { gateRoutes } from './gate/routes.ts';
import { connect, type Cluster } from './kube/client.ts';
import { systemClock } from './kube/clock.ts';
import { EventRecorder } from './kube/events.ts';
import { FreshReads } from './kube/fresh-reads.ts';
import { Election } from './kube/lease.ts';
import { Notifier } from './notify/notifier.ts';
import { Sender } from './notify/sender.ts';
import { Claims } from './reconcile/claims.ts';
import { Controller } from './reconcile/controller.ts';
import type { Ports } from './reconcile/ports.ts';
import { SecretReader } from './reconcile/secret-reader.ts';
import { createLog, type Log } from './telemetry/log.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';
import { startServer, type Readiness } from './telemetry/server.ts';

/** Resolves with the first signal to stop. */
const toldToStop = (log: Log): AbortSignal => {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      log.info({ signal: name }, 'stopping');
      stop.abort();
    });
  return stop.signal;
};

const aborted = (...signals: readonly AbortSignal[]): Promise<void> =>
  new Promise((resolve) => {
    const any = AbortSignal.any([...signals]);
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });

interface Parts {
  readonly config: Config;
  readonly cluster: Cluster;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface Term {
  readonly election: Election;
  readonly stop: AbortSignal;
  readonly lost: AbortSignal;
  /** Told what runs, for readiness. */
  readonly running: (controller: Controller | undefined) => void;
}

/** What a leader does: reconcile until it is told to stop or loses the lead. */
const lead = async (
  { config, cluster, log, metrics }: Parts,
  { election, stop, lost, running }: Term,
): Promise<void> => {
  const databases = new Databases();
  const events = new EventRecorder({
    cluster,
    instance: config.identity,
    log,
    observer: metrics.eventObserver,
  });
  const claims = new Claims(election, election.identity);
  const { notify } = config;
  const sender = notify && new Sender({ url: notify.url, log, observer: metrics.notificationObserver });
  const notifier = sender && new Notifier({ ...notify, sender });
  const secrets = new SecretReader(cluster);
  const ports: Ports = { cluster, secrets, databases, claims, events, notifier, log, metrics };
  const controller = new Controller({
    ports,
    namespaces: config.watchNamespaces,
    workers: config.workers,
    onFenced: (error) => {
      // Nothing may be written any more, not even to release the Lease in good order.
      log.error({ err: error }, 'another operator has taken over; exiting');
      process.exit(1);
    },
  });
  controller.start();
  running(controller);
  await aborted(stop, lost);
  if (lost.aborted) return;
  running(undefined);
  const unfinished = await controller.stop();
  if (unfinished.length > 0) {
    // The Lease is kept and runs out by itself, so that no other operator begins while this one still works.
    log.error({ unfinished }, 'work did not come to its end in time; exiting without releasing the lead');
    process.exit(1);
  }
  await Promise.all([events.stop(), sender?.stop()]);
  await databases.close();
};

const main = async (): Promise<void> => {
  const config = readConfig();
  const log = createLog({ level: config.logLevel });
  const registry = new Registry();
  const metrics = createMetrics(registry);
  const cluster = new FreshReads(
    connect({ kubeconfig: config.kubeconfig, observer: metrics.requestObserver }),
    metrics.readObserver,
  );
  const namespace = config.leaseNamespace ?? cluster.namespace;
  if (namespace === undefined)
    throw new Error('Set SEGUE_LEASE_NAMESPACE: outside a cluster nothing says where the Lease belongs.');
  const stop = toldToStop(log);
  let controller: Controller | undefined;
  const election = new Election({
    cluster,
    namespace,
    name: config.leaseName,
    identity: config.identity,
    log,
    onLeading: (leading) => metrics.setLeading(leading),
  });
  // Asks nobody: whoever leads renews its Lease every two seconds or exits, and a candidate asks for it as often.
  const ready = (): Readiness => {
    const obstacle =
      election.trouble ??
      controller?.refusals[0] ??
      (controller?.synced === false ? 'caches have not synced' : undefined);
    return obstacle === undefined ? { ready: true } : { ready: false, reason: obstacle };
  };
  const recent = new Recent({ cluster, namespaces: config.watchNamespaces, log });
  const changes = new ChangeReader({ cluster, clock: systemClock });
  const routes = [
    ...(config.gate ? gateRoutes({ changes, namespaces: config.watchNamespaces }) : []),
    ...(config.dashboard ? dashboardRoutes(() => recent.read()) : []),
  ];
  const server = await startServer({ port: config.httpPort, metrics: registry, ready, routes });
  log.info({ port: server.port, identity: config.identity }, 'started');
  const end = await election.run({
    signal: stop,
    onStarted: (lost) =>
      lead(
        { config, cluster, log, metrics },
        {
          election,
          stop,
          lost,
          running: (now) => {
            controller = now;
          },
        },
      ),
  });
  // Another may lead already: whatever still runs here must not go on for a moment.
  if (end === 'lost') process.exit(1);
  await server.close();
  metrics.stop();
  await cluster.close();
  log.info('stopped');
};

await main().catch((error: unknown) => {
  process.stderr.write(
    `${JSON.stringify({ level: 'error', message: 'segue could not start', error: String(error) })}\n`,
  );
  process.exit(1);
});
