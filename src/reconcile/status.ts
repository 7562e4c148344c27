/** The resource's status: a report, computed once from what was seen, decided and done, and never read as state. */
import { formatTime, parseDuration } from '../api/duration.ts';
import type { LedgerFacts, UseFacts, WorkloadFacts } from '../api/facts.ts';
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
import { codeAhead } from '../phases/code-ahead.ts';
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

const backfillOf = (
  { backfill, phase }: LedgerFacts,
  now: number,
  decision: Decision,
): BackfillStatus | undefined => {
  const closed = decision.reason === 'OutsideWindow';
  const {
    rowsDone,
    rowsTotal,
    rowsPerSecond,
    leftMs,
    workers,
    pagesDone,
    pagesTotal,
    badRows,
    sampleBadKeys,
    throttledBy,
    done,
  } = backfill;
  if (pagesTotal === 0 && rowsDone === 0) return undefined;
  const share = pagesTotal === 0 || done ? 1 : pagesDone / pagesTotal;
  const running = phase === 'Backfill' && !done && !closed;
  return {
    rowsDone,
    rowsTotal,
    percent: Math.floor(100 * share),
    rowsPerSecond: running ? Math.round(rowsPerSecond) : 0,
    ...(running && leftMs !== undefined ? { estimatedCompletion: formatTime(now + leftMs) } : {}),
    workers: running ? workers : 0,
    throttledBy: closed ? decision.message : done ? '' : throttledBy,
    badRows,
    sampleBadKeys: [...sampleBadKeys],
  };
};

/** What in the end is seen of the old columns' use, and what is not. */
const evidenceOf = (
  { look }: LedgerFacts,
  facts: Facts,
): Pick<QuarantineStatus, 'evidence' | 'blindSpots'> => {
  const pods = facts.resource.spec.workloads.length > 0;
  const { dualWrite } = facts.resource.spec;
  return {
    evidence: [
      ...(pods ? (['Pods'] as const) : []),
      ...(dualWrite.mode === 'Trigger' ? (['Writes'] as const) : []),
      ...(look?.sees ?? []),
    ],
    blindSpots: [
      ...(pods ? [] : ['Pods are not seen: the resource names no workload.']),
      ...(look?.blindSpots ?? []),
    ],
  };
};

const formatUse = (use: UseFacts) => ({ ...use, at: formatTime(use.at) });

const quarantineOf = (ledger: LedgerFacts, facts: Facts): QuarantineStatus | undefined => {
  const { quarantineStartedAt: startedAt, lastUse, uses } = ledger;
  if (startedAt === undefined) return undefined;
  return {
    startedAt: formatTime(startedAt),
    endsAt: formatTime(startedAt + parseDuration(facts.resource.spec.quarantine.duration)),
    ...(lastUse === undefined ? {} : { lastUse: formatUse(lastUse) }),
    ...(uses.length === 0 ? {} : { uses: uses.map(formatUse) }),
    ...(ledger.hiddenAt === undefined ? {} : { hiddenAt: formatTime(ledger.hiddenAt) }),
    ...evidenceOf(ledger, facts),
  };
};

/** Of the verification that ended, or of the one under way. */
const verificationOf = ({
  verification,
  verifying,
  repair,
}: LedgerFacts): SchemaChangeStatus['verification'] => {
  const found = verification ?? verifying;
  if (found === undefined) return undefined;
  const { pagesDone, pagesTotal } = verifying ?? { pagesDone: 0, pagesTotal: 0 };
  const underWay = verification === undefined && pagesTotal > 0;
  return {
    ...(verification === undefined ? {} : { share: verification.share }),
    percent: underWay ? Math.floor((100 * pagesDone) / pagesTotal) : 100,
    rowsCompared: found.rowsCompared,
    mismatches: found.mismatches,
    sampleKeys: [...found.sampleKeys],
    repaired: repair.rows,
  };
};

// As many as the CRD takes.
const longestTemplates = 64;

const rolloutOf = (workload: WorkloadFacts): RolloutStatus => {
  const { kind, deployment, strategy, podsByCode, rollout, weight, analysis, templates = [] } = workload;
  return {
    ...(kind === undefined ? {} : { kind }),
    deployment,
    strategy,
    step: rollout.kind === 'done' ? 'Done' : rollout.message,
    ...(weight === undefined ? {} : { weight }),
    podsByCode: Object.fromEntries(Object.entries(podsByCode).filter(([, count]) => count > 0)),
    ...(analysis === undefined ? {} : { analysis }),
    ...(templates.length === 0
      ? {}
      : { templates: templates.slice(0, longestTemplates).map(({ of, code }) => `${of}: ${code}`) }),
  };
};

const ofLedger = (
  ledger: LedgerFacts | undefined,
  facts: Facts,
  decision: Decision,
): Partial<SchemaChangeStatus> => {
  if (ledger === undefined) return {};
  const backfill = facts.change.rows === undefined ? undefined : backfillOf(ledger, facts.now, decision);
  const quarantine = quarantineOf(ledger, facts);
  const verification = verificationOf(ledger);
  const { repair } = ledger;
  return {
    ...(backfill === undefined ? {} : { backfill }),
    ...(verification === undefined ? {} : { verification }),
    ...(quarantine === undefined ? {} : { quarantine }),
    approvals: ledger.approvals.map(({ phase, by, at }) => ({ phase, by, at: formatTime(at) })),
    ...(ledger.handledRetry === '' ? {} : { handledRetry: ledger.handledRetry }),
    ...(repair.handled === '' ? {} : { handledRepair: repair.handled }),
    ...(repair.refused === undefined ? {} : { repairRefused: repair.refused }),
    ...(ledger.handledVerify === '' ? {} : { handledVerify: ledger.handledVerify }),
    ...(ledger.verifyRefused === null ? {} : { verifyRefused: ledger.verifyRefused }),
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

/**
 * The ledger's entry, if it is about this resource. What an earlier resource of the same name came to, one that was
 * walked back and deleted, says nothing of this one, and would make it look over before it has begun.
 */
const ownLedger = ({ ledger, resource }: Facts, decision: Decision): LedgerFacts | undefined => {
  if (!ledger.known || ledger.value === undefined) return undefined;
  const { state, uid } = ledger.value;
  return state === 'Active' || uid === resource.uid || decision.reason === 'Completed'
    ? ledger.value
    : undefined;
};

/** The whole status after a reconcile. */
export const statusOf = (
  resource: SchemaChange,
  facts: Facts,
  decision: Decision,
  outcome: Outcome | undefined,
): SchemaChangeStatus => {
  const ledger = ownLedger(facts, decision);
  const said = saidOf(decision, outcome);
  const standing: Standing = {
    generation: resource.metadata.generation,
    now: facts.now,
    spec: resource.spec,
    ledger,
    fills: facts.change.rows !== undefined,
    ahead:
      ledger?.state === 'Active' && facts.workloads.known
        ? codeAhead(ledger, facts.workloads.value, decision)
        : undefined,
    ...said,
  };
  const blocked = blockedBy(decision, outcome);
  const report: Partial<SchemaChangeStatus> = facts.ledger.known
    ? {
        phase: phaseOf(ledger, decision),
        progress: progressOf(standing),
        ...ofLedger(ledger, facts, decision),
      }
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
