/** Old and new code write at the same time, in transactions that overlap, while the triggers change their mode. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import type { TriggerMode } from '../../../src/changes/change.ts';
import { Databases } from '../../../src/database/databases.ts';
import { startServer, type TestServer } from '../../support/database.ts';
import { dualWriting, expectDone, fullName } from '../../support/database-change.ts';

let server: TestServer;
let databases: Databases;

beforeAll(async () => {
  server = await startServer();
  databases = new Databases();
}, 60_000);
afterAll(async () => {
  await databases.close();
  await server.stop();
});

type Side = 'old' | 'new';
type Verb = 'insert' | 'update' | 'upsert' | 'move' | 'unrelated' | 'delete';
type Event =
  | {
      readonly kind: 'write';
      readonly side: Side;
      readonly verb: Verb;
      readonly id: number;
      readonly name: string | null;
    }
  | { readonly kind: 'transaction'; readonly side: Side; readonly verb: 'BEGIN' | 'COMMIT' | 'ROLLBACK' }
  | { readonly kind: 'mode'; readonly mode: TriggerMode };

const sides = fc.constantFrom<Side>('old', 'new');
// The last but one does not survive the way back, and says so.
const names = fc.constantFrom('Ann Lee', 'Bob Ray', 'Eve Day', 'Ann Mary Lee', null);
const events = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      side: sides,
      verb: fc.constantFrom<Verb>('insert', 'update', 'update', 'upsert', 'move', 'unrelated', 'delete'),
      id: fc.integer({ min: 1, max: 4 }),
      name: names,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('transaction' as const),
      side: sides,
      verb: fc.constantFrom('BEGIN' as const, 'COMMIT' as const, 'ROLLBACK' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      mode: fc.constantFrom<TriggerMode>('wide', 'narrow', 'watch'),
    }),
  },
);

const quoted = (text: string | null): string => (text === null ? 'NULL' : `'${text}'`);

const oldColumns = (name: string | null): Readonly<Record<string, string>> => {
  const [first, ...rest] = name?.split(' ') ?? [];
  return { first_name: quoted(first ?? null), last_name: quoted(name === null ? null : rest.join(' ')) };
};

/** Until the backfill is done, code that knows the new column writes the old ones as well. */
const columnsOf = (side: Side, name: string | null, mode: TriggerMode): Readonly<Record<string, string>> => {
  const fresh = { full_name: quoted(name) };
  if (side === 'old') return oldColumns(name);
  return mode === 'wide' ? { ...oldColumns(name), ...fresh } : fresh;
};

const statementOf = (event: Extract<Event, { kind: 'write' }>, mode: TriggerMode): string => {
  const columns = columnsOf(event.side, event.name, mode);
  const set = Object.entries(columns).map(([column, value]) => `${column} = ${value}`);
  const insert = `INSERT INTO people (id, ${Object.keys(columns).join(', ')}) VALUES (${event.id}, ${Object.values(columns).join(', ')})`;
  switch (event.verb) {
    case 'insert':
      return `${insert} ON CONFLICT DO NOTHING`;
    case 'upsert':
      return `${insert} ON CONFLICT (id) DO UPDATE SET ${Object.keys(columns)
        .map((column) => `${column} = EXCLUDED.${column}`)
        .join(', ')}`;
    case 'update':
      return `UPDATE people SET ${set.join(', ')} WHERE id = ${event.id}`;
    case 'move':
      // To the other partition or back, if there is room.
      return `UPDATE people p SET id = (p.id + 2) % 6, ${set.join(', ')} WHERE id = ${event.id}
        AND NOT EXISTS (SELECT FROM people o WHERE o.id = (p.id + 2) % 6)`;
    case 'unrelated':
      return `UPDATE people SET visits = visits + 1 WHERE id = ${event.id}`;
    case 'delete':
      return `DELETE FROM people WHERE id = ${event.id}`;
  }
};

/** What stands in nobody's way: a lock that does not come, a key that is taken. Anything else is ours. */
const expectedFailure = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  ['55P03', '23505', '40P01', '25P02'].includes(String(error.code));

test('each row says the same on both sides, or a conflict is on record', async () => {
  const sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE people (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0)
      PARTITION BY RANGE (id);
    CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (0) TO (3);
    CREATE TABLE people_high PARTITION OF people FOR VALUES FROM (3) TO (100)`);
  const driven = await dualWriting(databases.open(sandbox.uri), fullName('public.people'));
  const sessions: Record<Side, pg.Client> = {
    old: await sandbox.connect('old'),
    new: await sandbox.connect('new'),
  };
  for (const session of Object.values(sessions)) await session.query(`SET lock_timeout = '15ms'`);
  let mode: TriggerMode = 'wide';

  const change = async (to: TriggerMode): Promise<void> => {
    // Who is in a transaction holds it up; the operator would try again.
    const outcome = await driven.steps((id, facts) => driven.change.triggers(id, facts, to), 15);
    if (outcome.kind === 'done') mode = to;
    else expect(outcome).toMatchObject({ kind: 'deferred', reason: 'LockNotAvailable' });
  };
  const run = async (client: pg.Client, text: string): Promise<void> => {
    try {
      await client.query(text);
    } catch (error) {
      if (!expectedFailure(error)) throw error;
      await client.query('ROLLBACK');
    }
  };
  const play = async (history: readonly Event[]): Promise<void> => {
    for (const event of history) {
      if (event.kind === 'mode') await change(event.mode);
      else await run(sessions[event.side], event.kind === 'write' ? statementOf(event, mode) : event.verb);
    }
    for (const client of Object.values(sessions)) await client.query('COMMIT');
  };

  await fc.assert(
    fc.asyncProperty(fc.array(events, { minLength: 10, maxLength: 40 }), async (history) => {
      await change('wide');
      await sandbox.script(`
        TRUNCATE people, segue.conflict;
        INSERT INTO people (id, first_name, last_name) VALUES (1, 'Ann', 'Lee'), (2, 'Bob', 'Ray'), (3, NULL, 'Day')`);
      await play(history);
      expect(
        await sandbox.query(
          `SELECT * FROM people p WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name
            AND NOT EXISTS (SELECT FROM segue.conflict c WHERE (c.key ->> 'id')::int IN (p.id, (p.id + 4) % 6))`,
        ),
      ).toEqual([]);
    }),
    { numRuns: 60 },
  );
  expectDone(await driven.verify());
}, 60_000);
