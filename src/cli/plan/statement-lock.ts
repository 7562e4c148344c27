/**
 * The table lock that a statement takes and how long it is held, by the kind of statement: PostgreSQL 14 to 18, manual
 * 13.3.1 and the page of each command. Pure.
 */
import { hasOption, runsOutside } from '../../changes/sql-script.ts';
import { nodesOf, wordsOf } from '../../sql/tree.ts';
import { statementsIn, unwrap } from './after-statement.ts';

/** Table locks from the weakest to the strongest, as the manual spells them. */
const lockModes = [
  'none',
  'ACCESS SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export type LockMode = (typeof lockModes)[number];

/** How long a statement is at work under its lock. */
export type Work =
  /** Milliseconds: the catalog alone changes, no row is read. */
  | 'catalog'
  /** As long as it reads every row. */
  | 'scan'
  /** As long as it builds an index. */
  | 'build'
  /** As long as it writes every row anew. */
  | 'rewrite'
  /** As long as it takes for the rows that it names. */
  | 'rows';

/** See the file's head. */
export interface StatementLock {
  readonly lock: LockMode;
  readonly work: Work;
  /** Tables that it locks so, as the statement names them; absent where it names none. */
  readonly on?: readonly string[];
}

const of = (lock: LockMode, work: Work = 'catalog'): StatementLock => ({ lock, work });

interface Members {
  readonly [key: string]: unknown;
}

const addedConstraint = ({ contype, skip_validation: notValid, indexname }: Members): StatementLock => {
  switch (contype) {
    case 'CONSTR_FOREIGN':
      return of('SHARE ROW EXCLUSIVE', notValid === true ? 'catalog' : 'scan');
    case 'CONSTR_UNIQUE':
    case 'CONSTR_PRIMARY':
      return of('ACCESS EXCLUSIVE', indexname === undefined ? 'build' : 'catalog');
    case 'CONSTR_EXCLUSION':
      return of('ACCESS EXCLUSIVE', 'build');
    default:
      return of('ACCESS EXCLUSIVE', notValid === true ? 'catalog' : 'scan');
  }
};

const subcommands: Readonly<Record<string, StatementLock>> = {
  AT_ValidateConstraint: of('SHARE UPDATE EXCLUSIVE', 'scan'),
  AT_SetStatistics: of('SHARE UPDATE EXCLUSIVE'),
  AT_SetOptions: of('SHARE UPDATE EXCLUSIVE'),
  AT_ResetOptions: of('SHARE UPDATE EXCLUSIVE'),
  AT_SetRelOptions: of('SHARE UPDATE EXCLUSIVE'),
  AT_ClusterOn: of('SHARE UPDATE EXCLUSIVE'),
  AT_EnableTrig: of('SHARE ROW EXCLUSIVE'),
  AT_EnableAlwaysTrig: of('SHARE ROW EXCLUSIVE'),
  AT_EnableReplicaTrig: of('SHARE ROW EXCLUSIVE'),
  AT_DisableTrig: of('SHARE ROW EXCLUSIVE'),
  AT_EnableTrigAll: of('SHARE ROW EXCLUSIVE'),
  AT_DisableTrigAll: of('SHARE ROW EXCLUSIVE'),
  AT_EnableTrigUser: of('SHARE ROW EXCLUSIVE'),
  AT_DisableTrigUser: of('SHARE ROW EXCLUSIVE'),
  AT_AttachPartition: of('SHARE UPDATE EXCLUSIVE'),
  AT_AlterColumnType: of('ACCESS EXCLUSIVE', 'rewrite'),
  AT_SetTableSpace: of('ACCESS EXCLUSIVE', 'rewrite'),
  AT_SetLogged: of('ACCESS EXCLUSIVE', 'rewrite'),
  AT_SetUnLogged: of('ACCESS EXCLUSIVE', 'rewrite'),
};

const works: readonly Work[] = ['catalog', 'rows', 'scan', 'build', 'rewrite'];

/** The stronger lock and the longer work of the two. */
const stronger = (a: StatementLock, b: StatementLock): StatementLock => ({
  lock: lockModes.indexOf(a.lock) >= lockModes.indexOf(b.lock) ? a.lock : b.lock,
  work: works.indexOf(a.work) >= works.indexOf(b.work) ? a.work : b.work,
});

const alterTable = ({ cmds, objtype }: Members): StatementLock => {
  if (objtype === 'OBJECT_INDEX') return of('ACCESS EXCLUSIVE');
  if (objtype !== 'OBJECT_TABLE' || !Array.isArray(cmds)) return of('none');
  return cmds
    .map((cmd): StatementLock => {
      const { subtype, def } = unwrap(cmd)[1];
      return subtype === 'AT_AddConstraint'
        ? addedConstraint(unwrap(def)[1])
        : (subcommands[String(subtype)] ?? of('ACCESS EXCLUSIVE'));
    })
    .reduce(stronger);
};

const dropped: Readonly<Record<string, StatementLock>> = {
  OBJECT_TRIGGER: of('ACCESS EXCLUSIVE'),
  OBJECT_INDEX: of('ACCESS EXCLUSIVE'),
  OBJECT_TABLE: of('ACCESS EXCLUSIVE'),
  OBJECT_POLICY: of('ACCESS EXCLUSIVE'),
  OBJECT_RULE: of('ACCESS EXCLUSIVE'),
  OBJECT_STATISTIC_EXT: of('SHARE UPDATE EXCLUSIVE'),
};

const renamed: Readonly<Record<string, StatementLock>> = {
  OBJECT_INDEX: of('none'),
  OBJECT_COLUMN: of('ACCESS EXCLUSIVE'),
  OBJECT_TABLE: of('ACCESS EXCLUSIVE'),
  OBJECT_TABCONSTRAINT: of('ACCESS EXCLUSIVE'),
};

const rules: Readonly<Record<string, (node: Members) => StatementLock>> = {
  AlterTableStmt: alterTable,
  IndexStmt: ({ concurrent, relation }) => {
    if (concurrent === true) return of('SHARE UPDATE EXCLUSIVE', 'build');
    // ON ONLY a partitioned table there are no rows to read.
    return of('SHARE', ((relation ?? {}) as Members)['inh'] === undefined ? 'catalog' : 'build');
  },
  CreateTrigStmt: () => of('SHARE ROW EXCLUSIVE'),
  DropStmt: ({ removeType, concurrent }) =>
    concurrent === true ? of('SHARE UPDATE EXCLUSIVE') : (dropped[String(removeType)] ?? of('none')),
  RenameStmt: ({ renameType }) => renamed[String(renameType)] ?? of('none'),
  CommentStmt: ({ objtype }) =>
    of(objtype === 'OBJECT_COLUMN' || objtype === 'OBJECT_TABLE' ? 'SHARE UPDATE EXCLUSIVE' : 'none'),
  CreateStatsStmt: () => of('SHARE UPDATE EXCLUSIVE'),
  InsertStmt: () => of('ROW EXCLUSIVE', 'rows'),
  UpdateStmt: () => of('ROW EXCLUSIVE', 'rows'),
  DeleteStmt: () => of('ROW EXCLUSIVE', 'rows'),
  MergeStmt: () => of('ROW EXCLUSIVE', 'rows'),
  SelectStmt: () => of('ACCESS SHARE', 'rows'),
  CreateTableAsStmt: () => of('ACCESS SHARE', 'rows'),
  TruncateStmt: () => of('ACCESS EXCLUSIVE'),
  ClusterStmt: () => of('ACCESS EXCLUSIVE', 'rewrite'),
  VacuumStmt: ({ options }) =>
    hasOption(options, 'full') ? of('ACCESS EXCLUSIVE', 'rewrite') : of('SHARE UPDATE EXCLUSIVE', 'scan'),
  ReindexStmt: ({ params }) =>
    of(hasOption(params, 'concurrently') ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE', 'build'),
  RefreshMatViewStmt: ({ concurrent }) => of(concurrent === true ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE', 'rows'),
};

const label = (member: unknown): readonly string[] => {
  const { relname, schemaname } = (member ?? {}) as { relname?: string; schemaname?: string };
  if (relname === undefined) return [];
  return [schemaname === undefined ? relname : `${schemaname}.${relname}`];
};

/** The tables that a statement is about: its own, and those that its foreign keys refer to. */
const tablesOf = ({ relation, relations, cmds, removeType, objects }: Members): readonly string[] => {
  const dropped =
    removeType === 'OBJECT_TRIGGER' && Array.isArray(objects)
      ? objects.map((object) => wordsOf(unwrap(object)[1]['items']).slice(0, -1).join('.'))
      : [];
  const referred = (Array.isArray(cmds) ? cmds : []).flatMap((cmd) => {
    const { def } = unwrap(cmd)[1];
    return label(unwrap(def)[1]['pktable']);
  });
  const others = (Array.isArray(relations) ? relations : []).flatMap((other) => label(unwrap(other)[1]));
  return [...label(relation), ...others, ...referred, ...dropped];
};

/** True for what concerns schema segue alone. */
const isOwn = ({ removeType, objects }: Members, tables: readonly string[]): boolean => {
  if (tables.length > 0) return tables.every((table) => table.startsWith('segue.'));
  return (
    removeType === 'OBJECT_TABLE' &&
    Array.isArray(objects) &&
    objects.every((object) => wordsOf(unwrap(object)[1]['items'])[0] === 'segue')
  );
};

/** What a statement locks of the user's tables. */
export const lockOfStatement = (text: string): StatementLock => {
  const [statement] = statementsIn(text);
  const [first] = statement === undefined ? [] : [...nodesOf(statement.tree)];
  const found = first && rules[first.type]?.(first.members);
  if (first === undefined || found === undefined) return of('none');
  const tables = first.members['objtype'] === 'OBJECT_INDEX' ? [] : tablesOf(first.members);
  if (isOwn(first.members, tables)) return of('none');
  return tables.length === 0 ? found : { ...found, on: tables };
};

/** True for what PostgreSQL refuses inside a transaction block, and what waits for older transactions. */
export const isOutside = (text: string): boolean => statementsIn(text).some(runsOutside);
