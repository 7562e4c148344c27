/**
 * What must hold before a ColumnSync may touch anything. Whatever hangs on an old column and is not carried
 * over to the new ones is a reason to refuse here: found at Drop, after days, it would be far worse.
 */
import type { ColumnDependent, TableFacts, Violation } from '../api/facts.ts';
import { expressionSql } from '../sql/expression.ts';
import { sql, userSql, type Sql } from '../sql/sql.ts';
import type { ParseCheck } from './change.ts';
import { rewritingOf, wrongHeirs } from './inherit/heirs.ts';
import { inheritanceChecks, moveObstacles, uncarried, type Uncarried } from './inherit/inheritance.ts';
import {
  addWithoutRewrite,
  likeness,
  missingColumns,
  quoted,
  triggersTooLate,
  unsupportedTable,
} from './table-preflight.ts';
import {
  argumentsOf,
  backwardOf,
  forwardOf,
  typeOf,
  type ColumnSync,
  type Conversion,
} from './column-sync.ts';

const advice: Readonly<Record<ColumnDependent['kind'], string>> = {
  'primary key': 'the key of a partition; leave the column',
  'foreign key': 'drop it first and add it to the new column after Drop',
  'unique constraint': 'drop it first and add it to the new column after Drop',
  'check constraint': 'drop it first and add it to the new column after Drop',
  'exclusion constraint': 'drop it first and add it to the new column after Drop',
  index: 'drop it first and create one on the new column after Backfill',
  view: 'redefine the view over the other columns, or drop it; nothing is ever dropped with CASCADE',
  rule: 'redefine or drop the rule; nothing is ever dropped with CASCADE',
  policy: 'redefine the policy over the other columns, or drop it',
  trigger: 'redefine the trigger without this column',
  'generated column': 'redefine the generated column over the other columns, or drop it',
  publication: 'take the column out of the publication’s column list, or publish the whole table',
  statistics: 'drop the extended statistics and create them on the new column after Drop',
  sequence: 'say which new column inherits from this one (to[].inherits), or take the ownership away first',
  grant: 'say which new column inherits from this one (to[].inherits), or grant on the table instead',
  'partition key': 'a column of the partition key cannot be replaced',
  other: 'drop or redefine it first',
};

const taken = (sync: ColumnSync, table: TableFacts): readonly Violation[] => {
  const present = sync.to.map(({ name }) => name).filter((column) => column in table.columns);
  if (present.length === 0) return [];
  return [
    {
      reason: 'TargetColumnExists',
      message: `Table ${table.schema}.${table.name} already has a column ${quoted(present)}, and Segue did not make it. Choose another name in spec.change, or drop or rename that column.`,
    },
  ];
};

const label = (table: TableFacts, column: string): string =>
  `Column "${column}" of ${table.schema}.${table.name}`;

const unsupported = (message: string): Violation => ({ reason: 'UnsupportedColumn', message });

const heirs = (sync: ColumnSync, table: TableFacts): readonly Violation[] =>
  wrongHeirs(sync).map((column) =>
    unsupported(
      `${label(table, column)} is named in inherits, and is no column of from, or is named twice. Let each old column pass what it has to one new column at most.`,
    ),
  );

const underivable = (sync: ColumnSync, table: TableFacts): readonly Violation[] => {
  const obstacles = moveObstacles(sync, table);
  return sync.from.flatMap((column): readonly Violation[] => {
    const facts = table.columns[column];
    const where = label(table, column);
    if (facts?.generated)
      return [
        unsupported(
          `${where} is generated: no statement writes it, so it can't be kept in step. Replace the columns it is computed from instead.`,
        ),
      ];
    const obstacle = obstacles.find(({ old }) => old === column);
    if (obstacle)
      return [
        unsupported(
          `${where}: ${obstacle.why}. Take it off first and let the application give the value, or leave the column.`,
        ),
      ];
    if (rewritingOf(sync, table).heirless([column]).length === 0) return [];
    if (facts?.identity)
      return [
        unsupported(
          `${where} is an identity column, and no new column inherits from it. Say which does (to[].inherits), or turn it into a plain column first.`,
        ),
      ];
    if (facts?.default !== undefined)
      return [
        unsupported(
          `${where} has a default (${facts.default}), and no new column inherits from it. Say which does (to[].inherits), or drop the default first and let the application give the value.`,
        ),
      ];
    return [];
  });
};

/** The violation that lists what hangs on columns to be dropped. */
export const dependentsMessage = (
  table: TableFacts,
  found: readonly ColumnDependent[],
): readonly Violation[] =>
  listed(
    table,
    found.map((dependent) => ({ dependent })),
  );

const listed = (table: TableFacts, found: readonly Uncarried[]): readonly Violation[] => {
  if (found.length === 0) return [];
  return [
    {
      reason: 'DependentObjects',
      message: `These depend on the columns to be dropped from ${table.schema}.${table.name}: ${found
        .map(
          ({ dependent: { column, kind, name }, why }) =>
            `${kind} ${name} on "${column}" (${why ?? advice[kind]})`,
        )
        .join('; ')}.`,
    },
  ];
};

/** What hangs on the old columns and is not carried over to the new ones; before Drop with the change's number. */
export const dependents = (sync: ColumnSync, table: TableFacts, id?: number): readonly Violation[] =>
  listed(table, uncarried(sync, table, id));

/** All that stands in the way, most fundamental first. */
export const preflight = (sync: ColumnSync, table: TableFacts): readonly Violation[] => [
  ...unsupportedTable(table),
  ...triggersTooLate(table),
  ...missingColumns(table, sync.from),
  ...taken(sync, table),
  ...heirs(sync, table),
  ...underivable(sync, table),
  ...dependents(sync, table),
];

/** A statement that succeeds only if the expression is valid over its columns and assignable to its target. */
export const conversionCheck = (conversion: Conversion, n: number): Sql =>
  sql`CREATE FUNCTION pg_temp.${userSql(`segue_check_${conversion.side}_${n}`)}(${argumentsOf(conversion)}) RETURNS ${conversion.targetType} LANGUAGE sql RETURN (${expressionSql(conversion.expression)})`;

/**
 * Statements that PostgreSQL accepts only if each expression is valid over its columns and assignable to its
 * target: exactly what the triggers will need. They are run in a transaction that is rolled back.
 */
export const parseChecks = (sync: ColumnSync, table: TableFacts): readonly ParseCheck[] => [
  ...[...forwardOf(0, sync, table), ...backwardOf(0, sync, table)].map((conversion, n) => ({
    field: `${conversion.side}.${conversion.target}`,
    query: conversionCheck(conversion, n),
  })),
  ...inheritanceChecks(sync, table),
  { field: 'to', query: likeness(table, 'segue_columns') },
  ...sync.to.map(({ name }) => ({
    field: `to ${name}: type`,
    query: addWithoutRewrite('segue_columns', name, userSql(typeOf(sync, table, name))),
    wayOut: 'Correct the type.',
  })),
];
