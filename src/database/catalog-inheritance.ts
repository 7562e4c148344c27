/**
 * What a table has that a new column in an old one's place must be given: attributes, constraints, indexes, foreign
 * keys in both directions, extended statistics, publications. Read as data, not as `pg_get_…def` prints it, so that a
 * definition over other columns can be made of it; only expressions are text, with PostgreSQL's own spelling.
 *
 * Catalog columns that not every supported major has are read through `to_jsonb` of the row.
 */
import type {
  ColumnAttributes,
  ConstraintFacts,
  ForeignKeyFacts,
  IndexFacts,
  PublicationFacts,
  StatisticsFacts,
} from '../api/facts.ts';
import { nothing, sql, type Sql } from '../sql/sql.ts';
import type { Session } from './session.ts';

const namesOf = (relation: Sql, numbers: Sql): Sql =>
  sql`ARRAY(SELECT a.attname FROM unnest(${numbers}) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.attnum ORDER BY k.position)::text[]`;

/** Grants as the list has them, without those of `owner` to itself, which come with the object. */
const grantsOf = (acl: Sql, owner: Sql): Sql =>
  sql`(SELECT coalesce(jsonb_agg(jsonb_build_object('role', CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
      'privilege', g.privilege_type, 'grantable', bool_or) ORDER BY g.grantee, g.privilege_type), '[]')
    FROM (SELECT grantee, privilege_type, bool_or(is_grantable) FROM aclexplode(${acl})
      WHERE grantee <> ${owner} GROUP BY 1, 2) g)`;

// A column has no privileges of its own until one is granted, be it to the owner.
const nobody = sql`'4294967295'::oid`;

/** Attributes of every column, by name. */
export const attributesOf = async (
  session: Session,
  oid: number,
): Promise<Readonly<Record<string, ColumnAttributes>>> => {
  const rows = await session.rows<{ name: string; attributes: ColumnAttributes }>(
    sql`SELECT a.attname AS name, jsonb_strip_nulls(jsonb_build_object(
        'collation', CASE WHEN a.attcollation <> t.typcollation THEN
          (SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_collation l
            JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END,
        'toastable', t.typlen = -1 AND t.typstorage <> 'p',
        'storage', CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END,
        'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END,
        'statistics', nullif(a.attstattarget::int, -1),
        'options', coalesce(to_jsonb(a.attoptions), '[]'),
        'comment', col_description(a.attrelid, a.attnum),
        'grants', ${grantsOf(sql`a.attacl`, nobody)},
        'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'schema', n.nspname, 'name', c.relname,
            'kind', CASE WHEN d.deptype = 'a' THEN 'owned' WHEN a.attidentity = 'a' THEN 'identity always'
              ELSE 'identity by default' END,
            'type', format_type(s.seqtypid, NULL), 'increment', s.seqincrement::text, 'minimum', s.seqmin::text,
            'maximum', s.seqmax::text, 'start', s.seqstart::text, 'cache', s.seqcache::text, 'cycle', s.seqcycle,
            'comment', obj_description(c.oid, 'pg_class'),
            'grants', ${grantsOf(sql`c.relacl`, sql`c.relowner`)}) ORDER BY c.relname), '[]')
          FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
            JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
          WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')))) AS attributes
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`,
    [oid],
  );
  return Object.fromEntries(rows.map(({ name, attributes }) => [name, attributes]));
};

// What a foreign key says is among the foreign keys.
const constraints = sql`SELECT c.oid, jsonb_strip_nulls(jsonb_build_object('name', c.conname, 'validated', c.convalidated,
      'definition', CASE WHEN c.contype <> 'f' THEN jsonb_build_object(
        'oid', c.oid::bigint,
        'kind', CASE c.contype WHEN 'c' THEN 'check' WHEN 'u' THEN 'unique' WHEN 'p' THEN 'primary key' ELSE 'exclusion' END,
        'columns', ${namesOf(sql`c.conrelid`, sql`c.conkey`)},
        'expression', coalesce(pg_get_expr(c.conbin, c.conrelid), ''),
        'index', coalesce((SELECT relname FROM pg_class WHERE oid = c.conindid), ''),
        'comment', obj_description(c.oid, 'pg_constraint'),
        'obstacle', CASE
          WHEN c.contype = 'x' THEN 'PostgreSQL builds no index for it while others write'
          WHEN c.condeferrable THEN 'it is DEFERRABLE, and the index that is built for the new column could not wait as it does'
          WHEN (to_jsonb(c)->>'conperiod')::boolean THEN 'it is a constraint over periods'
          WHEN NOT coalesce((to_jsonb(c)->>'conenforced')::boolean, true) THEN 'it is NOT ENFORCED'
          WHEN c.connoinherit AND c.contype = 'c' THEN 'it is NO INHERIT' END) END)) AS facts
      FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype IN ('c', 'f', 'p', 'u', 'x')`;

const action = (column: Sql, when: Sql, columns: Sql): Sql =>
  sql`CASE ${column} WHEN 'r' THEN ' ON ${when} RESTRICT' WHEN 'c' THEN ' ON ${when} CASCADE'
    WHEN 'n' THEN ' ON ${when} SET NULL'${columns} WHEN 'd' THEN ' ON ${when} SET DEFAULT'${columns} ELSE '' END`;

// Those that partitions have of their parents are left out.
const foreignKeys = sql`SELECT c.oid, jsonb_strip_nulls(jsonb_build_object('oid', c.oid::bigint, 'name', c.conname, 'validated', c.convalidated,
      'from', jsonb_build_object('schema', fn.nspname, 'name', f.relname),
      'columns', ${namesOf(sql`c.conrelid`, sql`c.conkey`)},
      'to', jsonb_build_object('schema', tn.nspname, 'name', t.relname),
      'toColumns', ${namesOf(sql`c.confrelid`, sql`c.confkey`)},
      'clauses', CASE c.confmatchtype WHEN 'f' THEN ' MATCH FULL' ELSE '' END
        || ${action(sql`c.confupdtype`, sql`UPDATE`, nothing)}
        || ${action(sql`c.confdeltype`, sql`DELETE`, nothing)}
        || CASE WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END
        || CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END,
      'comment', obj_description(c.oid, 'pg_constraint'),
      'obstacle', CASE
        WHEN f.relkind = 'p' THEN 'its table is partitioned, and PostgreSQL before 18 adds no foreign key NOT VALID to one'
        WHEN c.contype = 'f' AND 'd' IN (c.confupdtype, c.confdeltype) AND c.conrelid = $1
          THEN 'it is SET DEFAULT, and the new column has no default before Drop'
        WHEN jsonb_array_length(coalesce(nullif(to_jsonb(c)->'confdelsetcols', 'null'), '[]')) > 0 THEN 'it sets single columns ON DELETE'
        WHEN (to_jsonb(c)->>'conperiod')::boolean THEN 'it is over periods'
        WHEN NOT coalesce((to_jsonb(c)->>'conenforced')::boolean, true) THEN 'it is NOT ENFORCED' END)) AS facts
      FROM pg_constraint c
        JOIN pg_class f ON f.oid = c.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
        JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
      WHERE c.contype = 'f' AND c.conparentid = 0 AND $1 IN (c.conrelid, c.confrelid)`;

// A key's collation and operator class are left out where they are the default: after a retype the default is another.
const keysOf = sql`(SELECT jsonb_agg(jsonb_build_object(
    'kind', CASE WHEN k.attnum = 0 THEN 'expression' ELSE 'column' END,
    'text', CASE WHEN k.attnum = 0 THEN pg_get_indexdef(i.indexrelid, k.position::int, false) ELSE a.attname::text END,
    'clauses', CASE WHEN i.indcollation[k.position - 1] <> coalesce(a.attcollation, 0) AND i.indcollation[k.position - 1] <> 0
        THEN (SELECT ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_collation l
          JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = i.indcollation[k.position - 1]) ELSE '' END
      || CASE WHEN NOT oc.opcdefault OR ia.attoptions IS NOT NULL THEN ' ' || quote_ident(ocn.nspname) || '.' || quote_ident(oc.opcname)
        || coalesce((SELECT ' (' || string_agg(quote_ident(split_part(o, '=', 1)) || ' = ' || quote_literal(substr(o, strpos(o, '=') + 1)), ', ') || ')'
          FROM unnest(ia.attoptions) o), '') ELSE '' END
      || CASE WHEN NOT pg_indexam_has_property(am.oid, 'can_order') THEN ''
        ELSE CASE i.indoption[k.position - 1] & 3 WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END END
    ) ORDER BY k.position)
  FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
    JOIN pg_attribute ia ON ia.attrelid = i.indexrelid AND ia.attnum = k.position
    JOIN pg_opclass oc ON oc.oid = i.indclass[k.position - 1] JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace
  WHERE k.position <= i.indnkeyatts)`;

const indexes = sql`SELECT c.oid, jsonb_strip_nulls(jsonb_build_object('name', c.relname, 'valid', i.indisvalid AND i.indisready,
      'definition', jsonb_build_object(
        'oid', c.oid::bigint, 'unique', i.indisunique, 'method', am.amname, 'keys', ${keysOf},
        'include', ${namesOf(sql`i.indrelid`, sql`(i.indkey::int2[])[i.indnkeyatts:]`)},
        'columns', ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey)
          OR a.attnum IN (SELECT d.refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)) AND a.attnum > 0 ORDER BY a.attnum)::text[],
        'clauses', CASE WHEN (to_jsonb(i)->>'indnullsnotdistinct')::boolean THEN ' NULLS NOT DISTINCT' ELSE '' END
          || coalesce((SELECT ' WITH (' || string_agg(quote_ident(o.option_name) || ' = ' || quote_literal(o.option_value), ', ') || ')'
            FROM pg_options_to_table(c.reloptions) o), '')
          || coalesce((SELECT ' TABLESPACE ' || quote_ident(spcname) FROM pg_tablespace WHERE oid = c.reltablespace), ''),
        'where', coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
        'constraint', (SELECT conname FROM pg_constraint k WHERE k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')),
        'replicaIdentity', i.indisreplident, 'clustered', i.indisclustered,
        'comment', obj_description(c.oid, 'pg_class')))) AS facts
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
      WHERE i.indrelid = $1`;

const statistics = sql`SELECT s.oid, jsonb_strip_nulls(jsonb_build_object('oid', s.oid::bigint, 'schema', n.nspname, 'name', s.stxname,
      'kinds', ARRAY(SELECT k.name FROM unnest(s.stxkind) c JOIN (VALUES ('d'::"char", 'ndistinct'), ('f', 'dependencies'), ('m', 'mcv'))
        AS k (kind, name) ON k.kind = c),
      'plain', ${namesOf(sql`s.stxrelid`, sql`s.stxkeys::int2[]`)},
      'expressions', coalesce(to_jsonb(pg_get_statisticsobjdef_expressions(s.oid)), '[]'),
      'columns', ARRAY(SELECT DISTINCT a.attname FROM pg_attribute a JOIN pg_depend d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
        WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
          AND a.attrelid = s.stxrelid)::text[],
      'target', nullif(s.stxstattarget::int, -1),
      'comment', obj_description(s.oid, 'pg_statistic_ext'))) AS facts
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = $1`;

// PostgreSQL 14 knows neither lists nor conditions.
const publicationsOf = async (session: Session, oid: number): Promise<readonly PublicationFacts[]> => {
  const rows = await session.rows<{ facts: PublicationFacts }>(
    sql`SELECT jsonb_build_object('name', p.pubname, 'columns', ${namesOf(sql`r.prrelid`, sql`r.prattrs::int2[]`)},
        'where', coalesce(pg_get_expr(r.prqual, r.prrelid), ''),
        'uses', ARRAY(SELECT DISTINCT a.attname FROM pg_attribute a JOIN pg_depend d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
          WHERE d.classid = 'pg_publication_rel'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
            AND a.attrelid = r.prrelid)::text[],
        'owned', pg_has_role(p.pubowner, 'USAGE')) AS facts
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
      WHERE r.prrelid = $1 AND (r.prattrs IS NOT NULL OR r.prqual IS NOT NULL) ORDER BY p.pubname`,
    [oid],
  );
  return rows.map(({ facts }) => facts);
};

/** All of it but the columns' attributes. */
export interface TableObjects {
  readonly constraints: readonly ConstraintFacts[];
  readonly indexes: readonly IndexFacts[];
  readonly foreignKeys: readonly ForeignKeyFacts[];
  readonly statistics: readonly StatisticsFacts[];
  readonly publications: readonly PublicationFacts[];
}

const listOf = (objects: Sql): Sql =>
  sql`(SELECT coalesce(jsonb_agg(facts ORDER BY oid), '[]') FROM (${objects}) AS object)`;

/** Reads a table's constraints, indexes, foreign keys of it and to it, extended statistics and publications. */
export const objectsOf = async (session: Session, oid: number): Promise<TableObjects> => {
  const { published, ...objects } = await session.one<
    Omit<TableObjects, 'publications'> & { published: boolean }
  >(
    sql`SELECT ${listOf(constraints)} AS constraints, ${listOf(indexes)} AS indexes, ${listOf(foreignKeys)} AS "foreignKeys",
      ${listOf(statistics)} AS statistics, current_setting('server_version_num')::int >= 150000
        AND EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = $1) AS published`,
    [oid],
  );
  return { ...objects, publications: published ? await publicationsOf(session, oid) : [] };
};
