/** All that a decision rests on, gathered before it is made. */
import type { Fact, LedgerFacts, TableFacts, Violation, WorkloadFacts } from '../api/facts.ts';
import type { Phase } from '../api/phase.ts';
import type { SchemaChangeSpec } from '../api/schema-change.ts';
import type { Change } from '../changes/change.ts';

/** The resource as the API server has it now. */
export interface ResourceFacts {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly deletingSince?: number;
  /** True while our finalizer is on it. */
  readonly protected: boolean;
  /** Phase named by the approve annotation, and who wrote it as far as the API server knows. */
  readonly approval?: { readonly phase: Phase; readonly by: string };
  /** Value of the retry annotation, empty without one. */
  readonly retry: string;
  /** Value of the repair annotation, empty without one. */
  readonly repair: string;
  /** Value of the verify annotation, empty without one. */
  readonly verify: string;
  readonly spec: SchemaChangeSpec;
}

/** What `decide` is given. */
export interface Facts {
  /** The database's clock where it can be read, else the operator's. */
  readonly now: number;
  /** The operator's clock, for what the API server has written down. */
  readonly operatorNow: number;
  readonly resource: ResourceFacts;
  readonly change: Change;
  /** Undefined if the database knows of no change of this name. */
  readonly ledger: Fact<LedgerFacts | undefined>;
  /** Undefined if there is no such table. */
  readonly table: Fact<TableFacts | undefined>;
  /** Expressions, workloads and other changes; looked into only before a change begins. */
  readonly preflight: Fact<readonly Violation[]>;
  /** Functions whose text seems to name old columns; looked for before a change begins and before Drop. */
  readonly mentions?: readonly string[];
  readonly workloads: Fact<readonly WorkloadFacts[]>;
  /** True once every read replica has replayed the last write that reads depend on. */
  readonly replicasReplayed: Fact<boolean>;
}

/** Facts of a change under way: ledger and table have been read. */
export interface ActiveFacts extends Facts {
  readonly active: LedgerFacts;
  readonly columns: TableFacts;
}
