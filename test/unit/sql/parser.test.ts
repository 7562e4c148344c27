import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseExpression, parseType } from '../../../src/sql/expression.ts';
import { longestText, statementsOf, tokensOf } from '../../../src/sql/parser.ts';
import { parseScript } from '../../../src/sql/script.ts';
import { columnReferencesOf, nodesOf, relationsOf, wordsOf } from '../../../src/sql/tree.ts';

describe('an expression', () => {
  test.each([
    'a',
    `first_name || ' ' || last_name`,
    '(a, b)',
    '(SELECT max(id) FROM other)',
    'CASE WHEN a THEN 1 ELSE 2 END',
    '-1',
    "'--'",
    "'a;b'",
    '$$);$$',
    '"a)b"',
    'ARRAY[1, 2]',
    'a[1]',
    'x::numeric(10, 2)',
    'a IS NOT NULL',
    "E'\\'); --'",
    'a /* in the middle */ + b',
    'a -- one\n + b',
    'extract(epoch FROM a)',
    "substring(a FROM 'x')",
  ])('%s', (text) => {
    expect(parseExpression(text)).toMatchObject({ kind: 'parsed', value: { text } });
  });

  test.each([
    '',
    ' ',
    '-- nothing',
    'a, b',
    'a b',
    'a AS b',
    'a;',
    'a; DROP TABLE x',
    '1); DROP TABLE x; --',
    '1); DROP TABLE x; (SELECT 1',
    '1) + (2',
    '1) FROM (SELECT 1',
    'a FROM b',
    'SELECT 1',
    'DISTINCT a',
    'ALL a',
    'a ORDER BY a',
    'a LIMIT 1',
    'a INTO b',
    'a UNION SELECT b',
    '*',
    't.*',
    'a /*',
    "'a",
    '"a',
    '$$a',
    'a -- b\n)',
    'a[1',
    'DROP TABLE x',
    'a\0',
    '\ud800',
    'a WHERE true',
  ])('%j is none', (text) => {
    expect(parseExpression(text)).toMatchObject({ kind: 'fault' });
  });

  test('comments around it are left out, those within are kept', () => {
    expect(parseExpression('/* a */ b + -- c\n d -- e')).toMatchObject({ value: { text: 'b + -- c\n d' } });
  });

  test.each([
    ['a +', 1, 4],
    ['a + + +', 1, 8],
    ['a\n  FROM b', 2, 3],
    ["'é' é é", 1, 7],
    ['a\n+ )', 2, 3],
    ["a + 'b", 1, 5],
  ])('%j is refused at line %d, column %d', (text, line, column) => {
    expect(parseExpression(text)).toMatchObject({ kind: 'fault', line, column });
  });

  test('the columns that it names', () => {
    const result = parseExpression(`"Name" || t.b || f(c) || 'd' || (SELECT e FROM x) || A`);
    if (result.kind === 'fault') throw new Error(result.message);
    expect(new Set(columnReferencesOf(result.value.tree).map(({ name }) => name))).toEqual(
      new Set(['Name', 'b', 'c', 'e', 'a']),
    );
  });
});

describe('nothing gets out of its parentheses', () => {
  const piece = fc.constantFrom(
    '(', ')', '[', ']', ';', ',', '--', '/*', '*/', "'", '"', '$$', '$a$', '\\', '\n', ' ', 'a', '1', '+', '::', 'int',
    'SELECT', 'FROM', 'DROP TABLE x', 'UNION', 'AS', 'CASE', 'END', 'WHEN', 'THEN', 'NOT', 'E', 'U&', '.', '*', 'é',
  ); // prettier-ignore

  /** The statement around what was accepted has still one statement, and its last column is still ours. */
  const contained = (statement: string, marker: string): void => {
    const result = statementsOf(statement);
    if (result.kind === 'fault') throw new Error(`${statement}: ${result.message}`);
    expect(result.value).toHaveLength(1);
    expect(JSON.stringify(result.value[0]?.tree)).toContain(marker);
  };

  test('an expression', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, spaced) => {
        const result = parseExpression(pieces.join(spaced ? ' ' : ''));
        if (result.kind === 'fault') return;
        accepted++;
        contained(`SELECT (${result.value.text}), segue_marker`, 'segue_marker');
        contained(`SELECT NOT (${result.value.text}) AND segue_marker`, 'NOT_EXPR');
      }),
      { numRuns: 3_000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  test('a type', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const result = parseType(pieces.join(' '));
        if (result.kind === 'parsed')
          contained(`CREATE TABLE t (a ${result.value.text}, segue_marker int)`, 'segue_marker');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a type', () => {
  test.each([
    'int',
    'numeric(10,2)',
    'text[]',
    'character varying(20) COLLATE "C"',
    '"My Type"',
    'shop.status',
    'timestamp(3) with time zone',
    'double precision',
    'bigserial',
  ])('%s', (text) => {
    expect(parseType(text)).toMatchObject({ kind: 'parsed', value: { text } });
  });

  test.each([
    '',
    'int NOT NULL',
    'int DEFAULT 1',
    'int, b int',
    'int) INHERITS (x',
    'int GENERATED ALWAYS AS IDENTITY',
    'int REFERENCES x',
    'SETOF int',
    'a.b%TYPE',
    'int;',
    'int STORAGE plain',
    'int COMPRESSION pglz',
    "'int'",
    'int) WITH (fillfactor = 10',
  ])('%s is none', (text) => {
    expect(parseType(text)).toMatchObject({ kind: 'fault' });
  });
});

describe('a script', () => {
  test('is taken apart into statements with their places', () => {
    const text = `-- é\nCREATE TABLE x (a text);\n\n  /* b */ INSERT INTO x VALUES ('é;'); -- c\nSELECT $$a;b$$\n;;\n`;
    expect(parseScript(text)).toMatchObject({
      kind: 'parsed',
      value: [
        { text: 'CREATE TABLE x (a text)', line: 2, column: 1 },
        { text: "INSERT INTO x VALUES ('é;')", line: 4, column: 11 },
        { text: 'SELECT $$a;b$$', line: 5, column: 1 },
      ],
    });
  });

  test('a body in BEGIN ATOMIC is one statement', () => {
    const text = 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3';
    expect(parseScript(text)).toMatchObject({ value: [{ line: 1 }, { text: 'SELECT 3' }] });
  });

  test('its first fault has a place', () => {
    expect(parseScript('SELECT 1;\n  SELEC 2;')).toMatchObject({ kind: 'fault', line: 2, column: 3 });
    expect(parseScript("SELECT 'é';\nSELECT 'a")).toMatchObject({ kind: 'fault', line: 2, column: 8 });
  });

  test('of nothing is no statement', () => {
    expect(parseScript(' ;-- a\n;')).toEqual({ kind: 'parsed', value: [] });
  });

  test('the relations that a statement names', () => {
    const result = parseScript('INSERT INTO shop.a SELECT * FROM "B" JOIN c ON EXISTS (SELECT FROM d)');
    if (result.kind === 'fault') throw new Error(result.message);
    const names = result.value.flatMap(({ tree }) => relationsOf(tree).map(({ name }) => name));
    expect(new Set(names)).toEqual(new Set(['a', 'B', 'c', 'd']));
  });
});

test('the nodes of a tree, parents first, members of a fixed type by their name', () => {
  const result = parseScript('UPDATE a SET b = f(shop.g())');
  if (result.kind === 'fault') throw new Error(result.message);
  const nodes = [...nodesOf(result.value[0]?.tree)];
  const calls = nodes
    .filter(({ type }) => type === 'FuncCall')
    .map(({ members }) => wordsOf(members['funcname']));
  expect(calls).toEqual([['f'], ['shop', 'g']]);
  expect(nodes.map(({ type }) => type).slice(0, 2)).toEqual(['UpdateStmt', 'relation']);
});

describe('a text without bounds', () => {
  const nest = (levels: number, open: string, close: string, core = '1'): string =>
    open.repeat(levels) + core + close.repeat(levels);

  test('is refused before it is parsed', () => {
    expect(tokensOf('a'.repeat(longestText + 1))).toMatchObject({ kind: 'fault' });
    expect(statementsOf(`SELECT ${nest(20_000, '(', ')')}`)).toMatchObject({
      message: expect.stringContaining('deep'),
    });
  });

  test.each([
    ['subqueries', (n: number) => `SELECT ${nest(n, '(SELECT ', ')')}`],
    ['WITH', (n: number) => nest(n, 'WITH a AS (', ') SELECT 1', 'SELECT 1')],
    ['FROM', (n: number) => nest(n, 'SELECT * FROM (', ') a', 'SELECT 1')],
    ['joins', (n: number) => `SELECT FROM ${nest(n, '(', ' CROSS JOIN a)', 'a')}`],
    ['calls', (n: number) => `SELECT ${nest(n, 'f(', ')')}`],
    ['arrays', (n: number) => `SELECT ${nest(n, 'ARRAY[', ']')}`],
    ['operators', (n: number) => `SELECT ${'a + '.repeat(n)}1`],
    ['negations', (n: number) => `SELECT ${'NOT '.repeat(n)}a`],
    ['casts', (n: number) => `SELECT 1${'::int'.repeat(n)}`],
    ['CASE', (n: number) => `SELECT ${nest(n, 'CASE WHEN a THEN ', ' END')}`],
    ['UNION', (n: number) => `SELECT 1${' UNION SELECT 1'.repeat(n)}`],
    ['windows', (n: number) => `SELECT ${nest(n, 'f() OVER (ORDER BY ', ')')}`],
  ])('%s nested to any depth leave the parser in order', (_name, nested) => {
    for (const depth of [100, 300, 500, 1_000, 2_000, 5_000]) {
      const text = nested(depth);
      if (text.length <= longestText) statementsOf(text);
    }
    expect(statementsOf('SELECT 1')).toMatchObject({ kind: 'parsed' });
  });

  test('a long list is no depth', () => {
    const rows = Array.from({ length: 5_000 }, (_, n) => `(${n}, 'x')`).join(', ');
    expect(statementsOf(`INSERT INTO t VALUES ${rows}`)).toMatchObject({ kind: 'parsed' });
  });
});
