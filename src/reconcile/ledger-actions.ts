/** The database's half of an action: what is written to a change that the ledger knows, or is to know. */
import { parseDuration } from '../api/duration.ts';
import type { TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { asNamed } from '../changes/hide.ts';
import { runArchive } from '../database/archive-rows.ts';
import { runBackfill } from '../database/backfill.ts';
import type { Database } from '../database/databases.ts';
import { retryDeadLetters } from '../database/dead-letters.ts';
import type { Fence } from '../database/fence.ts';
import { applyMutation, begin, type LedgerRef } from '../database/ledger.ts';
import type { Mutation } from '../database/mutation.ts';
import { readFact } from '../database/errors.ts';
import type { Watch } from '../database/judge-statement.ts';
import { look, type LookSource } from '../database/look.ts';
import { missingPrivileges } from '../database/privileges.ts';
import { proveTriggers } from '../database/probe.ts';
import type { Replica, SawLag } from '../database/replicas.ts';
import { runStep } from '../database/steps.ts';
import { endVacuum } from '../database/vacuum.ts';
import { verify } from '../database/verify.ts';
import type { Action } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';
import { shareOf } from '../phases/verify.ts';

/** An action that writes to a change's ledger or table. */
export type LedgerAction = Exclude<Action, { kind: 'protect' | 'release' | 'rollout' | 'begin' }>;

/** An action that is about the old columns alone. */
type OldSideAction = Extract<LedgerAction, { kind: 'look' | 'archive' }>;

// Long enough to be efficient, short enough that suspend, deletion and status are seen to soon.
const stretchMs = 2_000;

const mutationOf = (facts: Facts, action: Exclude<LedgerAction, OldSideAction>): Mutation | undefined => {
  switch (action.kind) {
    case 'enter':
      return {
        kind: 'enterPhase',
        to: action.to,
        ...(action.skipped === undefined ? {} : { skipped: action.skipped }),
      };
    case 'adopt':
      return { kind: 'adopt', uid: facts.resource.uid };
    case 'retry':
      return { kind: 'handleRetry', value: action.value };
    case 'repair': {
      const { kind: _, ...asked } = action;
      return { kind: 'handleRepair', ...asked };
    }
    case 'compareAgain': {
      const { kind: _, ...asked } = action;
      return { kind: 'handleVerify', ...asked };
    }
    case 'turnBack':
    case 'distrust':
    case 'approve':
    case 'startQuarantine':
    case 'restartQuarantine':
    case 'finish':
      return action;
    case 'step':
    case 'prove':
    case 'backfill':
    case 'retryBadRows':
    case 'verify':
      return undefined;
  }
};

/** Opens the ledger for a change. */
export const beginIn = (facts: Facts, db: Database, fence: Fence): Promise<Outcome> => {
  const { resource, change, table } = facts;
  if (!table.known || table.value === undefined)
    throw new Error('A change is begun only on a table that was read.');
  return begin(db, fence, {
    uid: resource.uid,
    namespace: resource.namespace,
    name: resource.name,
    change: resource.spec.change,
    table: table.value,
    // Columns that it rests on are held against other changes as its own are.
    oldColumns: [...change.oldColumns, ...change.uses],
    newColumns: change.newColumns,
  });
};

/** A write to a change that the ledger knows. */
export interface LedgerWrite {
  readonly facts: Facts;
  readonly ref: LedgerRef;
  readonly signal: AbortSignal;
  /** Read replicas of the resource. */
  readonly replicas: readonly Replica[];
  /** Told how far they lag. */
  readonly sawLag?: SawLag;
  /** Servers beside the primary whose own records are looked into. */
  readonly sources?: readonly LookSource[];
}

const watchOf = ({ change, resource }: Facts, table: TableFacts): Watch => ({
  table,
  columns: change.oldColumns,
  wildcards: resource.spec.quarantine.wildcards,
  ignoreStatements: resource.spec.quarantine.ignoreStatements,
});

/** A role that has lost a privilege half-way is told which, and how it gets it back. */
const explained = async ({ facts, ref }: LedgerWrite, outcome: Outcome): Promise<Outcome> => {
  if (outcome.kind !== 'refused' || outcome.reason !== 'InsufficientPrivilege') return outcome;
  if (!facts.table.known || facts.table.value === undefined) return outcome;
  const table = facts.table.value;
  const lacks = await readFact('privileges', () => missingPrivileges(ref.db, facts.change, table));
  if (!lacks.known || lacks.value.length === 0) return outcome;
  return { ...outcome, message: lacks.value.map(({ message }) => message).join(' ') };
};

/** Carries out what was decided for a change that the ledger knows. Throws FencedError. */
export const onLedger = async (write: LedgerWrite, action: LedgerAction): Promise<Outcome> => {
  if (action.kind !== 'backfill') await endVacuum(write.ref);
  return explained(write, await carriedOut(write, action));
};

type RowAction = Extract<LedgerAction, { kind: 'prove' | 'backfill' | 'retryBadRows' | 'verify' }>;

/** The table as it was read, hidden columns under their own names. */
const tableOf = ({ facts, ref }: LedgerWrite, action: LedgerAction): TableFacts => {
  const { table, ledger } = facts;
  if (!table.known || table.value === undefined)
    throw new Error(`${action.kind} needs a table that was read.`);
  return asNamed(table.value, ref.id, (ledger.known && ledger.value?.attnums) || {});
};

const onOldSide = (write: LedgerWrite, action: OldSideAction): Promise<Outcome> => {
  const { facts, ref, signal, sources = [] } = write;
  const table = tableOf(write, action);
  if (action.kind === 'look') return look(ref, watchOf(facts, table), sources);
  const targetBatchMs = parseDuration(facts.resource.spec.backfill.targetBatchTime);
  return runArchive(ref, { change: facts.change, table, targetBatchMs, budgetMs: stretchMs }, signal);
};

const carriedOut = (write: LedgerWrite, action: LedgerAction): Promise<Outcome> => {
  if (action.kind === 'look' || action.kind === 'archive') return onOldSide(write, action);
  const { facts, ref, signal } = write;
  const mutation = mutationOf(facts, action);
  if (mutation !== undefined) return applyMutation(ref, mutation);
  const table = tableOf(write, action);
  if (action.kind === 'step') {
    const lockTimeoutMs = parseDuration(facts.resource.spec.locks.timeout);
    const watch = watchOf(facts, table);
    return runStep(ref, action.step, { table: facts.change.table, lockTimeoutMs, watch, signal });
  }
  return onRows(write, table, action as RowAction);
};

const onRows = (
  { facts, ref, signal, replicas, sawLag }: LedgerWrite,
  table: TableFacts,
  action: RowAction,
): Promise<Outcome> => {
  const { change, ledger } = facts;
  const { spec } = facts.resource;
  const rows = change.rows?.(ref.id, table);
  if (rows === undefined) throw new Error(`${action.kind} was decided for a change without rows to fill.`);
  const repaired = ledger.known && ledger.value?.repair.running === true ? ledger.value.backfill : undefined;
  switch (action.kind) {
    case 'prove':
      return proveTriggers(ref, { change, table, rows });
    case 'backfill':
      return runBackfill(
        ref,
        {
          table,
          // A repair is a pass over the rows that differ, whatever stands in their new columns.
          rows: repaired ? { ...rows, pending: rows.mismatch } : rows,
          settings: {
            targetBatchMs: parseDuration(spec.backfill.targetBatchTime),
            maxWorkers: spec.backfill.maxWorkers,
            maxRowsPerSecond: spec.backfill.maxRowsPerSecond,
            maxReplicaLagMs: parseDuration(spec.backfill.maxReplicaLag),
            onBadRow: spec.backfill.onBadRow,
          },
          replicas,
          sawLag,
          budgetMs: stretchMs,
        },
        signal,
      );
    case 'retryBadRows':
      return retryDeadLetters(ref, { table, rows }, signal);
    default:
      return verify(
        ref,
        {
          table,
          rows,
          share: shareOf(spec.verify),
          workers: spec.backfill.maxWorkers,
          replicas,
          sawLag,
          maxReplicaLagMs: parseDuration(spec.backfill.maxReplicaLag),
          skipBadRows: spec.backfill.onBadRow === 'Skip',
          rowsRepaired: repaired?.rowsDone ?? 0,
          budgetMs: stretchMs,
        },
        signal,
      );
  }
};
