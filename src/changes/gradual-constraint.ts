/**
 * Constraints that come without a long lock. Each has two halves: it is announced, which holds new writes to it
 * and reads no row, and it is proven, which reads every row while others write.
 */
import type { TableFacts } from '../api/facts.ts';
import type { ForeignKey } from '../api/schema-change.ts';
import { expressionSql } from '../sql/expression.ts';
import { ident, join, sql, type Sql } from '../sql/sql.ts';
import {
  alter,
  dropNotNull,
  hasConstraint,
  isValidated,
  offendersWhere,
  patiently,
  shortly,
} from './alter-table.ts';
import type { Step, TableName } from './change.ts';
import { tableIdent } from './column-sync.ts';
import { createIndexSteps, dropIndexStep } from './concurrent-index.ts';
import { dropPartitionedIndexSteps, partitionedIndexSteps } from './partitioned-index.ts';
import { tableNameOf } from './table-name.ts';

/** The steps of one constraint. */
export interface GradualConstraint {
  /** Holds new writes to it; reads no row. */
  readonly announce: readonly Step[];
  /** Holds every row to it. */
  readonly prove: readonly Step[];
  /** As if it had never been. */
  readonly withdraw: readonly Step[];
}

const dropConstraint = (table: TableName, name: string): Step => ({
  ...shortly,
  id: `${name}-drop`,
  purpose: `drop constraint ${name}`,
  statements: [alter(table, [sql`DROP CONSTRAINT IF EXISTS ${ident(name)}`])],
  done: (now) => !hasConstraint(now, name),
});

const validate = (table: TableName, name: string, offenders: Sql): Step => ({
  ...patiently,
  id: `${name}-validate`,
  purpose: `hold every row to constraint ${name}`,
  statements: [alter(table, [sql`VALIDATE CONSTRAINT ${ident(name)}`])],
  offenders,
  done: (now) => isValidated(now, name),
});

/**
 * NOT NULL without a scan under an exclusive lock: a CHECK that is added NOT VALID, validated while others
 * write, and then believed by SET NOT NULL (PostgreSQL 12 and later skip the scan; manual, ALTER TABLE).
 */
export const notNull = (facts: TableFacts, column: string, check: string): GradualConstraint => {
  const isSet = (now: TableFacts): boolean => now.columns[column]?.notNull ?? false;
  return {
    announce: [
      {
        ...shortly,
        id: `${column}-not-null-check`,
        purpose: `let no new row leave ${column} empty`,
        statements: [
          alter(facts, [sql`ADD CONSTRAINT ${ident(check)} CHECK (${ident(column)} IS NOT NULL) NOT VALID`]),
        ],
        done: (now) => isSet(now) || hasConstraint(now, check),
      },
    ],
    prove: [
      {
        ...patiently,
        id: `${column}-not-null-validate`,
        purpose: `see that no row leaves ${column} empty`,
        statements: [alter(facts, [sql`VALIDATE CONSTRAINT ${ident(check)}`])],
        offenders: offendersWhere(facts, sql`${ident(column)} IS NULL`),
        done: (now) => isSet(now) || isValidated(now, check),
      },
      {
        ...shortly,
        id: `${column}-not-null`,
        purpose: `make ${column} NOT NULL`,
        // Two statements: within one ALTER TABLE the constraint would be dropped first, and the table scanned.
        statements: [
          alter(facts, [sql`ALTER COLUMN ${ident(column)} SET NOT NULL`]),
          alter(facts, [sql`DROP CONSTRAINT IF EXISTS ${ident(check)}`]),
        ],
        done: (now) => isSet(now) && !hasConstraint(now, check),
      },
    ],
    withdraw: dropNotNull(facts, [column], [check], `${column}-nullable`),
  };
};

/** A CHECK: NOT VALID first, then VALIDATE, which lets others write. */
export const check = (facts: TableFacts, name: string, expression: string): GradualConstraint => {
  const condition = expressionSql(expression);
  return {
    announce: [
      {
        ...shortly,
        id: `${name}-add`,
        purpose: `hold new rows to check constraint ${name}`,
        statements: [alter(facts, [sql`ADD CONSTRAINT ${ident(name)} CHECK (${condition}) NOT VALID`])],
        done: (now) => hasConstraint(now, name),
      },
    ],
    prove: [validate(facts, name, offendersWhere(facts, sql`NOT (${condition})`))],
    withdraw: [dropConstraint(facts, name)],
  };
};

/** Rows whose key has no match in the referenced table. With a NULL in it a key refers to nothing (MATCH SIMPLE). */
const orphans = (
  facts: TableFacts,
  columns: readonly string[],
  target: TableName,
  keys: readonly string[],
): Sql => {
  const here = ident(facts.schema, facts.name);
  const given = columns.map((column) => sql`${here}.${ident(column)} IS NOT NULL`);
  const same = columns.map((column, n) => sql`r.${ident(keys[n] ?? '')} = ${here}.${ident(column)}`);
  return offendersWhere(
    facts,
    sql`${join(given, sql` AND `)} AND NOT EXISTS (SELECT FROM ${tableIdent(target)} r WHERE ${join(same, sql` AND `)})`,
  );
};

const actions = {
  NoAction: sql`NO ACTION`,
  Restrict: sql`RESTRICT`,
  Cascade: sql`CASCADE`,
  SetNull: sql`SET NULL`,
  SetDefault: sql`SET DEFAULT`,
} as const;

/** A foreign key: NOT VALID first, then VALIDATE, which locks neither table against writes. */
export const foreignKey = (
  facts: TableFacts,
  { name, columns, references, onDelete }: ForeignKey,
): GradualConstraint => {
  const target = tableNameOf(references.table);
  const listed = (names: readonly string[]): Sql => join(names.map((column) => ident(column)));
  return {
    announce: [
      {
        ...shortly,
        id: `${name}-add`,
        purpose: `hold new rows to foreign key ${name}`,
        // Of both tables: writes to either wait for it, reads do not.
        lock: 'ShareRowExclusiveLock',
        alongside: [target],
        statements: [
          alter(facts, [
            sql`ADD CONSTRAINT ${ident(name)} FOREIGN KEY (${listed(columns)}) REFERENCES ${tableIdent(target)} (${listed(references.columns)}) ON DELETE ${actions[onDelete]} NOT VALID`,
          ]),
        ],
        done: (now) => hasConstraint(now, name),
      },
    ],
    prove: [validate(facts, name, orphans(facts, columns, target, references.columns))],
    // Of the referenced table too, whose triggers go with it.
    withdraw: [{ ...dropConstraint(facts, name), alongside: [target] }],
  };
};

/** A unique constraint: its index is built CONCURRENTLY, then the constraint takes the index over. */
export const unique = (facts: TableFacts, name: string, columns: readonly string[]): GradualConstraint => {
  const plan = { name, unique: true, method: 'btree', keys: columns.map((column) => ident(column)) };
  if (facts.partitioned)
    return {
      announce: [],
      prove: partitionedIndexSteps(facts, plan, 'unique constraint'),
      withdraw: dropPartitionedIndexSteps(facts, plan, 'unique constraint'),
    };
  return {
    announce: [],
    prove: [
      ...createIndexSteps(facts, plan),
      {
        ...shortly,
        id: `${name}-add`,
        purpose: `make unique constraint ${name} of its index`,
        statements: [alter(facts, [sql`ADD CONSTRAINT ${ident(name)} UNIQUE USING INDEX ${ident(name)}`])],
        done: (now) => hasConstraint(now, name),
      },
    ],
    withdraw: [dropConstraint(facts, name), dropIndexStep(facts, name)],
  };
};
