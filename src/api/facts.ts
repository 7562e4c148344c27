/**
 * What Segue knows before it decides: plain data, read from PostgreSQL and the API server by the thin outer
 * layers and handed to the pure ones. Nothing here is ever read back from a resource's status, which is a
 * report. Times are milliseconds since the epoch, taken from the database's clock where they are stored there.
 */
import type { RepairFacts, VerificationFacts, VerifyingFacts } from './comparison-facts.ts';
import type { ObservedFacts } from './observed-facts.ts';
import type { AnalysedFacts } from './analysis-facts.ts';
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
  /** What it has beside its type; left out where nobody asked. */
  readonly attributes?: ColumnAttributes;
}

/** What a column has beside its type and NOT NULL. */
export interface ColumnAttributes {
  /** Quoted name of a collation other than its type's own. */
  readonly collation?: string;
  /** True where long values may be compressed or stored out of line. */
  readonly toastable: boolean;
  readonly storage: 'PLAIN' | 'EXTERNAL' | 'EXTENDED' | 'MAIN';
  readonly compression: 'default' | 'pglz' | 'lz4';
  /** Statistics target; absent for the default. */
  readonly statistics?: number;
  /** As `SET (…)` takes them: `n_distinct=500`. */
  readonly options: readonly string[];
  readonly comment?: string;
  readonly grants: readonly GrantFacts[];
  /** Sequences that go when the column does: of an identity column one. */
  readonly sequences: readonly SequenceFacts[];
}

/** A privilege of a column or sequence, apart from its owner's. */
export interface GrantFacts {
  /** Quoted, or PUBLIC. */
  readonly role: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** A sequence that a column owns. */
export interface SequenceFacts {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'identity always' | 'identity by default' | 'owned';
  /** Data type, such as integer. */
  readonly type: string;
  /** As text: bounds of bigint exceed a number's. */
  readonly increment: string;
  readonly minimum: string;
  readonly maximum: string;
  readonly start: string;
  readonly cache: string;
  readonly cycle: boolean;
  readonly comment?: string;
  readonly grants: readonly GrantFacts[];
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
  /** What it says; left out for a foreign key, which `foreignKeys` has, and where nobody asked. */
  readonly definition?: ConstraintDefinition;
}

/** What a constraint other than a foreign key says. */
export interface ConstraintDefinition {
  readonly oid: number;
  readonly kind: 'check' | 'unique' | 'primary key' | 'exclusion';
  /** Every column that it reads. */
  readonly columns: readonly string[];
  /** Of a check, as `pg_get_expr` prints it. */
  readonly expression: string;
  /** Its index, of the table's schema; empty for a check. */
  readonly index: string;
  readonly comment?: string;
  /** Why another column can't be given the like of it, as a clause ("it is DEFERRABLE"). */
  readonly obstacle?: string;
}

/** A foreign key from the table or to it. */
export interface ForeignKeyFacts {
  readonly oid: number;
  readonly name: string;
  readonly validated: boolean;
  readonly from: { readonly schema: string; readonly name: string };
  readonly columns: readonly string[];
  readonly to: { readonly schema: string; readonly name: string };
  readonly toColumns: readonly string[];
  /** MATCH, ON UPDATE, ON DELETE, DEFERRABLE as the statement has them. */
  readonly clauses: string;
  readonly comment?: string;
  /** As ConstraintDefinition's. */
  readonly obstacle?: string;
}

/** An index of the table, in the table's schema. */
export interface IndexFacts {
  readonly name: string;
  /** False while it is being built, and for what a build that failed has left behind. */
  readonly valid: boolean;
  /** What it is; left out where nobody asked. */
  readonly definition?: IndexDefinition;
}

/** What CREATE INDEX made an index of. */
export interface IndexDefinition {
  readonly oid: number;
  readonly unique: boolean;
  /** Access method, such as btree. */
  readonly method: string;
  readonly keys: readonly {
    /** A column's name, or an expression. */
    readonly kind: 'column' | 'expression';
    readonly text: string;
    /** Collation, operator class, order, NULLS, where they are not the default. */
    readonly clauses: string;
  }[];
  readonly include: readonly string[];
  /** Every column that it reads, those of expressions and of its condition included. */
  readonly columns: readonly string[];
  /** NULLS NOT DISTINCT, WITH, TABLESPACE as the statement has them. */
  readonly clauses: string;
  /** Condition of a partial index, as `pg_get_expr` prints it; empty without one. */
  readonly where: string;
  /** The constraint that it serves. */
  readonly constraint?: string;
  readonly replicaIdentity: boolean;
  readonly clustered: boolean;
  readonly comment?: string;
}

/** Extended statistics of the table. */
export interface StatisticsFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** ndistinct, dependencies, mcv; of statistics on one expression none. */
  readonly kinds: readonly string[];
  readonly plain: readonly string[];
  readonly expressions: readonly string[];
  readonly columns: readonly string[];
  /** Statistics target; absent for the default. */
  readonly target?: number;
  readonly comment?: string;
}

/** A publication that names the table with a list of columns or a condition. */
export interface PublicationFacts {
  readonly name: string;
  /** Columns that are published; empty where all are. */
  readonly columns: readonly string[];
  /** Its WHERE, as `pg_get_expr` prints it; empty without one. */
  readonly where: string;
  /** Every column that list and condition name. */
  readonly uses: readonly string[];
  /** True if the role that Segue uses may alter it. */
  readonly owned: boolean;
}

/** An index of a partition. */
export interface PartitionIndexFacts extends IndexFacts {
  /** The index of the table above that it is attached to. */
  readonly attachedTo?: string;
  /** True if a unique or primary key constraint rests on it. */
  readonly constraint: boolean;
}

/** A table below a partitioned one: a leaf, which holds rows, or partitioned itself. */
export interface PartitionFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** OID of the table that it is a partition of. */
  readonly parent: number;
  readonly leaf: boolean;
  /** 1 for a partition of the table itself. */
  readonly level: number;
  readonly indexes: readonly PartitionIndexFacts[];
}

/** A trigger of ours, or the mere existence of somebody else's. */
export interface TriggerFacts {
  readonly name: string;
  /** False while `ALTER TABLE … DISABLE TRIGGER` holds it off, or it is for replicas only. */
  readonly enabled: boolean;
  /** True if it is a BEFORE ROW trigger for UPDATE: it may change source columns behind `UPDATE OF`. */
  readonly beforeUpdate: boolean;
  /** True if it is a BEFORE ROW trigger for INSERT. */
  readonly beforeInsert: boolean;
  /** True if it is for `UPDATE OF` some columns only. */
  readonly ofColumns: boolean;
}

/** One ordinary table that holds rows: the table itself, or each leaf of a partitioned one. */
export interface HeapFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Changes when the heap is rewritten (VACUUM FULL, CLUSTER): page numbers before it mean nothing after. */
  readonly filenode: number;
}

/**
 * What the ledger says of a step that is known by its record alone. `begun`: it was started outside a transaction,
 * and nothing says that it came to its end.
 */
export type StepState = 'begun' | 'done';

/** The catalog's view of the table that a change works on. */
export interface TableFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly partitioned: boolean;
  /** Why no change can work on it, as a clause ("it is a view; name the table beneath it"). */
  readonly unsupported?: string;
  readonly columns: Readonly<Record<string, ColumnFacts>>;
  /** Columns that stand under another name for the moment (quarantine mode Hide), here by their own. */
  readonly hidden?: readonly string[];
  /** Columns of the primary key, in order; empty without one. */
  readonly primaryKey: readonly string[];
  readonly constraints: readonly ConstraintFacts[];
  readonly indexes: readonly IndexFacts[];
  /** Of this table, and of others to it. */
  readonly foreignKeys: readonly ForeignKeyFacts[];
  readonly statistics: readonly StatisticsFacts[];
  readonly publications: readonly PublicationFacts[];
  readonly triggers: readonly TriggerFacts[];
  readonly dependents: readonly ColumnDependent[];
  readonly heaps: readonly HeapFacts[];
  /** All below it, those of its partitions included, outermost first; empty for an ordinary table. */
  readonly partitions: readonly PartitionFacts[];
  /**
   * Comments on functions of schema `segue` by function name: the marks by which steps know their work. One that the
   * function's text does not have too is left out, for CREATE OR REPLACE by others keeps the comment.
   */
  readonly marks: Readonly<Record<string, string>>;
  /** Steps of changes under way on this table that are on record, by `<id of the change>/<step>`. */
  readonly steps: Readonly<Record<string, StepState>>;
  /** Planner's estimate of rows over all heaps; -1 where the table was never analysed. */
  readonly estimatedRows: number;
}

/** Where a backfill stands; all zero before its first batch. */
export interface BackfillFacts {
  readonly pagesDone: number;
  readonly pagesTotal: number;
  readonly rowsDone: number;
  readonly rowsTotal: number;
  /** Over the last minute, pauses included; 0 while nobody knows. */
  readonly rowsPerSecond: number;
  /** Milliseconds until all is filled at the speed of the last minute; absent while nobody knows. */
  readonly leftMs?: number;
  /** Batches at the same time in the last stretch. */
  readonly workers: number;
  readonly badRows: number;
  /** Keys of bad rows, as JSON text, at most ten. */
  readonly sampleBadKeys: readonly string[];
  /** True if some of them have not been tried for a while. */
  readonly badRowsDue: boolean;
  readonly done: boolean;
  /** Why the last stretch stood still or was slowed down, empty if it was not. */
  readonly throttledBy: string;
}

/** When and by whom an old column was last seen in use. */
export interface UseFacts {
  /** Of a statement that pg_stat_statements counted: when that was seen. */
  readonly at: number;
  /** application_name and role, or a pod's name; for `Lost`, what was lost. */
  readonly by: string;
  /** `Lost`: evidence went away before it was looked at, so that nobody can tell. It counts as a use. */
  readonly kind: 'Read' | 'Write' | 'Pod' | 'Lost';
  /** queryid and normalised text of a statement, cut short. */
  readonly statement?: string;
}

/** How far the archive of the old values has come. */
export interface ArchiveFacts {
  readonly rows: number;
  /** True once every row has been copied; what is written later is copied anew. */
  readonly copied: boolean;
  /** When rows written since their copy were last copied anew. */
  readonly caughtUpAt?: number;
}

/** The last look into the server's own records for uses of the old columns. */
export interface LookFacts {
  readonly at: number;
  /** Which of them could be read. */
  readonly sees: readonly ('Statements' | 'Activity' | 'ServerLog')[];
  /** What could not be seen, and what would let it be, as sentences. */
  readonly blindSpots: readonly string[];
  /** Why columns must not be hidden: what fails then would not be noticed. */
  readonly cannotHide?: string;
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
  /** Types of those columns as `format_type` prints them. */
  readonly columnTypes: Readonly<Record<string, string>>;
  /** Old columns that were NOT NULL when the change began. */
  readonly oldNotNull: readonly string[];
  readonly history: readonly HistoryEntry[];
  /** True once a probe row has shown that the triggers of the present mode work. */
  readonly triggersProven: boolean;
  readonly backfill: BackfillFacts;
  /** Present once it is finished. */
  readonly verification?: VerificationFacts;
  /** Present from the first range to the next verification. */
  readonly verifying?: VerifyingFacts;
  readonly repair: RepairFacts;
  readonly approvals: readonly { readonly phase: Phase; readonly by: string; readonly at: number }[];
  readonly quarantineStartedAt?: number;
  readonly lastUse?: UseFacts;
  /** The latest use of each user and kind since Quarantine was entered, newest first, ten at most. */
  readonly uses: readonly UseFacts[];
  /** Absent before the first look. */
  readonly look?: LookFacts;
  /** Since when old columns are hidden; absent while they are not. */
  readonly hiddenAt?: number;
  /** When they had last been hidden for the whole time without being missed. */
  readonly rehearsedAt?: number;
  /** Absent before an archive is begun. */
  readonly archive?: ArchiveFacts;
  /** Rows on which one side could not be converted to the other since the triggers stand. */
  readonly conflicts: number;
  /** Value of the verify annotation that was last acted upon, empty before. */
  readonly handledVerify: string;
  /** Why no comparison was made for it; null if one was. */
  readonly verifyRefused: string | null;
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
export interface WorkloadFacts extends ObservedFacts, AnalysedFacts {
  readonly deployment: string;
  readonly mode: 'Manage' | 'Observe';
  readonly strategy: 'BlueGreen' | 'Canary' | 'RollingUpdate' | 'Toggle' | 'None';
  /** Every pod that may still run code, Terminating ones and other owners' under the same Service included. */
  readonly podsByCode: Readonly<Record<Code, number>>;
  /** Names of at most ten pods by code, so that a message can say which; with their owners in mode Observe. */
  readonly podNames: Readonly<Record<Code, readonly string[]>>;
  readonly rollout: RolloutFacts;
  /** Percent of the traffic that the wanted code gets; absent where nothing is rolled out, or no pod is ready. */
  readonly weight?: number;
}
