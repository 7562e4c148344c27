/**
 * The memory of one change, and how each event alters it: a pure function over plain data, so that a decision
 * can be printed before it is carried out and tested without a database.
 */
import type { HistoryEntry, LedgerState, UseFacts, VerificationFacts } from '../api/facts.ts';
import type { Phase } from '../api/phase.ts';

/** The columns of `segue.change` that change while it runs. Times are milliseconds of the database's clock. */
export interface Memory {
  readonly uid: string;
  readonly state: LedgerState;
  readonly phase: Phase;
  readonly direction: 'forward' | 'back';
  readonly history: readonly HistoryEntry[];
  readonly provenMark: string | null;
  readonly approvals: readonly { readonly phase: Phase; readonly by: string; readonly at: number }[];
  readonly handledRetry: string;
  readonly quarantineStartedAt: number | null;
  readonly lastUse: UseFacts | null;
  readonly lockWaitSince: number | null;
  readonly verification: VerificationFacts | null;
}

/** One event in the life of a change. */
export type Mutation =
  /** The present phase is over and another begins. `skipped` says why the present one had nothing to do. */
  | { readonly kind: 'enterPhase'; readonly to: Phase; readonly skipped?: string }
  /** The walk back begins; it is never turned round. */
  | { readonly kind: 'turnBack' }
  | { readonly kind: 'approve'; readonly phase: Phase; readonly by: string }
  /** A person asked for another try; in Backfill what was held against the rows is forgotten and it starts over. */
  | { readonly kind: 'handleRetry'; readonly value: string }
  /** The resource was made again under the same name. */
  | { readonly kind: 'adopt'; readonly uid: string }
  | { readonly kind: 'startQuarantine' }
  | { readonly kind: 'restartQuarantine'; readonly use: UseFacts }
  /** `mark` is the comment of the trigger function that was proven. */
  | { readonly kind: 'recordTriggersProven'; readonly mark: string }
  | { readonly kind: 'recordVerification'; readonly verification: VerificationFacts }
  /** A lock was asked for in vain; keeps the first time. */
  | { readonly kind: 'noteLockWait' }
  | { readonly kind: 'clearLockWait' }
  | { readonly kind: 'finish'; readonly state: Exclude<LedgerState, 'Active'>; readonly skipped?: string };

/** The history with its open entry closed. */
const closed = (history: readonly HistoryEntry[], at: number, skipped?: string): readonly HistoryEntry[] =>
  history.map((entry, n) =>
    n === history.length - 1 && entry.completedAt === undefined
      ? { ...entry, completedAt: at, ...(skipped === undefined ? {} : { skipped }) }
      : entry,
  );

/**
 * True where another try fills and compares all rows anew. Later it must not: new code writes the new side
 * by then, and what was verified before reads switched is what Drop relies on.
 */
export const startsOver = ({ phase, direction }: Pick<Memory, 'phase' | 'direction'>): boolean =>
  phase === 'Backfill' && direction === 'forward';

/** What the memory is after the event. `at` is the database's clock. */
export const mutate = (memory: Memory, mutation: Mutation, at: number): Memory => {
  switch (mutation.kind) {
    case 'enterPhase':
      return {
        ...memory,
        phase: mutation.to,
        history: [...closed(memory.history, at, mutation.skipped), { phase: mutation.to, startedAt: at }],
        lockWaitSince: null,
      };
    case 'turnBack':
      return { ...memory, direction: 'back', lockWaitSince: null };
    case 'approve':
      return {
        ...memory,
        approvals: [
          ...memory.approvals.filter(({ phase }) => phase !== mutation.phase),
          { phase: mutation.phase, by: mutation.by, at },
        ],
      };
    case 'handleRetry':
      return {
        ...memory,
        handledRetry: mutation.value,
        lockWaitSince: null,
        verification: startsOver(memory) ? null : memory.verification,
      };
    case 'adopt':
      return { ...memory, uid: mutation.uid };
    case 'startQuarantine':
      return { ...memory, quarantineStartedAt: at, lastUse: null };
    case 'restartQuarantine':
      return { ...memory, quarantineStartedAt: at, lastUse: mutation.use };
    case 'recordTriggersProven':
      return { ...memory, provenMark: mutation.mark };
    case 'recordVerification':
      return { ...memory, verification: mutation.verification };
    case 'noteLockWait':
      return { ...memory, lockWaitSince: memory.lockWaitSince ?? at };
    case 'clearLockWait':
      return { ...memory, lockWaitSince: null };
    case 'finish':
      return {
        ...memory,
        state: mutation.state,
        history: closed(memory.history, at, mutation.skipped),
        lockWaitSince: null,
      };
  }
};

/** A sentence fragment for logs and Events. */
export const describeMutation = (mutation: Mutation): string => {
  switch (mutation.kind) {
    case 'enterPhase':
      return `entered ${mutation.to}`;
    case 'turnBack':
      return 'began to walk back';
    case 'approve':
      return `recorded the approval of ${mutation.phase} by ${mutation.by}`;
    case 'handleRetry':
      return `took note of retry "${mutation.value}"`;
    case 'adopt':
      return 'went on for the resource that was made again';
    case 'startQuarantine':
      return 'started the quarantine';
    case 'restartQuarantine':
      return `restarted the quarantine, because of ${mutation.use.by}`;
    case 'recordTriggersProven':
      return 'recorded that the triggers work';
    case 'recordVerification':
      return `recorded a verification of ${mutation.verification.rowsCompared} rows with ${mutation.verification.mismatches} mismatches`;
    case 'noteLockWait':
      return 'recorded that a lock is being waited for';
    case 'clearLockWait':
      return 'recorded that no lock is being waited for';
    case 'finish':
      return `finished as ${mutation.state}`;
  }
};
