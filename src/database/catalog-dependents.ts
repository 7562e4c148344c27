/**
 * What hangs on a table's columns: everything that DROP COLUMN would take along or stumble over, from
 * pg_depend (the same book that DROP reads) and the few places that it does not cover.
 */
import type { ColumnDependent } from '../api/facts.ts';
import { sql } from '../sql/sql.ts';
import type { Session } from './session.ts';

// Partitions are looked at too: a local index or a view over one partition hangs on the column as well. Clones
// of what the partitioned table has are left out, and so are Segue's own triggers and functions.
const query = sql`
WITH tree AS (
  SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass)
), part AS (
  SELECT a.attrelid, a.attnum, a.attname AS "column", a.attacl
  FROM pg_attribute a JOIN tree ON tree.oid = a.attrelid
  WHERE a.attnum > 0 AND NOT a.attisdropped
), dep AS (
  SELECT p."column", p.attrelid, p.attnum, d.classid, d.objid, d.objsubid
  FROM part p JOIN pg_depend d
    ON d.refclassid = 'pg_class'::regclass AND d.refobjid = p.attrelid AND d.refobjsubid = p.attnum
)
SELECT DISTINCT "column", kind, name FROM (
  SELECT dep."column",
    CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'f' THEN 'foreign key' WHEN 'u' THEN 'unique constraint'
      WHEN 'c' THEN 'check constraint' WHEN 'x' THEN 'exclusion constraint' ELSE 'other' END AS kind,
    CASE WHEN c.conrelid IN (SELECT oid FROM tree) OR c.conrelid = 0 THEN c.conname::text
      ELSE c.conname || ' of ' || c.conrelid::regclass END AS name
  FROM dep JOIN pg_constraint c ON dep.classid = 'pg_constraint'::regclass AND c.oid = dep.objid
  WHERE c.conparentid = 0 AND c.contype <> 'n' AND c.coninhcount = 0
  UNION ALL
  SELECT dep."column",
    CASE WHEN i.relkind IN ('i', 'I') THEN 'index' WHEN i.relkind = 'S' THEN 'sequence' ELSE 'other' END,
    i.relname::text
  FROM dep JOIN pg_class i ON dep.classid = 'pg_class'::regclass AND i.oid = dep.objid
  WHERE i.oid <> dep.attrelid AND NOT (i.relkind IN ('i', 'I') AND i.relispartition)
  UNION ALL
  SELECT dep."column", 'generated column', g.attname::text
  FROM dep JOIN pg_attribute g ON dep.classid = 'pg_class'::regclass AND dep.objid = dep.attrelid
    AND g.attrelid = dep.objid AND g.attnum = dep.objsubid
  WHERE dep.objsubid > 0
  UNION ALL
  -- The other way round: the column can't go without its table, and so can't go at all.
  SELECT part."column", 'partition key', d.refobjid::regclass::text
  FROM part JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = part.attrelid AND d.objsubid = part.attnum
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = part.attrelid AND d.refobjsubid = 0 AND d.deptype = 'i'
  UNION ALL
  SELECT dep."column", CASE WHEN r.ev_class IN (SELECT oid FROM tree) THEN 'rule' ELSE 'view' END,
    CASE WHEN r.ev_class IN (SELECT oid FROM tree) THEN r.rulename::text ELSE r.ev_class::regclass::text END
  FROM dep JOIN pg_rewrite r ON dep.classid = 'pg_rewrite'::regclass AND r.oid = dep.objid
  UNION ALL
  SELECT dep."column", 'policy', p.polname::text
  FROM dep JOIN pg_policy p ON dep.classid = 'pg_policy'::regclass AND p.oid = dep.objid
  UNION ALL
  SELECT dep."column", 'trigger', t.tgname::text
  FROM dep JOIN pg_trigger t ON dep.classid = 'pg_trigger'::regclass AND t.oid = dep.objid
  WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname NOT LIKE '~segue\\_%'
  UNION ALL
  SELECT dep."column", 'generated column', g.attname::text
  FROM dep JOIN pg_attrdef d ON dep.classid = 'pg_attrdef'::regclass AND d.oid = dep.objid
    JOIN pg_attribute g ON g.attrelid = d.adrelid AND g.attnum = d.adnum
  WHERE d.adnum <> dep.attnum AND g.attgenerated <> ''
  UNION ALL
  SELECT dep."column", 'statistics', s.stxname::text
  FROM dep JOIN pg_statistic_ext s ON dep.classid = 'pg_statistic_ext'::regclass AND s.oid = dep.objid
  UNION ALL
  SELECT dep."column", 'publication', b.pubname::text
  FROM dep JOIN pg_publication_rel r ON dep.classid = 'pg_publication_rel'::regclass AND r.oid = dep.objid
    JOIN pg_publication b ON b.oid = r.prpubid
  UNION ALL
  SELECT dep."column", 'other', 'function ' || dep.objid::regprocedure
  FROM dep JOIN pg_proc f ON dep.classid = 'pg_proc'::regclass AND f.oid = dep.objid
  WHERE f.pronamespace IS DISTINCT FROM to_regnamespace('segue')
  UNION ALL
  SELECT dep."column", 'other', dep.classid::regclass || ' ' || dep.objid
  FROM dep
  WHERE dep.classid NOT IN ('pg_constraint'::regclass, 'pg_class'::regclass, 'pg_rewrite'::regclass,
    'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_attrdef'::regclass, 'pg_statistic_ext'::regclass,
    'pg_publication_rel'::regclass, 'pg_proc'::regclass)
  UNION ALL
  SELECT part."column", 'grant', coalesce(nullif(g.grantee, 0)::regrole::text, 'PUBLIC')
  FROM part, aclexplode(part.attacl) g
) found
ORDER BY 1, 2, 3`;

/** Dependents of every column of a table and its partitions. */
export const dependentsOf = (session: Session, oid: number): Promise<readonly ColumnDependent[]> =>
  session.rows(query, [oid]);
