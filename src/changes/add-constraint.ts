/**
 * `addConstraint`: new writes are held to it in AddColumn, old rows in Backfill. A unique constraint has no first
 * half: its index is built in Backfill.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { AddConstraint } from '../api/schema-change.ts';
import { columnsIn, expressionSql } from '../sql/expression.ts';
import { ident, join, sql, type Sql } from '../sql/sql.ts';
import { hasConstraint } from './alter-table.ts';
import type { Change, TableName } from './change.ts';
import { bare, tableIdent } from './column-sync.ts';
import { check, foreignKey, notNull, unique, type GradualConstraint } from './gradual-constraint.ts';
import { needsPartitionKey } from './partitioned-index.ts';
import { tableNameOf } from './table-name.ts';
import { textFaults } from './text-faults.ts';
import { likeness, missingColumns, noForeignKey, unsupportedTable } from './table-preflight.ts';

interface Plan {
  /** For messages: "check constraint positive". */
  readonly what: string;
  /** Of the constraint; NOT NULL has none. */
  readonly name?: string;
  readonly columns: readonly string[];
  readonly uses: readonly string[];
  readonly of: (id: number, facts: TableFacts) => GradualConstraint;
  /** Statements that succeed only if the constraint makes sense. */
  readonly checks: (facts: TableFacts) => readonly Sql[];
  readonly refused: (facts: TableFacts) => readonly Violation[];
}

const planOf = (spec: AddConstraint): Plan => {
  if (spec.notNull) {
    const { column } = spec.notNull;
    return {
      what: `NOT NULL of ${column}`,
      columns: [column],
      uses: [column],
      of: (id, facts) => notNull(facts, column, `segue_${id}_not_null_0`),
      checks: () => [],
      refused: (facts) =>
        facts.columns[column]?.notNull === true
          ? [
              {
                reason: 'TargetExists',
                message: `Column "${column}" of ${facts.schema}.${facts.name} is NOT NULL already. Delete the SchemaChange: there is nothing to do.`,
              },
            ]
          : [],
    };
  }
  if (spec.check) {
    const { name, expression } = spec.check;
    return {
      what: `check constraint ${name}`,
      name,
      columns: [],
      uses: columnsIn(expression),
      of: (_id, facts) => check(facts, name, expression),
      checks: (facts) => [
        likeness(facts, 'segue_check'),
        sql`ALTER TABLE pg_temp.segue_check ADD CHECK (${expressionSql(expression)})`,
      ],
      refused: () => [],
    };
  }
  if (spec.unique) {
    const { name, columns } = spec.unique;
    return {
      what: `unique constraint ${name}`,
      name,
      columns,
      uses: columns,
      of: (_id, facts) => unique(facts, name, columns),
      checks: () => [],
      refused: (facts) => needsPartitionKey(facts, columns),
    };
  }
  const { foreignKey: key } = spec;
  if (key === undefined)
    throw new Error('spec.change.addConstraint names no constraint that this version knows.');
  return {
    what: `foreign key ${key.name}`,
    name: key.name,
    columns: key.columns,
    uses: key.columns,
    of: (_id, facts) => foreignKey(facts, key),
    checks: (facts) => [
      matching(facts, key.columns, tableNameOf(key.references.table), key.references.columns),
    ],
    refused: noForeignKey,
  };
};

/** Fails where a column of the referenced table is not there or can't be compared. Reads no row. */
const matching = (
  facts: TableFacts,
  columns: readonly string[],
  target: TableName,
  keys: readonly string[],
): Sql => {
  const pairs = columns.map((column, n) => sql`t.${bare(column)} = r.${bare(keys[n] ?? '')}`);
  return sql`SELECT FROM ${ident(facts.schema, facts.name)} t JOIN ${tableIdent(target)} r ON ${join(pairs, sql` AND `)} LIMIT 0`;
};

const taken = (name: string | undefined, facts: TableFacts): readonly Violation[] =>
  name !== undefined && (hasConstraint(facts, name) || facts.indexes.some((index) => index.name === name))
    ? [
        {
          reason: 'TargetExists',
          message: `${facts.schema}.${facts.name} already has a constraint or index "${name}", and Segue did not make it. Choose another name in spec.change, or drop or rename what is there.`,
        },
      ]
    : [];

const nothingToDo = 'a constraint needs AddColumn and Backfill alone';

/** The change that adds one constraint. */
export const addConstraint = (table: TableName, spec: AddConstraint): Change => {
  const plan = planOf(spec);
  return {
    kind: 'addConstraint',
    table,
    oldColumns: [],
    newColumns: [],
    uses: plan.uses,
    invalid: textFaults([
      { field: 'addConstraint.check.expression', kind: 'expression', text: spec.check?.expression },
    ]),
    skips: {
      ...(spec.unique ? { AddColumn: 'a unique constraint is made of its index in Backfill' } : {}),
      DualWrite: nothingToDo,
      SwitchReads: nothingToDo,
      Quarantine: nothingToDo,
      Drop: nothingToDo,
    },
    achieved: `${table.schema}.${table.name} has its ${plan.what}.`,
    preflight: (facts) => [
      ...unsupportedTable(facts),
      ...missingColumns(facts, plan.columns),
      ...taken(plan.name, facts),
      ...plan.refused(facts),
    ],
    dependents: () => [],
    parseChecks: (facts) => plan.checks(facts).map((query) => ({ field: 'addConstraint', query })),
    expand: (id, facts) => plan.of(id, facts).announce,
    triggers: () => [],
    constrain: (id, facts) => plan.of(id, facts).prove,
    relax: () => [],
    renamedTriggers: () => [],
    contract: () => [],
    undo: {
      relax: () => [],
      constrain: (id, facts) => plan.of(id, facts).withdraw,
      triggers: () => [],
      expand: (id, facts) => plan.of(id, facts).withdraw,
      // What holds for every row already is kept; half of a constraint is not.
      abandon: (id, facts) =>
        plan.of(id, facts).prove.every(({ done }) => done(facts)) ? [] : plan.of(id, facts).withdraw,
    },
  };
};
