/**
 * `sql`: scripts for what has no kind of its own. `expand` runs in AddColumn, beside code that knows nothing of it;
 * `contract` in Drop, once only new code runs. Each statement is a step, and runs once: its line in the ledger
 * commits with it. Of what it has done, nothing but that line is known: the scripts may do anything.
 */
import type { StepState, TableFacts, Violation } from '../api/facts.ts';
import type { SqlChange } from '../api/schema-change.ts';
import { parseScript, type Statement } from '../sql/script.ts';
import { ident, sql, userSql } from '../sql/sql.ts';
import type { Change, Step, TableName } from './change.ts';
import { lint } from './sql-lint.ts';
import {
  relationOf,
  runsOutside,
  sameRelation,
  statementsIn,
  unwrap,
  type ScriptName,
} from './sql-script.ts';
import { unsupportedTable } from './table-preflight.ts';

const stepId = (script: ScriptName, n: number): string => `${script}-${n + 1}`;

const stateOf = (facts: TableFacts, id: number, step: string): StepState | undefined =>
  facts.steps[`${id}/${step}`];

/** CREATE INDEX, ALTER TABLE, …: the words up to the first that is no keyword in capitals, for messages. */
const verbOf = (statement: Statement): string =>
  /^[A-Za-z]+(?:\s+(?:UNIQUE|INDEX|TABLE|VIEW|TYPE|FUNCTION|TRIGGER|CONCURRENTLY|INTO|FROM|MATERIALIZED|OR|REPLACE)\b)*/i
    .exec(statement.text)?.[0]
    .replaceAll(/\s+/g, ' ')
    .toUpperCase() ?? 'statement';

const gentle: ReadonlySet<unknown> = new Set([
  'AT_ValidateConstraint',
  'AT_AttachPartition',
  'AT_SetStatistics',
]);

/** What a statement locks of the table that the resource names; of others PostgreSQL asks for what it needs. */
const lockOf = ({ tree }: Statement, table: TableName): Step['lock'] => {
  const [type, { relation, cmds }] = unwrap(tree);
  const found = relationOf(relation);
  if (found === undefined || !sameRelation(found, table)) return 'AccessShareLock';
  if (type === 'CreateTrigStmt') return 'ShareRowExclusiveLock';
  if (type !== 'AlterTableStmt' || !Array.isArray(cmds)) return 'AccessShareLock';
  return cmds.every((cmd) => gentle.has(unwrap(cmd)[1]['subtype']))
    ? 'ShareUpdateExclusiveLock'
    : 'AccessExclusiveLock';
};

interface Interrupted {
  /** Undoes what an interrupted attempt left; run before the next. */
  readonly clear?: { readonly name: string };
  /** True if the catalog shows that the statement has done its work. */
  readonly done: (facts: TableFacts) => boolean;
  /** True if running it again does what running it once would have done. */
  readonly repeatable: boolean;
}

const never = (): boolean => false;

/** How an attempt that was cut off outside a transaction is judged. */
const afterInterruption = ({ tree }: Statement): Interrupted => {
  const [type, node] = unwrap(tree);
  if (type === 'IndexStmt') {
    const name = String(node['idxname']);
    return {
      clear: { name },
      done: (facts) => facts.indexes.some((index) => index.name === name && index.valid),
      repeatable: true,
    };
  }
  if (type === 'DropStmt') return { done: never, repeatable: true };
  return { done: never, repeatable: type === 'VacuumStmt' };
};

const settled = (facts: TableFacts, id: number, step: string, { done }: Interrupted): boolean => {
  const state = stateOf(facts, id, step);
  return state === 'done' || (state === 'begun' && done(facts));
};

const clearing = (id: number, table: TableName, step: string, interrupted: Interrupted): readonly Step[] => {
  const { clear } = interrupted;
  if (clear === undefined) return [];
  return [
    {
      id: `${step}-clear`,
      purpose: `drop what an unfinished build of index ${clear.name} left behind`,
      lock: 'ShareUpdateExclusiveLock',
      transactional: false,
      destructive: false,
      statements: [sql`DROP INDEX CONCURRENTLY IF EXISTS ${ident(table.schema, clear.name)}`],
      done: (now) =>
        stateOf(now, id, step) !== 'begun' ||
        !now.indexes.some((index) => index.name === clear.name && !index.valid),
    },
  ];
};

const stepsOf = (
  id: number,
  table: TableName,
  script: ScriptName,
  statements: readonly Statement[],
): readonly Step[] =>
  statements.flatMap((statement, n): readonly Step[] => {
    const step = stepId(script, n);
    const transactional = !runsOutside(statement);
    const interrupted = afterInterruption(statement);
    const purpose = `run statement ${n + 1} of ${script}, line ${statement.line} (${verbOf(statement)})`;
    const own: Step = {
      id: step,
      purpose,
      lock: transactional ? lockOf(statement, table) : 'ShareUpdateExclusiveLock',
      transactional,
      destructive: script === 'contract',
      once: true,
      statements: [userSql(statement.text)],
      done: (now) => settled(now, id, step, interrupted),
      taken: (now) =>
        stateOf(now, id, step) === undefined &&
        now.indexes.some((index) => index.name === interrupted.clear?.name)
          ? `Could not ${purpose}: ${now.schema}.${now.name} already has an index "${interrupted.clear?.name ?? ''}", and Segue did not make it. Drop or rename it; it goes on by itself then.`
          : undefined,
      ...(transactional || interrupted.repeatable
        ? {}
        : {
            stuck: (now: TableFacts) =>
              stateOf(now, id, step) === 'begun'
                ? `It was interrupted while it ran, and the catalog does not show whether it was done: ${purpose}. Look into the database and finish it by hand or undo it. If it is done now: UPDATE segue.${script === 'contract' ? 'contract' : 'expand'}_step SET finished_at = now() WHERE change_id = ${id} AND step = '${step}'. If it is to run again: DELETE that row.`
                : undefined,
          }),
    };
    return [...clearing(id, table, step, interrupted), own];
  });

const scripts = ['expand', 'contract', 'undo'] as const;

const faults = (spec: SqlChange): readonly Violation[] =>
  scripts.flatMap((script): readonly Violation[] => {
    const text = spec[script];
    if (text === undefined) return [];
    const statements = parseScript(text);
    const field = `spec.change sql.${script}`;
    if (statements.kind === 'fault') {
      const found = text.split('\n')[statements.line - 1]?.slice(statements.column - 1) ?? '';
      const hint = /^\\|^:[a-z_'"]/i.test(found)
        ? 'That is a command or variable of psql, not SQL: write the value, and leave commands out.'
        : 'Correct the script.';
      return [
        {
          reason: 'InvalidExpression',
          message: `${field}, line ${statements.line}, column ${statements.column}: ${statements.message}. ${hint}`,
        },
      ];
    }
    return statements.value.length === 0
      ? [
          {
            reason: 'InvalidExpression',
            message: `${field} has no statement. Write one, or leave the field out.`,
          },
        ]
      : [];
  });

const nothingInStep = 'scripts keep nothing in step';
const noContract = 'there is no contract script';

/** The change that runs scripts. */
export const sqlChange = (table: TableName, spec: SqlChange): Change => {
  const statements = {
    expand: statementsIn(spec.expand),
    contract: statementsIn(spec.contract),
    undo: statementsIn(spec.undo),
  };
  const run = (script: ScriptName, id: number): readonly Step[] =>
    stepsOf(id, table, script, statements[script]);
  const begun = (id: number, facts: TableFacts, script: ScriptName): boolean =>
    statements[script].some((_statement, n) => stateOf(facts, id, stepId(script, n)) !== undefined);
  return {
    kind: 'sql',
    table,
    oldColumns: [],
    newColumns: [],
    uses: ['*'],
    invalid: faults(spec),
    skips: {
      ...(spec.expand === undefined ? { AddColumn: 'there is no expand script' } : {}),
      DualWrite: nothingInStep,
      Backfill: nothingInStep,
      SwitchReads: 'scripts do not say who reads what',
      ...(spec.contract === undefined ? { Quarantine: noContract, Drop: noContract } : {}),
    },
    achieved: `The scripts on ${table.schema}.${table.name} have run.`,
    preflight: (facts) => [
      ...unsupportedTable(facts),
      ...scripts.flatMap((script) =>
        lint({ script, statements: statements[script], table, facts, allowUnsafe: spec.allowUnsafe }),
      ),
    ],
    dependents: () => [],
    parseChecks: () => [],
    expand: (id) => run('expand', id),
    triggers: () => [],
    constrain: () => [],
    relax: () => [],
    renamedTriggers: () => [],
    contract: (id) => run('contract', id),
    noWayBack: (id, facts) => {
      if (begun(id, facts, 'contract'))
        return 'its contract script has begun, and what that has taken away does not come back. Set spec.rollback to false, and let it end.';
      return spec.undo === undefined && begun(id, facts, 'expand')
        ? 'its expand script has begun, and spec.change.sql.undo is not there to take it back. Set spec.rollback to false to go on; or delete the SchemaChange, which leaves what expand has made, and take that back by hand.'
        : undefined;
    },
    undo: {
      relax: () => [],
      constrain: () => [],
      triggers: () => [],
      expand: (id, facts) => (begun(id, facts, 'expand') ? run('undo', id) : []),
      // What expand has made is the user's own; nothing of ours is active in it.
      abandon: (id, facts) =>
        statements.expand.flatMap((statement, n) => unfinished(id, facts, statement, n)),
    },
  };

  /** An index whose build was cut off costs every write, and serves nobody. */
  function unfinished(id: number, _facts: TableFacts, statement: Statement, n: number): readonly Step[] {
    return clearing(id, table, stepId('expand', n), afterInterruption(statement));
  }
};
