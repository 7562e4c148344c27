/**
 * The body of the trigger function that keeps both sides of a ColumnSync in step.
 *
 * Direction is seen from what a statement changed, never from a session setting: a setting is lost behind a pooler
 * (pgroll issue 829). The application's writes never fail because of a conversion: an error is caught, the row noted
 * as a conflict, and the side that can't be filled is left NULL (or as it was).
 */
import type { TableFacts } from '../api/facts.ts';
import { isConstant } from '../sql/expression.ts';
import { ident, join, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import type { TriggerMode } from './change.ts';
import {
  anyOf,
  backwardOf,
  forwardOf,
  idLiteral,
  isSet,
  isUnset,
  keyOf,
  ofNew,
  ofOld,
  otherImage,
  valueOf,
  type ColumnSync,
  type Conversion,
  type Reference,
} from './column-sync.ts';
import { noteUse } from './note-use.ts';

// A variable of the trigger function, for the row as it was given or as it should be.
const draft: Reference = (column) => sql`draft.${ident(column)}`;

const lines = (statements: readonly Sql[]): Sql =>
  join(
    statements,
    sql`
    `,
  );

const constantDefaults = (table: TableFacts, columns: readonly string[]) =>
  columns.flatMap((name) => {
    const expression = table.columns[name]?.default;
    return expression !== undefined && isConstant(expression) ? [{ name, expression }] : [];
  });

/**
 * True for an INSERT that gave one of the columns a value of its own: neither NULL nor the column's constant default,
 * which `draft` holds.
 */
const insertGives = (table: TableFacts, columns: readonly string[]): Sql => {
  const defaulted = constantDefaults(table, columns).map(({ name }) => name);
  return anyOf(
    columns.map((name) =>
      defaulted.includes(name)
        ? sql`(${isSet(ofNew(name))} AND ${otherImage([name], ofNew, draft)})`
        : isSet(ofNew(name)),
    ),
  );
};

// Where such a column has a value, an INSERT may have given it, or a sequence or function did.
const drawsItself = (table: TableFacts, name: string): boolean => {
  const facts = table.columns[name];
  return facts?.identity === true || (facts?.default !== undefined && !isConstant(facts.default));
};

/**
 * As `insertGives`, of the old side. Who gave a value that may be a sequence's can't be told: once reads have switched
 * it gives way to a new value, and where only new code is left it is no evidence of old code.
 */
const insertGivesOld = (table: TableFacts, columns: readonly string[], mode: TriggerMode): Sql => {
  if (mode === 'wide') return insertGives(table, columns);
  const drawn = columns.filter((name) => drawsItself(table, name));
  const given = insertGives(
    table,
    columns.filter((name) => !drawn.includes(name)),
  );
  if (drawn.length === 0 || mode === 'watch') return given;
  return sql`(${given} OR (${insertGives(table, drawn)} AND NOT new_side))`;
};

/** True where a new column has no value. */
export const unset = (forward: readonly Conversion[]): Sql =>
  anyOf(forward.map(({ target }) => isUnset(ofNew(target))));

const assignments = (conversions: readonly Conversion[], to: Reference = ofNew): Sql =>
  lines(conversions.map((conversion) => sql`${to(conversion.target)} := ${valueOf(conversion, ofNew)};`));

/**
 * Puts a row on record that can't be kept in step. Caught a second time: somebody may have taken the right to use
 * schema segue away, and the application's write must not fail for that.
 */
const noteConflict = (id: number, table: TableFacts, side: ConflictSide, sqlstate: Sql): Sql => sql`
      BEGIN
        PERFORM segue.note_conflict(${idLiteral(id)}, ${lit(side)}, ${keyOf(table, ofNew)}, ${sqlstate});
      EXCEPTION WHEN OTHERS THEN
        NULL;
      END;`;

/** Why a row is put on record as a conflict. */
type ConflictSide =
  /** Its old columns can't be converted; the new ones are NULL. */
  | 'forward'
  /** Its new columns can't be converted back; the old ones are left as they were. */
  | 'backward'
  /** Its new columns were converted back, but the old ones can't say the same. */
  | 'lossy'
  /** One statement changed both sides, and they say different things. */
  | 'both';

/** What follows where a conversion fails: statements before it is noted, and after. */
interface Failure {
  readonly otherwise: Sql;
  readonly last?: Sql;
}

/** Assigns one side from the other; a conversion that may fail is caught and noted. */
export const convert = (
  id: number,
  table: TableFacts,
  conversions: readonly Conversion[],
  { otherwise, last = nothing }: Failure,
): Sql => {
  if (conversions.every(({ plain }) => plain)) return assignments(conversions);
  const side = conversions[0]?.side ?? 'forward';
  return sql`
    BEGIN
      ${assignments(conversions)}
    EXCEPTION WHEN OTHERS THEN
      ${otherwise}${noteConflict(id, table, side, sql`SQLSTATE`)}${last}
    END;`;
};

const targetsOf = (conversions: readonly Conversion[]): readonly string[] =>
  conversions.map(({ target }) => target);

/** The new side from the old one. */
const forwards = (id: number, table: TableFacts, forward: readonly Conversion[]): Sql =>
  convert(id, table, forward, {
    // A stale new value would look converted; NULL is found by the verification.
    otherwise: lines(forward.map(({ target }) => sql`${ofNew(target)} := NULL;`)),
  });

/**
 * The old side from the new one. What fails half-way is taken back whole: the old side keeps what the statement gave
 * or what stood there, for NULL might not be allowed in it.
 */
const backwards = (id: number, table: TableFacts, backward: readonly Conversion[]): Sql =>
  backward.every(({ plain }) => plain)
    ? assignments(backward)
    : sql`draft := NEW;${convert(id, table, backward, {
        otherwise: sql`NEW := draft;`,
        last: sql`
      RETURN NEW;`,
      })}`;

/**
 * Puts a row on record whose new side did not come back the same from the old one: code that reads the old side, and
 * a walk back, have to do with less.
 */
const compareBack = (
  id: number,
  table: TableFacts,
  forward: readonly Conversion[],
  backward: readonly Conversion[],
): Sql =>
  [...forward, ...backward].every(({ plain }) => plain)
    ? nothing
    : sql`
    draft := NEW;
    BEGIN
      ${assignments(forward, draft)}
      agree := NOT (${otherImage(targetsOf(forward), draft, ofNew)});
    EXCEPTION WHEN OTHERS THEN
      agree := false;
    END;
    IF NOT agree THEN${noteConflict(id, table, 'lossy', sql`''`)}
    END IF;`;

/**
 * Sees which side a statement changed and computes the other. It runs in the application's transaction, under the
 * application's role and settings: every function and operator is named with its schema, or search_path would say
 * what they mean.
 */
export const syncBody = (id: number, sync: ColumnSync, table: TableFacts, mode: TriggerMode): Sql => {
  const forward = forwardOf(id, sync, table);
  const backward = backwardOf(id, sync, table);
  const news = targetsOf(forward);
  const fillUnset =
    mode === 'wide'
      ? sql`
    IF NOT old_side AND NOT new_side THEN old_side := ${unset(forward)}; END IF;`
      : nothing;
  const defaults = constantDefaults(table, [...sync.from, ...news]);
  // Who gives neither side is old code, except where only new code is left.
  const givesNeither = (): Sql => {
    if (mode !== 'watch') return sql`old_side := true;`;
    // Its value is the old column's default, until Drop moves that; code that knows the new one alone inserts so.
    const defaulted = sync.from.some(
      (name) => table.columns[name]?.default !== undefined || drawsItself(table, name),
    );
    return defaulted ? sql`${forwards(id, table, forward)} RETURN NEW;` : sql`new_side := true;`;
  };
  // A row that moves to another partition is inserted there with both sides: no sign of who wrote it.
  const counts = table.partitioned
    ? sql`old_side AND (TG_OP OPERATOR(pg_catalog.=) 'UPDATE' OR NOT new_side)`
    : sql`old_side`;
  const noted = mode === 'watch' ? noteUse(id, counts) : nothing;
  // Who fills or repairs a row changes the new side alone, into what the old side says. Taken for a write of the new
  // side, it would be converted back, and the old side be altered where that conversion gives something else.
  const mayAgree = mode === 'wide' ? sql`new_side` : sql`old_side AND new_side`;
  return sql`
DECLARE
  old_side boolean;
  new_side boolean;
  agree boolean;
  draft pg_catalog.record;
BEGIN
  IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
    old_side := ${otherImage(sync.from, ofOld, ofNew)};
    new_side := ${otherImage(news, ofOld, ofNew)};${fillUnset}
  ELSE${
    defaults.length === 0
      ? nothing
      : sql`
    draft := NEW;
    ${lines(defaults.map(({ name, expression }) => sql`${draft(name)} := ${userSql(expression)};`))}`
  }
    new_side := ${insertGives(table, news)};
    old_side := ${insertGivesOld(table, sync.from, mode)};
    IF NOT old_side AND NOT new_side THEN ${givesNeither()} END IF;
  END IF;${noted}
  IF ${mayAgree} THEN
    draft := NEW;
    BEGIN
      ${assignments(forward, draft)}
      agree := NOT (${otherImage(news, draft, ofNew)});
    EXCEPTION WHEN OTHERS THEN
      agree := false;
    END;
    IF agree THEN RETURN NEW; END IF;
    IF old_side THEN${noteConflict(id, table, 'both', sql`''`)}
      ${mode === 'wide' ? sql`new_side := false;` : sql`old_side := false;`}
    END IF;
  END IF;
  IF old_side THEN
    ${forwards(id, table, forward)}
  ELSIF new_side THEN
    ${backwards(id, table, backward)}${compareBack(id, table, forward, backward)}
  END IF;
  RETURN NEW;
END`;
};
