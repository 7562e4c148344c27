/** Segue's own steps on a database of the benchmark, as the operator runs them. */
import type { BackfillSettings } from '../src/database/backfill.ts';
import { Database } from '../src/database/databases.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  takeOver,
  type DrivenChange,
} from '../test/support/database-change.ts';
import type { BenchDatabase } from './server.ts';

/** The change that every suite makes: two names become one. */
export const change = fullName('public.customers');

/** Its expression over the old columns. */
export const expression = "first_name || ' ' || last_name";

/** The defaults of `spec.backfill`, with so many workers where the engine knows of workers. */
export const defaults = (
  maxWorkers: number,
): Partial<BackfillSettings> & { readonly maxWorkers: number } => ({
  targetBatchMs: 100,
  maxRowsPerSecond: 0,
  maxReplicaLagMs: 10_000,
  maxWorkers,
});

const using = async <T>(database: BenchDatabase, use: (db: Database) => Promise<T>): Promise<T> => {
  const db = new Database(database.uri);
  try {
    return await use(db);
  } finally {
    await db.close();
  }
};

/** Uses a change whose columns are added and whose wide triggers stand. */
export const withDualWriting = <T>(
  database: BenchDatabase,
  use: (driven: DrivenChange) => Promise<T>,
): Promise<T> => using(database, async (db) => use(await dualWriting(db, change)));

/** Uses the change where it stands; begins it if need be. */
export const withChange = <T>(
  database: BenchDatabase,
  use: (driven: DrivenChange) => Promise<T>,
): Promise<T> => using(database, async (db) => use(await takeOver(db, change)));

/** Fills all rows. @throws if the backfill ends other than done */
export const fill = async (driven: DrivenChange, maxWorkers: number): Promise<void> =>
  expectDone(await driven.fillAll(defaults(maxWorkers)));
