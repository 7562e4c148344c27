/**
 * Every reason that a condition, an Event or a metric may carry. They are API: users alert on them, the
 * runbook has a section for each. `stalled` is true where the change can't go on until a person mends something;
 * it then goes on by itself. The rest are in good order: they pass with time, or wait for a person's word.
 */
export const reasons = {
  // What has to be right before anything is touched.
  SecretNotFound: { stalled: true },
  SecretKeyMissing: { stalled: true },
  InvalidCredentials: { stalled: true },
  DatabaseUnreachable: { stalled: false },
  InsufficientPrivilege: { stalled: true },
  UnsupportedServer: { stalled: true },
  TableNotFound: { stalled: true },
  ColumnNotFound: { stalled: true },
  TargetColumnExists: { stalled: true },
  TargetExists: { stalled: true },
  InvalidExpression: { stalled: true },
  UnsafeStatement: { stalled: true },
  UnsupportedTable: { stalled: true },
  UnsupportedColumn: { stalled: true },
  DependentObjects: { stalled: true },
  DeploymentNotFound: { stalled: true },
  WorkloadNotFound: { stalled: true },
  ServiceNotFound: { stalled: true },
  HTTPRouteNotFound: { stalled: true },
  HTTPRouteNotAccepted: { stalled: false },
  InvalidWorkload: { stalled: true },
  InvalidAnalysis: { stalled: true },
  ConflictingChange: { stalled: false },
  ForeignLedger: { stalled: true },

  // Why it stands still.
  Suspended: { stalled: false },
  TargetPhaseReached: { stalled: false },
  TargetPhaseLowered: { stalled: false },
  AwaitingApproval: { stalled: false },
  LockNotAvailable: { stalled: false },
  LockGivenUp: { stalled: true },
  DiskFull: { stalled: true },
  BadRows: { stalled: true },
  VerificationFailed: { stalled: true },
  RepairRefused: { stalled: false },
  NotVerified: { stalled: false },
  ReplicaLagging: { stalled: false },
  Throttled: { stalled: false },
  OutsideWindow: { stalled: false },
  InvalidWindow: { stalled: true },
  InQuarantine: { stalled: false },
  ColumnInUse: { stalled: false },
  HeldForUse: { stalled: true },
  HideNotPossible: { stalled: true },
  CodeAhead: { stalled: false },
  OldCodeRunning: { stalled: false },
  NewCodeRunning: { stalled: false },
  RollingOut: { stalled: false },
  RolloutFailed: { stalled: true },
  AnalysisInconclusive: { stalled: true },
  AnalysisUnavailable: { stalled: true },
  TableChanged: { stalled: true },
  ClusterUnreachable: { stalled: false },
  Forbidden: { stalled: true },
  StepFailed: { stalled: true },
  StepInterrupted: { stalled: true },
  NoWayBack: { stalled: true },

  // That it goes on, or how it ended.
  Pending: { stalled: false },
  Progressing: { stalled: false },
  RollingBack: { stalled: false },
  Completed: { stalled: false },
  RolledBack: { stalled: false },
  Deleting: { stalled: false },
  CleanupAbandoned: { stalled: true },
} as const satisfies Readonly<Record<string, { readonly stalled: boolean }>>;

/** A name from the catalogue. */
export type Reason = keyof typeof reasons;

/** True if the change can't go on until a person mends something. */
export const isStalled = (reason: Reason): boolean => reasons[reason].stalled;
