/**
 * Functions whose text names old columns. PostgreSQL keeps no dependency of a function on what its body names, so
 * that DROP COLUMN lets it pass and the next call fails. What is found is advice: a name may be another table's.
 */
import type { TableFacts } from '../api/facts.ts';
import { isComment, tokensOf, type Token } from '../sql/parser.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { judge, namesOf, type Watch } from './judge-statement.ts';

interface Candidate {
  /** As regprocedure prints it. */
  readonly label: string;
  readonly language: 'sql' | 'plpgsql';
  readonly body: string;
  /** True for the function of a trigger on the table, whose NEW and OLD are its rows. */
  readonly fires: boolean;
}

// Bodies written as BEGIN ATOMIC have real dependencies and stand in catalog-dependents.ts. What belongs to an
// extension is its maker's. Texts in other languages can't be read here.
// The cheap conditions come first and by themselves: prosqlbody, which PostgreSQL 13 does not have, is read by way of
// to_jsonb, which made of all of pg_proc takes 50 ms.
const candidates = sql`
WITH named AS MATERIALIZED (
  SELECT p.oid, p.prolang, p.prosrc FROM pg_proc p
  WHERE p.pronamespace <> ALL (ARRAY(SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'segue')))
    AND p.proname NOT LIKE '~segue\\_%' AND length(p.prosrc) <= 100000
    AND EXISTS (SELECT FROM unnest($2::text[]) old WHERE position(lower(old) IN lower(p.prosrc)) > 0)
)
SELECT p.oid::regprocedure::text AS label, l.lanname AS language, p.prosrc AS body,
  EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid AND NOT t.tgisinternal
    AND t.tgrelid IN (SELECT $1::oid UNION ALL SELECT relid::oid FROM pg_partition_tree($1::oid::regclass))) AS fires
FROM named p JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
WHERE (SELECT to_jsonb(q)->>'prosqlbody' FROM pg_proc q WHERE q.oid = p.oid) IS NULL
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 500`;

const nameOf = ({ text }: Token): string =>
  text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase();

/** All names in a PL/pgSQL body, those in the texts of EXECUTE included; undefined if it can't be read. */
const namesIn = (body: string): ReadonlySet<string> | undefined => {
  const tokens = tokensOf(body);
  if (tokens.kind === 'fault') return undefined;
  const words = tokens.value.filter((token) => !isComment(token));
  return new Set(
    words.flatMap((token) => {
      if (token.name !== 'SCONST') return [nameOf(token)];
      const within = tokensOf(token.text.replace(/^[eE]?'|'$|^\$\w*\$|\$\w*\$$/g, ''));
      return within.kind === 'fault' ? [] : within.value.map(nameOf);
    }),
  );
};

const mentions = ({ language, body, fires }: Candidate, watch: Watch): boolean => {
  if (language === 'sql') return judge(body, watch) !== undefined;
  const found = namesIn(body);
  // Its text has the column's name somewhere in it.
  if (found === undefined) return true;
  return (
    watch.columns.some((column) => found.has(column)) &&
    (fires || namesOf(watch).some((name) => found.has(name)))
  );
};

/** Functions and procedures that seem to use the columns, as regprocedure prints them. Throws DatabaseError. */
export const functionsThatName = async (
  db: Database,
  table: TableFacts,
  columns: readonly string[],
): Promise<readonly string[]> => {
  if (columns.length === 0) return [];
  const found = await db.transaction({ mode: 'read' }, (session) =>
    session.rows<Candidate>(candidates, [table.oid, columns]),
  );
  const watch: Watch = { table, columns, wildcards: 'Ignore', ignoreStatements: [] };
  return found.filter((candidate) => mentions(candidate, watch)).map(({ label }) => label);
};
