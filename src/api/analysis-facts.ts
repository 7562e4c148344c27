/** What is measured and seen of code while it is rolled out. */

/** What a metric of a roll-out's last step came to; the members are those of the status. */
export interface AnalysisFacts {
  readonly name: string;
  readonly phase: 'Running' | 'Successful' | 'Failed' | 'Inconclusive' | 'Error';
  readonly measurements: number;
  readonly failures: number;
  readonly inconclusive: number;
  readonly errors: number;
  readonly lastValue?: string;
  readonly message?: string;
}

/** What is known of a roll-out that is measured. */
export interface AnalysedFacts {
  /** Of its last step; absent where nothing was measured. */
  readonly analysis?: readonly AnalysisFacts[];
}

/** Counters of the database, whose rise from when a roll-out begins says something of its code. */
export interface SignsBase {
  /** By the database's clock, in ms since the epoch. */
  readonly at: number;
  /** Transactions of the whole database, whoever ran them. */
  readonly commits: number;
  readonly rollbacks: number;
  readonly deadlocks: number;
}

/** What the database shows while new code is rolled out. */
export interface DatabaseSigns extends SignsBase {
  /** Rows that could not be kept in step, written since the roll-out began. */
  readonly conflicts: number;
  /** As many as were written in as long a time before it. */
  readonly conflictsBefore: number;
  /** By client address: sessions that have sat in a failed transaction for 10 s and longer. */
  readonly stuck: Readonly<Record<string, number>>;
}
