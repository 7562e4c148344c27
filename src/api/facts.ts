/**
 * What Segue knows before it decides: plain data, read from PostgreSQL and the API server by the thin outer
 * layers and handed to the pure ones. Nothing here is ever read back from a resource's status, which is a
 * report. Times are milliseconds since the epoch, taken from the database's clock where they are stored there.
 */
import type { Code, Phase } from './phase.ts';
import type { Reason } from './reasons.ts';

/** Something that was read, or could not be read. Unknown is never "no": whoever meets it waits. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly reason: Reason; readonly message: string };

/** Wraps a value that was read. */
export const known = <T>(value: T): Fact<T> => ({ known: true, value });

/** States why something could not be read, and what would mend it. */
export const unknown = (reason: Reason, message: string): Fact<never> => ({ known: false, reason, message });

/** Something in the resource, the database or the cluster that a person has to mend. */
export interface Violation {
  readonly reason: Reason;
  /** Names the object, the cause and the way out. */
  readonly message: string;
}

/** A column as the catalog has it. */
export interface ColumnFacts {
  readonly attnum: number;
  /** As `format_type` prints it, with its modifier: `numeric(10,2)`. */
  readonly type: string;
  readonly notNull: boolean;
  /** The default's expression as `pg_get_expr` prints it. */
  readonly default?: string;
  readonly generated: boolean;
  readonly identity: boolean;
  /**
   * True where equal means the same bytes. False for types without equality (json) and for those where equal
   * values can differ (numeric 1.0 and 1.00, citext, interval): they are compared as text.
   */
  readonly comparable: boolean;
}

/** Something that hangs on a column and that `DROP COLUMN` would take along or stumble over. */
export interface ColumnDependent {
  readonly column: string;
  readonly kind:
    | 'primary key'
    | 'foreign key'
    | 'unique constraint'
    | 'check constraint'
    | 'exclusion constraint'
    | 'index'
    | 'view'
    | 'rule'
    | 'policy'
    | 'trigger'
    | 'generated column'
    | 'publication'
    | 'statistics'
    | 'sequence'
    | 'grant'
    | 'partition key'
    | 'other';
  readonly name: string;
}

/** A check, foreign key, unique, primary key or exclusion constraint of the table, by name. */
export interface ConstraintFacts {
  readonly name: string;
  readonly validated: boolean;
}

/** An index of the table, in the table's schema. */
export interface IndexFacts {
  readonly name: string;
  /** False while it is being built, and for what a build that failed has left behind. */
  readonly valid: boolean;
}

/** A trigger of ours, or the mere existence of somebody else's. */
export interface TriggerFacts {
  readonly name: string;
  /** False while `ALTER TABLE … DISABLE TRIGGER` holds it off, or it is for replicas only. */
  readonly enabled: boolean;
  /** True if it is a BEFORE ROW trigger for UPDATE: it may change source columns behind `UPDATE OF`. */
  readonly beforeUpdate: boolean;
}

/** One ordinary table that holds rows: the table itself, or each leaf of a partitioned one. */
export interface HeapFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Changes when the heap is rewritten (VACUUM FULL, CLUSTER): page numbers before it mean nothing after. */
  readonly filenode: number;
}

/** The catalog's view of the table that a change works on. */
export interface TableFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly partitioned: boolean;
  /** Why no change can work on it, as a clause ("it is a view; name the table beneath it"). */
  readonly unsupported?: string;
  readonly columns: Readonly<Record<string, ColumnFacts>>;
  /** Columns of the primary key, in order; empty without one. */
  readonly primaryKey: readonly string[];
  readonly constraints: readonly ConstraintFacts[];
  readonly indexes: readonly IndexFacts[];
  readonly triggers: readonly TriggerFacts[];
  readonly dependents: readonly ColumnDependent[];
  readonly heaps: readonly HeapFacts[];
  /** Comments on functions of schema `segue` by function name: the marks by which steps know their work. */
  readonly marks: Readonly<Record<string, string>>;
  /** Planner's estimate of rows over all heaps; -1 where the table was never analysed. */
  readonly estimatedRows: number;
}

/** Where a backfill stands; all zero before its first batch. */
export interface BackfillFacts {
  readonly pagesDone: number;
  readonly pagesTotal: number;
  readonly rowsDone: number;
  readonly rowsTotal: number;
  readonly rowsPerSecond: number;
  readonly badRows: number;
  /** Keys of bad rows, as JSON text, at most ten. */
  readonly sampleBadKeys: readonly string[];
  readonly done: boolean;
  /** Why the last stretch stood still, empty if it did not. */
  readonly throttledBy: string;
}

/** The result of the last verification; it counts only for the backfill pass that it followed. */
export interface VerificationFacts {
  readonly at: number;
  readonly rowsCompared: number;
  readonly mismatches: number;
  /** Keys of rows that differ, as JSON text, at most ten. */
  readonly sampleKeys: readonly string[];
  /** WAL position that replicas must have replayed before reads may switch. */
  readonly lsn: string;
}

/** When and by whom an old column was last seen in use. */
export interface UseFacts {
  readonly at: number;
  /** application_name and role, or a pod's name. */
  readonly by: string;
  readonly kind: 'Read' | 'Write' | 'Pod';
}

/** One line of `status.history`. */
export interface HistoryEntry {
  readonly phase: Phase;
  readonly startedAt: number;
  readonly completedAt?: number;
  /** Why a phase had nothing to do. */
  readonly skipped?: string;
}

/** Whether a change is under way or how it ended. */
export type LedgerState = 'Active' | 'Completed' | 'RolledBack' | 'Abandoned';

/** What the ledger in the database says of one change: the memory of the phase machine. */
export interface LedgerFacts {
  readonly id: number;
  /** Of the resource that last ran it; another one of the same name and change may take it over. */
  readonly uid: string;
  readonly state: LedgerState;
  readonly phase: Phase;
  /** `back` once a walk-back began: it is never turned round. */
  readonly direction: 'forward' | 'back';
  /** Raised by every write; each write names the one that it was decided from, and is refused if another came first. */
  readonly revision: number;
  /** `spec.change` as it was when the change began. */
  readonly change: unknown;
  /** The table and its columns as they were, so that what is dropped is what was meant. */
  readonly tableOid: number;
  readonly attnums: Readonly<Record<string, number>>;
  /** Old columns that were NOT NULL when the change began. */
  readonly oldNotNull: readonly string[];
  readonly history: readonly HistoryEntry[];
  /** True once a probe row has shown that the triggers of the present mode work. */
  readonly triggersProven: boolean;
  readonly backfill: BackfillFacts;
  readonly verification?: VerificationFacts;
  readonly approvals: readonly { readonly phase: Phase; readonly by: string; readonly at: number }[];
  readonly quarantineStartedAt?: number;
  readonly lastUse?: UseFacts;
  /** Rows on which one side could not be converted to the other since the triggers stand. */
  readonly conflicts: number;
  /** Value of the retry annotation that was last acted upon. */
  readonly handledRetry: string;
  /** Since when a lock has been asked for in vain. */
  readonly lockWaitSince?: number;
  /** The database's clock when this was read: what is due is judged by the clock that wrote the times. */
  readonly readAt: number;
}

/** How far the roll-out of the wanted code has come on one workload. */
export type RolloutFacts =
  /** The wanted code runs, nothing of the roll-out is left over. */
  | { readonly kind: 'done' }
  /** The next write to the cluster, and what it is for. */
  | { readonly kind: 'step'; readonly step: RolloutStep; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: Reason; readonly message: string }
  /** Traffic is back on the old code; a person has to look. */
  | { readonly kind: 'failed'; readonly reason: Reason; readonly message: string };

/** One write of a roll-out: plain data, carried out by `src/rollout/act.ts`. `kind` names it in logs and Events. */
export interface RolloutStep {
  readonly kind: string;
  readonly deployment: string;
  readonly [detail: string]: unknown;
}

/** What is known of one workload of the resource. */
export interface WorkloadFacts {
  readonly deployment: string;
  readonly mode: 'Manage' | 'Observe';
  readonly strategy: 'BlueGreen' | 'RollingUpdate' | 'None';
  /** Every pod that may still run code, Terminating ones and other owners' under the same Service included. */
  readonly podsByCode: Readonly<Record<Code, number>>;
  /** Names of at most ten pods by code, so that a message can say which. */
  readonly podNames: Readonly<Record<Code, readonly string[]>>;
  readonly rollout: RolloutFacts;
}
