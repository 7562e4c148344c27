/** Makes metrics of what a look has seen, decided and done. */
import { formatTime } from '../api/duration.ts';
import type { LedgerFacts, WorkloadFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import type { Reason } from '../api/reasons.ts';
import type { SchemaChange, SchemaChangeStatus } from '../api/schema-change.ts';
import type { Decision } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { saidOf } from './status.ts';

type ChangeMetrics = Metrics['changes'];

/** What came of a look. */
export interface Look {
  readonly facts: Facts;
  readonly decision: Decision;
  readonly outcome: Outcome | undefined;
  /** As it is from now on; what it was is in the resource. */
  readonly status: SchemaChangeStatus;
}

const secondsOf = (time: string | undefined): number | undefined =>
  time === undefined ? undefined : Date.parse(time) / 1000;

/** Why nothing went on in this look. */
const waitsFor = ({ decision, outcome }: Look): Reason | undefined => {
  const stopped = outcome?.kind === 'deferred' || outcome?.kind === 'refused';
  return decision.kind === 'wait' || stopped ? saidOf(decision, outcome).reason : undefined;
};

const ledgerOf = ({ facts: { ledger } }: Look): LedgerFacts | undefined =>
  ledger.known ? ledger.value : undefined;

const measurePhase = (changes: ChangeMetrics, { metadata, status: last }: SchemaChange, look: Look): void => {
  const { status } = look;
  changes.phase.set(metadata, 1, { phase: status.phase ?? 'Pending' });
  const current = status.history?.findLast(({ completedAt }) => completedAt === undefined);
  changes.phaseStart.set(metadata, secondsOf(current?.startedAt));
  const stalled = status.conditions?.find(({ type, status: is }) => type === 'Stalled' && is === 'True');
  changes.stalled.set(metadata, stalled && 1, { reason: stalled?.reason ?? '' });
  const reason = waitsFor(look);
  changes.blocked.set(metadata, reason && 1, { reason: reason ?? '' });
  // Without a status that tells of phases nobody knows which of the ledger's are news.
  if (last?.history === undefined) return;
  const told = last.history.flatMap(({ phase, startedAt, completedAt }) =>
    completedAt === undefined ? [] : [`${phase} ${startedAt}`],
  );
  for (const { phase, startedAt, completedAt, skipped } of ledgerOf(look)?.history ?? [])
    if (
      completedAt !== undefined &&
      skipped === undefined &&
      !told.includes(`${phase} ${formatTime(startedAt)}`)
    )
      changes.phaseSeconds.observe({ phase }, Math.max(0, completedAt - startedAt) / 1000);
};

const measureLock = (changes: ChangeMetrics, { metadata }: SchemaChange, look: Look): void => {
  const ledger = ledgerOf(look);
  if (ledger === undefined) return;
  const { lockWaitSince: since, readAt } = ledger;
  changes.lockWait.set(metadata, since === undefined ? 0 : Math.max(0, readAt - since) / 1000);
};

const measureBackfill = (
  changes: ChangeMetrics,
  { metadata, status: last }: SchemaChange,
  look: Look,
): void => {
  const { status, decision } = look;
  const { backfill } = status;
  const asksReplicas = decision.kind === 'act' && ['backfill', 'verify'].includes(decision.action.kind);
  // What was measured before a pause says nothing of now.
  if (!asksReplicas) changes.replicationLag.set(metadata, undefined);
  if (backfill === undefined) return;
  const { pagesDone, pagesTotal } = ledgerOf(look)?.backfill ?? { pagesDone: 0, pagesTotal: 0 };
  // Pages are finer than whole percents.
  const share = backfill.percent < 100 && pagesTotal > 0 ? pagesDone / pagesTotal : backfill.percent / 100;
  changes.backfillProgress.set(metadata, share);
  changes.backfillRowsRemaining.set(metadata, Math.max(0, backfill.rowsTotal ?? 0) * (1 - share));
  changes.backfillRowsPerSecond.set(metadata, backfill.rowsPerSecond);
  changes.backfillWorkers.set(metadata, backfill.workers);
  changes.backfillThrottled.set(metadata, backfill.throttledBy ? 1 : 0);
  changes.backfillBadRows.set(metadata, backfill.badRows);
  const { namespace, name } = metadata;
  const added = backfill.rowsDone - (last?.backfill?.rowsDone ?? 0);
  changes.backfillRows.inc({ namespace, name }, Math.max(0, added));
};

const measureVerification = (
  changes: ChangeMetrics,
  { metadata: { namespace, name }, status: last }: SchemaChange,
  { status: { verification } }: Look,
): void => {
  if (verification === undefined) return;
  changes.mismatches.set({ namespace, name }, verification.mismatches);
  const before = last?.verification;
  const since = verification.rowsCompared - (before?.rowsCompared ?? 0);
  // Less than before: it began anew.
  changes.verifiedRows.inc({ namespace, name }, since < 0 ? verification.rowsCompared : since);
  const repaired = (verification.repaired ?? 0) - (before?.repaired ?? 0);
  changes.repairedRows.inc({ namespace, name }, Math.max(0, repaired));
};

const measureQuarantine = (
  changes: ChangeMetrics,
  { metadata: { namespace, name } }: SchemaChange,
  { status: { quarantine }, decision, outcome }: Look,
): void => {
  changes.quarantineEnds.set({ namespace, name }, secondsOf(quarantine?.endsAt));
  changes.lastUse.set({ namespace, name }, secondsOf(quarantine?.lastUse?.at));
  if (quarantine === undefined) return;
  const restarts = decision.kind === 'act' && decision.action.kind === 'restartQuarantine';
  changes.quarantineRestarts.inc({ namespace, name }, restarts && outcome?.kind === 'done' ? 1 : 0);
};

const rolloutStates = {
  done: 'Done',
  step: 'Progressing',
  waiting: 'Progressing',
  failed: 'Failed',
} as const;

const labelsOf = ({ kind = 'Deployment', deployment }: WorkloadFacts) => ({ kind, workload: deployment });

const measureRollouts = (
  changes: ChangeMetrics,
  { metadata }: SchemaChange,
  { facts: { workloads } }: Look,
): void => {
  // What can't be read now is left as it was.
  if (!workloads.known) return;
  changes.rollout.setAll(
    metadata,
    workloads.value.map((workload) => ({
      labels: {
        ...labelsOf(workload),
        strategy: workload.strategy,
        state: rolloutStates[workload.rollout.kind],
      },
      value: 1,
    })),
  );
  changes.rolloutWeight.setAll(
    metadata,
    workloads.value.flatMap((workload) =>
      workload.weight === undefined ? [] : { labels: labelsOf(workload), value: workload.weight },
    ),
  );
  changes.rolloutPods.setAll(
    metadata,
    workloads.value.flatMap((workload) =>
      Object.entries(workload.podsByCode).map(([code, pods]) => ({
        labels: { ...labelsOf(workload), code },
        value: pods,
      })),
    ),
  );
};

/** States what a look has shown; `resource` is as it was read, before its status was written. */
export const measure = ({ changes }: Metrics, resource: SchemaChange, look: Look): void => {
  measurePhase(changes, resource, look);
  measureLock(changes, resource, look);
  measureBackfill(changes, resource, look);
  measureVerification(changes, resource, look);
  measureQuarantine(changes, resource, look);
  measureRollouts(changes, resource, look);
  const { phase } = look.status;
  if (phase === 'Completed' || phase === 'RolledBack') changes.settle(resource.metadata, phase);
};
