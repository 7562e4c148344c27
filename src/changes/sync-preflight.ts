/**
 * What must hold before a ColumnSync may touch anything. Whatever hangs on an old column and is not carried
 * over to the new ones is a reason to refuse here: found at Drop, after days, it would be far worse.
 */
import type { ColumnDependent, TableFacts, Violation } from '../api/facts.ts';
import { sql, userSql, type Sql } from '../sql/sql.ts';
import { missingColumns, quoted, unsupportedTable } from './table-preflight.ts';
import { argumentsOf, backwardOf, forwardOf, type ColumnSync, type Conversion } from './column-sync.ts';

const advice: Readonly<Record<ColumnDependent['kind'], string>> = {
  'primary key': 'this version does not move a primary key to another column',
  'foreign key':
    'this version does not carry foreign keys over; drop it first and add it to the new column after Drop',
  'unique constraint':
    'this version does not carry unique constraints over; drop it first and add it to the new column after Drop',
  'check constraint':
    'this version does not carry check constraints over; drop it first and add it to the new column after Drop',
  'exclusion constraint':
    'this version does not carry exclusion constraints over; drop it first and add it to the new column after Drop',
  index: 'this version does not carry indexes over; create one on the new column and drop this one first',
  view: 'redefine the view over the other columns, or drop it; nothing is ever dropped with CASCADE',
  rule: 'redefine or drop the rule; nothing is ever dropped with CASCADE',
  policy: 'redefine the policy over the other columns, or drop it',
  trigger: 'redefine the trigger without this column',
  'generated column': 'redefine the generated column over the other columns, or drop it',
  publication: 'take the column out of the publication’s column list, or publish the whole table',
  statistics: 'drop the extended statistics and create them on the new column after Drop',
  sequence: 'this version does not carry sequences over; take the ownership away from the column first',
  grant: 'this version does not carry column privileges over; grant them on the table instead',
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

const unsupported = (sync: ColumnSync, table: TableFacts): readonly Violation[] =>
  sync.from.flatMap((column): Violation[] => {
    const facts = table.columns[column];
    const where = `Column "${column}" of ${table.schema}.${table.name}`;
    if (facts?.generated)
      return [
        {
          reason: 'UnsupportedColumn',
          message: `${where} is generated: no statement writes it, so it can't be kept in step. Replace the columns it is computed from instead.`,
        },
      ];
    if (facts?.identity)
      return [
        {
          reason: 'UnsupportedColumn',
          message: `${where} is an identity column, which this version does not carry over. Turn it into a plain column with a default first, or leave it.`,
        },
      ];
    if (facts?.default !== undefined)
      return [
        {
          reason: 'UnsupportedColumn',
          message: `${where} has a default (${facts.default}), which this version does not carry over. Drop the default first and let the application give the value.`,
        },
      ];
    return [];
  });

/** The violation that lists what hangs on columns to be dropped. */
export const dependentsMessage = (
  table: TableFacts,
  found: readonly ColumnDependent[],
): readonly Violation[] => {
  if (found.length === 0) return [];
  return [
    {
      reason: 'DependentObjects',
      message: `These depend on the columns to be dropped from ${table.schema}.${table.name}: ${found
        .map(({ column, kind, name }) => `${kind} ${name} on "${column}" (${advice[kind]})`)
        .join('; ')}.`,
    },
  ];
};

/** What hangs on the old columns and is not carried over to the new ones. */
export const dependents = (sync: ColumnSync, table: TableFacts): readonly Violation[] =>
  dependentsMessage(
    table,
    table.dependents.filter(({ column }) => sync.from.includes(column)),
  );

/** All that stands in the way, most fundamental first. */
export const preflight = (sync: ColumnSync, table: TableFacts): readonly Violation[] => [
  ...unsupportedTable(table),
  ...missingColumns(table, sync.from),
  ...taken(sync, table),
  ...unsupported(sync, table),
  ...dependents(sync, table),
];

/** A statement that succeeds only if the expression is valid over its columns and assignable to its target. */
export const conversionCheck = (conversion: Conversion, n: number): Sql =>
  sql`CREATE FUNCTION pg_temp.${userSql(`segue_check_${conversion.side}_${n}`)}(${argumentsOf(conversion)}) RETURNS ${conversion.targetType} LANGUAGE sql RETURN (${userSql(conversion.expression)})`;

/**
 * Statements that PostgreSQL accepts only if each expression is valid over its columns and assignable to its
 * target: exactly what the triggers will need. They are run in a transaction that is rolled back.
 */
export const parseChecks = (
  sync: ColumnSync,
  table: TableFacts,
): readonly { readonly field: string; readonly query: Sql }[] =>
  [...forwardOf(0, sync, table), ...backwardOf(0, sync, table)].map((conversion, n) => ({
    field: `${conversion.side}.${conversion.target}`,
    query: conversionCheck(conversion, n),
  }));
