/**
 * What the role may not do, asked before anything is touched. Each answer carries the statement that mends it: a
 * refusal half-way, after days of backfill, would be worse than any that is made now.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { Change, Step, TableName } from '../changes/change.ts';
import { ident, lit, sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import type { Session } from './session.ts';

interface Relation {
  readonly label: string;
  readonly owner: string;
  readonly ownerIsSuperuser: boolean;
  readonly owned: boolean;
}

interface Rights {
  readonly role: string;
  readonly database: string;
  readonly createInDatabase: boolean;
  readonly temporary: boolean;
  readonly plpgsql: boolean;
  /** NULL where there is no schema segue yet. */
  readonly ledgerOwner: string | null;
  readonly ledgerOwned: boolean | null;
  readonly usage: boolean;
  readonly create: boolean;
  readonly rowSecurity: boolean;
  /** Where session_replication_role comes from, if it would keep our triggers from acting. */
  readonly replicationOf: 'role' | 'database' | 'both' | 'server' | null;
  /** Privileges on the table that its owner has lost. */
  readonly lost: readonly string[];
}

// pg_has_role(…, 'USAGE'): what the owner may do, this role may do without SET ROLE.
const relations = sql`
SELECT c.oid::regclass::text AS label, o.rolname AS owner, o.rolsuper AS "ownerIsSuperuser",
  pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
WHERE c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))
ORDER BY c.oid <> $1, c.oid`;

const rights = sql`
SELECT current_user AS role, current_database() AS database,
  has_database_privilege(current_database(), 'CREATE') AS "createInDatabase",
  has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
  has_language_privilege('plpgsql', 'USAGE') AS plpgsql,
  (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'segue') AS "ledgerOwner",
  (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'segue') AS "ledgerOwned",
  has_schema_privilege(c.relnamespace, 'USAGE') AS usage, has_schema_privilege(c.relnamespace, 'CREATE') AS create,
  row_security_active(c.oid) AS "rowSecurity",
  CASE WHEN current_setting('session_replication_role') <> 'origin' THEN coalesce(
    (SELECT CASE WHEN s.setdatabase = 0 THEN 'role' WHEN s.setrole = 0 THEN 'database' ELSE 'both' END
      FROM pg_db_role_setting s, unnest(s.setconfig) line
      WHERE line LIKE 'session_replication_role=%' AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC LIMIT 1), 'server') END AS "replicationOf",
  ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'TRIGGER']) p
    WHERE NOT has_table_privilege(c.oid, p)) AS lost
FROM pg_class c WHERE c.oid = $1`;

const lacking = (what: string, ...statements: readonly string[]): Violation => ({
  reason: 'InsufficientPrivilege',
  message: `${what} Run, as a role that may: ${statements.join('; ')}; It goes on by itself then.`,
});

const ofDatabase = (found: Rights): readonly Violation[] => {
  const role = ident(found.role).text;
  const database = ident(found.database).text;
  const violations: Violation[] = [];
  if (found.ledgerOwner === null && !found.createInDatabase)
    violations.push(
      lacking(
        `Role ${role} may not make schema segue, in which Segue keeps its ledger.`,
        `GRANT CREATE ON DATABASE ${database} TO ${role}`,
      ),
    );
  if (found.ledgerOwned === false)
    violations.push(
      lacking(
        `Schema segue with the ledger belongs to ${ident(found.ledgerOwner ?? '').text}, of which role ${role} is no member.`,
        `GRANT ${ident(found.ledgerOwner ?? '').text} TO ${role}`,
      ),
    );
  if (!found.temporary)
    violations.push(
      lacking(
        `Role ${role} may make no temporary tables, on which expressions are tried.`,
        `GRANT TEMPORARY ON DATABASE ${database} TO ${role}`,
      ),
    );
  if (!found.plpgsql)
    violations.push(
      lacking(
        `Role ${role} may not write functions in plpgsql, of which triggers are made.`,
        `GRANT USAGE ON LANGUAGE plpgsql TO ${role}`,
      ),
    );
  if (found.replicationOf !== null)
    violations.push(
      lacking(
        `session_replication_role is set to other than origin for role ${role}, which keeps triggers from acting.`,
        {
          role: `ALTER ROLE ${role} RESET session_replication_role`,
          database: `ALTER DATABASE ${database} RESET session_replication_role`,
          both: `ALTER ROLE ${role} IN DATABASE ${database} RESET session_replication_role`,
          server: 'ALTER SYSTEM RESET session_replication_role',
        }[found.replicationOf],
      ),
    );
  return violations;
};

const ofOwnership = (role: string, found: readonly Relation[]): readonly Violation[] =>
  found
    .filter(({ owned }) => !owned)
    .map(({ label, owner, ownerIsSuperuser }) =>
      lacking(
        `Role ${role} does not own ${label}, which belongs to ${ident(owner).text}; only its owner may alter a table.`,
        ownerIsSuperuser ? `ALTER TABLE ${label} OWNER TO ${role}` : `GRANT ${ident(owner).text} TO ${role}`,
      ),
    );

const ofTable = (table: TableFacts, found: Rights, buildsIndex: boolean): readonly Violation[] => {
  const role = ident(found.role).text;
  const schema = ident(table.schema).text;
  const label = ident(table.schema, table.name).text;
  const violations: Violation[] = [];
  if (!found.usage)
    violations.push(
      lacking(
        `Role ${role} may not look into schema ${schema}.`,
        `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
      ),
    );
  if (buildsIndex && !found.create)
    violations.push(
      lacking(
        `Role ${role} may make no index in schema ${schema}.`,
        `GRANT CREATE ON SCHEMA ${schema} TO ${role}`,
      ),
    );
  if (found.lost.length > 0)
    violations.push(
      lacking(
        `Role ${role} lacks ${found.lost.join(', ')} on ${label}.`,
        `GRANT ${found.lost.join(', ')} ON ${label} TO ${role}`,
      ),
    );
  if (found.rowSecurity)
    violations.push(
      lacking(
        `Row security of ${label} holds for role ${role} too: rows that a policy hides would be left out.`,
        `ALTER ROLE ${role} BYPASSRLS`,
      ),
    );
  return violations;
};

/** Of a table that a foreign key is to refer to; whether it is there at all is asked elsewhere. */
const ofReferenced = async (
  session: Session,
  role: string,
  { schema, name }: TableName,
): Promise<readonly Violation[]> => {
  const [found] = await session.rows<{ usage: boolean; lost: readonly string[] }>(
    sql`SELECT has_schema_privilege(n.oid, 'USAGE') AS usage,
        ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'REFERENCES']) p WHERE NOT has_any_column_privilege(c.oid, p)) AS lost
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  if (found === undefined) return [];
  const label = ident(schema, name).text;
  const violations: Violation[] = [];
  if (!found.usage)
    violations.push(
      lacking(
        `Role ${role} may not look into schema ${ident(schema).text}.`,
        `GRANT USAGE ON SCHEMA ${ident(schema).text} TO ${role}`,
      ),
    );
  if (found.lost.length > 0)
    violations.push(
      lacking(
        `Role ${role} lacks ${found.lost.join(', ')} on ${label}, to which the foreign key refers.`,
        `GRANT ${found.lost.join(', ')} ON ${label} TO ${role}`,
      ),
    );
  return violations;
};

const unique = (tables: readonly TableName[]): readonly TableName[] => [
  ...new Map(tables.map((table) => [lit(table.schema).text + lit(table.name).text, table])).values(),
];

/** The privileges that the change needs and the role lacks; empty where it lacks none. Throws DatabaseError. */
export const missingPrivileges = (
  db: Database,
  change: Change,
  table: TableFacts,
): Promise<readonly Violation[]> => {
  // Of a table that the change does not fit there are no steps to speak of.
  const steps: readonly Step[] =
    change.preflight(table).length > 0 ? [] : [...change.expand(0, table), ...change.constrain(0, table)];
  return db.transaction({ mode: 'read' }, async (session) => {
    const found = await session.one<Rights>(rights, [table.oid]);
    const role = ident(found.role).text;
    const violations = [
      ...ofDatabase(found),
      ...ofOwnership(role, await session.rows<Relation>(relations, [table.oid])),
      ...ofTable(
        table,
        found,
        steps.some(({ transactional }) => !transactional),
      ),
    ];
    for (const referenced of unique(steps.flatMap(({ alongside = [] }) => alongside)))
      violations.push(...(await ofReferenced(session, role, referenced)));
    return violations;
  });
};
