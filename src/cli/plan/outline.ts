/** What a plan says, as data. */
import type { Violation } from '../../api/facts.ts';
import type { Phase } from '../../api/phase.ts';
import type { Step, TableName } from '../../changes/change.ts';
import type { Estimate } from './estimate.ts';
import { isOutside, lockOfStatement, type StatementLock } from './statement-lock.ts';

/** One statement with the lock that it takes. */
export interface PlannedStatement extends StatementLock {
  readonly sql: string;
}

/** One transaction, or one statement outside of any, or work on rows batch by batch. */
export interface PlannedStep {
  readonly id: string;
  readonly purpose: string;
  readonly runs: 'in one transaction' | 'outside a transaction' | 'batch by batch' | 'rolled back';
  /** Tables that it locks beside the one that the change is about. */
  readonly alongside: readonly string[];
  /** True where data goes away. */
  readonly destructive: boolean;
  readonly statements: readonly PlannedStatement[];
  /** Absent where it takes milliseconds, or nobody knows. */
  readonly estimate?: Estimate;
}

/** One phase. */
export interface PlannedPhase {
  readonly phase: Phase;
  /** Why there is nothing to do. */
  readonly skipped?: string;
  /** True where the change has this phase behind it. */
  readonly done?: true;
  readonly steps: readonly PlannedStep[];
  /** What ends it beside its steps, as clauses. */
  readonly waitsFor: readonly string[];
  /** What walking back through it runs. */
  readonly back: readonly PlannedStep[];
}

/** From where on a change can't be undone. */
export interface NoReturn {
  readonly from: string;
  readonly why: string;
}

/** See the file's head. */
export interface Plan {
  readonly resource: string;
  readonly kind: string;
  readonly table: string;
  /** host:port/database that was asked; absent offline. */
  readonly database?: string;
  /** The change's number in the ledger, as it will be if no other begins before. */
  readonly id: number;
  /** Planner's estimate; absent where nobody knows. */
  readonly rows?: number;
  readonly bytes?: number;
  /** Why it would not begin. */
  readonly refused: readonly Violation[];
  /** What hangs on the old columns, as `kind name on column`, and goes along or is carried over. */
  readonly dependents: readonly string[];
  /** Functions whose text seems to name old columns. */
  readonly mentions: readonly string[];
  readonly phases: readonly PlannedPhase[];
  readonly noReturn: readonly NoReturn[];
}

const label = ({ schema, name }: TableName): string => `${schema}.${name}`;

/** A step as the plan has it. */
export const planned = (step: Step, estimate?: Estimate): PlannedStep => ({
  id: step.id,
  purpose: step.purpose,
  runs: step.transactional ? 'in one transaction' : 'outside a transaction',
  alongside: (step.alongside ?? []).map(label),
  destructive: step.destructive,
  statements: step.statements.map(({ text }) => ({ sql: text, ...lockOfStatement(text) })),
  ...(estimate === undefined ? {} : { estimate }),
});

/** True for a step that reads every row of the table. */
export const readsAll = (step: Step): boolean =>
  step.statements.some(({ text }) => !isOutside(text) && lockOfStatement(text).work === 'scan');
