/** The metrics about SchemaChanges, in one table. Each takes what it counts, never a row's value or a key of it. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { ResourceGauge, resourceLabels, type ResourceName } from './resource-gauge.ts';

const phaseBuckets = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 1_209_600];

const workload = ['kind', 'workload'];

function gauges(registers: Registry[]) {
  const gauge = (name: string, help: string, labels: readonly string[] = []): ResourceGauge =>
    new ResourceGauge({ name, help, labels, registers });
  return {
    phaseStart: gauge(
      'segue_phase_start_timestamp_seconds',
      'When the phase began that a SchemaChange is in.',
    ),
    blocked: gauge('segue_blocked', '1 while a SchemaChange waits, by the reason.', ['reason']),
    stalled: gauge('segue_stalled', '1 while a SchemaChange needs a person, by the reason.', ['reason']),
    lockWait: gauge('segue_lock_wait_seconds', 'For how long a lock has been asked for in vain.'),
    backfillProgress: gauge(
      'segue_backfill_progress_ratio',
      'Share of the table that the backfill has seen, 0 to 1.',
    ),
    backfillRowsRemaining: gauge(
      'segue_backfill_rows_remaining',
      'Rows that the backfill has yet to look at, estimated.',
    ),
    backfillRowsPerSecond: gauge(
      'segue_backfill_rows_per_second',
      'Speed of the backfill over the last minute, pauses included.',
    ),
    backfillWorkers: gauge(
      'segue_backfill_workers',
      'Batches of the backfill that run at the same time now.',
    ),
    backfillThrottled: gauge(
      'segue_backfill_throttled',
      '1 while the backfill stands still or is slowed down for others: replicas, the WAL archive, waiting sessions, its window.',
    ),
    backfillBadRows: gauge('segue_backfill_bad_rows', 'Rows that could not be converted.'),
    replicationLag: gauge(
      'segue_replication_lag_seconds',
      'How far the furthest read replica lags behind; NaN where that can not be read.',
    ),
    mismatches: gauge(
      'segue_mismatches',
      'Rows whose old and new columns disagree, as the verification has found so far.',
    ),
    rollout: gauge('segue_rollout_info', '1 for where the roll-out of a workload stands.', [
      ...workload,
      'strategy',
      'state',
    ]),
    rolloutWeight: gauge(
      'segue_rollout_weight_percent',
      'Share of the traffic that the wanted code gets, 0 to 100.',
      workload,
    ),
    rolloutPods: gauge(
      'segue_rollout_pods',
      'Pods that may still run code, Terminating ones included, by what their code does.',
      [...workload, 'code'],
    ),
    quarantineEnds: gauge(
      'segue_quarantine_ends_timestamp_seconds',
      'When the quarantine is over if nobody uses the old columns before.',
    ),
    lastUse: gauge(
      'segue_quarantine_last_use_timestamp_seconds',
      'When an old column was last seen in use since Quarantine began.',
    ),
  };
}

function counters(registers: Registry[]) {
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: resourceLabels, registers });
  return {
    backfillRows: counter('segue_backfill_rows_total', 'Rows that the backfill has written.'),
    verifiedRows: counter('segue_verification_rows_total', 'Rows that verifications have compared.'),
    repairedRows: counter(
      'segue_repaired_rows_total',
      'Rows whose new columns a repair computed anew because they differed.',
    ),
    quarantineRestarts: counter(
      'segue_quarantine_restarts_total',
      'Times that a quarantine started anew because an old column was used.',
    ),
  };
}

/** Makes them in the registries. */
export function createChangeMetrics(registers: Registry[]) {
  const phase = new ResourceGauge({
    name: 'segue_schemachange_info',
    help: '1 for the phase that a SchemaChange is in.',
    labels: ['phase'],
    registers,
  });
  const states = gauges(registers);
  const counts = counters(registers);
  const phaseSeconds = new Histogram({
    name: 'segue_phase_seconds',
    help: 'How long each finished phase took.',
    labelNames: ['phase'],
    buckets: phaseBuckets,
    registers,
  });
  /** Drops what is said of the present: one that is over only has its phase, and what was counted. */
  const settle = (resource: ResourceName, last: string): void => {
    for (const gauge of Object.values(states)) gauge.set(resource, undefined);
    phase.set(resource, 1, { phase: last });
  };
  return {
    ...states,
    ...counts,
    phase,
    phaseSeconds,
    settle,

    /** Drops all that is said of one that is gone. */
    forget: ({ namespace, name }: ResourceName): void => {
      settle({ namespace, name }, '');
      phase.set({ namespace, name }, undefined);
      for (const counter of Object.values(counts)) counter.remove({ namespace, name });
    },
  };
}
