/**
 * What the page is told of a change: what is named here and no more. Keys of rows and texts of statements, which the
 * status holds for those who may read the resource, are left out. Pure.
 */
import type { StatusPhase } from '../api/phase.ts';
import type {
  ApprovalStatus,
  BackfillStatus,
  HistoryStatus,
  LastUse,
  QuarantineStatus,
  RolloutStatus,
  SchemaChange,
  VerificationStatus,
} from '../api/schema-change.ts';
import { trackOf, type Step } from './track.ts';

/** How a change stands, in the order in which people want to see them. */
const standings = [
  'stalled',
  'awaiting-approval',
  'suspended',
  'waiting',
  'working',
  'new',
  'failed',
  'rolled-back',
  'completed',
] as const;

export type Standing = (typeof standings)[number];

/** One change; times are RFC 3339, as in its status. */
export interface ChangeView {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Such as `replaceColumns`. */
  readonly kind: string;
  readonly table?: string | undefined;
  readonly createdAt: string;
  readonly phase: StatusPhase;
  readonly standing: Standing;
  /** Reason of condition Ready: a section of the runbook. */
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly blocker?: { readonly kind: string; readonly message: string } | undefined;
  /** True where the report is about a former spec. */
  readonly isOutdated: boolean;
  readonly isReady: boolean;
  readonly isDeleting: boolean;
  readonly track: readonly Step[];
  readonly backfill?: Omit<BackfillStatus, 'sampleBadKeys'> | undefined;
  readonly verification?:
    Pick<VerificationStatus, 'share' | 'percent' | 'rowsCompared' | 'mismatches' | 'repaired'> | undefined;
  readonly quarantine?:
    | (Pick<QuarantineStatus, 'startedAt' | 'endsAt' | 'hiddenAt' | 'blindSpots'> & {
        readonly lastUse?: Pick<LastUse, 'at' | 'by' | 'kind'> | undefined;
      })
    | undefined;
  readonly rollouts: readonly Pick<
    RolloutStatus,
    'kind' | 'deployment' | 'strategy' | 'step' | 'weight' | 'podsByCode'
  >[];
  readonly history: readonly HistoryStatus[];
  readonly approvals: readonly ApprovalStatus[];
}

const standingOf = ({ metadata, status }: SchemaChange): Standing => {
  const holds = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  if (holds('Stalled')) return 'stalled';
  switch (status?.phase) {
    case undefined:
      return 'new';
    case 'Completed':
      return 'completed';
    case 'RolledBack':
      return 'rolled-back';
    case 'Failed':
      return 'failed';
    default:
      if (holds('AwaitingApproval')) return 'awaiting-approval';
      if (holds('Suspended') && metadata.deletionTimestamp === undefined) return 'suspended';
      return status?.blockedBy === undefined ? 'working' : 'waiting';
  }
};

const pick = <T extends object, K extends keyof T>(from: T, ...keys: readonly K[]): Pick<T, K> =>
  Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]]))) as Pick<
    T,
    K
  >;

const measuresOf = ({
  backfill,
  verification,
  quarantine,
}: NonNullable<SchemaChange['status']>): Pick<ChangeView, 'backfill' | 'verification' | 'quarantine'> => ({
  backfill:
    backfill &&
    pick(
      backfill,
      'rowsDone',
      'rowsTotal',
      'percent',
      'rowsPerSecond',
      'estimatedCompletion',
      'workers',
      'throttledBy',
      'badRows',
    ),
  verification:
    verification && pick(verification, 'share', 'percent', 'rowsCompared', 'mismatches', 'repaired'),
  quarantine: quarantine && {
    ...pick(quarantine, 'startedAt', 'endsAt', 'hiddenAt', 'blindSpots'),
    lastUse: quarantine.lastUse && pick(quarantine.lastUse, 'at', 'by', 'kind'),
  },
});

/** One change as the page shows it. */
export const viewOf = (change: SchemaChange): ChangeView => {
  const { metadata, spec, status = {} } = change;
  const { phase = 'Pending', history = [], approvals = [], blockedBy, message } = status;
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return {
    ...pick(metadata, 'uid', 'namespace', 'name'),
    kind: Object.keys(spec.change)[0] ?? '',
    table: status.table,
    createdAt: metadata.creationTimestamp,
    phase,
    standing: standingOf(change),
    reason: ready?.reason,
    message,
    // The message mostly says it all.
    blocker: blockedBy?.message === message ? undefined : blockedBy,
    isOutdated: status.observedGeneration !== undefined && status.observedGeneration !== metadata.generation,
    isReady: ready?.status === 'True',
    isDeleting: metadata.deletionTimestamp !== undefined,
    track: trackOf(phase, history),
    ...measuresOf(status),
    rollouts: (status.rollouts ?? []).map((rollout) =>
      pick(rollout, 'kind', 'deployment', 'strategy', 'step', 'weight', 'podsByCode'),
    ),
    history: history.map((entry) => pick(entry, 'phase', 'startedAt', 'completedAt', 'skipped')),
    approvals: approvals.map((approval) => pick(approval, 'phase', 'by', 'at')),
  };
};

/** What needs a person first, what is over last; of the same standing the youngest first. */
export const inOrder = (views: readonly ChangeView[]): readonly ChangeView[] =>
  views.toSorted(
    (a, b) =>
      standings.indexOf(a.standing) - standings.indexOf(b.standing) ||
      b.createdAt.localeCompare(a.createdAt) ||
      `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`),
  );
