/**
 * Segue's own schema in the user's database: `segue`. Made and upgraded in place, by numbered scripts.
 *
 * `breaking` is the oldest operator that may still write here: an older one refuses, so that a rollback of the
 * operator itself can't misread what a newer one wrote. Nothing of it is readable by other roles.
 */
import type { Outcome } from '../api/outcome.ts';
import { int, sql, type Sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { outcomeOf } from './errors.ts';
import { firstScript } from './schema-v1.ts';
import type { Session } from './session.ts';

/** Key space of the advisory locks that Segue takes: "Segu". The second number is a change's id, or 0 for the schema. */
export const lockClass = 0x53_65_67_75;

/** The second number of the lock that holds the fence in place. */
export const fenceLock = -1;

interface Script {
  readonly version: number;
  /** The first version of Segue's schema that an operator must know to work with the result. */
  readonly breaking: number;
  readonly statements: readonly Sql[];
}

const scripts: readonly Script[] = [firstScript];

/** The version of the schema that this code knows. */
export const schemaVersion = Math.max(...scripts.map(({ version }) => version));

const oldestServer = 140_000;

interface Installed {
  readonly version: number;
  readonly breaking: number;
}

/**
 * What is installed: undefined if nothing is. A schema of that name without our version table is somebody else's.
 * The catalog is queried, not to_regclass asked: that one answers from a cache, which still says "no such schema"
 * after a wait for whoever was making it.
 */
export const installedSchema = async (session: Session): Promise<Installed | 'foreign' | undefined> => {
  const found = await session.one<{ schema: boolean; version: boolean }>(
    sql`SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'segue') AS schema,
      EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'segue' AND c.relname = 'version') AS version`,
  );
  if (found.version) return session.one<Installed>(sql`SELECT version, breaking FROM segue.version`);
  return found.schema ? 'foreign' : undefined;
};

/** True if this code may read and write what is installed. */
export const isUsable = (installed: Installed): boolean => installed.breaking <= schemaVersion;

const refusal = (installed: Installed | 'foreign', label: string): Outcome => ({
  kind: 'refused',
  reason: 'ForeignLedger',
  message:
    installed === 'foreign'
      ? `Database ${label} has a schema "segue" that Segue did not make. Rename or drop it; Segue keeps its ledger under that name.`
      : `The ledger in database ${label} was written by a newer Segue (schema version ${installed.version}, this one knows ${schemaVersion}). Run that version of the operator again.`,
});

const install = async (session: Session, label: string): Promise<Outcome> => {
  const { version: server } = await session.one<{ version: number }>(
    sql`SELECT current_setting('server_version_num')::int AS version`,
  );
  if (server < oldestServer) {
    return {
      kind: 'refused',
      reason: 'UnsupportedServer',
      message: `Database ${label} is PostgreSQL ${Math.floor(server / 10_000)}; Segue needs 14 or later.`,
    };
  }
  await session.run(sql`SELECT pg_advisory_xact_lock(${int(lockClass)}, 0)`);
  const installed = await installedSchema(session);
  if (installed === 'foreign' || (installed && !isUsable(installed))) return refusal(installed, label);
  const from = installed?.version ?? 0;
  for (const script of scripts) {
    if (script.version <= from) continue;
    for (const statement of script.statements) await session.run(statement);
    await session.run(sql`UPDATE segue.version SET version = $1, breaking = $2`, [
      script.version,
      script.breaking,
    ]);
  }
  return { kind: 'done', message: `schema segue of database ${label} is at version ${schemaVersion}` };
};

/** Makes or upgrades the schema. Harmless to repeat; two operators at once take turns. */
export const ensureSchema = async (db: Database): Promise<Outcome> => {
  try {
    const installed = await db.transaction({ mode: 'read' }, installedSchema);
    if (installed && installed !== 'foreign' && isUsable(installed) && installed.version >= schemaVersion)
      return {
        kind: 'done',
        message: `schema segue of database ${db.label} is at version ${installed.version}`,
      };
    return await db.transaction({ mode: 'write' }, (session) => install(session, db.label));
  } catch (error) {
    return outcomeOf(error, `make schema segue in database ${db.label}`);
  }
};
