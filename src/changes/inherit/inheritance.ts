/** All that new columns inherit from old ones, phase by phase. */
import type { ColumnDependent, TableFacts } from '../../api/facts.ts';
import { ident, sql, userSql, type Sql } from '../../sql/sql.ts';
import { alter, patiently, shortly } from '../alter-table.ts';
import type { ParseCheck, Step, TableName } from '../change.ts';
import { typeOf, type ColumnSync } from '../column-sync.ts';
import { dropIndexStep } from '../concurrent-index.ts';
import { likeness } from '../table-preflight.ts';
import { collateOf } from './attributes.ts';
import { movesOf } from './default.ts';
import { rewritingOf } from './heirs.ts';
import { publicationObstacles, unpublishOld } from './publications.ts';
import { twinChecks, twinForeignKeys, twinStatistics } from './twin-constraints.ts';
import { twinIndexes } from './twin-indexes.ts';
import { isTwin, type Twin } from './twin.ts';

/** Foreign keys last: one that points here needs the unique index that it points to. */
const twinsOf = (id: number, sync: ColumnSync, table: TableFacts): readonly Twin[] => {
  const rewriting = rewritingOf(sync, table);
  return [twinChecks, twinIndexes, twinForeignKeys, twinStatistics].flatMap((make) =>
    make(id, table, rewriting),
  );
};

/** In Backfill, once rows are filled and compared. */
export const buildSteps = (id: number, sync: ColumnSync, table: TableFacts): readonly Step[] =>
  twinsOf(id, sync, table)
    .filter(({ obstacle }) => obstacle === undefined)
    .flatMap(({ build }) => build);

/** What Drop's one transaction does beside dropping triggers and columns. */
export interface Succession {
  readonly before: readonly Sql[];
  readonly after: readonly Sql[];
  readonly locks: readonly TableName[];
}

/** See Succession. */
export const successionOf = (id: number, sync: ColumnSync, table: TableFacts): Succession => {
  const twins = twinsOf(id, sync, table);
  const moves = movesOf(id, sync, table);
  const isKey = ({ kind }: Twin): boolean => kind === 'foreign key';
  return {
    before: [
      // A key that is referred to can go only after what refers to it.
      ...twins.filter(isKey).flatMap(({ retire }) => retire),
      ...twins.filter((twin) => !isKey(twin)).flatMap(({ retire }) => retire),
      ...orphansOf(id, table, new Set(twins.map(({ name }) => name))).flatMap(({ statements }) => statements),
      ...unpublishOld(table, rewritingOf(sync, table)),
      ...moves.flatMap(({ before }) => before),
    ],
    after: [...twins.flatMap(({ succeed }) => succeed), ...moves.flatMap(({ after }) => after)],
    locks: [
      ...new Map(twins.flatMap(({ locks }) => locks.map((of) => [`${of.schema}.${of.name}`, of]))).values(),
    ],
  };
};

/** Steps that take our objects away, but for those to keep. */
const orphansOf = (id: number, table: TableFacts, keep: ReadonlySet<string>): readonly Step[] => {
  const ours = (name: string): boolean => isTwin(id, name) && !keep.has(name);
  const dropConstraint = (of: TableName, name: string, done: (now: TableFacts) => boolean): Step => ({
    ...shortly,
    id: `${name}-drop`,
    purpose: `drop constraint ${name} of ${of.schema}.${of.name}`,
    ...(of.schema === table.schema && of.name === table.name ? {} : { alongside: [of] }),
    statements: [alter(of, [sql`DROP CONSTRAINT IF EXISTS ${ident(name)}`])],
    done,
  });
  return [
    ...table.foreignKeys
      .filter(({ name }) => ours(name))
      .map(({ name, from }) =>
        dropConstraint(from, name, (now) => !now.foreignKeys.some((key) => key.name === name)),
      ),
    ...table.constraints
      .filter(({ name, definition }) => ours(name) && definition?.kind === 'check')
      .map(({ name }) =>
        dropConstraint(table, name, (now) => !now.constraints.some((other) => other.name === name)),
      ),
    ...table.statistics
      .filter(({ name }) => ours(name))
      .map(({ schema, name }) => ({
        ...patiently,
        id: `${name}-drop`,
        purpose: `drop statistics ${name}`,
        statements: [sql`DROP STATISTICS IF EXISTS ${ident(schema, name)}`],
        done: (now: TableFacts) => !now.statistics.some((other) => other.name === name),
      })),
  ];
};

/** On the way back, and where the change is abandoned: whatever of ours is there goes, by its name. */
export const withdrawSteps = (id: number, table: TableFacts): readonly Step[] => [
  ...orphansOf(id, table, new Set()),
  ...table.indexes.filter(({ name }) => isTwin(id, name)).map(({ name }) => dropIndexStep(table, name)),
];

const covered: ReadonlySet<ColumnDependent['kind']> = new Set([
  'primary key',
  'foreign key',
  'unique constraint',
  'check constraint',
  'exclusion constraint',
  'index',
  'statistics',
]);

/** Something that hangs on an old column and can't be carried over, with the reason. */
export interface Uncarried {
  readonly dependent: ColumnDependent;
  /** As a clause; absent where the kind alone says it. */
  readonly why?: string;
}

const uncarriedTwin = (twin: Twin, from: readonly string[], why: string): Uncarried => ({
  dependent: {
    column: twin.columns.find((column) => from.includes(column)) ?? '',
    kind: twin.kind,
    name: twin.original,
  },
  why,
});

/**
 * What hangs on the old columns and is not carried over. With the change's number: what has no twin that is ready,
 * as Drop has to ask; without: what can't have one, as preflight has to.
 */
export const uncarried = (sync: ColumnSync, table: TableFacts, id?: number): readonly Uncarried[] => {
  const twins = twinsOf(id ?? 0, sync, table);
  const rewriting = rewritingOf(sync, table);
  const hindered = twins.flatMap((twin) => {
    if (twin.obstacle !== undefined) return [uncarriedTwin(twin, sync.from, twin.obstacle)];
    if (id === undefined || twin.ready(table)) return [];
    const why = 'it was made after Backfill; drop it, and create what you need on the new column';
    return [uncarriedTwin(twin, sync.from, why)];
  });
  const publications = publicationObstacles(table, rewriting).map(({ name, why }) => ({
    dependent: { column: sync.from.join(', '), kind: 'publication' as const, name },
    why,
  }));
  const isCarried = ({ column, kind, name }: ColumnDependent): boolean => {
    if (covered.has(kind)) return twins.some((twin) => twin.kind === kind && sameName(twin.original, name));
    if (kind === 'publication') return table.publications.some((publication) => publication.name === name);
    if (kind === 'grant')
      return (
        table.columns[column]?.attributes?.grants.some(({ role }) => role === name) === true &&
        rewriting.heirless([column]).length === 0
      );
    return kind === 'sequence' && rewriting.heirless([column]).length === 0;
  };
  const others = table.dependents.filter(
    (dependent) => sync.from.includes(dependent.column) && !isCarried(dependent) && !isOurs(dependent),
  );
  return [...hindered, ...publications, ...others.map((dependent) => ({ dependent }))];
};

// A foreign key of another table is listed with that table's name as the search path has it.
const sameName = (original: string, listed: string): boolean =>
  original === listed || original.split(' of ')[0] === listed.split(' of ')[0];

// A check of ours that stands in for NOT NULL on an old column, half-way back.
const isOurs = ({ kind, name }: ColumnDependent): boolean =>
  kind === 'check constraint' && /^segue_\d+_not_null_\d+$/.test(name);

/** Why defaults and identities can't be moved. */
export const moveObstacles = (
  sync: ColumnSync,
  table: TableFacts,
): readonly { readonly old: string; readonly why: string }[] =>
  movesOf(0, sync, table).flatMap(({ old, obstacle }) =>
    obstacle === undefined ? [] : [{ old, why: obstacle }],
  );

/** Has PostgreSQL judge every like of an object on a table that has both sides. */
export const inheritanceChecks = (sync: ColumnSync, table: TableFacts): readonly ParseCheck[] => {
  const twins = twinsOf(0, sync, table).filter(({ obstacle }) => obstacle === undefined);
  const moves = movesOf(0, sync, table).flatMap(({ old, value }) =>
    value === undefined ? [] : [{ old, value }],
  );
  if (twins.length === 0 && moves.length === 0) return [];
  const on = sql`pg_temp.segue_inherit`;
  return [
    { field: 'table', query: likeness(table, 'segue_inherit') },
    ...sync.to.map(({ name }) => ({
      field: `type of ${name}`,
      query: sql`ALTER TABLE ${on} ADD COLUMN ${ident(name)} ${userSql(typeOf(sync, table, name))}${collateOf(sync, table, name)}`,
    })),
    ...twins.flatMap(({ kind, original, checks }) =>
      checks.map((query) => ({
        field: `(the like of ${kind} ${original} over the new columns)`,
        query,
        wayOut: `Drop ${kind} ${original} first, and create what you need on the new column after Backfill.`,
      })),
    ),
    ...moves.map(({ old, value }) => ({
      field: `(the default of ${old}, converted)`,
      query: alterDefault(sync, old, value),
      wayOut: `Drop the default of ${old} first, or correct the forward expression.`,
    })),
  ];
};

const alterDefault = (sync: ColumnSync, old: string, value: Sql): Sql => {
  const heir = sync.to.find(({ like }) => like === old);
  return sql`ALTER TABLE pg_temp.segue_inherit ALTER COLUMN ${ident(heir?.name ?? old)} SET DEFAULT (${value})`;
};
