/** The table as a manifest alone lets one suppose it: what the change names is there, and nothing else is known. */
import type { ColumnFacts, TableFacts } from '../../api/facts.ts';
import type { ChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import { columnsIn } from '../../sql/expression.ts';
import { ident } from '../../sql/sql.ts';

/** Columns that expressions of the change read. */
const readColumns = (spec: ChangeSpec): readonly string[] => [
  ...columnsIn(spec.addColumn?.backfill ?? ''),
  ...columnsIn(spec.addColumn?.check ?? '').filter((name) => name !== spec.addColumn?.name),
  ...columnsIn(spec.addConstraint?.check?.expression ?? ''),
];

/** Stands where a type belongs that only the database knows: `"type of mail"`. */
const unknownType = (column: string): string => ident(`type of ${column}`).text;

const column = (name: string, attnum: number, notNull: boolean): ColumnFacts => ({
  attnum,
  type: unknownType(name),
  notNull,
  generated: false,
  identity: false,
  comparable: true,
});

/** Facts in which nothing stands against the change but what its own texts say. */
export const supposedTable = (change: Change, spec: ChangeSpec): TableFacts => {
  const uses = change.uses.filter((name) => name !== '*');
  const names = [...new Set([...change.oldColumns, ...uses, ...readColumns(spec)])].filter(
    (name) => !change.newColumns.includes(name),
  );
  return {
    oid: 0,
    ...change.table,
    partitioned: false,
    // Of a column that goes it is supposed that it is NOT NULL, so that what takes that off is shown.
    columns: Object.fromEntries(
      names.map((name, n) => [name, column(name, n + 1, change.kind === 'dropColumn')]),
    ),
    primaryKey: [],
    constraints: [],
    indexes: [],
    foreignKeys: [],
    statistics: [],
    publications: [],
    triggers: [],
    dependents: [],
    heaps: [{ oid: 0, ...change.table, filenode: 0 }],
    partitions: [],
    marks: {},
    steps: {},
    estimatedRows: -1,
  };
};
