/** The database's half of an action: what is written to a change that the ledger knows, or is to know. */
import { parseDuration } from '../api/duration.ts';
import type { Outcome } from '../api/outcome.ts';
import { runBackfill } from '../database/backfill.ts';
import type { Database } from '../database/databases.ts';
import type { Fence } from '../database/fence.ts';
import { applyMutation, begin, type LedgerRef } from '../database/ledger.ts';
import type { Mutation } from '../database/mutation.ts';
import { proveTriggers } from '../database/probe.ts';
import { runStep } from '../database/steps.ts';
import { verify } from '../database/verify.ts';
import type { Action } from '../phases/decision.ts';
import type { Facts } from '../phases/facts.ts';

/** An action that writes to a change's ledger or table. */
export type LedgerAction = Exclude<Action, { kind: 'protect' | 'release' | 'rollout' | 'begin' }>;

// Long enough to be efficient, short enough that suspend, deletion and status are seen to soon.
const backfillStretchMs = 2_000;

const mutationOf = (facts: Facts, action: LedgerAction): Mutation | undefined => {
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
    case 'turnBack':
    case 'approve':
    case 'startQuarantine':
    case 'restartQuarantine':
    case 'finish':
      return action;
    case 'step':
    case 'prove':
    case 'backfill':
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
}

/** Carries out what was decided for a change that the ledger knows. Throws FencedError. */
export const onLedger = ({ facts, ref, signal }: LedgerWrite, action: LedgerAction): Promise<Outcome> => {
  const mutation = mutationOf(facts, action);
  if (mutation !== undefined) return applyMutation(ref, mutation);
  const { change, table: read } = facts;
  const { spec } = facts.resource;
  if (!read.known || read.value === undefined) throw new Error(`${action.kind} needs a table that was read.`);
  const table = read.value;
  const lockTimeoutMs = parseDuration(spec.locks.timeout);
  if (action.kind === 'step')
    return runStep(ref, action.step, { table: change.table, lockTimeoutMs, signal });
  const rows = change.rows?.(ref.id, table);
  if (rows === undefined) throw new Error(`${action.kind} was decided for a change without rows to fill.`);
  switch (action.kind) {
    case 'prove':
      return proveTriggers(ref, { change, table, rows });
    case 'backfill':
      return runBackfill(
        ref,
        {
          table,
          rows,
          settings: {
            targetBatchMs: parseDuration(spec.backfill.targetBatchTime),
            maxRowsPerSecond: spec.backfill.maxRowsPerSecond,
            maxReplicaLagMs: parseDuration(spec.backfill.maxReplicaLag),
          },
          budgetMs: backfillStretchMs,
        },
        signal,
      );
    default:
      return verify(ref, { table, rows }, signal);
  }
};
