/** What a plan asks of a database. Every transaction of it is READ ONLY: nothing is made, not even schema segue. */
import type { TableFacts, Violation } from '../../api/facts.ts';
import type { Change, TableName } from '../../changes/change.ts';
import { asNamed } from '../../changes/hide.ts';
import type { ChangeSpec } from '../../api/schema-change.ts';
import { sameJson } from '../../api/json.ts';
import type { Phase } from '../../api/phase.ts';
import { readTable } from '../../database/catalog.ts';
import type { Database } from '../../database/databases.ts';
import { functionsThatName } from '../../database/function-mentions.ts';
import { databaseViolations } from '../../database/preflight.ts';
import { readLedger } from '../../database/read-ledger.ts';
import { sql } from '../../sql/sql.ts';
import { judgeExpressions } from './judge-expressions.ts';

/** See the file's head. */
export interface Survey {
  readonly label: string;
  /** Undefined where there is none of that name. */
  readonly table: TableFacts | undefined;
  readonly id: number;
  readonly refused: readonly Violation[];
  readonly bytes: number;
  readonly mentions: readonly string[];
  readonly oldNotNull: readonly string[];
  /** Where the change stands, if it has begun. */
  readonly from?: Phase;
}

/** Which change of which resource. */
export interface Subject {
  readonly change: Change;
  readonly spec: ChangeSpec;
  readonly namespace: string;
  readonly name: string;
}

// Numbers of the ledger are drawn from the sequence of its identity column.
const nextId = (db: Database): Promise<number> =>
  db.transaction({ mode: 'read' }, async (session) => {
    const { exists } = await session.one<{ exists: boolean }>(
      sql`SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'segue' AND c.relname = 'change_id_seq') AS exists`,
    );
    if (!exists) return 1;
    const { next } = await session.one<{ next: number }>(
      sql`SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END AS next FROM segue.change_id_seq`,
    );
    return next;
  });

const sizeOf = async (db: Database, { heaps }: TableFacts): Promise<number> => {
  const { bytes } = await db.transaction({ mode: 'read' }, (session) =>
    session.one<{ bytes: number }>(
      sql`SELECT coalesce(sum(pg_relation_size(oid::oid::regclass)), 0)::bigint AS bytes FROM unnest($1::bigint[]) oid`,
      [heaps.map(({ oid }) => oid)],
    ),
  );
  return bytes;
};

const notFound = ({ schema, name }: TableName): Violation => ({
  reason: 'TableNotFound',
  message: `There is no table ${schema}.${name} in the database. Create it, or correct spec.change; names are taken as written, upper and lower case included.`,
});

const notNullIn = (change: Change, table: TableFacts): readonly string[] =>
  change.oldColumns.filter((column) => table.columns[column]?.notNull === true);

/** Asks all of it. Throws DatabaseError. */
export const survey = async (db: Database, { change, spec, namespace, name }: Subject): Promise<Survey> => {
  const nothing = { label: db.label, bytes: 0, mentions: [], oldNotNull: [] };
  // What is no SQL is never sent.
  if (change.invalid.length > 0) return { ...nothing, table: undefined, id: 1, refused: change.invalid };
  const found = await readTable(db, change.table);
  if (found === undefined)
    return { ...nothing, table: undefined, id: await nextId(db), refused: [notFound(change.table)] };
  const ledger = await readLedger(db, { namespace, name });
  const size = { label: db.label, bytes: await sizeOf(db, found) };
  const mentions = await functionsThatName(db, found, change.oldColumns);
  if (ledger?.state === 'Active' && sameJson(ledger.change, spec)) {
    const table = asNamed(found, ledger.id, ledger.attnums);
    const { id, oldNotNull, phase: from } = ledger;
    return { ...size, table, id, refused: [], mentions, oldNotNull, from };
  }
  const refused = [
    ...change.preflight(found),
    ...(await databaseViolations(db, change, found, (of, _change, table) =>
      judgeExpressions(of, spec, change, table),
    )),
  ];
  return {
    ...size,
    table: found,
    id: await nextId(db),
    refused,
    mentions,
    oldNotNull: notNullIn(change, found),
  };
};
