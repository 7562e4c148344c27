/**
 * The contract of a change kind: pure functions from the resource and the catalog to steps. A kind never
 * talks to a database; it says which statements would make a phase true and how to see that they have.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { Phase } from '../api/phase.ts';
import type { Sql } from '../sql/sql.ts';

/** A table as the resource names it. */
export interface TableName {
  /** `public` where the resource does not say. */
  readonly schema: string;
  readonly name: string;
}

/** Which side wins if one statement changes both, and whether rows still lack their new values. */
export type TriggerMode =
  /** Before reads switch: fills unset new columns on every UPDATE; the old side wins. */
  | 'wide'
  /** From the end of Backfill: fires only for the columns concerned; the new side wins. */
  | 'narrow'
  /** In Quarantine: as narrow, and writes to the old side are put on record. */
  | 'watch';

/** One transaction's worth of DDL, or one statement that can't run in a transaction. */
export interface Step {
  /** Stable within the change; the ledger records it under this name. */
  readonly id: string;
  /** What it is for, as a sentence fragment: "add column full_name". */
  readonly purpose: string;
  /** Strongest table lock that the statements take, as pg_locks names it. */
  readonly lock:
    | 'AccessExclusiveLock'
    | 'ShareRowExclusiveLock'
    | 'ShareUpdateExclusiveLock'
    | 'RowExclusiveLock'
    | 'AccessShareLock';
  /** Other tables that the statements lock as strongly: those that a foreign key refers to. */
  readonly alongside?: readonly TableName[];
  /** False for statements that PostgreSQL refuses inside a transaction block. */
  readonly transactional: boolean;
  /** True where data goes away; carried out only after the drop gates. */
  readonly destructive: boolean;
  readonly statements: readonly Sql[];
  /**
   * True if the statements are still what the table asks for; absent where they do not depend on it. Asked again
   * under the lock, because what a destructive step takes along must be what it was made for.
   */
  readonly holds?: (table: TableFacts) => boolean;
  /** True if the catalog, or its record, shows that it has been done: such a step is never run again. */
  readonly done: (table: TableFacts) => boolean;
  /**
   * True where the catalog can't show it and the record alone says so. Outside a transaction the record is made
   * before the statements run, and completed after them.
   */
  readonly once?: true;
  /**
   * Why a step known by its record can't be begun: what it would make is there, and after a crash nobody could tell
   * the two apart. Undefined where nothing is.
   */
  readonly taken?: (table: TableFacts) => string | undefined;
  /** Why nobody but a person can tell whether it has been done, and what to do then; undefined where it can be told. */
  readonly stuck?: (table: TableFacts) => string | undefined;
  /** Lists the keys of rows that keep the statements from success, as text in a column `key`, ten at most. */
  readonly offenders?: Sql;
}

/** Something that PostgreSQL must accept, in a transaction that is rolled back. */
export interface ParseCheck {
  /** Where in the resource it comes from. */
  readonly field: string;
  readonly query: Sql;
  /** What to do where it is refused; absent: correct the expression. */
  readonly wayOut?: string;
}

/** How to fill and compare the new columns. Expressions read the table's columns unqualified. */
export interface RowPlan {
  /** New columns with the expression that gives each its value. */
  readonly set: readonly { readonly column: string; readonly value: Sql }[];
  /** True for rows that the backfill still has to fill. */
  readonly pending: Sql;
  /** True for rows whose two sides disagree. */
  readonly mismatch: Sql;
}

/** What a change kind makes of one resource. Everything in it is a function of `spec.change` and the ledger's id. */
export interface Change {
  readonly kind: string;
  readonly table: TableName;
  /** Columns that go away in the end; may be empty. */
  readonly oldColumns: readonly string[];
  /** Columns that it makes; may be empty. */
  readonly newColumns: readonly string[];
  /**
   * Other columns that it rests on and leaves in place: no other change may be at work on them meanwhile. `*`: it
   * may rest on any, and works on the table alone.
   */
  readonly uses: readonly string[];
  /** What is wrong with the texts of `spec.change` themselves, whatever the database holds; empty where nothing is. */
  readonly invalid: readonly Violation[];
  /** Phases in which there is nothing to do, with the reason. A release of such a phase is rolled out all the same. */
  readonly skips: Readonly<Partial<Record<Phase, string>>>;
  /** What is so once it is complete, as a sentence. */
  readonly achieved: string;
  /** What must hold before anything is touched; empty when all does. */
  readonly preflight: (table: TableFacts) => readonly Violation[];
  /** What hangs on the old columns and must not go with them; asked in preflight, and again before Drop. */
  readonly dependents: (table: TableFacts, id: number) => readonly Violation[];
  /** Statements that succeed only if the resource's expressions are valid; run in a transaction that is rolled back. */
  readonly parseChecks: (table: TableFacts) => readonly ParseCheck[];
  readonly expand: (id: number, table: TableFacts) => readonly Step[];
  readonly triggers: (id: number, table: TableFacts, mode: TriggerMode) => readonly Step[];
  /** What `rows` calls, where no triggers stand that bring it: dualWrite.mode Application. Absent: nothing. */
  readonly conversions?: (id: number, table: TableFacts) => readonly Step[];
  /** Absent where no row needs a new value: nothing is filled, nothing compared. */
  readonly rows?: (id: number, table: TableFacts) => RowPlan;
  /** VALIDATE, NOT NULL, indexes: what the new columns need before reads switch. */
  readonly constrain: (id: number, table: TableFacts) => readonly Step[];
  /** NOT NULL off the old columns, so that code which no longer knows them can insert. */
  readonly relax: (id: number, table: TableFacts) => readonly Step[];
  /** Why it can't be walked back as things stand, as a clause; undefined where it can. Absent: always can, up to Drop. */
  readonly noWayBack?: (id: number, table: TableFacts) => string | undefined;
  /**
   * Makes the triggers of mode `watch` work while old columns stand under other names; run in the transaction that
   * renames them. `names`: old column → the name that it has then; without an entry, its own.
   */
  readonly renamedTriggers: (
    id: number,
    table: TableFacts,
    names: Readonly<Record<string, string>>,
  ) => readonly Sql[];
  /** The old side goes away, in one transaction. */
  readonly contract: (id: number, table: TableFacts) => readonly Step[];
  readonly undo: {
    /** NOT NULL back on the old columns that had it. */
    readonly relax: (id: number, table: TableFacts, oldNotNull: readonly string[]) => readonly Step[];
    /** `oldNotNull`: columns that were NOT NULL when the change began. */
    readonly constrain: (id: number, table: TableFacts, oldNotNull: readonly string[]) => readonly Step[];
    readonly triggers: (id: number, table: TableFacts) => readonly Step[];
    readonly expand: (id: number, table: TableFacts) => readonly Step[];
    /** The resource was deleted half-way: nothing of ours stays active, no data goes away, both sides accept NULL. */
    readonly abandon: (id: number, table: TableFacts) => readonly Step[];
  };
}
