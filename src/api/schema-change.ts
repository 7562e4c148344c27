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
  readonly drop: DropSettings;
  readonly locks: LockSettings;
  /**
   * Deployments of this namespace whose code uses the table, and what else runs such code. No phase goes on while one of their pods, Terminating ones included, still runs code that the phase would break.
   */
  readonly workloads: readonly Workload[];
  /**
   * Phases that a person has to let begin, with the annotation segue.dev/approve: <Phase>.
   */
  readonly approvals: readonly (
    'AddColumn' | 'DualWrite' | 'Backfill' | 'SwitchReads' | 'Quarantine' | 'Drop'
  )[];
  /**
   * Phase to go to and hold when it is done. Raise it to go on; lowered below the phase that the change is in, the change stands still there. It never goes back by itself, for that there is rollback.
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
  readonly sql?: SqlChange;
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
  /**
   * Old column that this one takes the place of: it gets that one's default, checks, indexes, foreign keys, grants and the like. Where one column replaces one other, it need not be said.
   */
  readonly inherits?: string;
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
 * Scripts for what has no kind of its own. Each statement is a transaction of its own and runs once; one that would hold the application up is refused.
 */
export interface SqlChange {
  /**
   * Table to change, as schema.table or as table alone, which means schema public. Names are written as they are in the catalog, without quotes.
   */
  readonly table: string;
  /**
   * Statements that run in AddColumn. Code that knows nothing of them must go on working, for it runs on beside.
   */
  readonly expand?: string;
  /**
   * Statements that run in Drop, once no pod is below new-only and the quarantine is over. What they take away does not come back.
   */
  readonly contract?: string;
  /**
   * Statements that take expand back when the change is walked back, from whatever statement it had come to, so with IF EXISTS. Without it a change whose expand has begun can't be walked back.
   */
  readonly undo?: string;
  /**
   * True runs statements that would rewrite a table, read it under a lock or take away what running code uses. What breaks the run itself, such as BEGIN, is refused all the same.
   */
  readonly allowUnsafe: boolean;
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
   * What to do about a row that the forward expression can't convert; its neighbours are converted in any case. Hold: report its key in status, and hold before SwitchReads until the row is mended. Skip: keep its key in segue.dead_letter and go on without it; Drop refuses while there are any, see drop.deadLetters.
   */
  readonly onBadRow: 'Hold' | 'Skip';
  readonly window?: BackfillWindow;
}
/**
 * When rows may be filled and compared; outside it backfill and verification stand still. Without it, always.
 */
export interface BackfillWindow {
  /**
   * Wall-clock time at which it opens, such as 22:00.
   */
  readonly from: string;
  /**
   * Wall-clock time at which it closes, on the next day if that is not after from.
   */
  readonly to: string;
  /**
   * Zone of the two, as the IANA database names it, such as Europe/Berlin; summer time is heeded.
   */
  readonly timeZone: string;
  /**
   * Days on which it opens; one over midnight belongs to the evening.
   */
  readonly days: readonly ('Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun')[];
}
/**
 * How the copy is proved before reads switch.
 */
export interface VerifySettings {
  /**
   * Full: every row is compared with the forward expression. Sample: the rows of samplePercent of the table's pages are. None: no row is. With Sample and None the condition Verified never becomes True, and where columns are dropped Drop waits for an approval, whether spec.approvals lists it or not.
   */
  readonly mode: 'Full' | 'Sample' | 'None';
  /**
   * With mode Sample, percent of the table's pages whose rows are compared, in stretches at even distances.
   */
  readonly samplePercent: number;
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
   * Observe: the old columns stay as they are and stay in step; their use is watched for. Hide: after the duration they stand under other names for the time of hideFor, still in step, so that a statement which needs them fails as it would after Drop; it is noticed and they are shown again within seconds. Waits where a failure would go unnoticed.
   */
  readonly mode: 'Observe' | 'Hide';
  /**
   * How long the old columns are hidden in mode Hide. 1s to 720h.
   */
  readonly hideFor: string;
  /**
   * Restart: a use of an old column starts the duration anew. Hold: it stops the change for a person, until the retry annotation is set to a new value.
   */
  readonly onUse: 'Restart' | 'Hold';
  /**
   * Use: a statement that takes every column of the table (SELECT *, RETURNING *, INSERT without a column list) counts as a use of the old ones. Ignore: it does not; for code that does not mind that columns go.
   */
  readonly wildcards: 'Use' | 'Ignore';
  /**
   * queryids of pg_stat_statements that do not count as a use, as status.quarantine.uses has them: for a statement that you have looked at and that can do without the old columns.
   */
  readonly ignoreStatements: readonly string[];
}
/**
 * How the old side goes away.
 */
export interface DropSettings {
  /**
   * What to do where rows were skipped (backfill.onBadRow) and have no new values. Refuse: drop nothing while there are any. Discard: drop the old columns, with the only values that these rows have.
   */
  readonly deadLetters: 'Refuse' | 'Discard';
  /**
   * Keep the key and the old columns of every row in table segue.archive_<number>, copied before the columns go; readable by its owner only, and yours to drop. Needs a primary key.
   */
  readonly archive: boolean;
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
   * What it is, if not a Deployment; in mode Observe alone. Rollout is that of Argo Rollouts. A CronJob's code is that of its template and of the Jobs that it has started.
   */
  readonly kind?: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet' | 'Rollout' | 'CronJob';
  /**
   * Name of the Deployment, or of the object of that kind.
   */
  readonly deployment: string;
  /**
   * Service through which its pods are reached. Needed by blueGreen; with it, pods of other owners behind the same Service are watched too.
   */
  readonly service?: string;
  /**
   * Further Services of the same pods, such as one for gRPC or a headless one for metrics. blueGreen holds and switches them together with service, one after the other. A Service of these pods that is not listed sends requests to both sides while both stand.
   */
  readonly services?: readonly string[];
  /**
   * Manage: Segue rolls out the releases below. Observe: Git or another controller does, with the label change.segue.dev/<name of this resource> in the pod template; Segue waits for it and writes nothing to the workload.
   */
  readonly mode: 'Manage' | 'Observe';
  readonly strategy?: Strategy;
  /**
   * What is measured while new code is rolled out, before it gets more of the traffic. Success goes on; failure brings the old code back; what can't be judged waits for a person.
   */
  readonly analysis?: readonly Analysis[];
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
  readonly canary?: Canary;
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
  /**
   * How long the old pods are kept as they are after the switch, so that going back is one write. They count as old code all the while. As long as settle if not set. 0s to 24h.
   */
  readonly scaleDownDelay?: string;
  /**
   * Service that leads to the new pods alone from when they are all available until they are removed, for tests and checks before the switch. Its selector is put back as it was.
   */
  readonly preview?: string;
}
/**
 * New pods are started beside the old ones, behind the same Service, more with each step; after the last one the Deployment itself is rolled. A Service gives every ready pod the same share, so the weights come out as nearly as whole pods allow. With httpRoute there are as many new pods as old ones, and the weights are exact.
 */
export interface Canary {
  /**
   * HTTPRoute (gateway.networking.k8s.io/v1) in the same namespace that sends requests to the Service. Each of its rules that does is divided between old and new pods by exact weights while the canary lasts, and is put back as it was.
   */
  readonly httpRoute?: string;
  /**
   * Requests that carry all of these headers, with exactly these values, reach the new code at every step, whatever its weight: for testers, before anybody else. Needs httpRoute. Name to value.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * How much of the traffic the new code gets, and for how long, step by step.
   */
  readonly steps: readonly CanaryStep[];
}
export interface CanaryStep {
  /**
   * Percent of the traffic, 1 to 50: for 50 there are as many new pods as old ones, for more there would have to be many times as many. With httpRoute 1 to 100, and 0 for a step that headers alone reach.
   */
  readonly weight: number;
  /**
   * How long the new pods must have served without a crash before the next step. 0s to 24h.
   */
  readonly pause: string;
}
export interface Analysis {
  /**
   * Name in messages and status; by default the kind and its place in the list, such as prometheus-1.
   */
  readonly name?: string;
  readonly prometheus?: PrometheusMetric;
  readonly http?: HttpMetric;
  readonly sql?: SqlMetric;
  /**
   * CEL over result, such as result < 0.01. Without failureCondition, false is a failure.
   */
  readonly successCondition?: string;
  /**
   * CEL over result, such as result > 0.05. Without successCondition, false is a success; with both, neither is inconclusive.
   */
  readonly failureCondition?: string;
  /**
   * Of blueGreen: BeforeSwitch measures the new pods before the Service is switched to them, AfterSwitch while they serve, Always both. By default Always for http, else AfterSwitch, since code without traffic has no metrics.
   */
  readonly when?: 'BeforeSwitch' | 'AfterSwitch' | 'Always';
  /**
   * From one measurement to the next, and from the step's beginning to the first. 1s to 1h.
   */
  readonly interval: string;
  /**
   * Of one measurement. 100ms to 10s.
   */
  readonly timeout: string;
  /**
   * How many measurements a step takes. By default as many as fit into its pause or settle time, at least one.
   */
  readonly count?: number;
  /**
   * How many failures are put up with in a step.
   */
  readonly failureLimit: number;
  /**
   * How many inconclusive measurements are put up with in a step.
   */
  readonly inconclusiveLimit: number;
  /**
   * How many measurements in a row may come to nothing, because the address does not answer or gives no number.
   */
  readonly consecutiveErrorLimit: number;
}
/**
 * An instant query. result is the value of a scalar or of the only series, a list of values where there are several series, and an empty list where there is none.
 */
export interface PrometheusMetric {
  /**
   * Such as http://prometheus.monitoring:9090.
   */
  readonly address: string;
  /**
   * In PromQL, such as sum(rate(http_errors_total{code="new"}[1m])).
   */
  readonly query: string;
}
/**
 * A request. With jsonPath, result is that value of the answer, which must have a status of 2xx or expectedStatus; without, result is the status. Redirects are not followed.
 */
export interface HttpMetric {
  /**
   * Such as http://shop-preview/healthz.
   */
  readonly url: string;
  /**
   * A POST has no body.
   */
  readonly method: 'GET' | 'HEAD' | 'POST';
  /**
   * Sent as they stand here, for everybody to read who may read this resource.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Such as $.data.errors or $.checks[0]['p99'].
   */
  readonly jsonPath?: string;
  /**
   * 2xx if not set.
   */
  readonly expectedStatus?: number;
}
/**
 * A query in the change's own database, in a read-only transaction. result is the only column of its only row.
 */
export interface SqlMetric {
  /**
   * Such as SELECT count(*) FROM orders WHERE total IS NULL. Names without a schema are looked up beside the table and in public.
   */
  readonly query: string;
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
  readonly toggle?: Toggle;
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
  /**
   * The same for further containers of the pod, init containers included, where more than one changes with this code.
   */
  readonly containers?: readonly ContainerRelease[];
}
/**
 * Keys of a ConfigMap that the running code watches, set instead of a roll-out: no new pods. The former values are put back on the way back; other keys are never touched.
 */
export interface Toggle {
  /**
   * Name of the ConfigMap, which must exist and not be immutable. All toggles of a workload use the same one, and no other workload of the resource does.
   */
  readonly configMap: string;
  /**
   * Keys to set, such as READ_FROM, and their values.
   */
  readonly data: Readonly<Record<string, string>>;
  /**
   * How a pod that ran before is known to have taken the values on. Annotation: it carries change.segue.dev/<name of this resource> with the code that it runs now, written by itself or by a sidecar. Delay: the time in after is over. Pods that are made later read the new values when they start.
   */
  readonly acknowledge: 'Annotation' | 'Delay';
  /**
   * With acknowledge: Delay, how long after the write, or after it became ready, a pod has surely taken the values on: the kubelet brings a mounted ConfigMap up to date within about 90 s, and then the code has to notice. 1s to 24h; 2m if not set. A time that is too short lets Segue drop columns that are still read.
   */
  readonly after?: string;
}
export interface ContainerRelease {
  /**
   * Name of the container.
   */
  readonly name: string;
  /**
   * Image to run.
   */
  readonly image?: string;
  /**
   * Environment variables to set.
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
   * Value of the segue.dev/repair annotation that was last acted upon.
   */
  readonly handledRepair?: string;
  /**
   * Why the last repair that was asked for was not done; absent if it was.
   */
  readonly repairRefused?: string;
  /**
   * Value of the segue.dev/verify annotation that was last acted upon.
   */
  readonly handledVerify?: string;
  /**
   * Why the last comparison that was asked for was not made; absent if it was.
   */
  readonly verifyRefused?: string;
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
   * Rows filled so far; those that agreed already are left alone.
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
   * Speed over the last minute, pauses included.
   */
  readonly rowsPerSecond: number;
  /**
   * When it should be done at the speed of the last minute; absent while nobody knows.
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
 * Comparison of the two sides, the last that ended or the one under way.
 */
export interface VerificationStatus {
  /**
   * Percent of the table's pages whose rows were compared: 100 with verify.mode Full, 0 with None. Absent until the comparison ends.
   */
  readonly share?: number;
  /**
   * How far it has come, 0 to 100.
   */
  readonly percent?: number;
  /**
   * About; of rows that are updated meanwhile some may be met twice.
   */
  readonly rowsCompared: number;
  /**
   * Rows whose new columns differ from what the forward expression gives.
   */
  readonly mismatches: number;
  /**
   * Primary keys of some of them.
   */
  readonly sampleKeys?: readonly string[];
  /**
   * Rows whose new columns repairs have computed anew, all together.
   */
  readonly repaired?: number;
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
  /**
   * The latest use of each user, newest first, ten at most.
   */
  readonly uses?: readonly SeenUse[];
  /**
   * Since when the old columns are hidden; absent while they are not.
   */
  readonly hiddenAt?: string;
  /**
   * What is watched. Pods: their labels. Writes: triggers. Statements: what pg_stat_statements counts, reads included. Activity: the last statement of each session, at every look. ServerLog: errors of statements that name a hidden column.
   */
  readonly evidence?: readonly ('Pods' | 'Writes' | 'Statements' | 'Activity' | 'ServerLog')[];
  /**
   * What can't be seen, and what would let it be, one sentence each.
   */
  readonly blindSpots?: readonly string[];
}
/**
 * Last use of an old column that was seen.
 */
export interface LastUse {
  readonly at: string;
  /**
   * Role and application name of the session, or a pod; for Lost, what was lost.
   */
  readonly by: string;
  /**
   * Lost: evidence went away before it was looked at, so that nobody can tell; it counts as a use.
   */
  readonly kind: 'Read' | 'Write' | 'Pod' | 'Lost';
  /**
   * queryid and normalised text of the statement, where that is the evidence.
   */
  readonly statement?: string;
}
export interface SeenUse {
  readonly at: string;
  /**
   * Role and application name of the session, or a pod; for Lost, what was lost.
   */
  readonly by: string;
  /**
   * Lost: evidence went away before it was looked at, so that nobody can tell; it counts as a use.
   */
  readonly kind: 'Read' | 'Write' | 'Pod' | 'Lost';
  /**
   * queryid and normalised text of the statement, where that is the evidence.
   */
  readonly statement?: string;
}
export interface RolloutStatus {
  /**
   * What it is, if not a Deployment.
   */
  readonly kind?: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet' | 'Rollout' | 'CronJob';
  /**
   * Its name.
   */
  readonly deployment: string;
  /**
   * None where the workload is only observed, Toggle where no release takes new pods.
   */
  readonly strategy: 'BlueGreen' | 'Canary' | 'RollingUpdate' | 'Toggle' | 'None';
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
  /**
   * In mode Observe, the templates that pods may be started from at any moment and the code that each is labelled with, such as "StatefulSet worker: new-only".
   */
  readonly templates?: readonly string[];
  /**
   * What was measured in the roll-out's last step.
   */
  readonly analysis?: readonly AnalysisStatus[];
}
export interface AnalysisStatus {
  readonly name: string;
  readonly phase: 'Running' | 'Successful' | 'Failed' | 'Inconclusive' | 'Error';
  /**
   * A number, or of what kind the result was.
   */
  readonly lastValue?: string;
  readonly measurements: number;
  readonly failures: number;
  readonly inconclusive: number;
  readonly errors: number;
  readonly message?: string;
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
   * Why the phase had nothing to do, or what it left out and why.
   */
  readonly skipped?: string;
}
