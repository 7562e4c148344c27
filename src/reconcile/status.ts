/** The resource's status: a report, computed once from what was seen, decided and done, and never read as state. */
import { formatTime, parseDuration } from '../api/duration.ts';
import type { LedgerFacts, WorkloadFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import type { StatusPhase } from '../api/phase.ts';
import type { Reason } from '../api/reasons.ts';
import type {
  BackfillStatus,
  QuarantineStatus,
  RolloutStatus,
  SchemaChange,
  SchemaChangeStatus,
} from '../api/schema-change.ts';
import type { Decision } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { conditionsOf, progressOf, type Standing } from './conditions.ts';

/** Reason and sentence of a reconcile: the outcome's, where it stopped the decision, else the decision's. */
export const saidOf = (
  decision: Decision,
  outcome: Outcome | undefined,
): { readonly reason: Reason; readonly message: string } =>
  outcome?.kind === 'deferred' || outcome?.kind === 'refused'
    ? { reason: outcome.reason, message: outcome.message }
    : { reason: decision.reason, message: decision.message };

const phaseOf = (ledger: LedgerFacts | undefined, decision: Decision): StatusPhase => {
  if (ledger === undefined) return decision.reason === 'RolledBack' ? 'RolledBack' : 'Pending';
  if (ledger.state === 'Completed') return 'Completed';
  if (ledger.state === 'RolledBack') return 'RolledBack';
  if (ledger.state === 'Abandoned') return 'Failed';
  return ledger.direction === 'back' ? 'RollingBack' : ledger.phase;
};

const backfillOf = ({ backfill, phase }: LedgerFacts, now: number): BackfillStatus | undefined => {
  const {
    rowsDone,
    rowsTotal,
    rowsPerSecond,
    pagesDone,
    pagesTotal,
    badRows,
    sampleBadKeys,
    throttledBy,
    done,
  } = backfill;
  if (pagesTotal === 0 && rowsDone === 0) return undefined;
  const share = pagesTotal === 0 || done ? 1 : pagesDone / pagesTotal;
  const leftMs = rowsPerSecond > 0 ? ((rowsTotal * (1 - share)) / rowsPerSecond) * 1000 : undefined;
  const running = phase === 'Backfill' && !done;
  return {
    rowsDone,
    rowsTotal,
    percent: Math.floor(100 * share),
    rowsPerSecond: Math.round(rowsPerSecond),
    ...(running && leftMs !== undefined ? { estimatedCompletion: formatTime(now + leftMs) } : {}),
    workers: running ? 1 : 0,
    throttledBy,
    badRows,
    sampleBadKeys: [...sampleBadKeys],
  };
};

const quarantineOf = (ledger: LedgerFacts, duration: string): QuarantineStatus | undefined => {
  const { quarantineStartedAt: startedAt, lastUse } = ledger;
  if (startedAt === undefined) return undefined;
  return {
    startedAt: formatTime(startedAt),
    endsAt: formatTime(startedAt + parseDuration(duration)),
    ...(lastUse === undefined ? {} : { lastUse: { ...lastUse, at: formatTime(lastUse.at) } }),
  };
};

const rolloutOf = ({ deployment, strategy, podsByCode, rollout }: WorkloadFacts): RolloutStatus => ({
  deployment,
  strategy,
  step: rollout.kind === 'done' ? 'Done' : rollout.message,
  podsByCode: Object.fromEntries(Object.entries(podsByCode).filter(([, count]) => count > 0)),
});

const ofLedger = (ledger: LedgerFacts | undefined, facts: Facts): Partial<SchemaChangeStatus> => {
  if (ledger === undefined) return {};
  const { spec } = facts.resource;
  const backfill = facts.change.rows === undefined ? undefined : backfillOf(ledger, facts.now);
  const quarantine = quarantineOf(ledger, spec.quarantine.duration);
  return {
    ...(backfill === undefined ? {} : { backfill }),
    ...(ledger.verification === undefined
      ? {}
      : {
          verification: {
            rowsCompared: ledger.verification.rowsCompared,
            mismatches: ledger.verification.mismatches,
            sampleKeys: [...ledger.verification.sampleKeys],
          },
        }),
    ...(quarantine === undefined ? {} : { quarantine }),
    approvals: ledger.approvals.map(({ phase, by, at }) => ({ phase, by, at: formatTime(at) })),
    ...(ledger.handledRetry === '' ? {} : { handledRetry: ledger.handledRetry }),
    history: ledger.history.map(({ phase, startedAt, completedAt, skipped }) => ({
      phase,
      startedAt: formatTime(startedAt),
      ...(completedAt === undefined ? {} : { completedAt: formatTime(completedAt) }),
      ...(skipped === undefined ? {} : { skipped }),
    })),
  };
};

const blockedBy = (decision: Decision, outcome: Outcome | undefined): SchemaChangeStatus['blockedBy'] => {
  if (outcome?.kind === 'deferred')
    return outcome.blockedBy ?? { kind: outcome.reason, message: outcome.message };
  if (outcome?.kind === 'refused') return { kind: outcome.reason, message: outcome.message };
  return decision.kind === 'wait' ? { kind: decision.reason, message: decision.message } : undefined;
};

/** What of the former status still holds where the ledger can't be read: better old and true then than nothing. */
const kept = (previous: SchemaChangeStatus | undefined): Partial<SchemaChangeStatus> => {
  const { conditions: _, blockedBy: __, message: ___, observedGeneration: ____, ...rest } = previous ?? {};
  return rest;
};

/** The whole status after a reconcile. */
export const statusOf = (
  resource: SchemaChange,
  facts: Facts,
  decision: Decision,
  outcome: Outcome | undefined,
): SchemaChangeStatus => {
  const ledger = facts.ledger.known ? facts.ledger.value : undefined;
  const said = saidOf(decision, outcome);
  const standing: Standing = {
    generation: resource.metadata.generation,
    now: facts.now,
    spec: resource.spec,
    ledger,
    fills: facts.change.rows !== undefined,
    ...said,
  };
  const blocked = blockedBy(decision, outcome);
  const report: Partial<SchemaChangeStatus> = facts.ledger.known
    ? { phase: phaseOf(ledger, decision), progress: progressOf(standing), ...ofLedger(ledger, facts) }
    : { phase: 'Pending', ...kept(resource.status) };
  const previous = resource.status?.conditions ?? [];
  const conditions = conditionsOf(standing, previous);
  const reported = facts.ledger.known ? conditions : mergeUnknown(conditions, previous);
  return {
    ...report,
    observedGeneration: resource.metadata.generation,
    table: `${facts.change.table.schema}.${facts.change.table.name}`,
    message: said.message,
    conditions: reported,
    ...(blocked === undefined ? {} : { blockedBy: blocked }),
    ...(facts.workloads.known && facts.workloads.value.length > 0
      ? { rollouts: facts.workloads.value.map(rolloutOf) }
      : {}),
  };
};

/** With the ledger unread, what was done before is still done: only the summary says what is wrong now. */
const mergeUnknown = (
  now: NonNullable<SchemaChangeStatus['conditions']>,
  previous: NonNullable<SchemaChangeStatus['conditions']>,
): NonNullable<SchemaChangeStatus['conditions']> => {
  const current = ['Stalled', 'Suspended', 'AwaitingApproval'];
  return now.map((condition) => {
    const before = previous.find(({ type }) => type === condition.type);
    return before === undefined || current.includes(condition.type)
      ? condition
      : { ...before, message: before.type === 'Ready' ? condition.message : before.message };
  });
};
