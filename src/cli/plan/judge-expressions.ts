/**
 * Has PostgreSQL judge the resource's expressions without making anything: each is selected from no row. The operator
 * tries them on temporary tables, for which one has to be allowed to write.
 */
import type { TableFacts, Violation } from '../../api/facts.ts';
import type { ChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import { searchPathOf } from '../../database/catalog.ts';
import type { Database } from '../../database/databases.ts';
import { DatabaseError } from '../../database/errors.ts';
import { expressionSql, typeSql } from '../../sql/expression.ts';
import { ident, join, sql, type Sql } from '../../sql/sql.ts';

interface Question {
  readonly field: string;
  readonly query: Sql;
}

/** A row of the table itself, and one of columns that are yet to come. */
const sourcesOf = (table: TableFacts, added: Readonly<Record<string, string>>) => {
  const here = ident(table.schema, table.name);
  const columns = Object.entries(added).map(([name, type]) => sql`NULL::${typeSql(type)} AS ${ident(name)}`);
  return {
    old: here,
    new: sql`(SELECT ${join(columns)}) AS ${ident(table.name)}`,
    both: sql`(SELECT ${join([sql`t.*`, ...columns])} FROM ${here} t) AS ${ident(table.name)}`,
  };
};

const typesOf = (spec: ChangeSpec, table: TableFacts): Readonly<Record<string, string>> => {
  const { replaceColumns, renameColumn, changeType, addColumn } = spec;
  const made = [
    ...(replaceColumns?.to ?? []),
    ...(changeType === undefined ? [] : [changeType.to]),
    ...(addColumn === undefined ? [] : [addColumn]),
    ...(renameColumn === undefined
      ? []
      : [{ name: renameColumn.to, type: table.columns[renameColumn.from]?.type ?? 'text' }]),
  ];
  return Object.fromEntries(made.map(({ name, type }) => [name, type]));
};

const value = (text: string): Sql => sql`(${expressionSql(text)})`;

const condition = (text: string): Sql => sql`(${expressionSql(text)}) IS TRUE`;

const questionsOf = (spec: ChangeSpec, table: TableFacts): readonly Question[] => {
  const types = typesOf(spec, table);
  const from = sourcesOf(table, types);
  const ask = (field: string, what: Sql, source: Sql): Question => ({
    field,
    query: sql`SELECT ${what} FROM ${source} LIMIT 0`,
  });
  const { replaceColumns, changeType, addColumn, addConstraint, createIndex } = spec;
  const optional = (
    field: string,
    text: string | undefined,
    source: Sql,
    what = value,
  ): readonly Question[] => (text === undefined ? [] : [ask(field, what(text), source)]);
  return [
    ...Object.entries(types).map(([name, type]) => ({
      field: `type of ${name}`,
      query: sql`SELECT NULL::${typeSql(type)}`,
    })),
    ...Object.entries(replaceColumns?.forward ?? {}).map(([name, text]) =>
      ask(`forward.${name}`, value(text), from.old),
    ),
    ...Object.entries(replaceColumns?.backward ?? {}).map(([name, text]) =>
      ask(`backward.${name}`, value(text), from.new),
    ),
    ...optional('forward', changeType?.forward, from.old),
    ...optional('backward', changeType?.backward, from.new),
    ...optional('addColumn.default', addColumn?.default, sql`(SELECT) none`),
    ...optional('addColumn.backfill', addColumn?.backfill, from.old),
    ...optional('addColumn.check', addColumn?.check, from.both, condition),
    ...optional('addConstraint.check.expression', addConstraint?.check?.expression, from.old, condition),
    ...(createIndex?.keys ?? []).flatMap(({ expression }, n) =>
      optional(`createIndex.keys[${n}].expression`, expression, from.old),
    ),
    ...optional('createIndex.where', createIndex?.where, from.old, condition),
  ];
};

/** What PostgreSQL refuses. Throws DatabaseError where the fault is not the expression's. */
export const judgeExpressions = (
  db: Database,
  spec: ChangeSpec,
  change: Change,
  table: TableFacts,
): Promise<readonly Violation[]> =>
  db.transaction({ mode: 'read', searchPath: searchPathOf(change.table) }, async (session) => {
    const refused: Violation[] = [];
    for (const { field, query } of questionsOf(spec, table)) {
      try {
        await session.attempt(() => session.run(query));
      } catch (error) {
        if (!(error instanceof DatabaseError) || (error.kind !== 'permanent' && error.kind !== 'conversion'))
          throw error;
        refused.push({
          reason: 'InvalidExpression',
          message: `PostgreSQL refuses spec.change ${field}: ${error.verbatim()} (SQLSTATE ${error.code ?? 'unknown'}). Correct the expression.`,
        });
      }
    }
    return refused;
  });
