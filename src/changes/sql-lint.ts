/**
 * Whether a statement of a script would hold up the application: rewrite a table, read it under a lock, or take
 * away what running code uses. The rules are those that squawk and strong_migrations share, in terms of what the
 * manual says of each command. `allowUnsafe` lets pass what is found here.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import { nodesOf } from '../sql/tree.ts';
import type { Statement } from '../sql/script.ts';
import type { TableName } from './change.ts';
import { lintAlterTable } from './sql-lint-alter-table.ts';
import { refusal } from './sql-refusals.ts';
import {
  hasOption,
  isNew,
  relationOf,
  unwrap,
  type Judged,
  type Objection,
  type ScriptName,
} from './sql-script.ts';

const expandDrops: ReadonlySet<unknown> = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_SEQUENCE',
  'OBJECT_SCHEMA',
  'OBJECT_TYPE',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
]);

const drop = ({ script, node }: Judged): Objection | undefined => {
  if (node['removeType'] === 'OBJECT_INDEX' && node['concurrent'] !== true)
    return {
      what: 'takes ACCESS EXCLUSIVE on the table of the index and waits for everybody who uses it',
      instead: 'DROP INDEX CONCURRENTLY IF EXISTS.',
    };
  if (script === 'expand' && expandDrops.has(node['removeType']))
    return { what: 'takes away what code that still runs may use', instead: 'Put it into contract.' };
  if (script === 'undo' && node['missing_ok'] !== true)
    return {
      what: 'fails where expand did not get as far as to make it',
      instead: 'Write IF EXISTS: undo runs from whatever statement expand had come to.',
    };
  return undefined;
};

const rename = (judged: Judged): Objection | undefined => {
  const { node } = judged;
  const kind = node['renameType'];
  if (isNew(judged, relationOf(node['relation']))) return undefined;
  if (kind === 'OBJECT_COLUMN')
    return { what: 'breaks code that knows the old name at once', instead: 'Use kind renameColumn.' };
  return kind === 'OBJECT_TABLE' || kind === 'OBJECT_VIEW' || kind === 'OBJECT_MATVIEW'
    ? {
        what: 'breaks code that knows the old name at once',
        instead: 'Make a view of the new name in expand, and drop what is not used in contract.',
      }
    : undefined;
};

const index = (judged: Judged): Objection | undefined => {
  const { node, facts } = judged;
  const relation = relationOf(node['relation']);
  if (isNew(judged, relation)) return undefined;
  if (node['concurrent'] !== true)
    return {
      what: 'keeps everybody from writing the table until the index is built',
      instead: 'CREATE INDEX CONCURRENTLY, or use kind createIndex.',
    };
  return facts.partitioned
    ? { what: 'is refused by PostgreSQL on a partitioned table', instead: 'Use kind createIndex.' }
    : undefined;
};

const unseen: Objection = {
  what: 'runs code that this check does not look into',
  instead: 'Write its statements out, or set allowUnsafe: true once you know what it locks.',
};

const rules: Readonly<Record<string, (judged: Judged) => Objection | undefined>> = {
  AlterTableStmt: lintAlterTable,
  DropStmt: drop,
  RenameStmt: rename,
  IndexStmt: index,
  AlterObjectSchemaStmt: ({ node }) =>
    node['objectType'] === 'OBJECT_TABLE' || node['objectType'] === 'OBJECT_VIEW'
      ? {
          what: 'breaks code that knows the old name at once',
          instead: 'Make a view in the new schema in expand, and move the code over.',
        }
      : undefined,
  ReindexStmt: ({ node }) =>
    hasOption(node['params'], 'concurrently')
      ? undefined
      : {
          what: 'keeps everybody from writing the table until it is done',
          instead: 'REINDEX … CONCURRENTLY.',
        },
  VacuumStmt: ({ node }) =>
    hasOption(node['options'], 'full')
      ? {
          what: 'rewrites the whole table under ACCESS EXCLUSIVE',
          instead: 'VACUUM without FULL, or a tool such as pg_repack.',
        }
      : undefined,
  ClusterStmt: () => ({
    what: 'rewrites the whole table under ACCESS EXCLUSIVE',
    instead: 'Use a tool such as pg_repack.',
  }),
  LockStmt: () => ({
    what: 'holds others up, for nothing: the lock is gone with the statement',
    instead: 'Take it out: each statement is a transaction of its own.',
  }),
  TruncateStmt: () => ({
    what: 'throws rows away that nobody looked at, under ACCESS EXCLUSIVE',
    instead: 'DELETE with a WHERE, or drop the table in contract.',
  }),
  RefreshMatViewStmt: ({ node }) =>
    node['concurrent'] === true
      ? undefined
      : {
          what: 'keeps everybody from reading the view until it is computed',
          instead: 'REFRESH MATERIALIZED VIEW CONCURRENTLY.',
        },
  MergeStmt: () => ({
    what: 'may write every row in one transaction',
    instead: 'Use kind addColumn or replaceColumns, which write in batches.',
  }),
  DoStmt: () => unseen,
  CallStmt: () => unseen,
  AlterTableMoveAllStmt: () => ({
    what: 'rewrites every table of a tablespace under ACCESS EXCLUSIVE',
    instead: 'Move them one by one with a tool such as pg_repack.',
  }),
  AlterEnumStmt: ({ script, node }) =>
    script === 'expand' && node['oldVal'] !== undefined
      ? { what: 'breaks code that knows the old name at once', instead: 'ADD VALUE, and move the code over.' }
      : undefined,
  AlterDomainStmt: ({ node }) => {
    const [, { skip_validation: notValid }] = unwrap(node['def']);
    return (node['subtype'] === 'C' && notValid !== true) || node['subtype'] === 'O'
      ? {
          what: 'reads every table that has a column of the domain, under a lock',
          instead: 'ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a statement after it.',
        }
      : undefined;
  },
  GrantStmt: ({ script, node }) =>
    script === 'expand' && node['is_grant'] !== true
      ? { what: 'takes a right away from code that still runs', instead: 'Put it into contract.' }
      : undefined,
};

/** UPDATE and DELETE of every row, wherever in the statement they stand. */
const unbounded = (judged: Judged): Objection | undefined => {
  const found = [...nodesOf(judged.statement.tree)].find(
    ({ type, members }) =>
      (type === 'UpdateStmt' || type === 'DeleteStmt') &&
      members['whereClause'] === undefined &&
      !isNew(judged, relationOf(members['relation'])),
  );
  return (
    found && {
      what: 'writes every row of the table in one transaction, which holds their locks and bloats the table',
      instead: 'Use kind addColumn or replaceColumns, which write in batches, or give it a WHERE.',
    }
  );
};

const dangerOf = (judged: Judged): Objection | undefined => rules[judged.type]?.(judged) ?? unbounded(judged);

/** What is asked about a script. */
export interface LintQuestion {
  readonly script: ScriptName;
  readonly statements: readonly Statement[];
  readonly table: TableName;
  readonly facts: TableFacts;
  readonly allowUnsafe: boolean;
}

/** What stands against each statement, in their order. */
export const lint = ({ script, statements, table, facts, allowUnsafe }: LintQuestion): readonly Violation[] =>
  statements.flatMap((statement, n): readonly Violation[] => {
    const [type, node] = unwrap(statement.tree);
    const judged: Judged = { script, statement, type, node, table, facts, before: statements.slice(0, n) };
    const refused = refusal(judged);
    const found = refused ?? (allowUnsafe ? undefined : dangerOf(judged));
    if (found === undefined) return [];
    const where = `spec.change sql.${script}, statement ${n + 1} at line ${statement.line}`;
    const way = refused === undefined ? ' To run it all the same, set allowUnsafe: true.' : '';
    return [{ reason: 'UnsafeStatement', message: `${where}: it ${found.what}. ${found.instead}${way}` }];
  });
