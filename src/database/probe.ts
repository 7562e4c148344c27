/**
 * Shows on a real row that the triggers work, in a transaction that is rolled back: a trigger that exists can
 * still be undone by another one that sorts after it, or be of a function that no longer does what it should.
 *
 * The probe takes a row that nobody holds and gives up rather than wait. Where it can't tell, the catalog has
 * to do, and the message says so.
 */
import type { TableFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import type { Change } from '../changes/change.ts';
import { syncFunction, triggerMark, triggerNames } from '../changes/sync-triggers.ts';
import { ident, join, lit, sql, type Sql } from '../sql/sql.ts';
import type { RowWork } from './batch.ts';
import { searchPathOf } from './catalog.ts';
import { DatabaseError } from './errors.ts';
import { applyMutation, held, outcomeOfHold, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';

/** What to prove. */
export interface ProbeWork extends RowWork {
  readonly change: Change;
}

type Finding =
  | { readonly kind: 'works' }
  | { readonly kind: 'fails' }
  /** Why a row can't tell. */
  | { readonly kind: 'unclear'; readonly why: string };

const probeTimeoutMs = 1_000;

interface Row {
  readonly heap: number;
  readonly ctid: string;
}

const relation = (table: TableFacts): Sql => ident(table.schema, table.name);

// Only a row whose new side has something to show can tell "filled" from "left empty". Of the first hundred
// rows, because a search through the whole table for one would be no small thing.
const candidates = ({ table, rows }: ProbeWork): Sql =>
  sql`SELECT tableoid, ctid FROM (SELECT *, tableoid, ctid FROM ${relation(table)} LIMIT 100) first_rows
    WHERE ${join(
      rows.set.map(({ value }) => sql`(${value}) IS NOT NULL`),
      sql` AND `,
    )}`;

const takeRow = async (session: Session, work: ProbeWork): Promise<Row | undefined> => {
  const [row] = await session.rows<Row>(
    sql`SELECT t.tableoid::bigint AS heap, t.ctid::text AS ctid FROM ${relation(work.table)} t
      WHERE (t.tableoid, t.ctid) IN (${candidates(work)}) LIMIT 1 FOR UPDATE SKIP LOCKED`,
  );
  return row;
};

const judge = async (session: Session, work: ProbeWork, row: Row, assignments: Sql): Promise<Finding> => {
  const [after] = await session.rows<{ mismatch: boolean | null }>(
    sql`UPDATE ${relation(work.table)} SET ${assignments} WHERE tableoid = $1::oid AND ctid = $2::tid
      RETURNING (${work.rows.mismatch}) AS mismatch`,
    [row.heap, row.ctid],
  );
  if (!after) return { kind: 'unclear', why: 'another trigger suppressed the update' };
  return after.mismatch === true ? { kind: 'fails' } : { kind: 'works' };
};

/** The new side is emptied: the trigger has to fill it again. */
const empty = (session: Session, work: ProbeWork, row: Row): Promise<Finding> =>
  judge(session, work, row, join(work.rows.set.map(({ column }) => sql`${ident(column)} = NULL`)));

/** The old side is given another row's values: the trigger has to carry them over. */
const transplant = async (session: Session, work: ProbeWork, row: Row): Promise<Finding> => {
  const { table, change } = work;
  const old = (from: Sql): Sql =>
    join(change.oldColumns.map((column) => sql`(${from}.${ident(column)})::text`));
  const [other] = await session.rows<Row>(
    sql`SELECT o.heap::bigint AS heap, o.ctid::text AS ctid
      FROM ${relation(table)} mine, LATERAL (SELECT d.*, d.tableoid AS heap, d.ctid FROM ${relation(table)} d LIMIT 100) o
      WHERE mine.tableoid = $1::oid AND mine.ctid = $2::tid AND (${old(sql`mine`)}) IS DISTINCT FROM (${old(sql`o`)})
      LIMIT 1`,
    [row.heap, row.ctid],
  );
  if (!other) return { kind: 'unclear', why: 'no two rows differ in the old columns' };
  const donor = (column: string): Sql =>
    sql`(SELECT d.${ident(column)} FROM ${relation(table)} d WHERE d.tableoid = ${lit(String(other.heap))}::oid AND d.ctid = ${lit(other.ctid)}::tid)`;
  return judge(
    session,
    work,
    row,
    join(change.oldColumns.map((column) => sql`${ident(column)} = ${donor(column)}`)),
  );
};

type Probe = (session: Session, work: ProbeWork, row: Row) => Promise<Finding>;

/** Tries one probe and undoes it. What goes wrong leaves it unclear, for it may be another trigger's doing. */
const attempt = async (ref: LedgerRef, work: ProbeWork, probe: Probe): Promise<Finding> => {
  const options = {
    mode: 'rolledBack',
    doing: 'try the triggers',
    lockTimeoutMs: 200,
    statementTimeoutMs: probeTimeoutMs,
    searchPath: searchPathOf(work.table),
  } as const;
  try {
    return await held(ref, options, async (session) => {
      const row = await takeRow(session, work);
      return row ? probe(session, work, row) : { kind: 'unclear', why: 'there is no row free to try it on' };
    });
  } catch (error) {
    if (error instanceof DatabaseError && error.kind !== 'unreachable')
      return { kind: 'unclear', why: error.message };
    throw error;
  }
};

// Emptying says something of wide triggers only: narrow ones answer it by emptying the old side, which a
// conversion or a NOT NULL of that side may turn into anything.
const tryRows = async (ref: LedgerRef, work: ProbeWork, mark: string): Promise<Finding> => {
  const first = mark === triggerMark('wide') ? await attempt(ref, work, empty) : undefined;
  if (first && first.kind !== 'unclear') return first;
  return attempt(ref, work, transplant);
};

const standing = (ref: LedgerRef, work: ProbeWork): boolean =>
  Object.values(triggerNames(ref.id)).every((name) =>
    work.table.triggers.some((trigger) => trigger.name === name && trigger.enabled),
  );

const conclude = (ref: LedgerRef, work: ProbeWork, finding: Finding): Outcome => {
  const label = `${work.table.schema}.${work.table.name}`;
  const refused = (what: string): Outcome => ({
    kind: 'refused',
    reason: 'StepFailed',
    message: `${what} Look for another trigger of the table, or a disabled one; then set the segue.dev/retry annotation.`,
  });
  switch (finding.kind) {
    case 'works':
      return { kind: 'done', message: `the triggers of ${label} keep both sides in step: seen on a row` };
    case 'fails':
      return refused(`A probe showed that the triggers of ${label} do not keep both sides in step.`);
    case 'unclear':
      return standing(ref, work)
        ? {
            kind: 'done',
            message: `the triggers of ${label} stand, as the catalog has it; not tried on a row: ${finding.why}`,
          }
        : refused(
            `The triggers of ${label} are not all there and enabled, and no row could show that they work: ${finding.why}.`,
          );
  }
};

/** Proves the triggers that stand now and records it. Leaves no trace in the table. Throws FencedError. */
export const proveTriggers = async (ref: LedgerRef, work: ProbeWork): Promise<Outcome> => {
  const mark = work.table.marks[syncFunction(ref.id)];
  if (mark === undefined)
    return { kind: 'stale', message: 'There is no trigger function to prove; the catalog is read anew.' };
  try {
    const outcome = conclude(ref, work, await tryRows(ref, work, mark));
    if (outcome.kind !== 'done') return outcome;
    const recorded = await applyMutation(ref, { kind: 'recordTriggersProven', mark });
    return recorded.kind === 'done' ? outcome : recorded;
  } catch (error) {
    return outcomeOfHold(error, `try the triggers of ${work.table.schema}.${work.table.name}`);
  }
};
