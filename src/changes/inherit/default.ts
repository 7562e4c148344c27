/**
 * Where a value comes from that no statement gives: default, identity, sequence.
 *
 * It stays with the old column until Drop. An INSERT of either version that names neither column gets the value
 * there, once, and the trigger carries it over; two defaults would draw two numbers from a sequence. In Drop's
 * transaction all of it moves: the sequence is locked first, so that no number is given twice.
 */
import type { SequenceFacts, TableFacts } from '../../api/facts.ts';
import { isConstant } from '../../sql/expression.ts';
import { columnsRead, timesRead, typeNamed, withColumns } from '../../sql/rewrite.ts';
import { ident, lit, nothing, sql, userSql, type Sql } from '../../sql/sql.ts';
import { alter } from '../alter-table.ts';
import { tableIdent, typeOf, type ColumnSync } from '../column-sync.ts';
import { grantStatements } from './attributes.ts';
import { heirsOf, type Heir } from './heirs.ts';

/** What Drop has to do for one heir. */
export interface Move {
  readonly old: string;
  /** Why it can't be moved, as a clause. */
  readonly obstacle?: string;
  /** The default over the new column, for PostgreSQL to judge. */
  readonly value?: Sql;
  /** Before the old column goes. */
  readonly before: readonly Sql[];
  /** After it, when its names are free. */
  readonly after: readonly Sql[];
}

const bounds: Readonly<Record<string, bigint>> = {
  int2: 32_767n,
  int4: 2_147_483_647n,
  int8: 9_223_372_036_854_775_807n,
};

const boundOf = (type: string): bigint | undefined => bounds[typeNamed(type)?.name ?? ''];

/** The old default, seen through the forward expression. */
const valueOf = (sync: ColumnSync, { old, name, same }: Heir, value: string): Sql | string => {
  if (same) return userSql(value);
  const forward = sync.forward[name] ?? '';
  if (columnsRead(forward)?.every((column) => column === old) !== true)
    return 'the forward expression reads other columns too, which a default cannot';
  if (!isConstant(value) && timesRead(forward, old) !== 1)
    return 'the forward expression would evaluate it more than once';
  return (
    withColumns(forward, () => sql`(${userSql(value)})`) ?? 'the forward expression cannot be taken apart'
  );
};

const identityOptions = (sequence: SequenceFacts, temporary: Sql): Sql => {
  const { type, increment, minimum, maximum, start, cache, cycle } = sequence;
  const bound = boundOf(type) ?? 0n;
  return sql`SEQUENCE NAME ${temporary} INCREMENT BY ${userSql(increment)} ${
    BigInt(minimum) === -bound - 1n ? sql`NO MINVALUE` : sql`MINVALUE ${userSql(minimum)}`
  } ${BigInt(maximum) === bound ? sql`NO MAXVALUE` : sql`MAXVALUE ${userSql(maximum)}`} START WITH ${userSql(start)} CACHE ${userSql(cache)}${cycle ? sql` CYCLE` : nothing}`;
};

// An identity's sequence can't be handed over: the new column gets one of its own, which goes on where this one
// stands. ALTER SEQUENCE takes the lock that every nextval() would have to share.
const moveIdentity = (id: number, table: TableFacts, { name }: Heir, sequence: SequenceFacts) => {
  const from = ident(sequence.schema, sequence.name);
  const temporary = ident(sequence.schema, `segue_${id}_identity_${name}`.slice(0, 40));
  const kind = sequence.kind === 'identity always' ? sql`ALWAYS` : sql`BY DEFAULT`;
  return {
    before: [
      sql`ALTER SEQUENCE ${from} INCREMENT BY ${userSql(sequence.increment)}`,
      alter(table, [
        sql`ALTER COLUMN ${ident(name)} ADD GENERATED ${kind} AS IDENTITY (${identityOptions(sequence, temporary)})`,
      ]),
      sql`SELECT pg_catalog.setval(${lit(temporary.text)}::pg_catalog.regclass, last_value, is_called) FROM ${from}`,
    ],
    after: [
      sql`ALTER SEQUENCE ${temporary} RENAME TO ${ident(sequence.name)}`,
      ...grantStatements(sequence.grants, (privilege) => sql`${privilege} ON SEQUENCE ${from}`),
      ...(sequence.comment === undefined
        ? []
        : [sql`COMMENT ON SEQUENCE ${from} IS ${lit(sequence.comment)}`]),
    ],
  };
};

/** An owned sequence changes its owner, and is widened where it would end before its column's type does. */
const moveSequence = (table: TableFacts, heir: Heir, sequence: SequenceFacts, type: string): Sql => {
  const [now, wanted] = [boundOf(sequence.type), boundOf(type)];
  const widened =
    heir.same &&
    now !== undefined &&
    wanted !== undefined &&
    now < wanted &&
    BigInt(sequence.maximum) === now;
  return sql`ALTER SEQUENCE ${ident(sequence.schema, sequence.name)}${widened ? sql` AS ${userSql(type)}` : nothing} OWNED BY ${tableIdent(table)}.${ident(heir.name)}`;
};

const moveOf = (id: number, sync: ColumnSync, table: TableFacts, heir: Heir): Move => {
  const { old, name } = heir;
  const facts = table.columns[old];
  const type = typeOf(sync, table, name);
  const sequences = facts?.attributes?.sequences ?? [];
  const identity = sequences.find(({ kind }) => kind !== 'owned');
  const owned = sequences.filter(({ kind }) => kind === 'owned');
  if (identity !== undefined) {
    const bound = boundOf(type);
    if (
      !heir.same ||
      bound === undefined ||
      (BigInt(identity.maximum) > bound && BigInt(identity.maximum) !== boundOf(identity.type))
    )
      return {
        old,
        obstacle: `it is an identity column, and ${type} cannot take its numbers as they are`,
        before: [],
        after: [],
      };
    return { old, ...moveIdentity(id, table, heir, identity) };
  }
  const value = facts?.default === undefined ? undefined : valueOf(sync, heir, facts.default);
  if (typeof value === 'string')
    return {
      old,
      obstacle: `its default (${facts?.default ?? ''}) cannot be carried over: ${value}`,
      before: [],
      after: [],
    };
  return {
    old,
    ...(value === undefined ? {} : { value }),
    before: [
      ...owned.map((sequence) => moveSequence(table, heir, sequence, type)),
      ...(value === undefined
        ? []
        : [alter(table, [sql`ALTER COLUMN ${ident(name)} SET DEFAULT (${value})`])]),
    ],
    after: [],
  };
};

/** What Drop has to do for each heir. */
export const movesOf = (id: number, sync: ColumnSync, table: TableFacts): readonly Move[] =>
  heirsOf(sync, table).map((heir) => moveOf(id, sync, table, heir));
