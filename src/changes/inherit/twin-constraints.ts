/** Checks over old columns, foreign keys of them and to them, and extended statistics. */
import type { ForeignKeyFacts, StatisticsFacts, TableFacts } from '../../api/facts.ts';
import { ident, join, lit, nothing, sql, userSql, type Sql } from '../../sql/sql.ts';
import { alter, hasConstraint, isValidated, patiently, shortly } from '../alter-table.ts';
import { tableIdent } from '../column-sync.ts';
import type { Step, TableName } from '../change.ts';
import { check } from '../gradual-constraint.ts';
import type { Rewriting } from './heirs.ts';
import { twinName, type Twin } from './twin.ts';

const wayOut = 'drop it first, and add what you need to the new column after Drop';

const withoutHeir = (rewriting: Rewriting, columns: readonly string[]): string | undefined => {
  const heirless = rewriting.heirless(columns);
  return heirless.length === 0 ? undefined : `no new column inherits from ${heirless.join(', ')}; ${wayOut}`;
};

const rename = (table: TableName, from: string, to: string): Sql =>
  sql`ALTER TABLE ${tableIdent(table)} RENAME CONSTRAINT ${ident(from)} TO ${ident(to)}`;

const comment = (table: TableName, name: string, text: string | undefined): readonly Sql[] =>
  text === undefined
    ? []
    : [sql`COMMENT ON CONSTRAINT ${ident(name)} ON ${tableIdent(table)} IS ${lit(text)}`];

/** A twin for each check that reads an old column. */
export const twinChecks = (id: number, table: TableFacts, rewriting: Rewriting): readonly Twin[] =>
  table.constraints.flatMap(({ name: original, validated, definition }): readonly Twin[] => {
    if (definition?.kind !== 'check' || !rewriting.concerns(definition.columns)) return [];
    // A check of ours that stands in for NOT NULL goes with the column that it is for.
    if (/^segue_\d+_not_null_\d+$/.test(original)) return [];
    const name = twinName(id, definition.oid);
    const expression = rewriting.expression(definition.expression);
    const obstacle =
      withoutHeir(rewriting, definition.columns) ??
      (definition.obstacle === undefined ? undefined : `${definition.obstacle}; ${wayOut}`) ??
      (expression === undefined ? `its expression can't be carried over; ${wayOut}` : undefined);
    const steps = expression && check(table, name, expression.text);
    return [
      {
        kind: 'check constraint',
        original,
        columns: definition.columns,
        name,
        ...(obstacle === undefined ? {} : { obstacle }),
        checks:
          expression === undefined ? [] : [sql`ALTER TABLE pg_temp.segue_inherit ADD CHECK (${expression})`],
        build: steps === undefined ? [] : [...steps.announce, ...(validated ? steps.prove : [])],
        ready: (now) => (validated ? isValidated : hasConstraint)(now, name),
        locks: [],
        retire: [alter(table, [sql`DROP CONSTRAINT IF EXISTS ${ident(original)}`])],
        succeed: [rename(table, name, original), ...comment(table, original, definition.comment)],
      },
    ];
  });

const isTable = (table: TableFacts, name: TableName): boolean =>
  table.schema === name.schema && table.name === name.name;

const keyIn = (now: TableFacts, name: string): ForeignKeyFacts | undefined =>
  now.foreignKeys.find((key) => key.name === name);

const listed = (columns: readonly string[]): Sql => join(columns.map((column) => ident(column)));

/** A foreign key to make, and the other table that it concerns, unless it refers to its own. */
interface KeyPlan {
  readonly key: ForeignKeyFacts;
  readonly name: string;
  readonly columns: readonly string[];
  readonly toColumns: readonly string[];
  readonly alongside: readonly TableName[];
}

const buildKey = ({ key, name, columns, toColumns, alongside }: KeyPlan): readonly Step[] => {
  const { from, to, clauses, validated } = key;
  const where = `${from.schema}.${from.name}`;
  return [
    {
      ...shortly,
      id: `${name}-add`,
      purpose: `hold new rows of ${where} to the like of foreign key ${key.name}`,
      // Of both tables: writes to either wait for it, reads do not.
      lock: 'ShareRowExclusiveLock',
      alongside,
      statements: [
        alter(from, [
          sql`ADD CONSTRAINT ${ident(name)} FOREIGN KEY (${listed(columns)}) REFERENCES ${tableIdent(to)} (${listed(toColumns)})${userSql(clauses)} NOT VALID`,
        ]),
      ],
      done: (now) => keyIn(now, name) !== undefined,
    },
    ...(validated
      ? [
          {
            ...patiently,
            id: `${name}-validate`,
            purpose: `hold every row of ${where} to the like of foreign key ${key.name}`,
            alongside,
            statements: [alter(from, [sql`VALIDATE CONSTRAINT ${ident(name)}`])],
            done: (now: TableFacts) => keyIn(now, name)?.validated === true,
          },
        ]
      : []),
  ];
};

/** A twin for each foreign key of an old column, or to one. */
export const twinForeignKeys = (id: number, table: TableFacts, rewriting: Rewriting): readonly Twin[] =>
  table.foreignKeys.flatMap((key): readonly Twin[] => {
    const [out, into] = [isTable(table, key.from), isTable(table, key.to)];
    const concerned = [...(out ? key.columns : []), ...(into ? key.toColumns : [])];
    if (!rewriting.concerns(concerned)) return [];
    const name = twinName(id, key.oid);
    const columns = out ? key.columns.map(rewriting.name) : key.columns;
    const toColumns = into ? key.toColumns.map(rewriting.name) : key.toColumns;
    const obstacle =
      withoutHeir(rewriting, concerned) ??
      (key.obstacle === undefined ? undefined : `${key.obstacle}; ${wayOut}`) ??
      (rewriting.same(concerned)
        ? undefined
        : `values that differ in the old column may be equal in the new one, or the other way round; ${wayOut}`);
    const alongside = [key.from, key.to].filter((other) => !isTable(table, other));
    const likeness = (is: boolean, other: TableName): Sql =>
      is ? sql`pg_temp.segue_inherit` : tableIdent(other);
    const pairs = columns.map((column, n) => sql`f.${ident(column)} = t.${ident(toColumns[n] ?? '')}`);
    return [
      {
        kind: 'foreign key',
        original: out ? key.name : `${key.name} of ${key.from.schema}.${key.from.name}`,
        columns: concerned,
        name,
        ...(obstacle === undefined ? {} : { obstacle }),
        checks: [
          sql`SELECT FROM ${likeness(out, key.from)} f JOIN ${likeness(into, key.to)} t ON ${join(pairs, sql` AND `)} LIMIT 0`,
        ],
        build: buildKey({ key, name, columns, toColumns, alongside }),
        ready: (now) => {
          const made = keyIn(now, name);
          return made !== undefined && (made.validated || !key.validated);
        },
        locks: alongside,
        retire: [alter(key.from, [sql`DROP CONSTRAINT IF EXISTS ${ident(key.name)}`])],
        succeed: [rename(key.from, name, key.name), ...comment(key.from, key.name, key.comment)],
      },
    ];
  });

const columnsOf = (statistics: StatisticsFacts, rewriting: Rewriting): Sql | undefined => {
  const parts = [
    ...statistics.plain.map((column): Sql | undefined => ident(rewriting.name(column))),
    ...statistics.expressions.map((text) => {
      const expression = rewriting.expression(text);
      return expression && sql`(${expression})`;
    }),
  ];
  return parts.includes(undefined) ? undefined : join(parts.flatMap((part) => part ?? []));
};

/** A twin for each extended statistics object that reads an old column. */
export const twinStatistics = (id: number, table: TableFacts, rewriting: Rewriting): readonly Twin[] =>
  table.statistics.flatMap((statistics): readonly Twin[] => {
    if (!rewriting.concerns(statistics.columns)) return [];
    const { schema, name: original, kinds, target } = statistics;
    const name = twinName(id, statistics.oid);
    const columns = columnsOf(statistics, rewriting);
    const obstacle =
      withoutHeir(rewriting, statistics.columns) ??
      (columns === undefined ? `an expression of them can't be carried over; ${wayOut}` : undefined);
    const kindList = kinds.length === 0 ? nothing : sql`(${join(kinds.map((kind) => userSql(kind)))}) `;
    const made = (of: Sql, on: Sql): Sql =>
      sql`CREATE STATISTICS ${of} ${kindList}ON ${columns ?? nothing} FROM ${on}`;
    const ready = (now: TableFacts): boolean =>
      now.statistics.some((object) => object.name === name && object.target === target);
    return [
      {
        kind: 'statistics',
        original,
        columns: statistics.columns,
        name,
        ...(obstacle === undefined ? {} : { obstacle }),
        checks: columns === undefined ? [] : [made(ident('pg_temp', name), sql`pg_temp.segue_inherit`)],
        build: [
          {
            ...patiently,
            id: `${name}-add`,
            purpose: `create the like of statistics ${original}`,
            statements: [
              made(ident(schema, name), tableIdent(table)),
              ...(target === undefined
                ? []
                : [sql`ALTER STATISTICS ${ident(schema, name)} SET STATISTICS ${userSql(String(target))}`]),
            ],
            done: ready,
          },
        ],
        ready,
        locks: [],
        retire: [sql`DROP STATISTICS IF EXISTS ${ident(schema, original)}`],
        succeed: [
          sql`ALTER STATISTICS ${ident(schema, name)} RENAME TO ${ident(original)}`,
          ...(statistics.comment === undefined
            ? []
            : [sql`COMMENT ON STATISTICS ${ident(schema, original)} IS ${lit(statistics.comment)}`]),
        ],
      },
    ];
  });
