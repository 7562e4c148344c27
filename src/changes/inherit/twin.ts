/**
 * The like of an index, constraint or statistics object, over the new columns: made in Backfill under a name of ours,
 * because the old one has its own until Drop, and given that name in Drop's transaction.
 */
import type { ColumnDependent, TableFacts } from '../../api/facts.ts';
import type { Sql } from '../../sql/sql.ts';
import type { Step, TableName } from '../change.ts';

/** See the file's head. */
export interface Twin {
  readonly kind: ColumnDependent['kind'];
  /** Of the original. */
  readonly original: string;
  /** Columns of the table that the original reads. */
  readonly columns: readonly string[];
  /** Its name until Drop. */
  readonly name: string;
  /** Why there can't be one, as a clause, with the way out. */
  readonly obstacle?: string;
  /** What PostgreSQL must accept on a table with old and new columns, `pg_temp.segue_inherit`. */
  readonly checks: readonly Sql[];
  readonly build: readonly Step[];
  /** True if the catalog has it, as good as the original. */
  readonly ready: (now: TableFacts) => boolean;
  /** Other tables that Drop locks for it. */
  readonly locks: readonly TableName[];
  /** In Drop's transaction: takes the original away, before its column goes. */
  readonly retire: readonly Sql[];
  /** In Drop's transaction, once the old columns are gone: the twin takes name and place of the original. */
  readonly succeed: readonly Sql[];
}

/** The name of a twin until Drop. OIDs, because a name may be as long as names may be. */
export const twinName = (id: number, oid: number): string => `segue_${id}_${oid}`;

/** True for the name of a twin of a change; the checks that stand in for NOT NULL are named otherwise. */
export const isTwin = (id: number, name: string): boolean =>
  name.startsWith(`segue_${id}_`) && /^segue_\d+_\d+$/.test(name);
