// Made by dev/generate/runbook.ts from docs/runbook.md. Don't edit it; edit that, and run the generator.
import type { Reason } from '../api/reasons.ts';

/** What the runbook says of a reason. */
export interface Section {
  readonly meaning: string;
  readonly whatToDo: string;
}

/** The runbook, section by section. */
export const runbook: Readonly<Record<Reason, Section>> = {
  SecretNotFound: {
    meaning: "The Secret named in `spec.database` does not exist in the resource's namespace.",
    whatToDo:
      'Create it, with a connection URI under the named key, or correct the name. Nothing has been touched.',
  },
  SecretKeyMissing: {
    meaning: 'The Secret exists and lacks the key; the message lists the keys it has.',
    whatToDo: 'Add the key, or name another in `spec.database.secretRef.key`.',
  },
  InvalidCredentials: {
    meaning: 'PostgreSQL refused the user, password or database name, or the URI is none.',
    whatToDo: 'Correct the Secret. Segue reads it anew at every look.',
  },
  DatabaseUnreachable: {
    meaning: 'No connection could be made, or it broke. Triggers go on keeping both sides in step meanwhile.',
    whatToDo: 'It goes on by itself once the database answers. Check network policy and the host in the URI.',
  },
  InsufficientPrivilege: {
    meaning:
      'The database user lacks a privilege that the change needs. Before a change begins the message carries the statements to run, and nothing has been touched.',
    whatToDo: 'Run those statements as a role that may. It goes on by itself.',
  },
  UnsupportedServer: {
    meaning: 'The server is older than PostgreSQL 14, or is a read replica.',
    whatToDo: 'Point `spec.database.secretRef` at the primary.',
  },
  TableNotFound: {
    meaning: 'There is no table of that name; names are taken as written, case included.',
    whatToDo: 'Create the table or correct `spec.change`.',
  },
  ColumnNotFound: {
    meaning: 'The table lacks a column that the change is to replace.',
    whatToDo: 'Correct the name. Names are case-sensitive.',
  },
  TargetColumnExists: {
    meaning: 'A column of the new name exists and Segue did not make it, or an abandoned change left it.',
    whatToDo: 'Choose another name, or drop or rename that column.',
  },
  TargetExists: {
    meaning:
      'An index or constraint of the wanted name exists and Segue did not make it, or the table has already what the change is to bring.',
    whatToDo:
      'Choose another name, drop or rename what is there, or delete the SchemaChange if it is what you wanted.',
  },
  InvalidExpression: {
    meaning:
      "An expression, a type or a script in `spec.change` is not what it has to be. What does not parse is found by PostgreSQL's own parser, before any database is asked, and named with field, line and column; what names something else than the columns, or gives a type that can't be assigned, is found by the server, and quoted.",
    whatToDo:
      'Correct the text at the place that the message names. An expression is one value, without a semicolon, an alias or a list.',
  },
  UnsafeStatement: {
    meaning:
      'A statement of a `sql` script would rewrite a table, read it under a lock, take away what running code uses, or break the run itself. Nothing was touched.',
    whatToDo:
      'The message names script, statement and line, what it would do, and what to write instead, which is often another change kind. Where you know better, such as of a table that is small, set `allowUnsafe: true`; statements that break the run itself, such as `BEGIN` or `DROP … CASCADE`, are refused all the same.',
  },
  UnsupportedTable: {
    meaning: "Segue can't change this kind of relation; the message says why.",
    whatToDo: 'Follow the message.',
  },
  UnsupportedColumn: {
    meaning:
      'The column has something that is not carried over to the new one yet: a default, an identity, a generation expression.',
    whatToDo: 'Take it off first, or wait for a version that carries it.',
  },
  DependentObjects: {
    meaning: 'Something depends on a column that is to be dropped. Nothing is ever dropped with CASCADE.',
    whatToDo: 'Redefine or drop each object that the message lists.',
  },
  DeploymentNotFound: {
    meaning: 'A workload names a Deployment that does not exist.',
    whatToDo: 'Create it or correct the name.',
  },
  WorkloadNotFound: {
    meaning:
      "The object that a workload in `spec.workloads` names (a StatefulSet, DaemonSet, ReplicaSet, Rollout or CronJob, by `kind`) is not there, or the cluster does not know its kind. Pods that nothing selects can't be counted, and none counted must not pass for none there. A workload that is scaled to 0 is not meant: its template says what its next pod would run.",
    whatToDo:
      'Create it, correct `kind` and `deployment`, install Argo Rollouts where a `Rollout` is named, or take the workload out of the resource.',
  },
  ServiceNotFound: {
    meaning: 'A workload names a Service that does not exist.',
    whatToDo: 'Create it or correct the name.',
  },
  HTTPRouteNotFound: {
    meaning:
      "A workload names an HTTPRoute in `strategy.canary.httpRoute` that does not exist in the SchemaChange's namespace, or the cluster has no HTTPRoutes at all. While it is missing no traffic is moved.",
    whatToDo:
      'Create it or correct the name. Where the cluster has no Gateway API, install its CRDs and a Gateway, or remove `httpRoute`: then numbers of pods make the weights.',
  },
  HTTPRouteNotAccepted: {
    meaning:
      'A Gateway does not go by the HTTPRoute as it is now: its conditions `Accepted` or `ResolvedRefs` in `status.parents` are not True, or speak of an earlier generation. No weight is moved before, for it would not be known what a Gateway makes of it.',
    whatToDo:
      'The message names the Gateway and quotes what it says. Mend the route, its `parentRefs` or the Gateway; it then goes on by itself.',
  },
  InvalidWorkload: {
    meaning: "Deployment, Service and strategy don't fit together.",
    whatToDo: 'The message says what does not fit and what to change.',
  },
  InvalidAnalysis: {
    meaning:
      "An entry of `workloads[].analysis` can't be measured or judged: its expression or `jsonPath` is not well-formed, or two entries have one name.",
    whatToDo:
      'The message names the entry, the place in its text and the cause. Correct it; nothing was begun, or what was begun stands still until then.',
  },
  ConflictingChange: {
    meaning: 'Another SchemaChange is at work on the same columns.',
    whatToDo: 'Wait until it has ended, or walk it back.',
  },
  ForeignLedger: {
    meaning:
      'The ledger holds an unfinished change of this name with another `spec.change`, begun by a resource that no longer exists.',
    whatToDo: 'Apply the former `spec.change` again to finish it or to walk it back, or choose another name.',
  },
  Suspended: {
    meaning:
      '`spec.suspend` is true. Triggers stay. A canary with `httpRoute` gives its traffic back to the old code and is removed, and begins anew afterwards; other roll-outs stand still as they are.',
    whatToDo: 'Set it to false.',
  },
  TargetPhaseReached: {
    meaning: '`spec.targetPhase` is done.',
    whatToDo: 'Raise `spec.targetPhase`.',
  },
  TargetPhaseLowered: {
    meaning:
      '`spec.targetPhase` was lowered to a phase before the one that the change is in. It stands still there: triggers go on keeping both sides in step, a roll-out that was begun comes to its end, nothing else is done and nothing is taken back.',
    whatToDo: 'Raise `spec.targetPhase` to go on, or set `spec.rollback: true` to walk back.',
  },
  AwaitingApproval: {
    meaning: 'The next phase is listed in `spec.approvals`.',
    whatToDo: '`kubectl annotate schange <name> segue.dev/approve=<Phase>`',
  },
  LockNotAvailable: {
    meaning: 'A table lock did not come within `locks.timeout`. `status.blockedBy` names the session.',
    whatToDo: 'End that transaction, or wait: it is tried again.',
  },
  LockGivenUp: {
    meaning: 'The lock has not come for `locks.giveUpAfter`.',
    whatToDo: 'End the session in the way, then set the retry annotation to a new value.',
  },
  DiskFull: {
    meaning:
      'The database server has no space left for what a step or a batch writes. It was undone as a whole; nothing is lost.',
    whatToDo: 'Free space, or grow the volume. It goes on by itself.',
  },
  BadRows: {
    meaning:
      'Rows could not be converted, or they violate a constraint or unique index that the change adds; their neighbours are done. The message has keys; of rows that could not be converted, `status.backfill.sampleBadKeys` and `segue.dead_letter` have them too. After a thousand of them the backfill stops (`onBadRow: Hold`): the expression is wrong then.',
    whatToDo:
      'Correct or delete the rows. Constraints and rows are tried again by themselves, every minute; a row of a table without a primary key only after the retry annotation, which starts the backfill over. If the expression is wrong, walk back. To go on without the rows set `spec.backfill.onBadRow: Skip`; a new column with NOT NULL still holds then, as a skipped row violates it. Before Drop skipped rows hold the change once more; `spec.drop.deadLetters: Discard` drops their old values.',
  },
  VerificationFailed: {
    meaning:
      'Rows differ between both sides. `status.verification.sampleKeys` has keys. Reads do not switch; where they have already, and the rows were compared again, nothing is dropped.',
    whatToDo:
      'Find who wrote them (a session with triggers off, a restore, logical replication). `SELECT key FROM segue.conflict WHERE side = \'verify\'` lists up to 10,000 keys. If the old columns are right and reads have not switched, `kubectl annotate --overwrite schange <name> segue.dev/repair="$(date +%s)"` computes the new ones anew and compares all rows again. Else correct the rows, then have them compared again: `kubectl segue verify <name> --again`, or annotation `segue.dev/verify` with a new value.',
  },
  RepairRefused: {
    meaning:
      'The repair annotation was set where there is nothing to repair, or too late: once reads have switched the new columns are the truth. `status.repairRefused` says which. The change goes on.',
    whatToDo: 'Nothing; or, before reads switch, `spec.rollback`.',
  },
  NotVerified: {
    meaning:
      '`verify.mode` is None: reads switch without a comparison of the rows, and Drop waits for an approval.',
    whatToDo:
      'Set `verify.mode: Full`, if that was not meant; before reads switch the rows are then compared.',
  },
  ReplicaLagging: {
    meaning:
      "A read replica lags further behind than `spec.backfill.maxReplicaLag`, its lag can not be read, or it has not replayed the last write of the backfill. Filling and comparing rows pause meanwhile. Replicas that stream are seen in pg_stat_replication, those of `spec.database.replicas` are asked themselves. What can't be read counts as lag.",
    whatToDo:
      "It goes on by itself once the replica has caught up. Where the message says so, `GRANT pg_monitor` to Segue's role, or mend the replica or its Secret, or take it out of the list.",
  },
  Throttled: {
    meaning:
      "The backfill stands still because WAL waits to be archived: more than 42 segments, as on GitLab. The message has the number. Segue counts them with `pg_monitor`; without it it takes the distance between the last archived segment and the one at work, which is right as long as the archiver has archived anything since the server's last crash. `GRANT pg_monitor` makes it exact.",
    whatToDo:
      'It goes on by itself once the archive has caught up; look at `archive_command` and at pg_stat_archiver.',
  },
  OutsideWindow: {
    meaning:
      'The backfill waits for its maintenance window (`spec.backfill.window`); the message says when it opens. Triggers go on filling what the application writes.',
    whatToDo: 'It goes on by itself. Remove or widen the window to go on at once.',
  },
  InvalidWindow: {
    meaning: 'The time zone of `spec.backfill.window` is none that the IANA database knows.',
    whatToDo: 'Correct it, for example to `Europe/Berlin`. No row is filled before.',
  },
  InQuarantine: {
    meaning: 'The quarantine runs; the message says until when.',
    whatToDo: 'Wait, or shorten `quarantine.duration`.',
  },
  ColumnInUse: {
    meaning:
      'An old column was used in quarantine; the clock starts anew. `status.quarantine.lastUse` says by whom, `status.quarantine.uses` has the latest use of each user, with the statement where that is known.',
    whatToDo:
      "Find and mend the user of the old column. If a statement takes every column (`SELECT *`) and can do without the old ones, set `quarantine.wildcards: Ignore`, or name its queryid in `quarantine.ignoreStatements`. If the kind is `Lost`, pg_stat_statements was reset or can't be read any more: stop what resets it while the quarantine runs.",
  },
  HeldForUse: {
    meaning:
      "An old column was used in quarantine, or it can't be told any more whether it was, and `quarantine.onUse` is `Hold`. The message says by whom; `status.quarantine.uses` has the latest use of each user.",
    whatToDo: 'Find and mend the user, then set the retry annotation; the quarantine starts anew.',
  },
  HideNotPossible: {
    meaning:
      '`quarantine.mode` is `Hide`, but nothing would show that a statement fails for the want of a hidden column, or hiding would do harm (logical replication names columns). The message says what is missing.',
    whatToDo: 'Grant what the message names, or set `quarantine.mode: Observe`.',
  },
  CodeAhead: {
    meaning:
      'Pods run, or would be started from a template that carries, code which claims more of the schema than it can give yet: `writes-both` before AddColumn is done, `reads-new` or `new-only` before Backfill is. It stands in condition `CodeAhead` and in a Warning from the moment it is seen, in every phase and on the way back too. Backfill, and every phase on the way back, stops at once, for it would overwrite what such code has written or take away what it needs; AddColumn and DualWrite go on to their end, because what they bring is what it lacks, and hold there. The message names the pods and templates.',
    whatToDo:
      "Roll that code back: in Git in mode Observe, by correcting `releases[].code` in mode Manage. It may come again when the message says so (`kubectl wait --for=condition=Backfilled schange/NAME`). The chart's `admissionPolicy.enabled` refuses such templates before any pod starts.",
  },
  OldCodeRunning: {
    meaning:
      "Pods of older code are still there, Terminating ones included, or the next pod would be one: a template, a ReplicaSet that is not scaled to 0, a StatefulSet's former revision or the stable ReplicaSet of a Rollout still carries it. The message names pods, owners and templates.",
    whatToDo:
      'Roll the workload on. In mode Observe: deploy the newer code with the label `change.segue.dev/NAME` in its pod template; for a workload at 0 replicas that is the template alone. An Argo Rollouts Rollout that was aborted runs the old code whatever Git says: retry or correct it. "Of any code, for its controller has not taken over generation N" ends when that controller runs.',
  },
  NewCodeRunning: {
    meaning: 'Walking back: pods of newer code are still there, or the next pod would be one.',
    whatToDo: 'Roll the workload back; in mode Observe, its template in Git.',
  },
  RollingOut: {
    meaning: 'A roll-out is in progress; the message names pods and counts.',
    whatToDo: 'It goes on by itself.',
  },
  RolloutFailed: {
    meaning:
      'A roll-out failed and traffic is back on the former code. "analysis failed" names a metric of `workloads[].analysis`, "check …" one of the checks of the database that are always on (analysis.md).',
    whatToDo: 'Correct the release in the spec, or mend the cause and set the retry annotation.',
  },
  AnalysisInconclusive: {
    meaning:
      'What was measured while new code is rolled out says neither that it is good nor that it is bad: no series, `NaN`, or neither condition met, more often than `inconclusiveLimit` allows. The roll-out stands where it is; crashes still bring the old code back.',
    whatToDo:
      "See to it that the metric has data for the new code (traffic reaches it, the query's labels match), then set the annotation `segue.dev/retry` to a new value to measure again. To go on unmeasured, take the entry out of `workloads[].analysis`; to give up, set `spec.rollback: true`.",
  },
  AnalysisUnavailable: {
    meaning:
      'An address of `workloads[].analysis` did not answer, or with something that is no result, more often in a row than `consecutiveErrorLimit` allows. The old code has all the traffic again; nothing is lost.',
    whatToDo:
      'Mend what the message names: the address, a NetworkPolicy, the query. Segue asks again every 10 seconds, and the roll-out begins anew by itself once the answer is one. Or correct the entry in `workloads[].analysis`.',
  },
  TableChanged: {
    meaning: 'The table or column is not the one that the change began with.',
    whatToDo: 'Look into it by hand. Nothing is dropped.',
  },
  ClusterUnreachable: {
    meaning: 'The API server does not answer for a workload.',
    whatToDo: 'It goes on by itself.',
  },
  Forbidden: {
    meaning: "The operator's service account lacks a permission; the message names it.",
    whatToDo: "Grant it; the chart's Role lists all that is needed.",
  },
  StepFailed: {
    meaning: 'PostgreSQL refused a statement; the message quotes it.',
    whatToDo: 'Mend the cause. It is tried again by itself.',
  },
  StepInterrupted: {
    meaning:
      'A statement that PostgreSQL runs outside a transaction (`REINDEX … CONCURRENTLY`, `DETACH PARTITION … CONCURRENTLY`) was begun, and the operator or the server died before its end. The catalog does not show whether it was done, so it is not run again unasked.',
    whatToDo:
      'Look into the database: finish it by hand (`DETACH PARTITION … FINALIZE`, drop what `REINDEX` left under `…_ccnew`) or undo it. Then say which it is with the statement that the message gives: the record in `segue.expand_step` or `segue.contract_step` is completed where it is done, and deleted where it is to run again.',
  },
  NoWayBack: {
    meaning:
      "`spec.rollback` is true, and the change can't be walked back as things stand: a `sql` change without `undo` whose expand script has begun, or one whose contract script has.",
    whatToDo:
      'Set `rollback: false`, and let it go on. Or delete the SchemaChange, which leaves what expand has made, and take that back by hand.',
  },
  Pending: {
    meaning: 'The change has not begun.',
    whatToDo: 'Nothing to do.',
  },
  Progressing: {
    meaning: 'Work is being done.',
    whatToDo: 'Nothing to do.',
  },
  RollingBack: {
    meaning: 'The change is walking back.',
    whatToDo: 'Nothing to do.',
  },
  Completed: {
    meaning: 'The change is complete; nothing of Segue is left on the table.',
    whatToDo: 'Delete the resource when you like.',
  },
  RolledBack: {
    meaning: 'Everything is as before.',
    whatToDo: 'Delete the resource; apply it again to start over.',
  },
  Deleting: {
    meaning: 'The resource is being deleted and Segue is tidying up.',
    whatToDo: 'Nothing to do; it takes less than a minute, or two where pods of a roll-out have to come up.',
  },
  CleanupAbandoned: {
    meaning: 'The resource was let go before everything was tidy.',
    whatToDo:
      "Apply the same resource again to take the change over, or remove triggers `~segue_…` by hand. Where the message says that a roll-out was left half-way, look at the Service's selector and at a Deployment named `<name>-green` or `<name>-canary`.",
  },
};
