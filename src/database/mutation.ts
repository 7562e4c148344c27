/**
 * The memory of one change, and how each event alters it: a pure function over plain data, so that a decision
 * can be printed before it is carried out and tested without a database.
 */
import type { VerificationFacts } from '../api/comparison-facts.ts';
import type { HistoryEntry, LedgerState, UseFacts } from '../api/facts.ts';
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
  readonly handledRepair: string;
  readonly repairRefused: string | null;
  readonly repairing: boolean;
  readonly rowsRepaired: number;
  readonly handledVerify: string;
  readonly verifyRefused: string | null;
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
  /** A person asked for rows that differ to be computed anew from the old columns; with `refused` that is not done. */
  | { readonly kind: 'handleRepair'; readonly value: string; readonly refused?: string }
  /** A person asked for all rows to be compared again; with `refused` that is not done. */
  | { readonly kind: 'handleVerify'; readonly value: string; readonly refused?: string }
  /** The resource was made again under the same name. */
  | { readonly kind: 'adopt'; readonly uid: string }
  | { readonly kind: 'startQuarantine' }
  | { readonly kind: 'restartQuarantine'; readonly use: UseFacts }
  /** `mark` is the comment of the trigger function that was proven. */
  | { readonly kind: 'recordTriggersProven'; readonly mark: string }
  /** The triggers were away for a while: what was filled, compared and proven before says nothing any more. */
  | { readonly kind: 'distrust' }
  /** `rowsRepaired`: rows that the repair before it computed anew. */
  | {
      readonly kind: 'recordVerification';
      readonly verification: VerificationFacts;
      readonly rowsRepaired: number;
    }
  /** A lock was asked for in vain; keeps the first time. */
  | { readonly kind: 'noteLockWait' }
  | { readonly kind: 'clearLockWait' }
  | { readonly kind: 'finish'; readonly state: Exclude<LedgerState, 'Active'>; readonly skipped?: string };

/** The history with its open entry closed. */
export const closed = (
  history: readonly HistoryEntry[],
  at: number,
  skipped?: string,
): readonly HistoryEntry[] =>
  history.map((entry, n) =>
    n === history.length - 1 && entry.completedAt === undefined
      ? { ...entry, completedAt: at, ...(skipped === undefined ? {} : { skipped }) }
      : entry,
  );

/**
 * True where another try fills all rows anew. Later it must not: new code writes the new side by then. A
 * verification that found all rows to agree is what Drop relies on, and stays; one that did not is made anew.
 */
export const startsOver = ({ phase, direction }: Pick<Memory, 'phase' | 'direction'>): boolean =>
  phase === 'Backfill' && direction === 'forward';

const stillVerified = (memory: Memory): VerificationFacts | null =>
  startsOver(memory) || memory.verification?.mismatches !== 0 ? null : memory.verification;

type PersonsWord = Extract<Mutation, { kind: 'handleRetry' | 'handleRepair' | 'handleVerify' }>;

const handled = (memory: Memory, mutation: PersonsWord): Memory => {
  switch (mutation.kind) {
    case 'handleRetry':
      return {
        ...memory,
        handledRetry: mutation.value,
        lockWaitSince: null,
        verification: stillVerified(memory),
        repairing: startsOver(memory) ? false : memory.repairing,
      };
    case 'handleRepair':
      return mutation.refused === undefined
        ? {
            ...memory,
            handledRepair: mutation.value,
            repairRefused: null,
            repairing: true,
            lockWaitSince: null,
            verification: null,
          }
        : { ...memory, handledRepair: mutation.value, repairRefused: mutation.refused };
    case 'handleVerify':
      return mutation.refused === undefined
        ? { ...memory, handledVerify: mutation.value, verifyRefused: null, verification: null }
        : { ...memory, handledVerify: mutation.value, verifyRefused: mutation.refused };
  }
};

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
    case 'handleRepair':
    case 'handleVerify':
      return handled(memory, mutation);
    case 'adopt':
      return { ...memory, uid: mutation.uid };
    case 'startQuarantine':
      return { ...memory, quarantineStartedAt: at, lastUse: null };
    case 'restartQuarantine':
      return { ...memory, quarantineStartedAt: at, lastUse: mutation.use };
    case 'recordTriggersProven':
      return { ...memory, provenMark: mutation.mark };
    case 'distrust':
      return { ...memory, provenMark: null, verification: null, quarantineStartedAt: null };
    case 'recordVerification':
      return {
        ...memory,
        verification: mutation.verification,
        repairing: false,
        rowsRepaired: memory.rowsRepaired + mutation.rowsRepaired,
      };
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
    case 'handleRepair':
      return mutation.refused === undefined
        ? `began the repair "${mutation.value}"`
        : `refused the repair "${mutation.value}"`;
    case 'handleVerify':
      return mutation.refused === undefined
        ? `began the comparison "${mutation.value}"`
        : `refused the comparison "${mutation.value}"`;
    case 'adopt':
      return 'went on for the resource that was made again';
    case 'startQuarantine':
      return 'started the quarantine';
    case 'restartQuarantine':
      return `restarted the quarantine, because of ${mutation.use.by}`;
    case 'recordTriggersProven':
      return 'recorded that the triggers work';
    case 'distrust':
      return 'recorded that the triggers were away for a while';
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
