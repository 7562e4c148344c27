/**
 * Carries out one step of a change: its statements and its line in the history commit together, so that a
 * crash leaves both or neither. A lock that is not to be had in time is given up at once: a statement that
 * queues for ACCESS EXCLUSIVE holds up every query behind it.
 */
import type { Outcome } from '../api/outcome.ts';
import type { TableFacts } from '../api/facts.ts';
import type { Step, TableName } from '../changes/change.ts';
import { asNamed } from '../changes/hide.ts';
import { sql, type Sql } from '../sql/sql.ts';
import { findBlocker } from './blockers.ts';
import { searchPathOf, tableWithin } from './catalog.ts';
import { outcomeOf } from './errors.ts';
import { applyMutation, holding, writing, type LedgerRef } from './ledger.ts';
import type { Watch } from './judge-statement.ts';
import { searchPathText, type Session } from './session.ts';
import { otherTable, recordedOf, usedMeanwhile, type Recorded } from './step-guards.ts';
import { takeLock } from './table-locks.ts';

/** What a step needs beside its statements. */
export interface StepOptions {
  readonly table: TableName;
  /** `spec.locks.timeout`. */
  readonly lockTimeoutMs: number;
  /** For a step that drops old columns: whose use, seen at the last moment, stops it. */
  readonly watch?: Watch | undefined;
  readonly signal?: AbortSignal | undefined;
}

const historyOf = ({ destructive }: Step): Sql =>
  destructive ? sql`segue.contract_step` : sql`segue.expand_step`;

const record = (session: Session, ref: LedgerRef, step: Step, finished = true): Promise<number> =>
  session.run(
    sql`INSERT INTO ${historyOf(step)} (change_id, step, purpose, direction, epoch, started_at, finished_at)
      SELECT id, $2, $3, direction, $4, transaction_timestamp(), CASE WHEN $5 THEN clock_timestamp() END
      FROM segue.change WHERE id = $1`,
    [ref.id, step.id, step.purpose, ref.fence.epoch, finished],
  );

// A new column is known by its number from the moment that we made it.
const recordNewColumns = (session: Session, id: number): Promise<number> =>
  session.run(
    sql`UPDATE segue.change c SET attnums = c.attnums || made.attnums, column_types = c.column_types || made.types
      FROM (SELECT c.id, jsonb_object_agg(a.attname, a.attnum) AS attnums,
          jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) AS types
        FROM segue.change c JOIN pg_attribute a ON a.attrelid = c.table_oid::oid AND a.attname = ANY (c.new_columns)
        WHERE c.id = $1 AND NOT a.attisdropped AND NOT c.attnums ? a.attname::text GROUP BY c.id) made
      WHERE made.id = c.id`,
    [id],
  );

const altered = (step: Step, table: TableFacts | undefined): Outcome | undefined =>
  table === undefined || step.done(table) || (step.holds?.(table) ?? true)
    ? undefined
    : { kind: 'stale', message: 'The table was altered in the meantime; it is read anew.' };

/** The table with hidden columns under their own names. */
const namedWithin = async (
  session: Session,
  id: number,
  name: TableName,
  { attnums }: Recorded,
): Promise<TableFacts | undefined> => {
  const table = await tableWithin(session, name);
  return table && asNamed(table, id, attnums);
};

/** The table if the step may go on, or why it may not. */
const guard = async (session: Session, ref: LedgerRef, step: Step, { table: name }: StepOptions) => {
  const recorded = await recordedOf(session, ref.id);
  const table = await namedWithin(session, ref.id, name, recorded);
  return { refusal: otherTable(name, table, recorded, step.destructive), table, recorded };
};

/** What speaks against the step now that its table is locked, and nobody can alter or write it. */
const guardLocked = async (
  session: Session,
  { ref, recorded }: { readonly ref: LedgerRef; readonly recorded: Recorded },
  step: Step,
  { table: name, watch }: StepOptions,
): Promise<Outcome | undefined> => {
  // With names spelt as when the step was made: expressions are printed without the schemas of the search path.
  const searchPath = (schemas: readonly string[]): Promise<number> =>
    session.run(sql`SELECT pg_catalog.set_config('search_path', $1, true)`, [searchPathText(schemas)]);
  await searchPath([]);
  const table = await namedWithin(session, ref.id, name, recorded);
  await searchPath(searchPathOf(name));
  return (
    otherTable(name, table, recorded, true) ?? altered(step, table) ?? usedMeanwhile(session, ref.id, watch)
  );
};

const carryOut = async (
  session: Session,
  ref: LedgerRef,
  step: Step,
  options: StepOptions,
): Promise<Outcome> => {
  const { refusal, table, recorded } = await guard(session, ref, step, options);
  if (refusal) return refusal;
  const done: Outcome = { kind: 'done', message: step.purpose };
  if (table && step.done(table)) return { ...done, message: `${step.purpose}: was done already` };
  await takeLock(session, step, options);
  const late = step.destructive ? await guardLocked(session, { ref, recorded }, step, options) : undefined;
  if (late) return late;
  for (const statement of step.statements) await session.run(statement);
  if (!step.destructive) await recordNewColumns(session, ref.id);
  await record(session, ref, step);
  if (recorded.waitedForLock)
    await session.run(sql`UPDATE segue.change SET lock_wait_since = NULL WHERE id = $1`, [ref.id]);
  return done;
};

const withinTransaction = (ref: LedgerRef, step: Step, options: StepOptions): Promise<Outcome> =>
  writing(
    ref,
    {
      doing: step.purpose,
      lockTimeoutMs: options.lockTimeoutMs,
      // VALIDATE may take hours on a big table, and holds nobody up.
      statementTimeoutMs: 0,
      searchPath: searchPathOf(options.table),
      signal: options.signal,
    },
    (session) => carryOut(session, ref, step, options),
  );

/** Puts on record that a step was begun which nothing but its record shows to be done; gives the ledger as it is then. */
const begin = async (ref: LedgerRef, step: Step, options: StepOptions): Promise<LedgerRef | Outcome> => {
  const begun = await writing(ref, { doing: step.purpose }, async (session) => {
    const { refusal, table } = await guard(session, ref, step, options);
    if (refusal) return refusal;
    const taken = table && step.taken?.(table);
    if (taken !== undefined) return { kind: 'refused', reason: 'TargetExists', message: taken };
    await session.run(
      sql`DELETE FROM ${historyOf(step)} WHERE change_id = $1 AND step = $2 AND finished_at IS NULL`,
      [ref.id, step.id],
    );
    await record(session, ref, step, false);
    return { kind: 'done', message: step.purpose };
  });
  return begun.kind === 'done' ? { ...ref, revision: ref.revision + 1 } : begun;
};

const recordFinished = async (session: Session, ref: LedgerRef, step: Step): Promise<void> => {
  const finished = step.once
    ? await session.run(
        sql`UPDATE ${historyOf(step)} SET finished_at = clock_timestamp()
          WHERE change_id = $1 AND step = $2 AND finished_at IS NULL`,
        [ref.id, step.id],
      )
    : 0;
  if (finished === 0) await record(session, ref, step);
};

// CREATE INDEX CONCURRENTLY waits for every older transaction, and lock_timeout counts that wait too. It holds up
// neither readers nor writers meanwhile, and giving up after the time for other DDL would throw a whole build away.
const patienceMs = 10 * 60_000;

/**
 * For what PostgreSQL refuses inside a transaction: the fence is checked before, and the history written after.
 * A former operator's statement may thus still run beside the new one's, so such a step must be one that the
 * catalog shows to be done and that fails harmlessly where it meets itself.
 */
const outsideTransaction = async (ref: LedgerRef, step: Step, options: StepOptions): Promise<Outcome> => {
  const doing = step.purpose;
  const ready = await holding(ref, { doing }, async (session) => {
    const { refusal, table } = await guard(session, ref, step, options);
    return refusal ?? { kind: 'done', message: table && step.done(table) ? 'was done already' : '' };
  });
  if (ready.kind !== 'done') return ready;
  try {
    if (ready.message === '')
      for (const statement of step.statements)
        await ref.db.outsideTransaction(statement, {
          lockTimeoutMs: Math.max(options.lockTimeoutMs, patienceMs),
          searchPath: searchPathOf(options.table),
          signal: options.signal,
        });
  } catch (error) {
    return outcomeOf(error, doing);
  }
  return writing(ref, { doing }, async (session) => {
    await recordFinished(session, ref, step);
    return { kind: 'done', message: doing };
  });
};

/** Names the blocker, and keeps since when the lock has been asked for. */
const noteLockWait = async (
  ref: LedgerRef,
  step: Step,
  options: StepOptions,
  outcome: Outcome,
): Promise<Outcome> => {
  if (outcome.kind !== 'deferred' || outcome.reason !== 'LockNotAvailable') return outcome;
  const blockedBy = await findBlocker(ref.db, [options.table, ...(step.alongside ?? [])], step.lock);
  const noted = await applyMutation(ref, { kind: 'noteLockWait' });
  if (noted.kind === 'stale') return noted;
  if (!blockedBy) return outcome;
  return {
    ...outcome,
    blockedBy,
    message: `Could not ${step.purpose}: ${blockedBy.message}. It is tried again.`,
  };
};

const offendersTimeoutMs = 60_000;
const offendersRecheckMs = 60_000;

/** Names the rows in the way of a constraint, so that a person can mend them; the step holds until they are. */
const nameOffenders = async (
  ref: LedgerRef,
  step: Step,
  options: StepOptions,
  outcome: Outcome,
): Promise<Outcome> => {
  const { offenders } = step;
  if (outcome.kind !== 'refused' || offenders === undefined) return outcome;
  const keys = await ref.db
    .transaction(
      {
        mode: 'read',
        statementTimeoutMs: offendersTimeoutMs,
        searchPath: searchPathOf(options.table),
        signal: options.signal,
      },
      (session) => session.rows<{ key: string }>(offenders),
    )
    // The refusal itself is worth more than the keys.
    .catch((): readonly { key: string }[] => []);
  if (keys.length === 0) return outcome;
  return {
    kind: 'deferred',
    reason: 'BadRows',
    message: `Could not ${step.purpose}: rows are in the way. Keys: ${keys.map(({ key }) => key).join(', ')}. Correct those rows; it is tried again by itself.`,
    afterMs: offendersRecheckMs,
  };
};

/**
 * Runs a step once; harmless to repeat. A lock that is not to be had gives `deferred` with the blocker, rows that a
 * constraint refuses `deferred` with their keys, another table under the name `refused`. Throws FencedError.
 */
export const runStep = async (ref: LedgerRef, step: Step, options: StepOptions): Promise<Outcome> => {
  const run = step.transactional ? withinTransaction : outsideTransaction;
  const begun = step.once && !step.transactional ? await begin(ref, step, options) : ref;
  if ('kind' in begun) return begun;
  const outcome = await nameOffenders(begun, step, options, await run(begun, step, options));
  return noteLockWait(begun, step, options, outcome);
};
