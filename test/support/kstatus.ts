import type { SchemaChange, SchemaChangeStatus } from '../../src/api/schema-change.ts';

/** What Flux, Helm and others take an object for. */
export type Kstatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current';

/**
 * What kstatus (cli-utils, pkg/kstatus/status) makes of a resource of a kind that it does not know: its rules, in their
 * order. A status that is not there counts as Current, which is why the CRD gives a new resource one.
 */
export const kstatus = (
  metadata: Pick<SchemaChange['metadata'], 'generation' | 'deletionTimestamp'>,
  { observedGeneration, conditions = [] }: SchemaChangeStatus = {},
): Kstatus => {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (observedGeneration !== undefined && observedGeneration !== metadata.generation) return 'InProgress';
  for (const { type, status } of conditions) {
    if (type === 'Reconciling' && status === 'True') return 'InProgress';
    if (type === 'Stalled' && status === 'True') return 'Failed';
  }
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready === undefined || ready.status === 'True' ? 'Current' : 'InProgress';
};
