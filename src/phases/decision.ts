/** What is to be done next: data, so that it can be printed, logged and tested before anything happens. */
import type { RolloutStep, UseFacts } from '../api/facts.ts';
import type { Phase } from '../api/phase.ts';
import type { Reason } from '../api/reasons.ts';
import type { Step } from '../changes/change.ts';

/** One durable effect. Each may be repeated without harm. */
export type Action =
  /** Puts our finalizer on the resource: from now on something of ours is in the database. */
  | { readonly kind: 'protect' }
  /** Takes the finalizer off. */
  | { readonly kind: 'release' }
  /** Opens the ledger for the change. */
  | { readonly kind: 'begin' }
  /** The resource was made again under its name: the change is now its. */
  | { readonly kind: 'adopt' }
  | { readonly kind: 'step'; readonly step: Step }
  /** Shows on a row, in a transaction that is rolled back, that the triggers act. */
  | { readonly kind: 'prove' }
  /** The triggers were found missing: what rests on them is forgotten before they are made anew. */
  | { readonly kind: 'distrust' }
  | { readonly kind: 'backfill' }
  /** Tries rows again that could not be converted. */
  | { readonly kind: 'retryBadRows' }
  | { readonly kind: 'verify' }
  | { readonly kind: 'rollout'; readonly step: RolloutStep }
  | { readonly kind: 'enter'; readonly to: Phase; readonly from: Phase; readonly skipped?: string }
  | { readonly kind: 'turnBack' }
  | { readonly kind: 'approve'; readonly phase: Phase; readonly by: string }
  | { readonly kind: 'retry'; readonly value: string }
  /** Has rows that differ computed anew; with `refused` only takes note that it was asked for. */
  | { readonly kind: 'repair'; readonly value: string; readonly refused?: string }
  /** Forgets the last comparison, so that all rows are compared again; with `refused` only takes note that it was asked for. */
  | { readonly kind: 'compareAgain'; readonly value: string; readonly refused?: string }
  /** Copies old values of rows into the archive, for a while. */
  | { readonly kind: 'archive' }
  /** Looks into the server's own records for uses of the old columns. */
  | { readonly kind: 'look' }
  | { readonly kind: 'startQuarantine' }
  | { readonly kind: 'restartQuarantine'; readonly use: UseFacts }
  | {
      readonly kind: 'finish';
      readonly state: 'Completed' | 'RolledBack' | 'Abandoned';
      readonly skipped?: string;
    };

/** One of three: do this; wait for that; there is nothing left. */
export type Decision =
  | { readonly kind: 'act'; readonly action: Action; readonly reason: Reason; readonly message: string }
  | {
      readonly kind: 'wait';
      readonly reason: Reason;
      /** What it waits for and what would end the wait. */
      readonly message: string;
      /** Look again after this time at the latest; changes that are watched wake it earlier. */
      readonly recheckMs: number;
    }
  | { readonly kind: 'finished'; readonly reason: Reason; readonly message: string };

/** A decision to act; `message` says what is being done. */
export const act = (action: Action, message: string, reason: Reason = 'Progressing'): Decision => ({
  kind: 'act',
  action,
  reason,
  message,
});

/** A decision to wait. */
export const wait = (reason: Reason, message: string, recheckMs = 15_000): Decision => ({
  kind: 'wait',
  reason,
  message,
  recheckMs,
});
