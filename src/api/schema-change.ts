// Made by dev/generate/types.ts from crds/schemachanges.segue.dev.yaml. Don't edit it; edit that, and run the generator.

/**
 * The Deployment's own rolling update, as its spec.strategy says; old and new code serve side by side meanwhile.
 */
export type RollingUpdate = Readonly<Record<string, never>>;

/**
 * A change to one table of a PostgreSQL database, made while the application keeps serving. It moves through AddColumn, DualWrite, Backfill, SwitchReads, Quarantine and Drop; at every instant every version of the application that may be running works against the schema. Whoever may write a SchemaChange may run DDL as the user of its database secret.
 */
export interface SchemaChange {
  readonly apiVersion: 'segue.dev/v1alpha1';
  readonly kind: 'SchemaChange';
  readonly metadata: SchemaChangeMetadata;
  readonly spec: SchemaChangeSpec;
  readonly status?: SchemaChangeStatus;
}
export interface SchemaChangeMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /**
   * Raised by every change of the spec.
   */
  readonly generation: number;
  readonly creationTimestamp: string;
  /**
   * Set once somebody has asked to delete it.
   */
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
}
/**
 * The change that is wanted, and how carefully to make it.
 */
export interface SchemaChangeSpec {
  readonly database: Database;
  readonly change: ChangeSpec;
  readonly dualWrite: DualWriteSettings;
  readonly backfill: BackfillSettings;
  readonly verify: VerifySettings;
  readonly quarantine: QuarantineSettings;
  readonly locks: LockSettings;
  /**
   * Deployments of this namespace whose code uses the table. No phase goes on while one of their pods, Terminating ones included, still runs code that the phase would break.
   */
  readonly workloads: readonly Workload[];
  /**
   * Phases that a person has to let begin, with the annotation segue.dev/approve: <Phase>.
   */
  readonly approvals: readonly (
    'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop'
  )[];
  /**
   * Phase to go to and hold when it is done. Raise it to go on; lowering it never goes back, for that there is rollback.
   */
  readonly targetPhase: 'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop';
  /**
   * Phase after which condition Ready is True, so that a sync wave behind it may deploy code that relies on it; later phases go on meanwhile. Defaults to Backfill where a workload in mode Observe has a release that reads new columns, and for dropColumn, addConstraint and createIndex, else to DualWrite.
   */
  readonly readyAt?: 'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop';
  /**
   * True stops all work after the step at hand; triggers stay, so both sides stay in step.
   */
  readonly suspend: boolean;
  /**
   * True walks back phase by phase to before AddColumn, keeping what either version of the code has written. Possible up to Drop; can't be taken back once it has begun.
   */
  readonly rollback: boolean;
}
/**
 * Where the table lives.
 */
export interface Database {
  readonly secretRef: SecretRef;
  /**
   * Secrets with the URIs of read replicas that the application reads from. The backfill slows down for their lag, and reads switch only when they have replayed its last write.
   */
  readonly replicas: readonly SecretRef[];
}
/**
 * Secret in the same namespace that holds a connection URI. Which Secret is the primary's is fixed once the change has begun; its content may change at any time.
 */
export interface SecretRef {
  /**
   * Name of the Secret.
   */
  readonly name: string;
  /**
   * Key whose value is a libpq URI, such as postgresql://user:password@host:5432/shop?sslmode=verify-full. Secrets made by CloudNativePG fit as they are.
   */
  readonly key: string;
}
/**
 * What to change; exactly one member. Fixed once status.phase is past Pending.
 */
export interface ChangeSpec {
  readonly replaceColumns?: ReplaceColumns;
  readonly renameColumn?: RenameColumn;
  readonly changeType?: ChangeType;
  readonly addColumn?: AddColumn;
  readonly dropColumn?: DropColumn;
  readonly addConstraint?: AddConstraint;
  readonly createIndex?: CreateIndex;
}
/**
 * Replaces some columns by others: rename, retype, split and merge in their general form. Old and new columns stand side by side, kept in step, until Drop.
 */
export interface ReplaceColumns {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Columns that go away in the end.
   */
  readonly from: readonly string[];
  /**
   * Columns that take their place.
   */
  readonly to: readonly NewColumn[];
  /**
   * For each new column an SQL expression over the old columns of the same row. Verification holds every row against it.
   */
  readonly forward: Readonly<Record<string, string>>;
  /**
   * For each old column an SQL expression over the new columns of the same row. It gives old code the values that new code writes, as long as both may run.
   */
  readonly backward: Readonly<Record<string, string>>;
}
export interface NewColumn {
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly name: string;
  /**
   * SQL type of the new column, such as text, bigint or numeric(12,2).
   */
  readonly type: string;
  /**
   * False makes the column NOT NULL at the end of Backfill, once every row has its value.
   */
  readonly nullable: boolean;
}
/**
 * Gives a column another name; type, NOT NULL and values stay. Short for a replaceColumns with one column on each side that copies its value.
 */
export interface RenameColumn {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly from: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly to: string;
}
/**
 * Gives a column another type. The new column stands beside the old one until Drop, so it has a name of its own, by which new code knows it. Short for a replaceColumns with one column on each side.
 */
export interface ChangeType {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly column: string;
  readonly to: RetypedColumn;
  /**
   * SQL expression that makes the new value out of the old column, such as (total * 100)::bigint.
   */
  readonly forward: string;
  /**
   * SQL expression that makes the old value out of the new column, such as total_cents / 100.0.
   */
  readonly backward: string;
}
/**
 * The column that takes its place.
 */
export interface RetypedColumn {
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly name: string;
  /**
   * SQL type of the new column, such as text, bigint or numeric(12,2).
   */
  readonly type: string;
  /**
   * Whether the new column accepts NULL; as the old column does if not set.
   */
  readonly nullable?: boolean;
}
/**
 * Adds a column without a rewrite and without a long lock. Rows that are there get their values in Backfill; constraints come after them.
 */
export interface AddColumn {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly name: string;
  /**
   * SQL type of the new column, such as text, bigint or numeric(12,2).
   */
  readonly type: string;
  /**
   * False makes the column NOT NULL at the end of Backfill, once every row has its value.
   */
  readonly nullable: boolean;
  /**
   * SQL expression for rows that do not give the column, such as 0 or gen_random_uuid(). A constant costs nothing; any other is given to the rows that are there by the backfill. Beside backfill it takes effect in Drop, when the trigger goes.
   */
  readonly default?: string;
  /**
   * SQL expression over the other columns of the row, such as price * quantity. It gives the rows that are there their value, and by a trigger those that old code writes, until Drop.
   */
  readonly backfill?: string;
  /**
   * True adds the unique constraint <table>_<column>_key at the end of Backfill, its index built CONCURRENTLY.
   */
  readonly unique: boolean;
  /**
   * SQL condition such as total >= 0; it becomes the constraint <table>_<column>_check at the end of Backfill.
   */
  readonly check?: string;
  readonly references?: ReferencedColumn;
}
/**
 * The column that this one refers to, by the foreign key <table>_<column>_fkey.
 */
export interface ReferencedColumn {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly column: string;
  /**
   * What happens to a row whose referenced row is deleted.
   */
  readonly onDelete: 'NoAction' | 'Restrict' | 'Cascade' | 'SetNull' | 'SetDefault';
}
/**
 * Drops a column that no code uses any more, after a quarantine that proves it.
 */
export interface DropColumn {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly column: string;
}
/**
 * Adds a constraint without a long lock; exactly one of notNull, check, unique and foreignKey. Writes are held to it from AddColumn on (unique: from Backfill on), so the code that runs must honour it before.
 */
export interface AddConstraint {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  readonly notNull?: NotNullConstraint;
  readonly check?: CheckConstraint;
  readonly unique?: UniqueConstraint;
  readonly foreignKey?: ForeignKey;
}
/**
 * No row may leave the column empty.
 */
export interface NotNullConstraint {
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly column: string;
}
/**
 * Every row must meet a condition.
 */
export interface CheckConstraint {
  /**
   * Name of the constraint or index, without quotes.
   */
  readonly name: string;
  /**
   * SQL condition over the columns of the row, such as total >= 0.
   */
  readonly expression: string;
}
/**
 * No two rows may agree in all these columns.
 */
export interface UniqueConstraint {
  /**
   * Name of the constraint or index, without quotes.
   */
  readonly name: string;
  /**
   * Columns, in their order.
   */
  readonly columns: readonly string[];
}
/**
 * Every row must refer to a row of another table, or to none.
 */
export interface ForeignKey {
  /**
   * Name of the constraint or index, without quotes.
   */
  readonly name: string;
  /**
   * Columns, in their order.
   */
  readonly columns: readonly string[];
  readonly references: ReferencedColumns;
  /**
   * What happens to a row whose referenced row is deleted.
   */
  readonly onDelete: 'NoAction' | 'Restrict' | 'Cascade' | 'SetNull' | 'SetDefault';
}
/**
 * The key that the columns refer to; it must be unique there.
 */
export interface ReferencedColumns {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Columns, in their order.
   */
  readonly columns: readonly string[];
}
/**
 * Builds an index CONCURRENTLY; what a failed build leaves is dropped and built again.
 */
export interface CreateIndex {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Name of the constraint or index, without quotes.
   */
  readonly name: string;
  /**
   * What is indexed, in its order.
   */
  readonly keys: readonly IndexKey[];
  /**
   * True lets no two rows agree in all keys.
   */
  readonly unique: boolean;
  /**
   * Access method, such as gin; extensions bring more.
   */
  readonly method: string;
  /**
   * Columns that the index carries without ordering by them.
   */
  readonly include?: readonly string[];
  /**
   * SQL condition of a partial index, such as status = 'open'.
   */
  readonly where?: string;
}
export interface IndexKey {
  /**
   * Name of a column as it is in the catalog, without quotes.
   */
  readonly column?: string;
  /**
   * SQL expression over the columns of the row, such as lower(email).
   */
  readonly expression?: string;
  /**
   * Operator class, such as text_pattern_ops; that of the type if not set.
   */
  readonly operatorClass?: string;
  /**
   * Ascending if not set.
   */
  readonly order?: 'Ascending' | 'Descending';
  /**
   * Where NULLs stand; last in ascending order, first in descending, if not set.
   */
  readonly nulls?: 'First' | 'Last';
}
/**
 * How old and new columns are kept in step while both are in use.
 */
export interface DualWriteSettings {
  /**
   * Trigger: triggers in the database keep both sides in step, in both directions, whatever the code writes. Application: the code writes both sides itself, and no pod may be below writes-both before the backfill starts. Fixed once status.phase is past Pending.
   */
  readonly mode: 'Trigger' | 'Application';
}
/**
 * How existing rows get the values of their new columns.
 */
export interface BackfillSettings {
  /**
   * Time that one batch should take; the number of rows in it follows. Rows of a batch are locked that long at most, so choose what a single write of the application may wait. 10ms to 10s.
   */
  readonly targetBatchTime: string;
  /**
   * Batches that run at the same time at most, each on a connection of its own.
   */
  readonly maxWorkers: number;
  /**
   * The backfill pauses while a replica lags further behind than this, and while its lag can't be read. 100ms to 1h.
   */
  readonly maxReplicaLag: string;
  /**
   * Rows per second at most, over all workers; 0 means no cap.
   */
  readonly maxRowsPerSecond: number;
  /**
   * What to do about a row that the forward expression can't convert. Hold: convert its neighbours, report its key in status, and hold before SwitchReads until the row is mended.
   */
  readonly onBadRow: 'Hold';
}
/**
 * How the copy is proved before reads switch.
 */
export interface VerifySettings {
  /**
   * Full: every row is compared with the forward expression.
   */
  readonly mode: 'Full';
}
/**
 * The time between the last code that uses the old columns and their drop, in which nobody may use them.
 */
export interface QuarantineSettings {
  /**
   * How long nobody may have used the old columns before they are dropped. Long enough for nightly and weekly jobs to show themselves. 1s to 8760h.
   */
  readonly duration: string;
  /**
   * Observe: the old columns stay as they are and stay in step; their use is watched for.
   */
  readonly mode: 'Observe';
  /**
   * Restart: a use of an old column starts the duration anew.
   */
  readonly onUse: 'Restart';
}
/**
 * How long DDL may wait for a lock, with everybody else queued behind it.
 */
export interface LockSettings {
  /**
   * Longest wait of one try; the application's own statements queue behind it no longer than this. 10ms to 1m.
   */
  readonly timeout: string;
  /**
   * How long to try again, with pauses, before holding until the segue.dev/retry annotation changes. 1s to 168h.
   */
  readonly giveUpAfter: string;
}
export interface Workload {
  /**
   * Name of the Deployment.
   */
  readonly deployment: string;
  /**
   * Service through which the Deployment's pods are reached. Needed by blueGreen; with it, pods of other owners behind the same Service are watched too.
   */
  readonly service?: string;
  /**
   * Manage: Segue rolls out the releases below. Observe: Git or another controller does, with the label change.segue.dev/<name of this resource> in the pod template; Segue waits for it and writes nothing to the Deployment.
   */
  readonly mode: 'Manage' | 'Observe';
  readonly strategy?: Strategy;
  /**
   * The code to run from a phase on. In mode Observe, the code that is expected to come.
   */
  readonly releases: readonly Release[];
}
/**
 * How a release is rolled out in mode Manage; exactly one member.
 */
export interface Strategy {
  readonly blueGreen?: BlueGreen;
  readonly rollingUpdate?: RollingUpdate;
}
/**
 * New pods are started beside the old ones, as many, and the Service is switched over at once; until then a failure costs no request.
 */
export interface BlueGreen {
  /**
   * How long the new pods must have been available before the Service is switched to them. 0s to 1h.
   */
  readonly settle: string;
}
export interface Release {
  /**
   * Phase in which this code is rolled out.
   */
  readonly phase: 'DualWrite' | 'SwitchReads' | 'Quarantine';
  /**
   * What this code does with the columns. writes-both: reads old, writes both. reads-new: reads new, writes both. new-only: knows the new columns alone. Defaults to writes-both for DualWrite, reads-new for SwitchReads, new-only for Quarantine. In dualWrite.mode Trigger the database does the second write, so code that knows the new columns alone may come with SwitchReads.
   */
  readonly code?: 'writes-both' | 'reads-new' | 'new-only';
  /**
   * Container that image and env are for; the first one if not set.
   */
  readonly container?: string;
  /**
   * Image to run, laid over the Deployment's template.
   */
  readonly image?: string;
  /**
   * Environment variables to set, laid over those of the Deployment's template.
   */
  readonly env?: Readonly<Record<string, string>>;
}
/**
 * A report of where the change stands, for people and programs to read. Segue itself goes by the database's catalog and its ledger there.
 */
export interface SchemaChangeStatus {
  /**
   * metadata.generation of the spec that this report is about.
   */
  readonly observedGeneration?: number;
  /**
   * Where the change stands, in one word. Pending until every check has passed and the database is about to be touched.
   */
  readonly phase?:
    | 'Pending'
    | 'AddColumn'
    | 'DualWrite'
    | 'Backfill'
    | 'SwitchReads'
    | 'Quarantine'
    | 'Drop'
    | 'Completed'
    | 'RollingBack'
    | 'RolledBack'
    | 'Failed';
  /**
   * Table that is changed, with its schema.
   */
  readonly table?: string;
  /**
   * How far the present phase has come, short enough for a column.
   */
  readonly progress?: string;
  /**
   * What is being done or waited for and, where it waits, what would let it go on.
   */
  readonly message?: string;
  /**
   * Ready, Reconciling and Stalled as kstatus defines them; ColumnsAdded, DualWriting, Backfilled, Verified, ReadsSwitched, Quarantined and Dropped for what has been reached; AwaitingApproval, Suspended and CodeAhead for what holds it.
   */
  readonly conditions?: readonly Condition[];
  readonly blockedBy?: BlockedBy;
  readonly backfill?: BackfillStatus;
  readonly verification?: VerificationStatus;
  readonly quarantine?: QuarantineStatus;
  /**
   * The application's side, one entry a workload.
   */
  readonly rollouts?: readonly RolloutStatus[];
  /**
   * Approvals that have been taken note of.
   */
  readonly approvals?: readonly ApprovalStatus[];
  /**
   * Value of the segue.dev/retry annotation that was last acted upon.
   */
  readonly handledRetry?: string;
  /**
   * Phases entered so far, in their order; on the way back each appears once more.
   */
  readonly history?: readonly HistoryStatus[];
}
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly observedGeneration?: number;
  /**
   * When the status last changed.
   */
  readonly lastTransitionTime: string;
  /**
   * One word for programs; each has a section in the runbook.
   */
  readonly reason: string;
  /**
   * One sentence for people.
   */
  readonly message: string;
}
/**
 * Who or what stands in the way; absent while nothing does.
 */
export interface BlockedBy {
  /**
   * What it is, such as Lock, Pod or Replica.
   */
  readonly kind: string;
  /**
   * Which one, and since when.
   */
  readonly message: string;
}
/**
 * Progress of the backfill, once it has begun.
 */
export interface BackfillStatus {
  /**
   * Rows looked at so far.
   */
  readonly rowsDone: number;
  /**
   * Estimated rows of the table; absent while unknown.
   */
  readonly rowsTotal?: number;
  /**
   * Share of the table's pages that is done, 0 to 100.
   */
  readonly percent: number;
  /**
   * Speed over the last stretch.
   */
  readonly rowsPerSecond: number;
  /**
   * When it should be done at the present speed.
   */
  readonly estimatedCompletion?: string;
  /**
   * Batches that run at the same time now.
   */
  readonly workers: number;
  /**
   * What slows it down now; absent or empty if nothing does.
   */
  readonly throttledBy?: string;
  /**
   * Rows that the forward expression could not convert.
   */
  readonly badRows: number;
  /**
   * Primary keys of some of them.
   */
  readonly sampleBadKeys?: readonly string[];
}
/**
 * Result of the last comparison of the two sides.
 */
export interface VerificationStatus {
  readonly rowsCompared: number;
  /**
   * Rows whose new columns differ from what the forward expression gives.
   */
  readonly mismatches: number;
  /**
   * Primary keys of some of them.
   */
  readonly sampleKeys?: readonly string[];
}
/**
 * The quarantine clock, once it runs.
 */
export interface QuarantineStatus {
  /**
   * When the present run of the clock began; a use of an old column starts it anew.
   */
  readonly startedAt: string;
  /**
   * When the old columns may be dropped if nobody uses them until then.
   */
  readonly endsAt: string;
  readonly lastUse?: LastUse;
}
/**
 * Last use of an old column that was seen.
 */
export interface LastUse {
  readonly at: string;
  /**
   * Application name and role of the session, or name of the pod.
   */
  readonly by: string;
  readonly kind: 'Read' | 'Write' | 'Pod';
}
export interface RolloutStatus {
  readonly deployment: string;
  /**
   * None where the workload is only observed.
   */
  readonly strategy: 'BlueGreen' | 'RollingUpdate' | 'None';
  /**
   * What the rollout does or waits for.
   */
  readonly step?: string;
  /**
   * Share of the traffic that new code gets, 0 to 100.
   */
  readonly weight?: number;
  /**
   * Pods by the code that they run, Terminating ones included.
   */
  readonly podsByCode?: Readonly<Record<string, number>>;
}
export interface ApprovalStatus {
  readonly phase: 'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop';
  /**
   * Field manager that wrote the annotation.
   */
  readonly by?: string;
  readonly at: string;
}
export interface HistoryStatus {
  readonly phase: 'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop';
  readonly startedAt: string;
  readonly completedAt?: string;
  /**
   * Why the phase had nothing to do.
   */
  readonly skipped?: string;
}
