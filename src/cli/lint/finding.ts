/** What lint objects to. */

/** An error is refused by the API server or by the operator; a warning is what an experienced reviewer would ask about. */
export type Severity = 'error' | 'warning';

/** One objection. */
export interface Finding {
  /** Its name, for `--disable` and for search. */
  readonly rule: string;
  readonly severity: Severity;
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** namespace/name of the resource, as far as it says. */
  readonly resource: string;
  /** Field, as the API server prints it. */
  readonly field: string;
  readonly message: string;
  /** What to write instead; empty where the message says it. */
  readonly wayOut: string;
}
