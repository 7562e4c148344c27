/** Every metric of the operator; the adapters fit the observers of the other folders. */
import type { Registry } from 'prom-client';
import { createChangeMetrics } from './change-metrics.ts';
import { watchEventLoop } from './event-loop.ts';
import { createOperatorMetrics } from './operator-metrics.ts';
import { createProcessMetrics } from './process-metrics.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** Makes every metric in the registry. `stop` ends the measuring of the event loop. */
export function createMetrics(registry: Registry) {
  const loop = watchEventLoop();
  const metrics = createOperatorMetrics([registry], loop);
  // A rate needs two values, and the first failure must not be the first of them.
  for (const result of ['sent', 'failed', 'dropped']) metrics.notifications.inc({ result }, 0);
  return {
    ...metrics,

    /** About the process. */
    process: createProcessMetrics([registry]),

    /** About SchemaChanges. */
    changes: createChangeMetrics([registry]),

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

    readObserver: {
      stale: () => metrics.staleRequeues.inc({ cause: 'read' }),
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
