/**
 * The triggers that keep both sides of a ColumnSync in step, and the functions they call.
 *
 * Direction is seen from what a statement changed (IS DISTINCT FROM), never from a session setting: a setting
 * is lost behind a pooler (pgroll issue 829). The application's writes never fail because of a conversion: an
 * error is caught, the row noted as a conflict, and the side that can't be filled is left NULL (or as it was).
 */
import type { TableFacts } from '../api/facts.ts';
import { ident, join, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import type { Step, TriggerMode } from './change.ts';
import {
  anyOf,
  argumentsOf,
  backwardOf,
  conversionFunction,
  differs,
  distinct,
  forwardOf,
  idLiteral,
  keyOf,
  ofNew,
  ofOld,
  tableIdent,
  valueOf,
  type ColumnSync,
  type Conversion,
} from './column-sync.ts';

// '~' sorts after every letter and digit, and PostgreSQL fires triggers in the order of their names: ours
// must see what the user's own BEFORE triggers made of the row (pgroll issue 352).
/** Names of the triggers of a change. */
export const triggerNames = (id: number): { readonly insert: string; readonly update: string } => ({
  insert: `~segue_${id}_insert`,
  update: `~segue_${id}_update`,
});

/** Name of the trigger function of a change, in schema `segue`. */
export const syncFunction = (id: number): string => `sync_${id}`;

// Raise the number whenever the text below changes: a newer operator then replaces what an older one made.
const textVersion = 1;

/** The comment on the trigger function: by it a step knows that its triggers stand. */
export const triggerMark = (mode: TriggerMode): string => `segue: ${mode} v${textVersion}`;

/** True for a trigger of the change. */
export const ours = (id: number, name: string): boolean => Object.values(triggerNames(id)).includes(name);

const changedBy = (columns: readonly { readonly name: string; readonly comparable: boolean }[]): Sql =>
  anyOf(columns.map(({ name, comparable }) => distinct(ofOld(name), ofNew(name), comparable)));

const oldSide = (sync: ColumnSync, table: TableFacts) =>
  sync.from.map((name) => ({ name, comparable: table.columns[name]?.comparable ?? true }));

const newSide = (forward: readonly Conversion[]) =>
  forward.map(({ target, comparable }) => ({ name: target, comparable }));

const constantText = /^(?:'(?:[^']|'')*'|-?[0-9.]+|true|false)(?:::[\w\s."[\]()]+)?$/;

/** True for a default that is the same for every row; `pg_get_expr` prints it as a literal with a cast. */
export const isConstant = (expression: string): boolean => constantText.test(expression);

/** True for an INSERT that gave old columns a value of its own: neither NULL nor the column's constant default. */
const insertGivesOld = (sync: ColumnSync, table: TableFacts): Sql =>
  anyOf(
    sync.from.map((name) => {
      const facts = table.columns[name];
      const given = sql`${ofNew(name)} IS NOT NULL`;
      if (facts?.default === undefined || !isConstant(facts.default)) return given;
      return sql`(${given} AND ${distinct(ofNew(name), userSql(facts.default), facts.comparable)})`;
    }),
  );

const unset = (forward: readonly Conversion[]): Sql =>
  anyOf(forward.map(({ target }) => sql`${ofNew(target)} IS NULL`));

const assignments = (conversions: readonly Conversion[]): Sql =>
  join(
    conversions.map((conversion) => sql`${ofNew(conversion.target)} := ${valueOf(conversion, ofNew)};`),
    sql`
      `,
  );

/** Assigns one side from the other; a conversion that may fail is caught, noted, and answered by `otherwise`. */
export const convert = (
  id: number,
  table: TableFacts,
  conversions: readonly Conversion[],
  otherwise: Sql,
): Sql => {
  if (conversions.every(({ plain }) => plain)) return assignments(conversions);
  const side = conversions[0]?.side ?? 'forward';
  return sql`
    BEGIN
      ${assignments(conversions)}
    EXCEPTION WHEN OTHERS THEN
      ${otherwise}
      PERFORM segue.note_conflict(${idLiteral(id)}, ${lit(side)}, ${keyOf(table, ofNew)}, SQLSTATE);
    END;`;
};

const functionBody = (id: number, sync: ColumnSync, table: TableFacts, mode: TriggerMode): Sql => {
  const forward = forwardOf(id, sync, table);
  const backward = backwardOf(id, sync, table);
  // A stale new value would look converted; NULL is found by the verification.
  const forwards = convert(
    id,
    table,
    forward,
    join(
      forward.map(({ target }) => sql`${ofNew(target)} := NULL;`),
      sql` `,
    ),
  );
  // The old side keeps what the statement gave or what stood there: NULL might not be allowed in it.
  const backwards = convert(id, table, backward, nothing);
  const fillUnset =
    mode === 'wide'
      ? sql`IF NOT old_side AND NOT new_side THEN old_side := ${unset(forward)}; END IF;`
      : nothing;
  const noteUse = mode === 'watch' ? sql`PERFORM segue.note_use(${idLiteral(id)});` : nothing;
  return sql`
DECLARE
  old_side boolean;
  new_side boolean;
  agree boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    old_side := ${insertGivesOld(sync, table)};
    new_side := ${anyOf(forward.map(({ target }) => sql`${ofNew(target)} IS NOT NULL`))};
    ${mode === 'watch' ? nothing : sql`IF NOT old_side AND NOT new_side THEN old_side := true; END IF;`}
  ELSE
    old_side := ${changedBy(oldSide(sync, table))};
    new_side := ${changedBy(newSide(forward))};
    ${fillUnset}
  END IF;
  IF old_side AND new_side THEN
    BEGIN
      agree := NOT ${anyOf(forward.map((conversion) => differs(conversion, ofNew)))};
    EXCEPTION WHEN OTHERS THEN
      agree := false;
    END;
    IF agree THEN RETURN NEW; END IF;
    PERFORM segue.note_conflict(${idLiteral(id)}, 'both', ${keyOf(table, ofNew)}, '');
    ${mode === 'wide' ? sql`new_side := false;` : sql`old_side := false;`}
  END IF;
  IF old_side THEN
    ${forwards}
    ${noteUse}
  ELSIF new_side THEN
    ${backwards}
  END IF;
  RETURN NEW;
END`;
};

/**
 * When the UPDATE trigger's function is called at all. Wide: for every row whose new side is unset, whatever
 * the statement touched, because an UPDATE of another column may carry an unconverted row to a page that the
 * backfill has passed. The backfill's own UPDATE (NULL to value, old side untouched) is left out by the last
 * term, so it pays nothing for the trigger.
 */
const updateCondition = (id: number, sync: ColumnSync, table: TableFacts, mode: TriggerMode): Sql => {
  const forward = forwardOf(id, sync, table);
  const oldChanged = changedBy(oldSide(sync, table));
  if (mode !== 'wide') return anyOf([oldChanged, changedBy(newSide(forward))]);
  const drifted = forward.map(
    ({ target, comparable }) =>
      sql`(${ofOld(target)} IS NOT NULL AND ${distinct(ofOld(target), ofNew(target), comparable)})`,
  );
  return anyOf([unset(forward), oldChanged, ...drifted]);
};

/**
 * The columns after UPDATE OF, or nothing. `UPDATE OF` looks at the statement's SET list alone, so a BEFORE
 * trigger of the user's that changes a source column would escape it; where there is one, WHEN alone decides.
 */
const updateOf = (id: number, sync: ColumnSync, table: TableFacts, mode: TriggerMode): Sql => {
  const userTrigger = table.triggers.some((trigger) => trigger.beforeUpdate && !ours(id, trigger.name));
  if (mode === 'wide' || userTrigger) return nothing;
  return sql` OF ${join([...sync.from, ...sync.to.map(({ name }) => name)].map((name) => ident(name)))}`;
};

/** Makes the function that holds a user's expression. */
export const createConversion = (conversion: Conversion): readonly Sql[] => [
  sql`CREATE OR REPLACE FUNCTION ${conversion.functionName}(${argumentsOf(conversion)}) RETURNS ${conversion.targetType} LANGUAGE sql PARALLEL SAFE RETURN (${userSql(conversion.expression)})`,
  // The application's role calls it through the trigger; default privileges may have taken that from PUBLIC.
  sql`GRANT EXECUTE ON FUNCTION ${conversion.functionName} TO PUBLIC`,
];

/** Makes or replaces functions and triggers for a mode, in one transaction. */
export const installTriggers = (
  id: number,
  sync: ColumnSync,
  table: TableFacts,
  mode: TriggerMode,
): readonly Step[] => {
  const names = triggerNames(id);
  const execute = sql`EXECUTE FUNCTION ${ident('segue', syncFunction(id))}()`;
  const conversions = [...forwardOf(id, sync, table), ...backwardOf(id, sync, table)];
  return [
    {
      id: `triggers-${mode}`,
      purpose: `keep ${[...sync.from, ...sync.to.map(({ name }) => name)].join(', ')} in step (${mode})`,
      lock: 'ShareRowExclusiveLock',
      transactional: true,
      destructive: false,
      statements: [
        ...conversions.filter(({ plain }) => !plain).flatMap(createConversion),
        sql`CREATE OR REPLACE FUNCTION ${ident('segue', syncFunction(id))}() RETURNS trigger LANGUAGE plpgsql AS ${lit(functionBody(id, sync, table, mode).text)}`,
        sql`COMMENT ON FUNCTION ${ident('segue', syncFunction(id))}() IS ${lit(triggerMark(mode))}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.insert)} BEFORE INSERT ON ${tableIdent(sync.table)} FOR EACH ROW ${execute}`,
        sql`CREATE OR REPLACE TRIGGER ${ident(names.update)} BEFORE UPDATE${updateOf(id, sync, table, mode)} ON ${tableIdent(sync.table)} FOR EACH ROW WHEN ${updateCondition(id, sync, table, mode)} ${execute}`,
      ],
      done: (now) => triggersStand(id, now, mode),
    },
  ];
};

/** True if the triggers exist, are enabled and are of the mode. */
export const triggersStand = (id: number, table: TableFacts, mode: TriggerMode): boolean =>
  table.marks[syncFunction(id)] === triggerMark(mode) &&
  Object.values(triggerNames(id)).every((name) =>
    table.triggers.some((trigger) => trigger.name === name && trigger.enabled),
  );

/** True if neither trigger nor function of the change is left. */
export const triggersGone = (id: number, table: TableFacts): boolean =>
  table.marks[syncFunction(id)] === undefined && !table.triggers.some((trigger) => ours(id, trigger.name));

/** The statements that take triggers and functions away; each tolerates that its object is gone. */
export const dropTriggers = (id: number, sync: ColumnSync): readonly Sql[] => [
  ...Object.values(triggerNames(id)).map(
    (name) => sql`DROP TRIGGER IF EXISTS ${ident(name)} ON ${tableIdent(sync.table)}`,
  ),
  sql`DROP FUNCTION IF EXISTS ${ident('segue', syncFunction(id))}()`,
  ...sync.to.map((_, n) => sql`DROP FUNCTION IF EXISTS ${conversionFunction('forward', id, n)}`),
  ...sync.from.map((_, n) => sql`DROP FUNCTION IF EXISTS ${conversionFunction('backward', id, n)}`),
];
