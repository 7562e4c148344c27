/**
 * What our triggers cost the application's UPDATEs. As a client sees them: single rows by key, each committed.
 * Inside the server, where no network and no disk hides it: the same in one DO block, and one statement for all rows.
 */
import type pg from 'pg';
import { atLeast } from '../report.ts';
import { interleaved, measurementsOf, speedRatio, type Contender } from '../rounds.ts';
import { fill, withChange, withDualWriting } from '../segue.ts';
import { expectDone } from '../../test/support/database-change.ts';
import { connect, type BenchDatabase, type BenchServer } from '../server.ts';
import { building, narrow } from '../tables.ts';
import type { Suite } from './suite.ts';

const tableRows = 100_000;
const statements = 40_000;
const clientStatements = 8_000;
const clientConnections = 4;

const assignments = {
  unrelated: 'visits = visits + 1',
  source: `last_name = last_name || 'x'`,
} as const;

type Target = keyof typeof assignments;

const rowLock =
  'PostgreSQL locks each row of an UPDATE, and writes WAL for it, before it asks whether a BEFORE UPDATE trigger concerns it.';
const conversion =
  'each row’s expression is evaluated behind a block that catches its errors, so that no write of the application fails: a subtransaction a row.';

const keyOf = (i: number): number => 1 + ((i * 7919) % tableRows);

// Ids far apart from one to the next: neighbours would find their page and its index leaf at hand.
const singleRows = (target: Target): string => `DO $$ BEGIN
  FOR i IN 0..${statements - 1} LOOP
    UPDATE customers SET ${assignments[target]} WHERE id = 1 + (i * 7919) % ${tableRows};
  END LOOP;
END $$`;

const allRows = (target: Target): string => `UPDATE customers SET ${assignments[target]}`;

const measuring =
  (server: BenchServer, updates: number, statement: string): Contender['measure'] =>
  ({ client }) =>
    server.timed(updates, () => client.query(statement));

/** A closed loop over a few connections, one transaction per statement. */
const byClient =
  (server: BenchServer, target: Target): Contender['measure'] =>
  async ({ uri }) => {
    const text = `UPDATE customers SET ${assignments[target]} WHERE id = $1`;
    const clients = await Promise.all(Array.from({ length: clientConnections }, () => connect(uri)));
    let next = 0;
    const work = async (client: pg.Client): Promise<void> => {
      while (next < clientStatements) {
        next += 1;
        await client.query({ name: 'update', text, values: [keyOf(next)] });
      }
    };
    try {
      return await server.timed(clientStatements, () => Promise.all(clients.map(work)));
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  };

/** All states of the table hold the same rows with the same columns, without holes: only the triggers differ. */
interface States {
  /** No trigger. */
  readonly none: string;
  /** The triggers from the end of Backfill to Quarantine. */
  readonly narrow: string;
  /** The triggers of Quarantine, which keep record of writes to the old side. */
  readonly watch: string;
  /** The triggers during the backfill, on rows that it has filled. */
  readonly wide: string;
  /** The same, on rows that it has not filled: each UPDATE fills its row. */
  readonly wideUnset: string;
}

const compact = async ({ client }: BenchDatabase): Promise<void> => {
  await client.query('VACUUM FULL customers');
};

const states = async (server: BenchServer): Promise<States> => {
  const wideUnset = await server.template(async (database) => {
    await building(narrow, tableRows)(database);
    await withDualWriting(database, async () => undefined);
    await compact(database);
  });
  const wide = await server.template(async (database) => {
    await withChange(database, (driven) => fill(driven, 1));
    await compact(database);
  }, wideUnset);
  const inMode = (mode: 'narrow' | 'watch') =>
    server.template(
      (database) => withChange(database, async (driven) => expectDone(await driven.triggers(mode))),
      wide,
    );
  const none = await server.template(
    (database) =>
      withChange(database, async (driven) => expectDone(await driven.steps(driven.change.undo.triggers))),
    wide,
  );
  return { none, narrow: await inMode('narrow'), watch: await inMode('watch'), wide, wideUnset };
};

export const trigger: Suite = async (server, { rounds, until }) => {
  const templates = await states(server);
  const contenders: readonly Contender[] = (['unrelated', 'source'] as const).flatMap((target) =>
    (['none', 'narrow', 'watch', 'wide', 'wideUnset'] as const).flatMap((state) => [
      {
        name: `client ${target} ${state}`,
        template: templates[state],
        measure: byClient(server, target),
      },
      {
        name: `single ${target} ${state}`,
        template: templates[state],
        measure: measuring(server, statements, singleRows(target)),
      },
      {
        name: `bulk ${target} ${state}`,
        template: templates[state],
        measure: measuring(server, tableRows, allRows(target)),
      },
    ]),
  );
  const measured = await interleaved(server, contenders, { rounds, until, title: 'trigger' });
  for (const template of Object.values(templates)) await server.drop(template);
  const ratio = (way: string, target: Target, state: string): number | undefined =>
    speedRatio(measured, `${way} ${target} ${state}`, `${way} ${target} none`);
  return {
    measurements: measurementsOf(measured, { prefix: '', unit: 'update' }),
    goals: ['client', 'single', 'bulk'].flatMap((way) => [
      atLeast(`${way}, unrelated column: narrow / none`, 0.97, ratio(way, 'unrelated', 'narrow'), rowLock),
      atLeast(`${way}, source column: narrow / none`, 0.6, ratio(way, 'source', 'narrow'), conversion),
    ]),
    failures: measured.failures,
    notes: [
      `${tableRows} rows of the narrow table. client: ${clientStatements} transactions over ${clientConnections} connections; single: ${statements} statements in one DO block; bulk: one statement for all rows.`,
      'wide: during the backfill, rows already filled. wideUnset: rows not filled yet, which the UPDATE fills.',
    ],
  };
};
