/** Every metric of the operator, in one table; the adapters below it fit the observers of the other folders. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Each takes what it counts, never a row's value or a key of the user's table. */
const resourceLabels = ['namespace', 'name'] as const;

const secondsBuckets = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
const phaseBuckets = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 1_209_600];

function table(registers: Registry[], loop: EventLoopWatch) {
  return {
    schemaChangeInfo: new Gauge({
      name: 'segue_schemachange_info',
      help: '1 for the phase that a SchemaChange is in.',
      labelNames: [...resourceLabels, 'phase'],
      registers,
    }),
    phaseSeconds: new Histogram({
      name: 'segue_phase_seconds',
      help: 'How long each finished phase took.',
      labelNames: ['phase'],
      buckets: phaseBuckets,
      registers,
    }),
    blocked: new Gauge({
      name: 'segue_blocked',
      help: '1 while a SchemaChange waits for something, by the reason in its status.',
      labelNames: [...resourceLabels, 'reason'],
      registers,
    }),
    backfillRows: new Counter({
      name: 'segue_backfill_rows_total',
      help: 'Rows that the backfill has written.',
      labelNames: resourceLabels,
      registers,
    }),
    backfillRowsRemaining: new Gauge({
      name: 'segue_backfill_rows_remaining',
      help: 'Rows that the backfill has yet to look at, estimated.',
      labelNames: resourceLabels,
      registers,
    }),
    verifiedRows: new Counter({
      name: 'segue_verification_rows_total',
      help: 'Rows that verifications have compared.',
      labelNames: resourceLabels,
      registers,
    }),
    repairedRows: new Counter({
      name: 'segue_repaired_rows_total',
      help: 'Rows whose new columns a repair computed anew because they differed.',
      labelNames: resourceLabels,
      registers,
    }),
    backfillWorkers: new Gauge({
      name: 'segue_backfill_workers',
      help: 'Batches of the backfill that run at the same time now.',
      labelNames: resourceLabels,
      registers,
    }),
    backfillRowsPerSecond: new Gauge({
      name: 'segue_backfill_rows_per_second',
      help: 'Speed of the backfill over the last minute, pauses included.',
      labelNames: resourceLabels,
      registers,
    }),
    backfillThrottled: new Gauge({
      name: 'segue_backfill_throttled',
      help: '1 while the backfill stands still or is slowed down for others: replicas, the WAL archive, waiting sessions, its window.',
      labelNames: resourceLabels,
      registers,
    }),
    quarantineEnds: new Gauge({
      name: 'segue_quarantine_ends_timestamp_seconds',
      help: 'When the quarantine is over if nobody uses the old columns before, as Unix time.',
      labelNames: resourceLabels,
      registers,
    }),
    quarantineRestarts: new Counter({
      name: 'segue_quarantine_restarts_total',
      help: 'Times that a quarantine started anew because an old column was used.',
      labelNames: resourceLabels,
      registers,
    }),
    mismatches: new Gauge({
      name: 'segue_mismatches',
      help: 'Rows whose old and new columns disagree, as the verification has found so far.',
      labelNames: resourceLabels,
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: 'segue_reconcile_seconds',
      help: 'How long a reconcile took.',
      labelNames: ['outcome'],
      buckets: secondsBuckets,
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'segue_reconcile_errors_total',
      help: 'Reconciles that failed and are tried again.',
      registers,
    }),
    queueDepth: new Gauge({
      name: 'segue_workqueue_depth',
      help: 'Resources waiting for a worker.',
      registers,
    }),
    queueWaitSeconds: new Histogram({
      name: 'segue_workqueue_wait_seconds',
      help: 'How long a resource waited for a worker.',
      buckets: secondsBuckets,
      registers,
    }),
    queueWorkSeconds: new Histogram({
      name: 'segue_workqueue_work_seconds',
      help: 'How long a worker had a resource.',
      buckets: secondsBuckets,
      registers,
    }),
    queueRetries: new Counter({
      name: 'segue_workqueue_retries_total',
      help: 'Resources put back after a failure.',
      registers,
    }),
    leader: new Gauge({
      name: 'segue_leader',
      help: '1 while this process leads.',
      registers,
    }),
    watchRestarts: new Counter({
      name: 'segue_watch_restarts_total',
      help: 'Watches that ended otherwise than announced, by cause.',
      labelNames: ['resource', 'reason'],
      registers,
    }),
    relists: new Counter({
      name: 'segue_relists_total',
      help: 'Full lists, by cause; `periodic` and `start` are the usual ones.',
      labelNames: ['resource', 'reason'],
      registers,
    }),
    watchEvents: new Counter({
      name: 'segue_watch_events_total',
      help: 'What watches have brought.',
      labelNames: ['resource', 'type'],
      registers,
    }),
    watchHandlerErrors: new Counter({
      name: 'segue_watch_handler_errors_total',
      help: 'Changes that were passed over because their handler threw: a bug.',
      labelNames: ['resource'],
      registers,
    }),
    apiRequestSeconds: new Histogram({
      name: 'segue_api_request_seconds',
      help: 'Requests to the API server; for a watch, until it was opened.',
      labelNames: ['verb', 'resource', 'status'],
      buckets: secondsBuckets,
      registers,
    }),
    events: new Counter({
      name: 'segue_events_total',
      help: 'Kubernetes Events written, failed, or dropped because there were too many.',
      labelNames: ['result'],
      registers,
    }),
    notifications: new Counter({
      name: 'segue_notifications_total',
      help: 'Notifications sent, failed for good, or dropped because too many were waiting.',
      labelNames: ['result'],
      registers,
    }),
    eventLoopLag: new Gauge({
      name: 'segue_event_loop_lag_seconds',
      help: 'How late the event loop was since the last scrape; the Lease is lost if it is late by seconds.',
      labelNames: ['quantile'],
      registers,
      collect() {
        for (const { quantile, seconds } of loop.read()) this.set({ quantile }, seconds);
      },
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Makes every metric in the registry. `stop` ends the measuring of the event loop. */
export function createMetrics(registry: Registry) {
  const loop = watchEventLoop();
  const metrics = table([registry], loop);
  const phases = new Map<string, string>();
  const blocks = new Map<string, string>();
  /** One series a resource: the one of its last value is dropped. */
  const replace = (last: Map<string, string>, key: string, value: string | undefined): string | undefined => {
    const old = last.get(key);
    if (value === undefined) last.delete(key);
    else last.set(key, value);
    return old;
  };
  const setPhase = (namespace: string, name: string, phase: string | undefined): void => {
    const old = replace(phases, `${namespace}/${name}`, phase);
    if (old !== undefined) metrics.schemaChangeInfo.remove({ namespace, name, phase: old });
    if (phase !== undefined) metrics.schemaChangeInfo.set({ namespace, name, phase }, 1);
  };
  const setBlocked = (namespace: string, name: string, reason: string | undefined): void => {
    const old = replace(blocks, `${namespace}/${name}`, reason);
    if (old !== undefined) metrics.blocked.remove({ namespace, name, reason: old });
    if (reason !== undefined) metrics.blocked.set({ namespace, name, reason }, 1);
  };
  return {
    ...metrics,

    /** Moves a SchemaChange to a phase. */
    setPhase: (namespace: string, name: string, phase: string): void => setPhase(namespace, name, phase),

    /** States what a SchemaChange waits for, or that it does not. */
    setBlocked,

    /** Drops what is said of a SchemaChange that is gone. */
    forget(namespace: string, name: string): void {
      setPhase(namespace, name, undefined);
      setBlocked(namespace, name, undefined);
      metrics.backfillRows.remove({ namespace, name });
      metrics.backfillRowsRemaining.remove({ namespace, name });
      metrics.verifiedRows.remove({ namespace, name });
      metrics.repairedRows.remove({ namespace, name });
      metrics.backfillWorkers.remove({ namespace, name });
      metrics.backfillRowsPerSecond.remove({ namespace, name });
      metrics.backfillThrottled.remove({ namespace, name });
      metrics.mismatches.remove({ namespace, name });
      metrics.quarantineEnds.remove({ namespace, name });
      metrics.quarantineRestarts.remove({ namespace, name });
    },

    setLeading(leading: boolean): void {
      metrics.leader.set(leading ? 1 : 0);
    },

    queueObserver: {
      depth: (keys: number) => metrics.queueDepth.set(keys),
      waited: (ms: number) => metrics.queueWaitSeconds.observe(ms / 1000),
      worked: (ms: number) => metrics.queueWorkSeconds.observe(ms / 1000),
      retried: () => metrics.queueRetries.inc(),
    },

    reflectorObserver: {
      relisted: (resource: string, reason: string) => metrics.relists.inc({ resource, reason }),
      restarted: (resource: string, reason: string) => metrics.watchRestarts.inc({ resource, reason }),
      received: (resource: string, type: string) => metrics.watchEvents.inc({ resource, type }),
      handlerFailed: (resource: string) => metrics.watchHandlerErrors.inc({ resource }),
    },

    requestObserver: {
      requested: (verb: string, resource: string, status: string, ms: number) =>
        metrics.apiRequestSeconds.observe({ verb, resource, status }, ms / 1000),
    },

    eventObserver: {
      written: () => metrics.events.inc({ result: 'written' }),
      failed: () => metrics.events.inc({ result: 'failed' }),
      dropped: () => metrics.events.inc({ result: 'dropped' }),
    },

    notificationObserver: {
      sent: () => metrics.notifications.inc({ result: 'sent' }),
      failed: () => metrics.notifications.inc({ result: 'failed' }),
      dropped: () => metrics.notifications.inc({ result: 'dropped' }),
    },

    stop(): void {
      loop.stop();
    },
  };
}

interface EventLoopWatch {
  /** The lag since the last reading. */
  read(): readonly { readonly quantile: string; readonly seconds: number }[];
  stop(): void;
}

function watchEventLoop(): EventLoopWatch {
  const resolutionMs = 20;
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    read() {
      const lags = [0.5, 0.99, 1].map((quantile) => {
        // It measures from one of its own timers to the next, so the interval itself is taken off.
        const seconds = histogram.percentile(quantile * 100) / 1e9 - resolutionMs / 1000;
        return { quantile: String(quantile), seconds: Math.max(0, seconds) };
      });
      histogram.reset();
      return lags;
    },
    stop: () => histogram.disable(),
  };
}
