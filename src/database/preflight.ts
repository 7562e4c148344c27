/**
 * What the database has to say before anything begins: its version, other changes under way,
 * privileges, the expressions.
 */
import type { TableFacts, Violation } from '../api/facts.ts';
import type { Change } from '../changes/change.ts';
import { checkExpressions } from './catalog.ts';
import { readServer, type Database } from './databases.ts';
import { activeChanges, overlap, type ActiveChange } from './ledger.ts';
import { missingPrivileges } from './privileges.ts';
import { ident } from '../sql/sql.ts';

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

/** Triggers of changes that the ledger does not know: it was deleted, or restored from before they began. */
const leftovers = (table: TableFacts, active: readonly ActiveChange[]): readonly Violation[] => {
  const label = ident(table.schema, table.name).text;
  const orphans = table.triggers.flatMap(({ name }) => {
    const [, id] = /^~segue_(\d+)_/.exec(name) ?? [];
    return id === undefined || active.some((change) => change.id === Number(id)) ? [] : [{ name, id }];
  });
  if (orphans.length === 0) return [];
  const statements = [
    ...orphans.map(({ name }) => `DROP TRIGGER ${ident(name).text} ON ${label}`),
    ...[...new Set(orphans.map(({ id }) => id))].map((id) => `DROP FUNCTION IF EXISTS segue.sync_${id}()`),
  ];
  return [
    {
      reason: 'ForeignLedger',
      message: `${label} has triggers of a change that the ledger does not know: the ledger was deleted, or restored from an earlier time. Bring it back, or look at the columns that the change was about and run: ${statements.join('; ')};`,
    },
  ];
};

const conflictViolations = (
  change: Change,
  table: TableFacts,
  active: readonly ActiveChange[],
): readonly Violation[] => {
  const columns = [...change.oldColumns, ...change.newColumns, ...change.uses];
  const rivals = active.filter((other) => overlap(columns, [...other.oldColumns, ...other.newColumns]));
  return rivals.map(({ namespace, name }) => ({
    reason: 'ConflictingChange',
    message: `SchemaChange ${namespace}/${name} is at work on the same columns of ${table.schema}.${table.name}; this one begins once it has ended.`,
  }));
};

/** Has PostgreSQL judge the change's expressions. */
type Judge = (db: Database, change: Change, table: TableFacts) => Promise<readonly Violation[]>;

const byParseChecks: Judge = (db, change, table) =>
  checkExpressions(db, change.table, change.parseChecks(table));

/**
 * All that is wrong, empty where nothing is. `judge` replaces what asks PostgreSQL about the expressions, which makes
 * temporary tables in a transaction that is rolled back. Throws DatabaseError.
 */
export const databaseViolations = async (
  db: Database,
  change: Change,
  table: TableFacts,
  judge = byParseChecks,
): Promise<readonly Violation[]> => {
  // What is no SQL is never sent.
  if (change.invalid.length > 0) return change.invalid;
  const server = await serverViolations(db);
  if (server.length > 0) return server;
  const privileges = await missingPrivileges(db, change, table);
  if (privileges.length > 0) return privileges;
  const active = await activeChanges(db, table.oid);
  const conflicts = [...leftovers(table, active), ...conflictViolations(change, table, active)];
  if (conflicts.length > 0) return conflicts;
  // Expressions over columns that are not there would only repeat the complaint.
  if (change.preflight(table).length > 0) return [];
  return judge(db, change, table);
};
