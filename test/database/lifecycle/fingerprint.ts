/** All that a change may alter of a schema, as text to compare; row counts and physical order are left out. */
import type { TestDatabase } from '../../support/database.ts';

const inSchema = `JOIN pg_class c ON c.relnamespace = $1::regnamespace`;

const query = `
SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') AS text FROM (
  SELECT format('column %s.%s %s%s%s default %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN ' not null' END, CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END,
    pg_get_expr(d.adbin, d.adrelid)) AS line
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE c.relnamespace = $1::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT format('attributes %s.%s %s', a.attrelid::regclass, a.attname, concat_ws(' ', a.attcollation::regcollation, a.attstorage,
    a.attcompression, nullif(a.attstattarget::int, -1), a.attoptions::text, (SELECT string_agg(g::text, ',' ORDER BY g::text) FROM unnest(a.attacl) g), col_description(a.attrelid, a.attnum)))
  FROM pg_attribute a ${inSchema} AND c.oid = a.attrelid AND c.relkind IN ('r', 'p') WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT format('sequence %s of %s.%s (%s) %s', c.oid::regclass, d.refobjid::regclass, a.attname, d.deptype, concat_ws(' ',
    seqtypid::regtype, seqincrement, seqmin, seqmax, seqstart, seqcache, seqcycle,
    (SELECT string_agg(g::text, ',' ORDER BY g::text) FROM unnest(c.relacl) g), obj_description(c.oid, 'pg_class')))
  FROM pg_sequence s ${inSchema} AND c.oid = s.seqrelid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  UNION ALL
  SELECT format('constraint %s.%s %s', conrelid::regclass, conname, concat_ws(' ', pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')))
  FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype NOT IN ('n', 't')
  UNION ALL
  SELECT format('index %s valid %s%s%s %s', pg_get_indexdef(i.indexrelid), i.indisvalid, CASE WHEN i.indisreplident THEN ' replica identity' END,
    CASE WHEN i.indisclustered THEN ' clustered' END, obj_description(c.oid, 'pg_class'))
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = $1::regnamespace
  UNION ALL
  SELECT format('statistics %s', concat_ws(' ', pg_get_statisticsobjdef(s.oid), nullif(stxstattarget::int, -1), obj_description(s.oid, 'pg_statistic_ext')))
  FROM pg_statistic_ext s WHERE s.stxnamespace = $1::regnamespace
  UNION ALL
  SELECT format('publication %s %s %s', p.pubname, p.schemaname || '.' || p.tablename,
    (SELECT concat_ws(' ', (SELECT string_agg(v, ',' ORDER BY v) FROM jsonb_array_elements_text(to_jsonb(p)->'attnames') v), to_jsonb(p)->>'rowfilter')))
  FROM pg_publication_tables p WHERE p.schemaname::text = (SELECT nspname FROM pg_namespace WHERE oid = $1::regnamespace)
  UNION ALL
  SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE c.relnamespace = $1::regnamespace AND NOT t.tgisinternal
  UNION ALL
  SELECT format('function %s', p.oid::regprocedure) FROM pg_proc p
  WHERE p.pronamespace = to_regnamespace('segue') AND p.proname NOT LIKE 'note\\_%'
) found`;

/** The fingerprint of a schema, with what Segue has standing for it. */
export const fingerprint = async (sandbox: TestDatabase, schema: string): Promise<string> => {
  const [row] = await sandbox.query<{ text: string }>(query, [`"${schema.replaceAll('"', '""')}"`]);
  return row?.text ?? '';
};
