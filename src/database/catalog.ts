/**
 * The catalog's view of one table, in one snapshot: all that preflight, steps and backfill need to know.
 * Names are taken as given, upper and lower case included.
 */
import type {
  ColumnFacts,
  HeapFacts,
  PartitionFacts,
  StepState,
  TableFacts,
  TriggerFacts,
  Violation,
} from '../api/facts.ts';
import type { ParseCheck, TableName } from '../changes/change.ts';
import { sql, type Sql } from '../sql/sql.ts';
import { dependentsOf } from './catalog-dependents.ts';
import { attributesOf, objectsOf } from './catalog-inheritance.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import type { Session } from './session.ts';

interface Relation {
  readonly oid: number;
  readonly kind: string;
  readonly persistence: string;
  readonly isPartition: boolean;
  readonly hasChildren: boolean;
  readonly ofType: boolean;
}

const relationOf = async (session: Session, table: TableName): Promise<Relation | undefined> => {
  const [row] = await session.rows<Relation>(
    sql`SELECT c.oid::bigint AS oid, c.relkind::text AS kind, c.relpersistence::text AS persistence,
      c.relispartition AS "isPartition", c.reloftype <> 0 AS "ofType",
      EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid) AS "hasChildren"
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    [table.schema, table.name],
  );
  return row;
};

// Equality that is no identity would hide a change: 1.0 and 1.00, 'a' and 'A' of citext, '1 mon' and '30 days'
// are equal and differ. B-tree support function 4 ("equalimage", manual 67.4) says for which types equal means
// the same bytes; it must be believed only for the collation that the column has.
const columnsOf = async (session: Session, oid: number): Promise<Readonly<Record<string, ColumnFacts>>> => {
  const rows = await session.rows<ColumnFacts & { name: string; expression: string | null }>(
    sql`WITH RECURSIVE base (attnum, typ, depth) AS (
        SELECT attnum, atttypid, 0 FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT b.attnum, t.typbasetype, b.depth + 1
        FROM base b JOIN pg_type t ON t.oid = b.typ WHERE t.typtype = 'd'
      )
      SELECT a.attname AS name, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
        pg_get_expr(d.adbin, d.adrelid) AS expression, a.attgenerated <> '' AS generated,
        a.attidentity <> '' AS identity,
        coalesce((SELECT collisdeterministic FROM pg_collation WHERE oid = a.attcollation), true) AND EXISTS (
          SELECT FROM pg_opclass oc
          JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
          JOIN pg_amproc p ON p.amprocfamily = oc.opcfamily AND p.amproclefttype = oc.opcintype
            AND p.amprocrighttype = oc.opcintype AND p.amprocnum = 4
          WHERE oc.opcdefault AND (oc.opcintype = t.oid OR (t.typtype = 'e' AND oc.opcintype = 'anyenum'::regtype)
            OR oc.opcintype IN (SELECT casttarget FROM pg_cast WHERE castsource = t.oid AND castmethod = 'b'
              AND castcontext = 'i' AND t.typname = 'varchar'))
        ) AS comparable
      FROM pg_attribute a
      JOIN LATERAL (SELECT typ FROM base WHERE base.attnum = a.attnum ORDER BY depth DESC LIMIT 1) b ON true
      JOIN pg_type t ON t.oid = b.typ
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attnum`,
    [oid],
  );
  const attributes = await attributesOf(session, oid);
  return Object.fromEntries(
    rows.map(({ name, expression, ...column }) => [
      name,
      {
        ...column,
        ...(expression === null || column.generated ? {} : { default: expression }),
        ...(attributes[name] === undefined ? {} : { attributes: attributes[name] }),
      },
    ]),
  );
};

const heapsOf = (
  session: Session,
  oid: number,
): Promise<readonly (HeapFacts & { readonly kind: string })[]> =>
  session.rows(
    sql`SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
      coalesce(pg_relation_filenode(c.oid), 0)::bigint AS filenode
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'f') AND (c.oid = $1
        OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass) WHERE isleaf))
      ORDER BY c.oid`,
    [oid],
  );

// A trigger on a partitioned table has a clone on each partition, and each can be disabled by itself. PostgreSQL 14
// takes the clones for internal.
const triggersOf = (session: Session, oid: number): Promise<readonly TriggerFacts[]> =>
  session.rows(
    sql`WITH tree AS (
        SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass)
      )
      SELECT t.tgname AS name, bool_and(t.tgenabled IN ('O', 'A')) AS enabled,
        bool_or(t.tgtype & 19 = 19) AS "beforeUpdate", bool_or(t.tgtype & 7 = 7) AS "beforeInsert",
        bool_or(t.tgattr::text <> '') AS "ofColumns"
      FROM pg_trigger t JOIN tree ON tree.oid = t.tgrelid
      WHERE NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0) GROUP BY t.tgname ORDER BY t.tgname`,
    [oid],
  );

interface Rest {
  readonly primaryKey: readonly string[];
  readonly marks: Readonly<Record<string, string>> | null;
  readonly estimatedRows: number;
}

const restOf = (session: Session, oid: number, heaps: readonly HeapFacts[]): Promise<Rest> =>
  session.one(
    sql`SELECT
      ARRAY(SELECT a.attname FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
        JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = k.attnum
        WHERE c.conrelid = $1 AND c.contype = 'p' ORDER BY k.position)::text[] AS "primaryKey",
      (SELECT jsonb_object_agg(p.proname, obj_description(p.oid, 'pg_proc')) FROM pg_proc p
        WHERE p.pronamespace = to_regnamespace('segue')
          AND obj_description(p.oid, 'pg_proc') IS NOT NULL
          -- Only what keeps both sides in step bears its mark in its text too.
          AND (p.proname NOT LIKE 'sync\\_%' OR p.prosrc LIKE '%-- ' || obj_description(p.oid, 'pg_proc') || E'\\n%')) AS marks,
      (SELECT CASE WHEN bool_or(reltuples < 0 AND relpages = 0 AND pg_relation_size(oid::regclass) > 0) THEN -1
        ELSE coalesce(sum(greatest(reltuples, 0)), 0) END FROM pg_class WHERE oid = ANY ($2::oid[]))::double precision
        AS "estimatedRows"`,
    [oid, heaps.map((heap) => heap.oid)],
  );

const partitionsOf = (session: Session, oid: number): Promise<readonly PartitionFacts[]> =>
  session.rows(
    sql`SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, t.parentrelid::oid::bigint AS parent,
      t.isleaf AS leaf, t.level, (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
          'name', i.relname, 'valid', x.indisvalid AND x.indisready,
          'constraint', EXISTS (SELECT FROM pg_constraint k
            WHERE k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u')),
          'attachedTo', (SELECT above.relname FROM pg_inherits h JOIN pg_class above ON above.oid = h.inhparent
            WHERE h.inhrelid = i.oid)))), '[]')
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid) AS indexes
      FROM pg_partition_tree($1::oid::regclass) t JOIN pg_class c ON c.oid = t.relid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.level > 0 ORDER BY t.level, c.oid`,
    [oid],
  );

// A step of which any attempt has come to its end is done, whatever became of others.
const recordedSteps = async (session: Session, oid: number): Promise<Readonly<Record<string, StepState>>> => {
  const { exists } = await session.one<{ exists: boolean }>(
    // Not to_regclass: it is refused where the schema is somebody else's, and the preflight is to say so.
    sql`SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'segue' AND c.relname = 'contract_step') AS exists`,
  );
  if (!exists) return {};
  const rows = await session.rows<{ step: string; finished: boolean }>(
    sql`SELECT c.id || '/' || s.step AS step, bool_or(s.finished_at IS NOT NULL) AS finished
      FROM segue.change c JOIN (
        SELECT change_id, step, finished_at FROM segue.expand_step
        UNION ALL SELECT change_id, step, finished_at FROM segue.contract_step
      ) s ON s.change_id = c.id
      WHERE c.state = 'Active' AND c.table_oid = $1 GROUP BY 1`,
    [oid],
  );
  return Object.fromEntries(rows.map(({ step, finished }) => [step, finished ? 'done' : 'begun']));
};

const whyUnsupported = (
  relation: Relation,
  heaps: readonly { readonly kind: string }[],
): string | undefined => {
  switch (relation.kind) {
    case 'v':
    case 'm':
      return 'it is a view; name the table beneath it';
    case 'f':
      return 'it is a foreign table; change it where its rows are';
  }
  if (relation.persistence === 't') return 'it is a temporary table';
  if (relation.isPartition) return 'it is a partition; name the partitioned table';
  if (relation.kind === 'r' && relation.hasChildren)
    return 'it is part of an inheritance tree, whose children triggers do not reach; turn it into partitions first';
  if (relation.ofType) return 'it is a typed table, whose columns cannot be altered one by one';
  if (heaps.some(({ kind }) => kind === 'f')) return 'one of its partitions is a foreign table';
  return undefined;
};

/** Reads a table within a transaction; undefined if no relation has that name. */
export const tableWithin = async (session: Session, table: TableName): Promise<TableFacts | undefined> => {
  const relation = await relationOf(session, table);
  if (relation === undefined) return undefined;
  const { oid } = relation;
  const heaps = await heapsOf(session, oid);
  const rest = await restOf(session, oid, heaps);
  const unsupported = whyUnsupported(relation, heaps);
  return {
    oid,
    schema: table.schema,
    name: table.name,
    partitioned: relation.kind === 'p',
    ...(unsupported === undefined ? {} : { unsupported }),
    columns: await columnsOf(session, oid),
    primaryKey: rest.primaryKey,
    ...(await objectsOf(session, oid)),
    triggers: await triggersOf(session, oid),
    dependents: await dependentsOf(session, oid),
    heaps: heaps.flatMap(({ kind, ...heap }) => (kind === 'r' ? [heap] : [])),
    partitions: relation.kind === 'p' ? await partitionsOf(session, oid) : [],
    marks: rest.marks ?? {},
    steps: await recordedSteps(session, oid),
    estimatedRows: rest.estimatedRows,
  };
};

/** The table as the catalog has it, undefined if there is none. Throws DatabaseError. */
export const readTable = (db: Database, table: TableName): Promise<TableFacts | undefined> =>
  db.transaction({ mode: 'snapshot' }, (session) => tableWithin(session, table));

/** Statements of schema lookups see the table's own schema first, then public, as the steps will. */
export const searchPathOf = (table: TableName): readonly string[] => [table.schema, 'public'];

// What stands at the position: the statement is ours, so a bare number would mean nothing to a reader.
const near = (query: Sql, position: number | undefined): string =>
  position === undefined ? '' : ` at "${query.text.slice(position - 1, position + 29)}"`;

/**
 * Has PostgreSQL judge each expression, in a transaction that is rolled back. Throws DatabaseError where the
 * fault is not the expression's.
 */
export const checkExpressions = (
  db: Database,
  table: TableName,
  checks: readonly ParseCheck[],
): Promise<readonly Violation[]> =>
  db.transaction({ mode: 'rolledBack', searchPath: searchPathOf(table) }, async (session) => {
    const violations: Violation[] = [];
    for (const { field, query, wayOut = 'Correct the expression.' } of checks) {
      try {
        await session.attempt(() => session.run(query));
      } catch (error) {
        if (!(error instanceof DatabaseError) || (error.kind !== 'permanent' && error.kind !== 'conversion'))
          throw error;
        violations.push({
          reason: 'InvalidExpression',
          message: `PostgreSQL refuses spec.change ${field}${near(query, error.position)}: ${error.verbatim()} (SQLSTATE ${error.code ?? 'unknown'}). ${wayOut}`,
        });
      }
    }
    return violations;
  });
