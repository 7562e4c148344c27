/**
 * The archive of `spec.drop.archive`: key and old values of every row, kept in schema `segue` when the columns go.
 *
 * Rows are copied in the order of their key, without a lock, while the application writes. A row that is written
 * meanwhile leaves its key in a list, in the transaction that wrote it; rows on the list are copied anew, for the last
 * time in the transaction that drops the columns and lets nobody write. So the archive is what the columns were at
 * that moment, whatever came in between. The list is only ever added to by the application: it waits for nobody.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import { ident, int, join, lit, nothing, sql, userSql, type Sql } from '../sql/sql.ts';
import type { Change, Step } from './change.ts';
import { anyOf, distinct, idLiteral, ofNew, ofOld, tableIdent } from './column-sync.ts';

/** Name of the table that is left in schema `segue`. */
export const archiveName = (id: number): string => `archive_${id}`;

const archiveTable = (id: number): Sql => ident('segue', archiveName(id));

const changedTable = (id: number): Sql => ident('segue', `${archiveName(id)}_changed`);

const triggers = (id: number): readonly [string, string] => [
  `~segue_${id}_archive_rows`,
  `~segue_${id}_archive_update`,
];

const mark = 'segue: archive v1';

const columnList = (columns: readonly string[], of: (column: string) => Sql = ident): Sql =>
  join(columns.map((column) => of(column)));

/** Why there can't be an archive; empty where there can. */
export const archiveViolations = (change: Change, table: TableFacts): readonly Violation[] => {
  const label = `${table.schema}.${table.name}`;
  const keyed = table.primaryKey.filter((column) => change.oldColumns.includes(column));
  if (table.primaryKey.length === 0)
    return [
      {
        reason: 'UnsupportedTable',
        message: `spec.drop.archive needs a primary key to tell rows by, and ${label} has none. Set drop.archive to false, or give the table one first.`,
      },
    ];
  if (keyed.length > 0)
    return [
      {
        reason: 'UnsupportedColumn',
        message: `spec.drop.archive can't tell the rows of ${label} by a primary key that goes itself (${keyed.join(', ')}). Set drop.archive to false.`,
      },
    ];
  return [];
};

const functionBody = (id: number, table: TableFacts): Sql => {
  const note = (row: 'OLD' | 'NEW'): Sql =>
    sql`INSERT INTO ${changedTable(id)} VALUES (${columnList(table.primaryKey, row === 'OLD' ? ofOld : ofNew)});`;
  return sql`
-- ${userSql(mark)}
BEGIN
  IF TG_OP <> 'INSERT' THEN ${note('OLD')} END IF;
  IF TG_OP <> 'DELETE' THEN ${note('NEW')} END IF;
  RETURN NULL;
END`;
};

// Default privileges may have given others a right on what is made in schema segue.
const ownerOnly = (id: number): Sql =>
  sql`DO ${lit(`
DECLARE given record;
BEGIN
  FOR given IN
    SELECT c.oid::regclass AS made, a.grantee::regrole AS grantee, a.grantee = 0 AS everybody
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid IN ('segue.${archiveName(id)}'::regclass, 'segue.${archiveName(id)}_changed'::regclass)
      AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', given.made,
      CASE WHEN given.everybody THEN 'PUBLIC' ELSE given.grantee::text END);
  END LOOP;
END`)}`;

const changed = (change: Change, table: TableFacts): Sql =>
  anyOf(
    [...table.primaryKey, ...change.oldColumns].map((column) =>
      distinct(ofOld(column), ofNew(column), table.columns[column]?.comparable ?? false),
    ),
  );

/** True while the triggers that keep the list stand. */
const isBegun = (id: number, table: TableFacts): boolean =>
  table.marks[archiveName(id)] === mark &&
  triggers(id).every((name) => table.triggers.some((found) => found.name === name && found.enabled));

const isGone = (id: number, table: TableFacts): boolean =>
  table.marks[archiveName(id)] === undefined &&
  !table.triggers.some(({ name }) => triggers(id).includes(name));

const dropTriggers = (id: number, table: TableFacts): readonly Sql[] => [
  ...triggers(id).map((name) => sql`DROP TRIGGER IF EXISTS ${ident(name)} ON ${tableIdent(table)}`),
  sql`DROP FUNCTION IF EXISTS ${archiveTable(id)}()`,
  sql`DROP TABLE IF EXISTS ${changedTable(id)}`,
];

/** Makes archive, list and triggers; from then on no write escapes. */
export const beginArchive = (id: number, change: Change, table: TableFacts, owner: string): Step => {
  const [rows, update] = triggers(id);
  const execute = sql`FOR EACH ROW`;
  const call = sql`EXECUTE FUNCTION ${archiveTable(id)}()`;
  const from = sql`FROM ${tableIdent(table)} WITH NO DATA`;
  const old = change.oldColumns.join(', ');
  return {
    id: 'archive-begin',
    purpose: `begin an archive of ${old}`,
    lock: 'ShareRowExclusiveLock',
    transactional: true,
    destructive: false,
    statements: [
      ...dropTriggers(id, table),
      sql`DROP TABLE IF EXISTS ${archiveTable(id)}`,
      sql`CREATE TABLE ${archiveTable(id)} AS SELECT ${columnList([...table.primaryKey, ...change.oldColumns])} ${from}`,
      sql`ALTER TABLE ${archiveTable(id)} ADD PRIMARY KEY (${columnList(table.primaryKey)})`,
      sql`COMMENT ON TABLE ${archiveTable(id)} IS ${lit(`Segue: ${old} of ${table.schema}.${table.name} as they were when SchemaChange ${owner} dropped them. See "Restoring from an archive" in Segue's documentation; drop this table once it is not needed.`)}`,
      sql`CREATE TABLE ${changedTable(id)} AS SELECT ${columnList(table.primaryKey)} ${from}`,
      ownerOnly(id),
      sql`CREATE OR REPLACE FUNCTION ${archiveTable(id)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${lit(functionBody(id, table).text)}`,
      sql`COMMENT ON FUNCTION ${archiveTable(id)}() IS ${lit(mark)}`,
      sql`CREATE TRIGGER ${ident(rows)} AFTER INSERT OR DELETE ON ${tableIdent(table)} ${execute} ${call}`,
      sql`CREATE TRIGGER ${ident(update)} AFTER UPDATE ON ${tableIdent(table)} ${execute} WHEN ${changed(change, table)} ${call}`,
      sql`INSERT INTO segue.archive (change_id, table_schema, table_name) VALUES (${idLiteral(id)}, ${lit(table.schema)}, ${lit(table.name)})
        ON CONFLICT (change_id) DO UPDATE SET position = NULL, rows = 0, copied = false, caught_up_at = NULL`,
    ],
    done: (now) => isBegun(id, now),
  };
};

/** Takes it all away again, for a change that is walked back or deleted. */
export const discardArchive = (id: number, table: TableFacts): Step => ({
  id: 'archive-discard',
  purpose: 'remove the archive, for the columns stay',
  lock: 'AccessExclusiveLock',
  transactional: true,
  destructive: false,
  statements: [
    ...dropTriggers(id, table),
    sql`DROP TABLE IF EXISTS ${archiveTable(id)}`,
    sql`DELETE FROM segue.archive WHERE change_id = ${idLiteral(id)}`,
  ],
  done: (now) => isGone(id, now),
});

/**
 * Copies rows on the list anew: their keys are taken off and their values read in one statement, and so in one
 * snapshot. What commits later is on the list still.
 */
export const catchUp = (id: number, change: Change, table: TableFacts, limit?: number): Sql => {
  const keys = columnList(table.primaryKey);
  const all = [...table.primaryKey, ...change.oldColumns];
  const same = (a: string, b: string): Sql =>
    join(
      table.primaryKey.map((column) => sql`${ident(a, column)} = ${ident(b, column)}`),
      sql` AND `,
    );
  const some =
    limit === undefined
      ? nothing
      : sql` WHERE ctid IN (SELECT ctid FROM ${changedTable(id)} LIMIT ${int(limit)})`;
  return sql`WITH taken AS (DELETE FROM ${changedTable(id)}${some} RETURNING ${keys}),
    k AS (SELECT DISTINCT ${keys} FROM taken),
    gone AS (DELETE FROM ${archiveTable(id)} a USING k WHERE ${same('a', 'k')}
      AND NOT EXISTS (SELECT FROM ${tableIdent(table)} t WHERE ${same('t', 'k')}))
    INSERT INTO ${archiveTable(id)} (${columnList(all)})
    SELECT ${columnList(all, (column) => ident('t', column))} FROM ${tableIdent(table)} t JOIN k ON ${same('t', 'k')}
    ON CONFLICT (${keys}) DO UPDATE SET ${join(change.oldColumns.map((column) => sql`${ident(column)} = ${ident('excluded', column)}`))}`;
};

/** One batch in the order of the key, after $1, $2 … where it isn't the first; gives its rows and its last key as text. */
export const copyBatch = (
  id: number,
  change: Change,
  table: TableFacts,
  { first, limit }: { readonly first: boolean; readonly limit: number },
): Sql => {
  const { primaryKey } = table;
  const all = columnList([...primaryKey, ...change.oldColumns]);
  const after = join(
    primaryKey.map((column, n) => sql`$${int(n + 1)}::${userSql(table.columns[column]?.type ?? 'text')}`),
  );
  const where = first ? nothing : sql` WHERE (${columnList(primaryKey)}) > (${after})`;
  const last = join(primaryKey.map((column) => sql`${ident('b', column)}::pg_catalog.text`));
  const descending = join(primaryKey.map((column) => sql`${ident('b', column)} DESC`));
  return sql`WITH b AS MATERIALIZED (
      SELECT ${all} FROM ${tableIdent(table)}${where} ORDER BY ${columnList(primaryKey)} LIMIT ${int(limit)}),
    copied AS (INSERT INTO ${archiveTable(id)} (${all}) SELECT ${all} FROM b ON CONFLICT DO NOTHING)
    SELECT (SELECT count(*) FROM b) AS rows, ARRAY[${last}] AS last FROM b ORDER BY ${descending} LIMIT 1`;
};

/** The step that drops the columns, with the archive brought up to that very moment first. */
export const dropArchived = (id: number, change: Change, table: TableFacts, drop: Step): Step => ({
  ...drop,
  purpose: `${drop.purpose}, kept in segue.${archiveName(id)}`,
  statements: [catchUp(id, change, table), ...dropTriggers(id, table), ...drop.statements],
});
