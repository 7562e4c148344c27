/** The metrics about the operator itself, in one table. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EventLoopWatch } from './event-loop.ts';

const secondsBuckets = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Makes them in the registries. */
export function createOperatorMetrics(registers: Registry[], loop: EventLoopWatch) {
  return {
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
    staleRequeues: new Counter({
      name: 'segue_stale_requeues_total',
      help: 'What was put off because it rested on something out of date: an answer of the API server (`read`), or a row or object that somebody else wrote first (`conflict`).',
      labelNames: ['cause'],
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
