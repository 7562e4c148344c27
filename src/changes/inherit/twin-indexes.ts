/** Indexes over old columns, with the constraints that they serve. */
import type { ConstraintFacts, IndexDefinition, IndexFacts, TableFacts } from '../../api/facts.ts';
import { ident, lit, sql, userSql, type Sql } from '../../sql/sql.ts';
import { alter } from '../alter-table.ts';
import { tableIdent } from '../column-sync.ts';
import { createIndexSteps, indexBody, type IndexPlan } from '../concurrent-index.ts';
import type { Rewriting } from './heirs.ts';
import { twinName, type Twin } from './twin.ts';

const wayOut = 'drop it first, and create what you need on the new column after Backfill';

const kindOf = (constraint: ConstraintFacts | undefined): Twin['kind'] => {
  switch (constraint?.definition?.kind) {
    case 'primary key':
      return 'primary key';
    case 'unique':
      return 'unique constraint';
    case 'exclusion':
      return 'exclusion constraint';
    case 'check':
    case undefined:
      return 'index';
  }
};

/** The index over the new columns; undefined where it can't be told what an expression reads. */
const planOf = (name: string, definition: IndexDefinition, rewriting: Rewriting): IndexPlan | undefined => {
  const { unique, method, include, where, clauses } = definition;
  const keys = definition.keys.map(({ kind, text }) => {
    if (kind === 'column') return ident(rewriting.name(text));
    const expression = rewriting.expression(text);
    return expression && sql`(${expression})`;
  });
  const condition = where === '' ? undefined : rewriting.expression(where);
  if (keys.includes(undefined) || (where !== '' && condition === undefined)) return undefined;
  return {
    name,
    unique,
    method,
    keys: keys.flatMap((key) => key ?? []),
    orders: definition.keys.map((key) => userSql(key.clauses)),
    include: include.map((column) => rewriting.name(column)),
    clauses: userSql(clauses),
    ...(condition === undefined ? {} : { where: condition.text }),
  };
};

const obstacleOf = (
  table: TableFacts,
  definition: IndexDefinition,
  constraint: ConstraintFacts | undefined,
  rewriting: Rewriting,
): string | undefined => {
  const heirless = rewriting.heirless(definition.columns);
  if (heirless.length > 0) return `no new column inherits from ${heirless.join(', ')}; ${wayOut}`;
  if (table.partitioned) return `PostgreSQL builds no index CONCURRENTLY on a partitioned table; ${wayOut}`;
  const { obstacle } = constraint?.definition ?? {};
  if (obstacle !== undefined) return `${obstacle}; ${wayOut}`;
  if (definition.unique && !rewriting.same(definition.columns))
    return `values that differ in the old column may be equal in the new one, or the other way round, and then a write of one version would fail for a row that is right for the other; ${wayOut}`;
  return undefined;
};

/** The constraint takes its index over, or the index gets its name. */
const successor = (
  table: TableFacts,
  name: string,
  { name: original, definition }: IndexFacts,
  constraint: ConstraintFacts | undefined,
): readonly Sql[] => {
  const finalName = constraint?.name ?? original;
  const index = ident(table.schema, finalName);
  const primary = constraint?.definition?.kind === 'primary key';
  const comments = [
    ...(definition?.comment === undefined
      ? []
      : [sql`COMMENT ON INDEX ${index} IS ${lit(definition.comment)}`]),
    ...(constraint?.definition?.comment === undefined
      ? []
      : [
          sql`COMMENT ON CONSTRAINT ${ident(finalName)} ON ${tableIdent(table)} IS ${lit(constraint.definition.comment)}`,
        ]),
  ];
  return [
    constraint === undefined
      ? sql`ALTER INDEX ${ident(table.schema, name)} RENAME TO ${ident(original)}`
      : alter(table, [
          sql`ADD CONSTRAINT ${ident(finalName)} ${primary ? sql`PRIMARY KEY` : sql`UNIQUE`} USING INDEX ${ident(name)}`,
        ]),
    ...(definition?.replicaIdentity
      ? [sql`ALTER TABLE ${tableIdent(table)} REPLICA IDENTITY USING INDEX ${ident(finalName)}`]
      : []),
    ...(definition?.clustered ? [sql`ALTER TABLE ${tableIdent(table)} CLUSTER ON ${ident(finalName)}`] : []),
    ...comments,
  ];
};

/** A twin for each valid index that reads an old column. */
export const twinIndexes = (id: number, table: TableFacts, rewriting: Rewriting): readonly Twin[] =>
  table.indexes.flatMap((index): readonly Twin[] => {
    const { definition } = index;
    if (definition === undefined || !rewriting.concerns(definition.columns)) return [];
    const constraint = table.constraints.find(({ name }) => name === definition.constraint);
    const name = twinName(id, definition.oid);
    const plan = planOf(name, definition, rewriting);
    const obstacle =
      obstacleOf(table, definition, constraint, rewriting) ??
      (plan === undefined ? `an expression of it can't be carried over; ${wayOut}` : undefined);
    const original = constraint?.name ?? index.name;
    return [
      {
        kind: kindOf(constraint),
        original,
        columns: definition.columns,
        name,
        ...(obstacle === undefined ? {} : { obstacle }),
        checks:
          plan === undefined
            ? []
            : [
                sql`CREATE ${plan.unique ? sql`UNIQUE ` : sql``}INDEX ON pg_temp.segue_inherit ${indexBody(plan)}`,
              ],
        build: plan === undefined ? [] : createIndexSteps(table, plan),
        ready: (now) => now.indexes.some((made) => made.name === name && made.valid),
        locks: [],
        retire: [
          constraint === undefined
            ? sql`DROP INDEX IF EXISTS ${ident(table.schema, index.name)}`
            : alter(table, [sql`DROP CONSTRAINT IF EXISTS ${ident(constraint.name)}`]),
        ],
        succeed: successor(table, name, index, constraint),
      },
    ];
  });
