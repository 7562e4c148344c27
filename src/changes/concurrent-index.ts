/**
 * Indexes made and dropped while others write. CREATE INDEX CONCURRENTLY that fails or is killed leaves an index
 * that is not valid: writes pay for it and no query uses it (manual, CREATE INDEX, "Building Indexes
 * Concurrently"). It is known by the catalog, dropped and built again.
 */
import type { TableFacts } from '../api/facts.ts';
import { expressionSql } from '../sql/expression.ts';
import { ident, join, nothing, sql, type Sql } from '../sql/sql.ts';
import { offendersWhere } from './alter-table.ts';
import type { Step } from './change.ts';

/** An index to build. */
export interface IndexPlan {
  readonly name: string;
  readonly unique: boolean;
  /** Access method, such as btree. */
  readonly method: string;
  /** Columns and expressions in parentheses, without order or operator class. */
  readonly keys: readonly Sql[];
  /** Order and NULLS, key by key; absent where the default will do. */
  readonly orders?: readonly Sql[];
  readonly include?: readonly string[] | undefined;
  /** NULLS NOT DISTINCT, WITH, TABLESPACE as the statement has them. */
  readonly clauses?: Sql;
  /** Condition of a partial index. */
  readonly where?: string | undefined;
}

const concurrently = {
  lock: 'ShareUpdateExclusiveLock',
  transactional: false,
  destructive: false,
} as const satisfies Partial<Step>;

const hasIndex = (table: TableFacts, name: string, valid: boolean): boolean =>
  table.indexes.some((index) => index.name === name && index.valid === valid);

/** What CREATE INDEX takes after the table's name. */
export const indexBody = ({
  method,
  keys,
  orders,
  include = [],
  clauses = nothing,
  where,
}: IndexPlan): Sql => {
  const ordered = keys.map((key, n) => sql`${key}${orders?.[n] ?? nothing}`);
  const included =
    include.length === 0 ? nothing : sql` INCLUDE (${join(include.map((name) => ident(name)))})`;
  const partial = where === undefined ? nothing : sql` WHERE (${expressionSql(where)})`;
  return sql`USING ${ident(method)} (${join(ordered)})${included}${clauses}${partial}`;
};

/** Takes away what an unfinished build left, and leaves a finished index alone. */
export const clearIndexStep = (table: TableFacts, name: string): Step => ({
  ...concurrently,
  id: `${name}-clear`,
  purpose: `drop what an unfinished build of index ${name} left behind`,
  statements: [sql`DROP INDEX CONCURRENTLY IF EXISTS ${ident(table.schema, name)}`],
  done: (now) => !hasIndex(now, name, false),
});

/** Rows that keep a unique index from being built. Rows with a NULL among the keys are no duplicates. */
const duplicates = (table: TableFacts, { keys, where }: IndexPlan): Sql => {
  const condition = join(
    [
      ...keys.map((key) => sql`${key} IS NOT NULL`),
      ...(where === undefined ? [] : [sql`(${expressionSql(where)})`]),
    ],
    sql` AND `,
  );
  return offendersWhere(
    table,
    sql`${condition} AND (${join(keys)}) IN (SELECT ${join(keys)} FROM ${ident(table.schema, table.name)} WHERE ${condition} GROUP BY ${join(keys)} HAVING pg_catalog.count(*) > 1)`,
  );
};

/** Drops what an earlier build has left, then builds. */
export const createIndexSteps = (table: TableFacts, plan: IndexPlan): readonly Step[] => [
  clearIndexStep(table, plan.name),
  {
    ...concurrently,
    id: `${plan.name}-build`,
    purpose: `build index ${plan.name}`,
    statements: [
      sql`CREATE ${plan.unique ? sql`UNIQUE ` : nothing}INDEX CONCURRENTLY ${ident(plan.name)} ON ${ident(table.schema, table.name)} ${indexBody(plan)}`,
    ],
    ...(plan.unique ? { offenders: duplicates(table, plan) } : {}),
    done: (now) => hasIndex(now, plan.name, true),
  },
];

/** Takes an index away, valid or not. */
export const dropIndexStep = (table: TableFacts, name: string): Step => ({
  ...concurrently,
  id: `${name}-drop-index`,
  purpose: `drop index ${name}`,
  statements: [sql`DROP INDEX CONCURRENTLY IF EXISTS ${ident(table.schema, name)}`],
  done: (now) => !hasIndex(now, name, true) && !hasIndex(now, name, false),
});
