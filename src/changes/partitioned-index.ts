/**
 * Indexes of partitioned tables. PostgreSQL builds none of them CONCURRENTLY: one ON ONLY the table stands there, not
 * valid, until every partition has one that is attached to it (manual, CREATE INDEX, Notes). Those of the leaves are
 * built CONCURRENTLY. A partition that comes meanwhile brings its own, for PostgreSQL makes what the table has.
 */
import type { PartitionFacts, PartitionIndexFacts, TableFacts, Violation } from '../api/facts.ts';
import { ident, join, nothing, sql, type Sql } from '../sql/sql.ts';
import { alter, hasConstraint, shortly } from './alter-table.ts';
import type { Step } from './change.ts';
import { createIndexSteps, dropIndexStep, indexBody, type IndexPlan } from './concurrent-index.ts';
import { suffixed } from './table-name.ts';
import { quoted } from './table-preflight.ts';

// What the statement locks is one table of the tree; the rest is only kept from other DDL.
const ofOneTable = { lock: 'ShareUpdateExclusiveLock' } as const satisfies Partial<Step>;

/** What becomes of the index. */
export type Role = 'index' | 'unique constraint';

// By OID: a partition may be renamed, and its name be as long as an index's may.
const nameOn = ({ name }: IndexPlan, { oid }: PartitionFacts): string => suffixed(name, String(oid));

const find = (now: TableFacts, oid: number): PartitionFacts | undefined =>
  now.partitions.find((partition) => partition.oid === oid);

const nameAbove = (table: TableFacts, plan: IndexPlan, { parent }: PartitionFacts): string => {
  const above = find(table, parent);
  return above === undefined ? plan.name : (attached(table, plan, above)?.name ?? nameOn(plan, above));
};

/** The index of a partition that is attached already, whoever made it. */
const attached = (
  table: TableFacts,
  plan: IndexPlan,
  partition: PartitionFacts,
): PartitionIndexFacts | undefined => {
  const above = nameAbove(table, plan, partition);
  return find(table, partition.oid)?.indexes.find(({ attachedTo }) => attachedTo === above);
};

/** Ours, attached or not. */
const own = (now: TableFacts, plan: IndexPlan, partition: PartitionFacts): PartitionIndexFacts | undefined =>
  find(now, partition.oid)?.indexes.find(({ name }) => name === nameOn(plan, partition));

const isGone = (now: TableFacts, { oid }: PartitionFacts): boolean => find(now, oid) === undefined;

const settled = (now: TableFacts, plan: IndexPlan, partition: PartitionFacts): boolean =>
  isGone(now, partition) || attached(now, plan, partition) !== undefined;

const columnsOf = ({ keys }: IndexPlan): Sql => join(keys);

/** The table's own, or that of a partition which is partitioned in turn: an entry in the catalog, without a scan. */
const createOnly = (table: TableFacts, plan: IndexPlan, role: Role, on: PartitionFacts | undefined): Step => {
  const name = on === undefined ? plan.name : nameOn(plan, on);
  const target = on ?? table;
  const where = ident(target.schema, target.name);
  return {
    ...shortly,
    id: `${name}-only`,
    purpose: `make ${role} ${name} of the partitioned table ${target.schema}.${target.name}, without its partitions`,
    ...ofOneTable,
    statements: [
      role === 'index'
        ? sql`CREATE ${plan.unique ? sql`UNIQUE ` : nothing}INDEX ${ident(name)} ON ONLY ${where} ${indexBody(plan)}`
        : sql`ALTER TABLE ONLY ${where} ADD CONSTRAINT ${ident(name)} UNIQUE (${columnsOf(plan)})`,
    ],
    done: (now) =>
      on === undefined
        ? now.indexes.some((index) => index.name === name)
        : settled(now, plan, on) || own(now, plan, on) !== undefined,
  };
};

/** The view of a leaf that the steps of an ordinary table's index need. */
const asTable = (table: TableFacts, { schema, name, indexes }: PartitionFacts): TableFacts => ({
  ...table,
  schema,
  name,
  indexes,
});

const onLeaf = (table: TableFacts, plan: IndexPlan, role: Role, leaf: PartitionFacts): readonly Step[] => {
  const name = nameOn(plan, leaf);
  const view = (now: TableFacts): TableFacts => asTable(now, find(now, leaf.oid) ?? { ...leaf, indexes: [] });
  const steps = createIndexSteps(asTable(table, leaf), { ...plan, name }).map((step) => ({
    ...step,
    done: (now: TableFacts) => settled(now, plan, leaf) || step.done(view(now)),
  }));
  if (role === 'index') return steps;
  return [
    ...steps,
    {
      ...shortly,
      id: `${name}-add`,
      purpose: `make unique constraint ${name} of its index`,
      ...ofOneTable,
      statements: [alter(leaf, [sql`ADD CONSTRAINT ${ident(name)} UNIQUE USING INDEX ${ident(name)}`])],
      done: (now) => settled(now, plan, leaf) || own(now, plan, leaf)?.constraint === true,
    },
  ];
};

const attach = (table: TableFacts, plan: IndexPlan, partition: PartitionFacts): Step => {
  const name = nameOn(plan, partition);
  const above = find(table, partition.parent) ?? table;
  return {
    ...shortly,
    id: `${name}-attach`,
    ...ofOneTable,
    purpose: `attach index ${name} to that of ${above.schema}.${above.name}`,
    statements: [
      sql`ALTER INDEX ${ident(above.schema, nameAbove(table, plan, partition))} ATTACH PARTITION ${ident(partition.schema, name)}`,
    ],
    done: (now) => settled(now, plan, partition),
  };
};

/** Builds the index, or the constraint of it, partition by partition. */
export const partitionedIndexSteps = (table: TableFacts, plan: IndexPlan, role: Role): readonly Step[] => [
  createOnly(table, plan, role, undefined),
  ...table.partitions
    .filter(({ leaf }) => !leaf)
    .map((partition) => createOnly(table, plan, role, partition)),
  ...table.partitions.filter(({ leaf }) => leaf).flatMap((leaf) => onLeaf(table, plan, role, leaf)),
  // Innermost first: an index is valid once all below it are.
  ...table.partitions.toReversed().map((partition) => attach(table, plan, partition)),
];

/** Takes it away, whatever has become of it: what is attached goes with the table's own. */
export const dropPartitionedIndexSteps = (
  table: TableFacts,
  plan: IndexPlan,
  role: Role,
): readonly Step[] => [
  {
    ...shortly,
    id: `${plan.name}-drop-index`,
    purpose: `drop ${role} ${plan.name} with those of its partitions`,
    statements: [
      role === 'index'
        ? sql`DROP INDEX IF EXISTS ${ident(table.schema, plan.name)}`
        : alter(table, [sql`DROP CONSTRAINT IF EXISTS ${ident(plan.name)}`]),
    ],
    done: (now) => !hasConstraint(now, plan.name) && !now.indexes.some((index) => index.name === plan.name),
  },
  ...table.partitions.flatMap((partition) => dropOwn(table, plan, partition)),
];

const dropOwn = (table: TableFacts, plan: IndexPlan, partition: PartitionFacts): readonly Step[] => {
  const found = own(table, plan, partition);
  if (found === undefined) return [];
  const gone = (now: TableFacts): boolean => own(now, plan, partition) === undefined;
  if (found.constraint || !partition.leaf)
    return [
      {
        ...shortly,
        id: `${found.name}-drop`,
        purpose: `drop what was made for partition ${partition.schema}.${partition.name}`,
        statements: [
          found.constraint
            ? alter(partition, [sql`DROP CONSTRAINT IF EXISTS ${ident(found.name)}`])
            : sql`DROP INDEX IF EXISTS ${ident(partition.schema, found.name)}`,
        ],
        done: gone,
      },
    ];
  return [{ ...dropIndexStep(asTable(table, partition), found.name), done: gone }];
};

/** True once the index is there and valid, which it is when all of its partitions are. */
export const isPartitionedIndexValid = (now: TableFacts, { name }: IndexPlan): boolean =>
  now.indexes.some((index) => index.name === name && index.valid);

/** The violation if a unique index can't tell duplicates of two partitions apart. */
export const needsPartitionKey = (table: TableFacts, columns: readonly string[]): readonly Violation[] => {
  const missing = table.dependents
    .filter(({ kind, column }) => kind === 'partition key' && !columns.includes(column))
    .map(({ column }) => column);
  if (!table.partitioned || missing.length === 0) return [];
  return [
    {
      reason: 'UnsupportedTable',
      message: `${table.schema}.${table.name} is partitioned by ${quoted(missing)}, and PostgreSQL keeps rows unique within a partition alone. Add ${quoted(missing)} to the columns, or make the index on each partition by hand.`,
    },
  ];
};
