/** From statements to operations: what PostgreSQL's parser says they are, cut out of their text. Pure. */
import type { Statement } from '../../sql/script.ts';
import { columnsIn } from '../../sql/expression.ts';
import { nodesOf, relationsOf, wordsOf } from '../../sql/tree.ts';
import { columnDefinition } from './column-definition.ts';
import { readConstraint } from './read-constraint.ts';
import { readIndex } from './read-index.ts';
import type { Assignment, Operation } from './operation.ts';
import { alterClauses, nameOf, splitAt, textOf, wordsIn, type Word } from './words.ts';

interface Members {
  readonly [key: string]: unknown;
}

/** A node's type and members. */
const unwrap = (node: unknown): readonly [string, Members] => {
  const [entry] = Object.entries((node ?? {}) as Members);
  return entry === undefined ? ['', {}] : [entry[0], entry[1] as Members];
};

/** schema.table, or the table alone, as the resource writes it. */
export const tableOf = (relation: unknown): string => {
  const { relname = '', schemaname } = (relation ?? {}) as { relname?: string; schemaname?: string };
  return schemaname === undefined ? relname : `${schemaname}.${relname}`;
};

const whole = { line: 0, text: '' };

const command = (
  text: string,
  table: string,
  cmd: Members,
  clause: readonly Word[],
): Operation | undefined => {
  const name = String(cmd['name']);
  const is = { ...whole, table };
  switch (cmd['subtype']) {
    case 'AT_AddColumn': {
      const column = columnDefinition(text, clause);
      return column && { ...is, kind: 'addColumn', column };
    }
    case 'AT_DropColumn':
      return { ...is, kind: 'dropColumn', column: name, cascade: cmd['behavior'] === 'DROP_CASCADE' };
    case 'AT_AlterColumnType': {
      const from = clause.findIndex(({ key }) => key === 'TYPE');
      const using = clause.findIndex(({ key, depth }) => key === 'USING' && depth === clause[0]?.depth);
      const type = textOf(text, clause.slice(from + 1, using < 0 ? undefined : using));
      const given = using < 0 ? {} : { using: textOf(text, clause.slice(using + 1)) };
      return { ...is, kind: 'changeType', column: name, type, ...given };
    }
    case 'AT_SetNotNull':
      return { ...is, kind: 'setNotNull', column: name };
    case 'AT_ColumnDefault': {
      if (cmd['def'] === undefined) return undefined;
      const from = clause.findIndex(({ key }) => key === 'DEFAULT');
      return { ...is, kind: 'setDefault', column: name, expression: textOf(text, clause.slice(from + 1)) };
    }
    case 'AT_ValidateConstraint':
      return { ...is, kind: 'validate', name };
    case 'AT_DropConstraint':
      return cmd['behavior'] === 'DROP_CASCADE' ? undefined : { ...is, kind: 'dropConstraint', name };
    case 'AT_AddConstraint':
      return readConstraint(text, table, unwrap(cmd['def'])[1], clause);
    default:
      return undefined;
  }
};

const takesAway: ReadonlySet<unknown> = new Set(['AT_DetachPartition', 'AT_DropColumn']);

const alterTable = (statement: Statement, node: Members): readonly Operation[] => {
  const table = tableOf(node['relation']);
  const cmds = (Array.isArray(node['cmds']) ? node['cmds'] : []).map((cmd) => unwrap(cmd)[1]);
  const clauses = alterClauses(statement.text);
  const at = { line: statement.line };
  return cmds.map((cmd, n): Operation => {
    const clause = clauses[n] ?? [];
    const text = cmds.length === 1 ? statement.text : alone(statement.text, clauses, n);
    const read = cmds.length === clauses.length ? command(statement.text, table, cmd, clause) : undefined;
    const script = takesAway.has(cmd['subtype']) ? 'contract' : 'expand';
    return read === undefined ? { kind: 'other', script, table, ...at, text } : { ...read, ...at, text };
  });
};

/** One command of several, as a statement of its own. */
const alone = (text: string, clauses: readonly (readonly Word[])[], n: number): string => {
  const head = text.slice(0, clauses[0]?.[0]?.start ?? 0).trim();
  return `${head} ${textOf(text, clauses[n] ?? [])}`;
};

interface Part extends Assignment {
  /** The same as an UPDATE of its own. */
  readonly text: string;
}

/** `SET a = x, b = y` as single assignments; undefined where they can't be told apart. */
const assignments = (text: string): readonly Part[] | undefined => {
  const words = wordsIn(text);
  const from = words.findIndex(({ key, depth }) => key === 'SET' && depth === 0);
  const to = words.findIndex(({ key, depth }, n) => n > from && key === 'WHERE' && depth === 0);
  const parts = splitAt(words.slice(from + 1, to < 0 ? undefined : to), ({ key }) => key === ',');
  if (!parts.every((part) => part[1]?.key === '=')) return undefined;
  const head = textOf(text, words.slice(0, from + 1));
  const set = parts.map((part) => ({
    column: nameOf(part[0]?.text ?? ''),
    expression: textOf(text, part.slice(2)),
    text: parts.length === 1 ? text : `${head} ${textOf(text, part)}`,
  }));
  const assigned = set.map(({ column }) => column);
  // What reads a column that the same statement sets reads its value of before.
  const apart = set.every(({ expression }) => !columnsIn(expression).some((name) => assigned.includes(name)));
  return apart || set.length === 1 ? set : undefined;
};

/** True for `WHERE c IS NULL` of a column that is set. */
const fillsGaps = (where: unknown, set: readonly Assignment[]): boolean => {
  if (where === undefined) return true;
  const [type, { arg, nulltesttype }] = unwrap(where);
  const fields = wordsOf(unwrap(arg)[1]['fields']);
  return (
    type === 'NullTest' && nulltesttype === 'IS_NULL' && set.length === 1 && fields[0] === set[0]?.column
  );
};

const update = (statement: Statement, node: Members): readonly Operation[] => {
  const table = tableOf(node['relation']);
  const at = { line: statement.line, text: statement.text };
  const simple = ['fromClause', 'withClause', 'returningClause', 'returningList'].every(
    (key) => node[key] === undefined,
  );
  const alias = (node['relation'] as Members)['alias'];
  const set = simple && alias === undefined ? assignments(statement.text) : undefined;
  return set !== undefined && fillsGaps(node['whereClause'], set)
    ? set.map(({ text, ...one }) => ({ kind: 'fill', table, set: [one], line: at.line, text }))
    : [{ kind: 'other', script: 'expand', table, ...at }];
};

const control: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'LockStmt',
  'ConstraintsSetStmt',
]);

/** What goes away once only new code runs. */
const isContract = (type: string, node: Members): boolean =>
  type === 'DropStmt' ||
  type === 'DeleteStmt' ||
  type === 'TruncateStmt' ||
  (type === 'GrantStmt' && node['is_grant'] !== true);

/** An index that is dropped CONCURRENTLY holds nobody up. */
const safeText = ({ text }: Statement, type: string, { removeType, concurrent }: Members): string =>
  type === 'DropStmt' && removeType === 'OBJECT_INDEX' && concurrent !== true
    ? text.replace(/^DROP\s+INDEX(\s+IF\s+EXISTS)?/i, 'DROP INDEX CONCURRENTLY IF EXISTS')
    : text;

const commented = ({ objtype, object }: Members): string | undefined => {
  const words = wordsOf(unwrap(object)[1]['items']);
  if (objtype === 'OBJECT_TABLE') return words.join('.');
  return objtype === 'OBJECT_COLUMN' ? words.slice(0, -1).join('.') : undefined;
};

const tableNamed = (statement: Statement, type: string, node: Members): string | undefined => {
  if (type === 'CommentStmt') return commented(node);
  if (type === 'DropStmt' || type === 'CreateStmt' || type === 'ViewStmt') return undefined;
  const [relation] = relationsOf(statement.tree);
  if (relation === undefined) return undefined;
  return relation.schema === undefined ? relation.name : `${relation.schema}.${relation.name}`;
};

/** The operations of one statement, in their order. */
export const readStatement = (statement: Statement): readonly Operation[] => {
  const [first] = [...nodesOf(statement.tree)];
  const { type = '', members: node = {} } = first ?? {};
  const at = { line: statement.line, text: statement.text };
  if (control.has(type)) return [{ kind: 'control', ...at }];
  if (type === 'AlterTableStmt' && node['objtype'] === 'OBJECT_TABLE') return alterTable(statement, node);
  if (type === 'UpdateStmt') return update(statement, node);
  if (type === 'RenameStmt' && node['renameType'] === 'OBJECT_COLUMN')
    return [
      {
        kind: 'renameColumn',
        table: tableOf(node['relation']),
        from: String(node['subname']),
        to: String(node['newname']),
        ...at,
      },
    ];
  const index = type === 'IndexStmt' ? readIndex(statement.text, node) : undefined;
  if (index) return [{ kind: 'createIndex', table: tableOf(node['relation']), index, ...at }];
  const table = tableNamed(statement, type, node);
  return [
    {
      kind: 'other',
      script: isContract(type, node) ? 'contract' : 'expand',
      ...(table === undefined ? {} : { table }),
      line: at.line,
      text: safeText(statement, type, node),
    },
  ];
};
