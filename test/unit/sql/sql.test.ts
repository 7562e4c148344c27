import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ident, int, join, lit, sql } from '../../../src/sql/sql.ts';

test('pieces are put together as they stand', () => {
  const query = sql`SELECT ${join([ident('a'), ident('b')])} FROM ${ident('Shop', 'order')} WHERE c = ${int(7)}`;
  expect(query.text).toBe('SELECT "a", "b" FROM "Shop"."order" WHERE c = 7');
});

test('a plain string is no piece', () => {
  // @ts-expect-error what does not come from this module does not compile
  const wrong = () => sql`SELECT ${'1; DROP TABLE x'}`;
  expect(wrong).toBeDefined();
});

describe('quoting', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));

  test('an identifier ends where its quote ends, whatever is in it', () => {
    fc.assert(
      fc.property(text, (name) => {
        const { text: quoted } = ident(name);
        expect(quoted.slice(1, -1).replaceAll('""', '')).not.toContain('"');
        expect(quoted.slice(1, -1).replaceAll('""', '"')).toBe(name);
      }),
    );
  });

  test('a literal with a backslash is an escape string, one without is not', () => {
    expect(lit("it's").text).toBe("'it''s'");
    expect(lit('a\\b').text.trim()).toBe("E'a\\\\b'");
  });

  test('a zero byte is refused', () => {
    expect(() => ident('a\0b')).toThrow('zero byte');
    expect(() => lit('a\0b')).toThrow('zero byte');
  });

  test('a number that lost its value is refused', () => {
    expect(() => int(2 ** 53)).toThrow('safe integer');
    expect(() => int(1.5)).toThrow('safe integer');
  });
});
