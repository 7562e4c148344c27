/**
 * `addColumn`: a column comes nullable, its rows get their values, its constraints come after them.
 *
 * Only a constant default is given to ADD COLUMN, which keeps it in the catalog; any other would rewrite the table
 * (manual, ALTER TABLE, Notes). Such a default is set beside, and the backfill gives it to the rows that are there.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { AddColumn } from '../api/schema-change.ts';
import { baseType, columnsIn, expressionSql, isConstant, typeSql } from '../sql/expression.ts';
import { ident, nothing, sql, type Sql } from '../sql/sql.ts';
import { alter, dropNotNull, hasConstraint, shortly } from './alter-table.ts';
import type { Change, RowPlan, Step, TableName } from './change.ts';
import { bare, forwardOf, tableIdent, valueOf, type ColumnSync } from './column-sync.ts';
import { installFill } from './fill-triggers.ts';
import { check, foreignKey, notNull, unique, type GradualConstraint } from './gradual-constraint.ts';
import { needsPartitionKey } from './partitioned-index.ts';
import { conversionCheck } from './sync-preflight.ts';
import { dropTriggers, triggersGone } from './sync-triggers.ts';
import { constraintName, tableNameOf } from './table-name.ts';
import { textFaults } from './text-faults.ts';
import {
  addWithoutRewrite,
  likeness,
  noForeignKey,
  quoted,
  triggersTooLate,
  unsupportedTable,
} from './table-preflight.ts';

/** Where the rows that are there, and those of code that does not know the column, get their value from. */
type Filling =
  /** NULL, or a constant default that the catalog keeps for them. */
  | { readonly kind: 'none' }
  /** A default that is no constant: new rows have it by themselves. */
  | { readonly kind: 'default'; readonly expression: string }
  /** An expression over the row, by a trigger until every writer gives the value itself. */
  | { readonly kind: 'expression'; readonly expression: string };

const fillingOf = ({ default: value, backfill }: AddColumn): Filling => {
  if (backfill !== undefined) return { kind: 'expression', expression: backfill };
  return value === undefined || isConstant(value) ? { kind: 'none' } : { kind: 'default', expression: value };
};

const syncOf = (spec: AddColumn, facts: TableFacts): ColumnSync => {
  const filling = fillingOf(spec);
  const expression = filling.kind === 'none' ? 'NULL' : filling.expression;
  const from =
    filling.kind === 'expression'
      ? columnsIn(expression).filter((name) => name !== spec.name && name in facts.columns)
      : [];
  return {
    kind: 'addColumn',
    table: facts,
    from,
    to: [{ name: spec.name, type: spec.type }],
    forward: { [spec.name]: expression },
    backward: {},
  };
};

const constraintsOf = (id: number, spec: AddColumn, facts: TableFacts): readonly GradualConstraint[] => {
  const named = (suffix: string): string => constraintName(facts.name, spec.name, suffix);
  const { references } = spec;
  return [
    ...(spec.nullable ? [] : [notNull(facts, spec.name, `segue_${id}_not_null_0`)]),
    ...(spec.check === undefined ? [] : [check(facts, named('check'), spec.check)]),
    ...(references === undefined
      ? []
      : [
          foreignKey(facts, {
            name: named('fkey'),
            columns: [spec.name],
            references: { table: references.table, columns: [references.column] },
            onDelete: references.onDelete,
          }),
        ]),
    ...(spec.unique ? [unique(facts, named('key'), [spec.name])] : []),
  ];
};

const expand = (table: TableName, spec: AddColumn, filling: Filling): readonly Step[] => {
  const column = ident(spec.name);
  const constant = filling.kind === 'none' && spec.default !== undefined;
  const given = constant ? sql` DEFAULT (${expressionSql(spec.default ?? '')})` : nothing;
  return [
    {
      ...shortly,
      id: 'add-columns',
      purpose: `add column ${spec.name}`,
      statements: [
        alter(table, [sql`ADD COLUMN IF NOT EXISTS ${column} ${typeSql(spec.type)}${given}`]),
        ...(filling.kind === 'default'
          ? [alter(table, [sql`ALTER COLUMN ${column} SET DEFAULT (${expressionSql(filling.expression)})`])]
          : []),
      ],
      done: (now) => spec.name in now.columns,
    },
  ];
};

/**
 * New code may write the column itself from DualWrite on, so a row counts as wrong only if it has no value. A default
 * is evaluated once for a row: it may draw from a sequence. NULL in a nullable column may have been meant.
 */
const rowsOf = (id: number, spec: AddColumn, facts: TableFacts): RowPlan => {
  const set = forwardOf(id, syncOf(spec, facts), facts).map((conversion) => ({
    column: conversion.target,
    value: valueOf(conversion, bare),
  }));
  const empty = sql`${bare(spec.name)} IS NULL`;
  const [value] = set;
  if (fillingOf(spec).kind === 'default' || value === undefined)
    return { set, pending: empty, mismatch: spec.nullable ? sql`false` : empty };
  const pending = sql`(${empty} AND ${value.value} IS NOT NULL)`;
  return { set, pending, mismatch: pending };
};

const refusals = (spec: AddColumn, facts: TableFacts): readonly Violation[] => {
  const where = `${facts.schema}.${facts.name}`;
  const found: Violation[] = [];
  if (spec.name in facts.columns)
    found.push({
      reason: 'TargetColumnExists',
      message: `Table ${where} already has a column "${spec.name}", and Segue did not make it. Choose another name in spec.change, or drop or rename that column.`,
    });
  if (/^(?:small|big)?serial[248]?$/.test(baseType(spec.type) ?? ''))
    found.push({
      reason: 'UnsupportedColumn',
      message: `Type ${spec.type} would rewrite ${where}. Create a sequence, write the integer type in type and nextval('…') in default; the rows that are there get their numbers in Backfill.`,
    });
  const names = ['key', 'check', 'fkey']
    .filter(
      (suffix) =>
        ({ key: spec.unique, check: spec.check !== undefined, fkey: spec.references !== undefined })[suffix],
    )
    .map((suffix) => constraintName(facts.name, spec.name, suffix));
  for (const name of names)
    if (hasConstraint(facts, name) || facts.indexes.some((index) => index.name === name))
      found.push({
        reason: 'TargetExists',
        message: `${where} already has a constraint or index "${name}", which the new column needs for itself. Rename or drop what is there.`,
      });
  if (fillingOf(spec).kind === 'expression') {
    found.push(...triggersTooLate(facts));
    const computed = syncOf(spec, facts).from.filter((name) => facts.columns[name]?.generated);
    if (computed.length > 0)
      found.push({
        reason: 'UnsupportedColumn',
        message: `addColumn.backfill reads ${quoted(computed)} of ${where}, which PostgreSQL computes only after every trigger. Write the columns that it is generated from.`,
      });
  }
  if (spec.unique) found.push(...needsPartitionKey(facts, [spec.name]));
  if (spec.references) found.push(...noForeignKey(facts));
  return found;
};

const parseChecks = (spec: AddColumn, facts: TableFacts) => {
  const like = sql`pg_temp.segue_column`;
  const column = ident(spec.name);
  const { references } = spec;
  const checks: { field: string; query: Sql }[] = [
    { field: 'addColumn', query: likeness(facts, 'segue_column') },
    { field: 'addColumn.type', query: addWithoutRewrite('segue_column', spec.name, typeSql(spec.type)) },
  ];
  if (spec.default !== undefined)
    checks.push({
      field: 'addColumn.default',
      query: sql`ALTER TABLE ${like} ALTER COLUMN ${column} SET DEFAULT (${expressionSql(spec.default)})`,
    });
  if (spec.check !== undefined)
    checks.push({
      field: 'addColumn.check',
      query: sql`ALTER TABLE ${like} ADD CHECK (${expressionSql(spec.check)})`,
    });
  if (spec.unique)
    checks.push({ field: 'addColumn.unique', query: sql`CREATE UNIQUE INDEX ON ${like} (${column})` });
  if (references !== undefined)
    checks.push({
      field: 'addColumn.references',
      query: sql`SELECT FROM ${like} t JOIN ${tableIdent(tableNameOf(references.table))} r ON t.${column} = r.${ident(references.column)} LIMIT 0`,
    });
  if (spec.backfill !== undefined)
    for (const conversion of forwardOf(0, syncOf(spec, facts), facts))
      checks.push({ field: 'addColumn.backfill', query: conversionCheck(conversion, 0) });
  return checks;
};

const skipsOf = (spec: AddColumn, filling: Filling): Change['skips'] => {
  const quarantine = { Quarantine: 'no column goes away' };
  if (filling.kind === 'expression') return quarantine;
  const constrained =
    !spec.nullable || spec.unique || spec.check !== undefined || spec.references !== undefined;
  return {
    ...quarantine,
    ...(filling.kind === 'none' ? { DualWrite: 'the column has no value to be kept in step' } : {}),
    ...(filling.kind === 'none' && !constrained ? { Backfill: 'no row needs a value or a check' } : {}),
    SwitchReads: 'no code has to write the column',
    Drop: 'nothing is to be taken away',
  };
};

/** The change that adds one column. */
export const addColumn = (table: TableName, spec: AddColumn): Change => {
  const filling = fillingOf(spec);
  const removeTriggers = (id: number, facts: TableFacts): Step => ({
    ...shortly,
    id: 'triggers-remove',
    purpose: 'remove the triggers and their functions',
    statements: dropTriggers(id, syncOf(spec, facts)),
    done: (now) => triggersGone(id, now),
  });
  const column = ident(spec.name);
  const nullable = (id: number, facts: TableFacts): readonly Step[] =>
    spec.name in facts.columns
      ? dropNotNull(table, [spec.name], [`segue_${id}_not_null_0`], 'new-nullable')
      : [];
  return {
    kind: 'addColumn',
    table,
    oldColumns: [],
    newColumns: [spec.name],
    uses:
      filling.kind === 'expression' ? columnsIn(filling.expression).filter((name) => name !== spec.name) : [],
    invalid: textFaults([
      { field: 'addColumn.type', kind: 'type', text: spec.type },
      { field: 'addColumn.default', kind: 'expression', text: spec.default },
      { field: 'addColumn.backfill', kind: 'expression', text: spec.backfill },
      { field: 'addColumn.check', kind: 'expression', text: spec.check },
    ]),
    skips: skipsOf(spec, filling),
    achieved: `${table.schema}.${table.name} has its column ${spec.name}.`,
    preflight: (facts) => [...unsupportedTable(facts), ...refusals(spec, facts)],
    dependents: () => [],
    parseChecks: (facts) => parseChecks(spec, facts),
    expand: () => expand(table, spec, filling),
    triggers: (id, facts, mode) => {
      if (filling.kind === 'none' || mode === 'watch') return [];
      // Once its rows are filled, a default does by itself what the trigger did.
      if (filling.kind === 'default' && mode === 'narrow') return [removeTriggers(id, facts)];
      return installFill(id, syncOf(spec, facts), facts, mode);
    },
    ...(filling.kind === 'none' ? {} : { rows: (id: number, facts: TableFacts) => rowsOf(id, spec, facts) }),
    constrain: (id, facts) =>
      constraintsOf(id, spec, facts).flatMap(({ announce, prove }) => [...announce, ...prove]),
    relax: () => [],
    renamedTriggers: () => [],
    contract: (id, facts) =>
      filling.kind !== 'expression'
        ? []
        : [
            {
              ...removeTriggers(id, facts),
              statements: [
                ...dropTriggers(id, syncOf(spec, facts)),
                ...(spec.default === undefined
                  ? []
                  : [
                      alter(table, [
                        sql`ALTER COLUMN ${column} SET DEFAULT (${expressionSql(spec.default)})`,
                      ]),
                    ]),
              ],
            },
          ],
    undo: {
      relax: () => [],
      constrain: (id, facts) => constraintsOf(id, spec, facts).flatMap(({ withdraw }) => withdraw),
      triggers: (id, facts) => [removeTriggers(id, facts)],
      expand: (id, facts) => [
        {
          ...removeTriggers(id, facts),
          id: 'drop-new-columns',
          purpose: `drop column ${spec.name}`,
          destructive: true,
          statements: [
            ...dropTriggers(id, syncOf(spec, facts)),
            alter(table, [sql`DROP COLUMN IF EXISTS ${column} RESTRICT`]),
          ],
          done: (now) => !(spec.name in now.columns) && triggersGone(id, now),
        },
      ],
      abandon: (id, facts) => [removeTriggers(id, facts), ...nullable(id, facts)],
    },
  };
};
