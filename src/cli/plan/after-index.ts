/** What the catalog would show of a table's indexes, and of those of its partitions, after a statement. Pure. */
import type { PartitionFacts, PartitionIndexFacts, TableFacts } from '../../api/facts.ts';

interface Members {
  readonly [key: string]: unknown;
}

const relationOf = (
  member: unknown,
): { readonly schema: string; readonly name: string; readonly only: boolean } => {
  const { relname = '', schemaname = 'public', inh } = (member ?? {}) as Record<string, string>;
  return { schema: schemaname, name: relname, only: inh === undefined };
};

const inPartition = (
  table: TableFacts,
  which: (partition: PartitionFacts) => boolean,
  change: (indexes: readonly PartitionIndexFacts[]) => readonly PartitionIndexFacts[],
): TableFacts => ({
  ...table,
  partitions: table.partitions.map((partition) =>
    which(partition) ? { ...partition, indexes: change(partition.indexes) } : partition,
  ),
});

/** CREATE INDEX, or a constraint that takes an index of a partition over. */
export const afterIndex = (table: TableFacts, node: Members): TableFacts => {
  const relation = relationOf(node['relation']);
  const name = String(node['idxname']);
  if (relation.schema === table.schema && relation.name === table.name)
    return {
      ...table,
      // ON ONLY a partitioned table it is not valid until every partition has its own.
      indexes: [...table.indexes, { name, valid: !(relation.only && table.partitioned) }],
    };
  const made = { name, valid: true, constraint: node['constraint'] === true };
  return inPartition(
    table,
    (partition) => partition.schema === relation.schema && partition.name === relation.name,
    (indexes) => [...indexes.filter((index) => index.name !== name), made],
  );
};

/** ALTER INDEX … ATTACH PARTITION. */
export const afterAlterIndex = (table: TableFacts, node: Members): TableFacts => {
  const above = relationOf(node['relation']).name;
  const [cmd] = Array.isArray(node['cmds']) ? (node['cmds'] as readonly Members[]) : [];
  const { def } = (cmd?.['AlterTableCmd'] ?? {}) as { def?: { PartitionCmd?: Members } };
  const below = relationOf(def?.PartitionCmd?.['name']).name;
  const attached = inPartition(
    table,
    ({ indexes }) => indexes.some(({ name }) => name === below),
    (indexes) => indexes.map((index) => (index.name === below ? { ...index, attachedTo: above } : index)),
  );
  const whole = attached.partitions
    .filter(({ parent }) => parent === table.oid)
    .every(({ indexes }) => indexes.some(({ attachedTo }) => attachedTo === above));
  return {
    ...attached,
    indexes: attached.indexes.map((index) =>
      index.name === above && whole ? { ...index, valid: true } : index,
    ),
  };
};

/** DROP INDEX, with those that are attached to it. */
export const withoutIndex = (table: TableFacts, dropped: string): TableFacts => ({
  ...table,
  indexes: table.indexes.filter(({ name }) => name !== dropped),
  partitions: table.partitions.map((partition) => ({
    ...partition,
    indexes: partition.indexes.filter(({ name, attachedTo }) => name !== dropped && attachedTo !== dropped),
  })),
});
