/** Tells of a right that is missing where the look itself could not be done, or its result not be written. */
import type { Condition, SchemaChange } from '../api/schema-change.ts';
import { formatTime } from '../api/duration.ts';
import { ApiError } from '../kube/api-error.ts';
import { schemaChanges } from '../kube/resources.ts';
import type { Ports } from './ports.ts';

const stated = (conditions: readonly Condition[], message: string, now: number): readonly Condition[] =>
  conditions.map((condition) => {
    if (!['Ready', 'Reconciling', 'Stalled'].includes(condition.type)) return condition;
    const status =
      condition.type === 'Stalled' ? 'True' : condition.type === 'Reconciling' ? 'False' : condition.status;
    const lastTransitionTime = status === condition.status ? condition.lastTransitionTime : formatTime(now);
    return { ...condition, status, reason: 'Forbidden', message, lastTransitionTime };
  });

/** By Event, and in the status where one was ever written and may be; `resource` is as the watch has it. */
export const reportRefusal = async (ports: Ports, resource: SchemaChange, message: string): Promise<void> => {
  const { metadata, status } = resource;
  const { blocked, stalled } = ports.metrics.changes;
  for (const gauge of [blocked, stalled]) gauge.set(metadata, 1, { reason: 'Forbidden' });
  if (status?.message === message) return;
  ports.events.emit({
    regarding: resource,
    type: 'Warning',
    reason: 'Forbidden',
    action: 'Wait',
    note: message,
  });
  if (status?.conditions === undefined) return;
  const { namespace, name, uid } = metadata;
  const conditions = stated(status.conditions, message, Date.now());
  const refused = { ...status, message, conditions, blockedBy: { kind: 'Forbidden', message } };
  ports.notifier?.tell(resource, refused);
  try {
    await ports.cluster.apply(
      { resource: schemaChanges, namespace, name },
      { metadata: { uid }, status: refused },
      { force: true, subresource: 'status' },
    );
  } catch (error) {
    // The Event and the log have said it; the next look tries again.
    if (!(error instanceof ApiError)) throw error;
  }
};
