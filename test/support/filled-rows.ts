import type { TestDatabase } from './database.ts';

/** Rows of `customers` that are filled, and rows of which the ledger says so. They must never differ. */
export const filledRows = async (sandbox: TestDatabase): Promise<{ filled: number; recorded: number }> => {
  const [row] = await sandbox.query<{ filled: string; recorded: string }>(
    `SELECT (SELECT count(full_name) FROM customers) AS filled, (SELECT sum(rows_done) FROM (
      SELECT rows_done FROM segue.backfill UNION ALL SELECT rows_done FROM segue.backfill_range) r) AS recorded`,
  );
  return { filled: Number(row?.filled), recorded: Number(row?.recorded) };
};
