/**
 * Expressions and type names that a resource gives. What passes here is one whole expression or type: put in
 * parentheses, or where a type belongs, it can't end the statement around it, add to it or hide what follows.
 */
import {
  faultAt,
  isComment,
  parsed,
  remembered,
  statementsOf,
  tokensOf,
  type Node,
  type Parsed,
  type SyntaxFault,
  type Token,
} from './parser.ts';
import { userSql, type Sql } from './sql.ts';
import { columnReferencesOf, nodesOf, wordsOf } from './tree.ts';

/** An expression that was read. */
export interface Expression {
  /** From its first token to its last: comments around it are left out. */
  readonly text: string;
  readonly tree: Node;
}

/** A type that was read, with modifiers, array bounds and collation. */
export interface TypeName {
  readonly text: string;
  readonly tree: Node;
}

interface Body {
  readonly text: string;
  /** Where the body begins in the text it was cut from. */
  readonly offset: number;
}

const bodyOf = (text: string): Parsed<Body> => {
  const tokens = tokensOf(text);
  if (tokens.kind === 'fault') {
    // For the place of the fault.
    const statements = statementsOf(`SELECT ${text}`);
    return statements.kind === 'fault' ? moved(text, statements, 'SELECT '.length) : tokens;
  }
  const words = tokens.value.filter((token) => !isComment(token));
  const [first, last] = [words[0], words.at(-1)];
  if (first === undefined || last === undefined) return faultAt(text, 0, 'it is empty');
  const stray = unbalanced(words);
  if (stray) return faultAt(text, stray.start, `"${stray.text}" has no counterpart`);
  return parsed({ text: text.slice(first.start, last.end), offset: first.start });
};

const pairs: Readonly<Record<string, string>> = { ')': '(', ']': '[' };

const unbalanced = (words: readonly Token[]): Token | undefined => {
  const open: Token[] = [];
  for (const token of words) {
    if (token.text === '(' || token.text === '[') open.push(token);
    const partner = pairs[token.text];
    if (partner !== undefined && open.pop()?.text !== partner) return token;
  }
  return open[0];
};

/** A fault of a text that had something put before and after it, in the text's own place. */
const moved = (
  text: string,
  { offset, message }: Extract<Parsed<never>, { kind: 'fault' }>,
  by: number,
): Parsed<never> => faultAt(text, Math.max(0, Math.min(offset - by, text.trimEnd().length)), message);

const indent = (text: string, offset: number): string => text.slice(0, offset).replaceAll(/[^\n]/g, ' ');

/** The statement that a wrapped body makes; a fault where it is not exactly one. */
const single = (
  text: string,
  { text: body, offset }: Body,
  wrap: readonly [string, string],
): Parsed<Node> => {
  // Blank up to where it stood, so that lines and columns stay the same.
  const blank = indent(text, offset);
  const statements = statementsOf(`${wrap[0]}${blank}${body}\n${wrap[1]}`);
  if (statements.kind === 'fault') return moved(text, statements, wrap[0].length);
  const [first, second] = statements.value;
  if (first === undefined || second !== undefined)
    return faultAt(text, offset, 'it is not one expression alone: take the ";" out');
  return parsed(first.tree);
};

const only = (members: Readonly<object>, allowed: readonly string[]): boolean =>
  Object.keys(members).every((key) => allowed.includes(key));

/** What stands in the list of a SELECT that has nothing but one unnamed value. */
const lonelyTarget = (tree: Node): Node | undefined => {
  if (!('SelectStmt' in tree)) return undefined;
  const select = tree.SelectStmt;
  const [target, another] = select.targetList ?? [];
  if (!only(select, ['targetList', 'limitOption', 'op']) || another || !target || !('ResTarget' in target))
    return undefined;
  return only(target.ResTarget, ['val', 'location']) ? target.ResTarget.val : undefined;
};

/** Reads one expression: no statement, no list, no alias, nothing that would end what it is put into. */
export const parseExpression = remembered((text: string): Parsed<Expression> => {
  const body = bodyOf(text);
  if (body.kind === 'fault') return body;
  // As it stands it must be a value, and in parentheses too: "a, b" is not the first, "SELECT 1" not the second.
  const bare = single(text, body.value, ['SELECT ', '']);
  if (bare.kind === 'fault') return bare;
  const enclosed = single(text, body.value, ['SELECT (', ')']);
  if (enclosed.kind === 'fault') return enclosed;
  const tree = lonelyTarget(bare.value);
  if (tree === undefined || lonelyTarget(enclosed.value) === undefined)
    return faultAt(text, body.value.offset, 'it is not one expression alone');
  if ('ColumnRef' in tree && columnReferencesOf(tree).some(({ name }) => name === undefined))
    return faultAt(text, body.value.offset, '"*" is no single value');
  return parsed({ text: body.value.text, tree });
});

/** Reads one type, as CREATE TABLE takes it after a column's name, without constraints or default. */
export const parseType = remembered((text: string): Parsed<TypeName> => {
  const body = bodyOf(text);
  if (body.kind === 'fault') return body;
  const table = single(text, body.value, ['CREATE TABLE t (c ', ')']);
  if (table.kind === 'fault') return table;
  const fault = faultAt(text, body.value.offset, 'it is not one type alone');
  if (!('CreateStmt' in table.value)) return fault;
  const create = table.value.CreateStmt;
  const [element, another] = create.tableElts ?? [];
  if (
    another ||
    !element ||
    !('ColumnDef' in element) ||
    !only(create, ['relation', 'tableElts', 'oncommit'])
  )
    return fault;
  const { ColumnDef: column } = element;
  if (!only(column, ['colname', 'typeName', 'is_local', 'collClause', 'location'])) return fault;
  const { typeName } = column;
  if (typeName === undefined || typeName.setof === true || typeName.pct_type === true) return fault;
  return parsed({ text: body.value.text, tree: { TypeName: typeName } });
});

/** Reads the operator class of an index's key, with its parameters. */
const parseOperatorClass = (text: string): Parsed<Body> => {
  const body = bodyOf(text);
  if (body.kind === 'fault') return body;
  const statement = single(text, body.value, ['CREATE INDEX ON t (c ', ')']);
  if (statement.kind === 'fault') return statement;
  const index = 'IndexStmt' in statement.value ? statement.value.IndexStmt : {};
  const [key, another] = index.indexParams ?? [];
  const element = key && 'IndexElem' in key ? key.IndexElem : {};
  return another === undefined &&
    only(index, ['relation', 'accessMethod', 'indexParams']) &&
    only(element, ['name', 'opclass', 'opclassopts', 'ordering', 'nulls_ordering', 'location']) &&
    element.opclass !== undefined &&
    element.ordering === 'SORTBY_DEFAULT' &&
    element.nulls_ordering === 'SORTBY_NULLS_DEFAULT'
    ? body
    : faultAt(text, body.value.offset, 'it is not one operator class alone');
};

/** What a field of the resource may hold. */
export type TextKind = 'expression' | 'type' | 'operator class';

/** The fault of a text that is to be of a kind, undefined if it has none. */
export const faultOf = (kind: TextKind, text: string): SyntaxFault | undefined => {
  const result =
    kind === 'expression'
      ? parseExpression(text)
      : kind === 'type'
        ? parseType(text)
        : parseOperatorClass(text);
  return result.kind === 'fault' ? result : undefined;
};

const valid = <T>(text: string, result: Parsed<T>): T => {
  // Whoever builds SQL has had it looked at before; text that was not is never sent.
  if (result.kind === 'fault') throw new Error(`"${text}" is no part of a statement: ${result.message}`);
  return result.value;
};

/** An expression as SQL, to be put in parentheses. @throws if it is none */
export const expressionSql = (text: string): Sql => userSql(valid(text, parseExpression(text)).text);

/** A type as SQL. @throws if it is none */
export const typeSql = (text: string): Sql => userSql(valid(text, parseType(text)).text);

/** An operator class as SQL. @throws if it is none */
export const operatorClassSql = (text: string): Sql => userSql(valid(text, parseOperatorClass(text)).text);

const treeOf = (text: string): Node | undefined => {
  const result = parseExpression(text);
  return result.kind === 'parsed' ? result.value.tree : undefined;
};

/** Every column that an expression names, those of its subqueries included; of no expression none. */
export const columnsIn = (text: string): readonly string[] => {
  const tree = treeOf(text);
  if (tree === undefined) return [];
  return [...new Set(columnReferencesOf(tree).flatMap(({ name }) => name ?? []))];
};

/** True if the expression is the mere column. */
export const isColumn = (text: string, column: string): boolean => {
  const tree = treeOf(text);
  if (tree === undefined || !('ColumnRef' in tree)) return false;
  const [reference] = columnReferencesOf(tree);
  return reference?.name === column && reference.qualifier.length === 0;
};

/** True for a literal, with casts or not: the same for every row, whenever it is evaluated. */
export const isConstant = (text: string): boolean => {
  let tree = treeOf(text);
  while (tree !== undefined && 'TypeCast' in tree) tree = tree.TypeCast.arg;
  return tree !== undefined && 'A_Const' in tree;
};

const typeNames = (text: string): { readonly words: readonly string[]; readonly key: string } | undefined => {
  const result = parseType(text);
  if (result.kind === 'fault') return undefined;
  const [found] = [...nodesOf(result.value.tree)];
  const words = wordsOf(found?.members['names']);
  const key = JSON.stringify(found?.members, (name, value: unknown) =>
    name === 'location' ? undefined : value,
  );
  return { words, key };
};

/** The name of a type without schema, modifiers and bounds, as the parser spells it: `int4` for integer. */
export const baseType = (text: string): string | undefined => typeNames(text)?.words.at(-1);

/** True if both spell the same type: `int` and `integer`, `varchar(3)` and `character varying(3)`. */
export const sameType = (a: string, b: string): boolean => {
  const [left, right] = [typeNames(a), typeNames(b)];
  return left !== undefined && left.key === right?.key;
};
