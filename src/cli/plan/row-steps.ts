/** Steps of a plan that work on rows, batch by batch. Pure. */
import type { TableFacts } from '../../api/facts.ts';
import type { SchemaChangeSpec } from '../../api/schema-change.ts';
import { archiveName, copyBatch } from '../../changes/archive.ts';
import type { Change } from '../../changes/change.ts';
import { fill } from '../../database/batch.ts';
import { heapIdent } from '../../database/heap-cursor.ts';
import { shareOf } from '../../phases/verify.ts';
import { sql, type Sql } from '../../sql/sql.ts';
import { fillEstimate, scanEstimate, type Estimate } from './estimate.ts';
import type { PlannedStep } from './outline.ts';
import type { StatementLock } from './statement-lock.ts';

/** What a row step has to know beside the change. */
export interface RowScope {
  readonly spec: SchemaChangeSpec;
  readonly rows: number | undefined;
}

const batches = (
  { id, purpose }: Pick<PlannedStep, 'id' | 'purpose'>,
  statements: readonly Sql[],
  lock: StatementLock,
  estimate?: Estimate,
): PlannedStep => ({
  id,
  purpose,
  runs: 'batch by batch',
  alongside: [],
  destructive: false,
  statements: statements.map(({ text }) => ({ sql: text, ...lock })),
  ...(estimate === undefined ? {} : { estimate }),
});

/** The triggers are tried on a row. */
export const proveTriggers = (): PlannedStep => ({
  id: 'prove',
  purpose: 'show on a row, in a transaction that is rolled back, that the triggers act',
  runs: 'rolled back',
  alongside: [],
  destructive: false,
  statements: [],
});

/** The backfill: one statement for each heap, once for each range of pages; none where no row needs a value. */
export const fillRows = (
  change: Change,
  id: number,
  table: TableFacts,
  { spec, rows }: RowScope,
): readonly PlannedStep[] => {
  const plan = change.rows?.(id, table);
  if (plan === undefined) return [];
  const { targetBatchTime, maxWorkers } = spec.backfill;
  const most = maxWorkers === 1 ? 'one batch at a time' : `at most ${maxWorkers} batches at the same time`;
  return [
    batches(
      {
        id: 'backfill',
        purpose: `fill ${change.newColumns.join(', ')} in ranges of pages, ${most}, of ${targetBatchTime} each`,
      },
      table.heaps.map((heap) => fill({ table, rows: plan }, heap)),
      { lock: 'ROW EXCLUSIVE', work: 'rows' },
      rows === undefined ? undefined : fillEstimate(rows, spec.backfill),
    ),
  ];
};

/** The verification, in essence: what it counts and in which rows. */
export const compareRows = (
  change: Change,
  id: number,
  table: TableFacts,
  { spec, rows }: RowScope,
): PlannedStep => {
  const share = shareOf(spec.verify);
  const mismatch = change.rows?.(id, table).mismatch ?? sql`false`;
  return batches(
    {
      id: 'verify',
      purpose: share === 100 ? 'compare every row' : `compare the rows of ${share} % of the pages`,
    },
    table.heaps.map(
      (heap) =>
        sql`SELECT count(*) AS rows, count(*) FILTER (WHERE (${mismatch})) AS mismatches FROM ONLY ${heapIdent(heap)} WHERE ctid >= $1::tid AND ctid < $2::tid`,
    ),
    { lock: 'ACCESS SHARE', work: 'rows' },
    rows === undefined ? undefined : scanEstimate((rows * share) / 100),
  );
};

// As the archive's own first batch; later ones go by time.
const archiveBatch = 1_000;

/** The archive's copy of the old columns. */
export const copyRows = (change: Change, id: number, table: TableFacts): PlannedStep =>
  batches(
    { id: 'archive', purpose: `copy ${change.oldColumns.join(', ')} to segue.${archiveName(id)}` },
    [copyBatch(id, change, table, { first: false, limit: archiveBatch })],
    { lock: 'ACCESS SHARE', work: 'rows' },
  );
