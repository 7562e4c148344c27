/**
 * Every reason that a condition, an Event or a metric may carry. They are API: users alert on them, the
 * runbook has a section for each. `person` is true where only a person can end it; the rest end by themselves
 * once the world changes.
 */
export const reasons = {
  // What has to be right before anything is touched.
  SecretNotFound: { person: true },
  SecretKeyMissing: { person: true },
  InvalidCredentials: { person: true },
  DatabaseUnreachable: { person: false },
  InsufficientPrivilege: { person: true },
  UnsupportedServer: { person: true },
  TableNotFound: { person: true },
  ColumnNotFound: { person: true },
  TargetColumnExists: { person: true },
  InvalidExpression: { person: true },
  UnsupportedTable: { person: true },
  UnsupportedColumn: { person: true },
  DependentObjects: { person: true },
  DeploymentNotFound: { person: true },
  ServiceNotFound: { person: true },
  InvalidWorkload: { person: true },
  ConflictingChange: { person: false },
  ForeignLedger: { person: true },

  // Why it stands still.
  Suspended: { person: true },
  TargetPhaseReached: { person: true },
  AwaitingApproval: { person: true },
  LockNotAvailable: { person: false },
  LockGivenUp: { person: true },
  BadRows: { person: true },
  VerificationFailed: { person: true },
  ReplicaLagging: { person: false },
  Throttled: { person: false },
  InQuarantine: { person: false },
  ColumnInUse: { person: false },
  CodeAhead: { person: false },
  OldCodeRunning: { person: false },
  NewCodeRunning: { person: false },
  RollingOut: { person: false },
  RolloutFailed: { person: true },
  TableChanged: { person: true },
  ClusterUnreachable: { person: false },
  Forbidden: { person: true },
  StepFailed: { person: true },

  // That it goes on, or how it ended.
  Pending: { person: false },
  Progressing: { person: false },
  RollingBack: { person: false },
  Completed: { person: false },
  RolledBack: { person: false },
  Deleting: { person: false },
  CleanupAbandoned: { person: true },
} as const satisfies Readonly<Record<string, { readonly person: boolean }>>;

/** A name from the catalogue. */
export type Reason = keyof typeof reasons;

/** True if nothing but a person ends the wait. */
export const needsPerson = (reason: Reason): boolean => reasons[reason].person;
