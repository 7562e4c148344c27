/** What is known of the rows' comparison, and of repairs: plain data from the ledger. */

/** The result of the last verification; it counts only for the backfill pass that it followed. */
export interface VerificationFacts {
  readonly at: number;
  /** Percent of the pages that were compared: 100 is all of them, 0 says that nothing was compared. */
  readonly share: number;
  /** About: of rows that were updated meanwhile some may have been met twice. */
  readonly rowsCompared: number;
  readonly mismatches: number;
  /** Keys of rows that differ, as JSON text, at most ten. */
  readonly sampleKeys: readonly string[];
  /** WAL position that replicas must have replayed before reads may switch. */
  readonly lsn: string;
}

/** How far a verification that is under way has come. */
export interface VerifyingFacts {
  readonly pagesDone: number;
  readonly pagesTotal: number;
  readonly rowsCompared: number;
  readonly mismatches: number;
  readonly sampleKeys: readonly string[];
}

/** What became of the last repair that was asked for. */
export interface RepairFacts {
  /** Value of the repair annotation that was last acted upon, empty before. */
  readonly handled: string;
  /** Why it was not done, as a sentence. */
  readonly refused?: string;
  /** True while rows that differ are computed anew. */
  readonly running: boolean;
  /** Rows that repairs have computed anew, all together. */
  readonly rows: number;
}
