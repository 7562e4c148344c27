/**
 * What other tools do, in our own words: key-ordered batches of 1,000 that update the key to itself, so that a
 * row trigger without a condition fills the new column. After pgroll (xataio/pgroll, pkg/backfill), with less
 * than it does: one trigger of its two, no delay, and statistics for the marker column.
 */
import type { BenchDatabase } from './server.ts';

const batchRows = 1_000;

const setUp = [
  'ALTER TABLE customers ADD COLUMN full_name text',
  'ALTER TABLE customers ADD COLUMN needs_backfill boolean DEFAULT true',
  `CREATE FUNCTION fill_up() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    path text;
  BEGIN
    SELECT current_setting INTO path FROM current_setting('search_path');
    IF path <> 'public_v2' THEN
      NEW.full_name = NEW.first_name || ' ' || NEW.last_name;
      NEW.needs_backfill = false;
    END IF;
    RETURN NEW;
  END $$`,
  'CREATE TRIGGER fill_up BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION fill_up()',
  'ANALYZE customers',
];

const batch = (last: string | undefined): string => `
  WITH batch AS (
    SELECT id FROM customers WHERE needs_backfill ${last === undefined ? '' : `AND id > ${last}`}
    ORDER BY id LIMIT ${batchRows} FOR NO KEY UPDATE
  ), filled AS (
    UPDATE customers SET id = customers.id FROM batch WHERE customers.id = batch.id RETURNING customers.id
  )
  SELECT max(id) AS last FROM filled`;

/** Columns, trigger and statistics. */
export const preparePeers = async ({ client }: BenchDatabase): Promise<void> => {
  for (const statement of setUp) await client.query(statement);
};

/** Fills the whole table. */
export const fillAsPeers = async ({ client }: BenchDatabase): Promise<void> => {
  let last: string | undefined;
  for (;;) {
    const { rows } = await client.query<{ last: string | null }>(batch(last));
    const reached = rows[0]?.last ?? undefined;
    if (reached === undefined) return;
    last = reached;
  }
};
