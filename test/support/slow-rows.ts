import type { TestDatabase } from './database.ts';

/**
 * Has every UPDATE of a row of `customers` take a millisecond, so that a backfill is within a batch at nearly every
 * moment and far from its end: a crash strikes work, never a pause. What it gives ends that.
 */
export const slowRows = async (sandbox: TestDatabase): Promise<() => Promise<void>> => {
  await sandbox.script(`
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION slow()`);
  return async () => {
    await sandbox.query('DROP TRIGGER slow ON customers');
  };
};
