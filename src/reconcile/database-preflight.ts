/** What the database has to say before anything begins: its version, the expressions, other changes under way. */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { Change } from '../changes/change.ts';
import { checkExpressions } from '../database/catalog.ts';
import { readServer, type Database } from '../database/databases.ts';
import { activeChanges } from '../database/ledger.ts';

const oldestServer = 140_000;

const serverViolations = async (db: Database): Promise<readonly Violation[]> => {
  const { version, inRecovery } = await readServer(db);
  if (version < oldestServer)
    return [
      {
        reason: 'UnsupportedServer',
        message: `${db.label} runs PostgreSQL ${Math.floor(version / 10_000)}; Segue needs 14 or later.`,
      },
    ];
  if (inRecovery)
    return [
      {
        reason: 'UnsupportedServer',
        message: `${db.label} is a read replica. Let spec.database.secretRef name the primary.`,
      },
    ];
  return [];
};

const conflictViolations = async (
  db: Database,
  change: Change,
  table: TableFacts,
): Promise<readonly Violation[]> => {
  const columns = new Set([...change.oldColumns, ...change.newColumns, ...change.uses]);
  const rivals = (await activeChanges(db, table.oid)).filter((other) =>
    [...other.oldColumns, ...other.newColumns].some((column) => columns.has(column)),
  );
  return rivals.map(({ namespace, name }) => ({
    reason: 'ConflictingChange',
    message: `SchemaChange ${namespace}/${name} is at work on the same columns of ${table.schema}.${table.name}; this one begins once it has ended.`,
  }));
};

/** All that is wrong, empty where nothing is. Throws DatabaseError. */
export const databaseViolations = async (
  db: Database,
  change: Change,
  table: TableFacts,
): Promise<readonly Violation[]> => {
  const server = await serverViolations(db);
  if (server.length > 0) return server;
  const catalog = change.preflight(table);
  // Expressions over columns that are not there would only repeat the complaint.
  if (catalog.length > 0) return [];
  return [
    ...(await checkExpressions(db, change.table, change.parseChecks(table))),
    ...(await conflictViolations(db, change, table)),
  ];
};
