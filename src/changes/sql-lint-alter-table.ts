/** The rules for ALTER TABLE. What each clause locks and reads: manual, ALTER TABLE, Notes. */
import { parseType } from '../sql/expression.ts';
import { wordsOf } from '../sql/tree.ts';
import { isStableDefault } from './sql-defaults.ts';
import {
  isNew,
  isTheTable,
  relationOf,
  sameRelation,
  unwrap,
  type Judged,
  type Objection,
} from './sql-script.ts';
import { isWider } from './wider-type.ts';

type Members = Readonly<Record<string, unknown>>;

const rewrites = (why: string): string => `rewrites the whole table under ACCESS EXCLUSIVE${why}`;
const scans = 'reads the whole table under a lock that keeps others from writing';

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const isSerial = (typeName: unknown): boolean =>
  /^(?:small|big)?serial[248]?$/.test(wordsOf((typeName as Members | undefined)?.['names']).at(-1) ?? '');

const addColumn = ({ def }: Members): Objection | undefined => {
  const [, column] = unwrap(def);
  const constraints = listOf(column['constraints']).map((constraint) => unwrap(constraint)[1]);
  const instead = 'Use kind addColumn, or add the column plain and the rest after it.';
  if (isSerial(column['typeName'])) return { what: rewrites(' to number its rows'), instead };
  const fallback = constraints.find(({ contype }) => contype === 'CONSTR_DEFAULT');
  for (const { contype, generated_kind: kind, raw_expr: value } of constraints)
    switch (contype) {
      case 'CONSTR_DEFAULT':
        if (!isStableDefault(value))
          return {
            what: rewrites(', for its default may differ from row to row'),
            instead:
              'Use kind addColumn with this default, or add the column without it, SET DEFAULT after it, and fill the rows in kind addColumn or replaceColumns.',
          };
        break;
      case 'CONSTR_GENERATED':
        if (kind !== 'v')
          return { what: rewrites(' to compute the column'), instead: 'Use kind addColumn with backfill.' };
        break;
      case 'CONSTR_IDENTITY':
        return { what: rewrites(' to number its rows'), instead };
      case 'CONSTR_UNIQUE':
      case 'CONSTR_PRIMARY':
        return { what: 'builds an index while nobody can write', instead: 'Use kind addColumn with unique.' };
      case 'CONSTR_CHECK':
        return { what: scans, instead: 'Use kind addColumn with check.' };
      case 'CONSTR_FOREIGN':
        if (fallback) return { what: scans, instead: 'Use kind addColumn with references.' };
        break;
      case 'CONSTR_NOTNULL':
        if (!fallback)
          return {
            what: 'fails where the table has rows, and keeps old code from inserting where it has none',
            instead: 'Use kind addColumn with nullable: false and a default or backfill.',
          };
        break;
    }
  return undefined;
};

const typeText = (typeName: unknown): string => {
  const members = typeName as Members;
  const modifiers = listOf(members['typmods']).map((modifier) => {
    const value = (unwrap(modifier)[1]['ival'] ?? {}) as Members;
    return typeof value['ival'] === 'number' ? value['ival'] : 0;
  });
  const bounds = listOf(members['arrayBounds']).map(() => '[]');
  return `${wordsOf(members['names']).at(-1) ?? ''}${modifiers.length > 0 ? `(${modifiers.join(',')})` : ''}${bounds.join('')}`;
};

const alterType = (
  judged: Judged,
  relation: ReturnType<typeof relationOf>,
  cmd: Members,
): Objection | undefined => {
  const [, column] = unwrap(cmd['def']);
  const name = String(cmd['name']);
  const former = isTheTable(judged, relation) ? judged.facts.columns[name]?.type : undefined;
  const before = former === undefined ? undefined : parseType(former);
  if (
    before?.kind === 'parsed' &&
    column['raw_default'] === undefined &&
    column['collClause'] === undefined &&
    isWider(typeText(unwrap(before.value.tree)[1]), typeText(column['typeName']))
  )
    return undefined;
  return {
    what: rewrites(
      `, unless PostgreSQL can take the values of ${name} over as they are, which is not known here`,
    ),
    instead: 'Use kind changeType.',
  };
};

const constraintsBefore = (judged: Judged, relation: ReturnType<typeof relationOf>): readonly Members[] =>
  judged.before.flatMap(({ tree }) => {
    const [type, members] = unwrap(tree);
    const other = relationOf(members['relation']);
    if (type !== 'AlterTableStmt' || !other || !relation || !sameRelation(other, relation)) return [];
    return listOf(members['cmds']).map((cmd) => unwrap(cmd)[1]);
  });

/** CHECK constraints that the script has validated before, as their conditions. */
const validatedChecks = (judged: Judged, relation: ReturnType<typeof relationOf>): readonly unknown[] => {
  const cmds = constraintsBefore(judged, relation);
  const validated = new Set(
    cmds.filter(({ subtype }) => subtype === 'AT_ValidateConstraint').map(({ name }) => name),
  );
  return cmds.flatMap(({ subtype, def }) => {
    if (subtype !== 'AT_AddConstraint') return [];
    const [, { contype, conname, raw_expr: condition }] = unwrap(def);
    return contype === 'CONSTR_CHECK' && validated.has(conname) ? [condition] : [];
  });
};

const isNotNullOf = (condition: unknown, column: unknown): boolean => {
  const [type, { arg, nulltesttype }] = unwrap(condition);
  if (type !== 'NullTest' || nulltesttype !== 'IS_NOT_NULL') return false;
  const words = wordsOf(unwrap(arg)[1]['fields']);
  return words.length === 1 && words[0] === column;
};

const addConstraint = ({ def }: Members): Objection | undefined => {
  const [, { contype, skip_validation: notValid, indexname }] = unwrap(def);
  switch (contype) {
    case 'CONSTR_CHECK':
    case 'CONSTR_FOREIGN':
    case 'CONSTR_NOTNULL':
      return notValid === true
        ? undefined
        : {
            what: scans,
            instead:
              'Add NOT VALID, and VALIDATE CONSTRAINT in a statement after it, or use kind addConstraint.',
          };
    case 'CONSTR_UNIQUE':
    case 'CONSTR_PRIMARY':
      return indexname === undefined
        ? {
            what: 'builds an index while nobody can write',
            instead:
              'CREATE UNIQUE INDEX CONCURRENTLY first and ADD CONSTRAINT … USING INDEX after it, or use kind addConstraint.',
          }
        : undefined;
    case 'CONSTR_EXCLUSION':
      return {
        what: 'builds an index while nobody can write',
        instead: 'PostgreSQL knows no other way; do it while the table is small, with allowUnsafe: true.',
      };
    default:
      return undefined;
  }
};

const attach = (judged: Judged, { def }: Members): Objection | undefined => {
  const partition = relationOf(unwrap(def)[1]['name']);
  if (isNew(judged, partition) || validatedChecks(judged, partition).length > 0) return undefined;
  return {
    what: 'reads the whole partition under ACCESS EXCLUSIVE, unless a CHECK of it shows that every row belongs there',
    instead:
      'Before it, in statements of their own, ADD CONSTRAINT … CHECK (the bounds) NOT VALID to the partition and VALIDATE it.',
  };
};

const byType: Readonly<Record<string, Objection>> = {
  AT_SetTableSpace: { what: rewrites(''), instead: 'Move it with a tool such as pg_repack.' },
  AT_SetLogged: { what: rewrites(''), instead: 'Make a new table, and change over to it.' },
  AT_SetUnLogged: { what: rewrites(''), instead: 'Make a new table, and change over to it.' },
  AT_SetAccessMethod: { what: rewrites(''), instead: 'Make a new table, and change over to it.' },
  AT_SetExpression: { what: rewrites(' to compute the column'), instead: 'Use kind replaceColumns.' },
};

const inExpand: Readonly<Record<string, Objection>> = {
  AT_DropColumn: {
    what: 'takes a column away from code that still uses it',
    instead: 'Put it into contract, or use kind dropColumn, which watches that nobody uses it.',
  },
  AT_DetachPartition: {
    what: 'takes rows away from code that still uses them',
    instead: 'Put it into contract, with CONCURRENTLY.',
  },
};

const clause = (
  judged: Judged,
  relation: ReturnType<typeof relationOf>,
  cmd: Members,
): Objection | undefined => {
  const subtype = String(cmd['subtype']);
  switch (subtype) {
    case 'AT_AddColumn':
      return addColumn(cmd);
    case 'AT_AlterColumnType':
      return alterType(judged, relation, cmd);
    case 'AT_SetNotNull':
      return validatedChecks(judged, relation).some((condition) => isNotNullOf(condition, cmd['name']))
        ? undefined
        : {
            what: scans,
            instead: `Use kind addConstraint with notNull, or ADD CONSTRAINT … CHECK (${String(cmd['name'])} IS NOT NULL) NOT VALID and VALIDATE it in statements before.`,
          };
    case 'AT_AddConstraint':
      return addConstraint(cmd);
    case 'AT_AttachPartition':
      return attach(judged, cmd);
    default:
      return (judged.script === 'expand' ? inExpand[subtype] : undefined) ?? byType[subtype];
  }
};

/** What is dangerous in an ALTER TABLE, undefined where nothing is. */
export const lintAlterTable = (judged: Judged): Objection | undefined => {
  const { node } = judged;
  const relation = relationOf(node['relation']);
  if (node['objtype'] !== 'OBJECT_TABLE' || isNew(judged, relation)) return undefined;
  for (const cmd of listOf(node['cmds'])) {
    const found = clause(judged, relation, unwrap(cmd)[1]);
    if (found) return found;
  }
  return undefined;
};
