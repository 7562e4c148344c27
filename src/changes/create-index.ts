/** `createIndex`: an index is built CONCURRENTLY in Backfill; no other phase has anything to do. */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { CreateIndex, IndexKey } from '../api/schema-change.ts';
import { columnsIn, expressionSql, operatorClassSql } from '../sql/expression.ts';
import { ident, nothing, sql, type Sql } from '../sql/sql.ts';
import {
  clearIndexStep,
  createIndexSteps,
  dropIndexStep,
  indexBody,
  type IndexPlan,
} from './concurrent-index.ts';
import type { Change, Step, TableName } from './change.ts';
import {
  dropPartitionedIndexSteps,
  isPartitionedIndexValid,
  needsPartitionKey,
  partitionedIndexSteps,
} from './partitioned-index.ts';
import { textFaults } from './text-faults.ts';
import { likeness, missingColumns, unsupportedTable } from './table-preflight.ts';

const keyOf = ({ column, expression }: IndexKey): Sql =>
  column === undefined ? sql`(${expressionSql(expression ?? '')})` : ident(column);

const orderOf = ({ operatorClass, order, nulls }: IndexKey): Sql =>
  sql`${operatorClass === undefined ? nothing : sql` ${operatorClassSql(operatorClass)}`}${order === 'Descending' ? sql` DESC` : nothing}${nulls === undefined ? nothing : nulls === 'First' ? sql` NULLS FIRST` : sql` NULLS LAST`}`;

const planOf = ({ name, unique, method, keys, include, where }: CreateIndex): IndexPlan => ({
  name,
  unique,
  method,
  keys: keys.map(keyOf),
  orders: keys.map(orderOf),
  include,
  where,
});

const taken = (name: string, table: TableFacts): readonly Violation[] =>
  table.indexes.some((index) => index.name === name)
    ? [
        {
          reason: 'TargetExists',
          message: `${table.schema}.${table.name} already has an index "${name}", and Segue did not make it. Choose another name in spec.change, or drop or rename that index.`,
        },
      ]
    : [];

const nothingToDo = 'an index is built in Backfill alone';

/** The change that builds an index. */
export const createIndex = (table: TableName, spec: CreateIndex): Change => {
  const withdraw = (facts: TableFacts): readonly Step[] =>
    facts.partitioned
      ? dropPartitionedIndexSteps(facts, planOf(spec), 'index')
      : [dropIndexStep(facts, spec.name)];
  const named = [...spec.keys.flatMap(({ column }) => column ?? []), ...(spec.include ?? [])];
  const expressions = [...spec.keys.flatMap(({ expression }) => expression ?? []), spec.where ?? ''];
  return {
    kind: 'createIndex',
    table,
    oldColumns: [],
    newColumns: [],
    uses: [...new Set([...named, ...expressions.flatMap(columnsIn)])],
    invalid: textFaults([
      ...spec.keys.flatMap(({ expression, operatorClass }, n) => [
        { field: `createIndex.keys[${n}].expression`, kind: 'expression' as const, text: expression },
        {
          field: `createIndex.keys[${n}].operatorClass`,
          kind: 'operator class' as const,
          text: operatorClass,
        },
      ]),
      { field: 'createIndex.where', kind: 'expression', text: spec.where },
    ]),
    skips: {
      AddColumn: nothingToDo,
      DualWrite: nothingToDo,
      SwitchReads: nothingToDo,
      Quarantine: nothingToDo,
      Drop: nothingToDo,
    },
    achieved: `Index ${spec.name} of ${table.schema}.${table.name} is there and valid.`,
    preflight: (facts) => [
      ...unsupportedTable(facts),
      ...(spec.unique
        ? needsPartitionKey(
            facts,
            spec.keys.flatMap(({ column }) => column ?? []),
          )
        : []),
      ...missingColumns(facts, named),
      ...taken(spec.name, facts),
    ],
    dependents: () => [],
    parseChecks: (facts) => [
      {
        field: 'createIndex',
        query: likeness(facts, 'segue_index'),
      },
      {
        field: 'createIndex',
        query: sql`CREATE ${spec.unique ? sql`UNIQUE ` : nothing}INDEX ON pg_temp.segue_index ${indexBody(planOf(spec))}`,
      },
    ],
    expand: () => [],
    triggers: () => [],
    constrain: (_id, facts) =>
      facts.partitioned
        ? partitionedIndexSteps(facts, planOf(spec), 'index')
        : createIndexSteps(facts, planOf(spec)),
    relax: () => [],
    renamedTriggers: () => [],
    contract: () => [],
    undo: {
      relax: () => [],
      constrain: (_id, facts) => withdraw(facts),
      triggers: () => [],
      expand: () => [],
      abandon: (_id, facts) => {
        if (!facts.partitioned) return [clearIndexStep(facts, spec.name)];
        return isPartitionedIndexValid(facts, planOf(spec)) ? [] : withdraw(facts);
      },
    },
  };
};
