import type { Client } from 'pg';

const query = `
  SELECT string_agg(line, E'\\n' ORDER BY line) AS text FROM (
    SELECT format('column %s %s%s default %s, %s', attname, format_type(atttypid, atttypmod),
      CASE WHEN attnotnull THEN ' not null' END, pg_get_expr(d.adbin, d.adrelid),
      concat_ws(' ', attidentity, attstorage, attcollation, attoptions::text, col_description(attrelid, attnum),
        (SELECT string_agg(g::text, ',' ORDER BY g::text) FROM unnest(attacl) g))) AS line
    FROM pg_attribute LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
    WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT format('constraint %s %s, validated %s', conname, pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE conrelid = 'customers'::regclass AND contype <> 'n'
    UNION ALL SELECT format('index %s, valid %s', pg_get_indexdef(indexrelid), indisvalid)
    FROM pg_index WHERE indrelid = 'customers'::regclass
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid)
    FROM pg_trigger WHERE tgrelid = 'customers'::regclass AND NOT tgisinternal
    UNION ALL SELECT 'statistics ' || pg_get_statisticsobjdef(oid)
    FROM pg_statistic_ext WHERE stxrelid = 'customers'::regclass
    UNION ALL SELECT format('%s %s, grants %s', relkind, oid::regclass,
      (SELECT string_agg(g::text, ',' ORDER BY g::text) FROM unnest(relacl) g))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger function ' || oid::regprocedure
    FROM pg_proc WHERE prorettype = 'trigger'::regtype
      AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  ) found`;

/**
 * Everything of the shop's schema that a change may alter, one line each: columns with defaults and grants,
 * constraints, indexes, triggers, statistics, relations, and trigger functions in any schema.
 */
export async function schemaText(client: Client): Promise<string> {
  const { rows } = await client.query<{ text: string }>(query);
  return rows[0]?.text ?? '';
}
