/**
 * The only way to build SQL text in Segue.
 *
 * A `Sql` value can be made by the `sql` tag alone, and the tag accepts only other `Sql` values: a plain
 * string in a placeholder does not compile, so no value reaches a statement by accident. DDL and function
 * bodies can't take bind parameters, hence `lit`; everything else should use parameters of the session.
 */

declare const brand: unique symbol;

/** A piece of SQL text, safe to send. */
export interface Sql {
  readonly text: string;
  readonly [brand]: true;
}

const make = (text: string): Sql => ({ text }) as Sql;

/** Tagged template: `sql\`SELECT ${ident('a')}\``. Placeholders take `Sql` only. */
export const sql = (strings: TemplateStringsArray, ...parts: readonly Sql[]): Sql =>
  make(strings.reduce((text, piece, i) => text + (parts[i - 1]?.text ?? '') + piece));

/** A quoted identifier: `ident('order')` is `"order"`, `ident('Shop', 'order')` is `"Shop"."order"`. */
export const ident = (...names: readonly string[]): Sql =>
  make(
    names
      .map((name) => {
        if (name.includes('\0')) throw new Error('An identifier cannot contain a zero byte.');
        return `"${name.replaceAll('"', '""')}"`;
      })
      .join('.'),
  );

/**
 * A string literal that reads the same whatever `standard_conforming_strings` says
 * (PostgreSQL manual 4.1.2.2: with a backslash inside, only the `E''` form is unambiguous).
 */
export const lit = (value: string): Sql => {
  if (value.includes('\0')) throw new Error('A text literal cannot contain a zero byte.');
  const escaped = value.replaceAll("'", "''");
  return make(escaped.includes('\\') ? ` E'${escaped.replaceAll('\\', '\\\\')}'` : `'${escaped}'`);
};

/** A whole number as a literal. */
export const int = (value: number | bigint): Sql => {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new Error(`${value} is no safe integer.`);
  return make(String(value));
};

/** Joins pieces with a separator; of no pieces makes the empty text. */
export const join = (parts: readonly Sql[], separator: Sql = make(', ')): Sql =>
  make(parts.map((part) => part.text).join(separator.text));

/**
 * SQL that was not written here: what PostgreSQL's catalog prints, or text of the resource that has been through
 * the parser (expression.ts, script.ts). Named so that each use can be found and reviewed; the session sends one
 * statement at a time.
 */
export const userSql = (text: string): Sql => {
  if (text.includes('\0')) throw new Error('SQL text cannot contain a zero byte.');
  return make(text);
};

/** The empty text. */
export const nothing: Sql = make('');
