/** All that a change may alter of a schema, as text to compare; row counts and physical order are left out. */
import type { TestDatabase } from '../../support/database.ts';

const query = `
SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') AS text FROM (
  SELECT format('column %s.%s %s%s default %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN ' not null' END, pg_get_expr(d.adbin, d.adrelid)) AS line
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE c.relnamespace = $1::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype NOT IN ('n', 't')
  UNION ALL
  SELECT format('index %s valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = $1::regnamespace
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
