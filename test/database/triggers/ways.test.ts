import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { TriggerMode } from '../../../src/changes/change.ts';
import { Databases } from '../../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { dualWriting, expectDone, fullName, type DrivenChange } from '../../support/database-change.ts';
import { ways, writers, type Way, type Writer } from './ways.ts';

let server: TestServer;
let databases: Databases;
let major: number;

beforeAll(async () => {
  server = await startServer();
  databases = new Databases();
}, 60_000);
afterAll(async () => {
  await databases.close();
  await server.stop();
});

const people = `
  CREATE TABLE people (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0, rank int)`;
const partitionedPeople = `
  CREATE TABLE people (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0, rank int)
    PARTITION BY RANGE (id);
  CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (0) TO (7);
  CREATE TABLE people_high PARTITION OF people FOR VALUES FROM (7) TO (100)`;
const rows = `INSERT INTO people SELECT n, 'first' || n, 'last' || n, 0, n FROM generate_series(1, 5) n`;

const inMode = async (driven: DrivenChange, mode: TriggerMode): Promise<void> => {
  expectDone(await driven.fillAll());
  if (mode === 'wide') return;
  expectDone(await driven.triggers('narrow'));
  if (mode === 'narrow') return;
  expectDone(await driven.steps(driven.change.relax));
  expectDone(await driven.triggers('watch'));
};

interface Setting {
  readonly sandbox: TestDatabase;
  readonly client: pg.Client;
  readonly driven: DrivenChange;
}

const prepare = async (mode: TriggerMode, tables: string): Promise<Setting> => {
  const sandbox = await server.database();
  await sandbox.script(`${tables}; ${rows}`);
  const driven = await dualWriting(databases.open(sandbox.uri), fullName('public.people'));
  await inMode(driven, mode);
  const client = await sandbox.connect('writer');
  const { rows: versions } = await client.query<{ major: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  major = versions[0]?.major ?? 0;
  return { sandbox, client, driven };
};

const outOfStep = `SELECT id FROM public.people WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`;

/** Runs one way in a transaction that is rolled back, and gives what it left. */
const trace = async (client: pg.Client, way: Way, by: Writer) => {
  await client.query('BEGIN');
  try {
    for (const statement of way.given ?? []) await client.query(statement);
    const write = way.write(by, client);
    if (typeof write === 'string') await client.query(write);
    else await write;
    await client.query(
      `RESET ROLE; SET LOCAL search_path = pg_catalog, public; SET LOCAL session_replication_role = origin`,
    );
    const ids = way.wrote.map(([id]) => id);
    const found = await client.query(
      'SELECT id::int, first_name, last_name, full_name FROM public.people WHERE id = ANY ($1) ORDER BY id',
      [ids],
    );
    const wrong = await client.query(outOfStep);
    const conflicts = await client.query('SELECT side FROM segue.conflict');
    return { found: found.rows, wrong: wrong.rows, conflicts: conflicts.rows };
  } finally {
    await client.query('ROLLBACK');
  }
};

const everyWay = async ({ client }: Setting, skipped: readonly string[] = []): Promise<void> => {
  const results: Record<string, unknown> = {};
  const expected: Record<string, unknown> = {};
  for (const way of ways)
    for (const by of writers) {
      if ((way.since ?? 0) > major || skipped.includes(way.name)) continue;
      const name = `${way.name}, ${by.code} code`;
      expected[name] = {
        found: way.wrote.map(([id, first, last]) => ({
          id,
          first_name: first,
          last_name: last,
          full_name: `${first} ${last}`,
        })),
        wrong: [],
        conflicts: [],
      };
      results[name] = await trace(client, way, by).catch((error: unknown) => String(error));
    }
  expect(results).toEqual(expected);
};

describe.each(['wide', 'narrow', 'watch'] as const)('both sides stay in step, triggers %s:', (mode) => {
  test('every way to write', async () => {
    await everyWay(await prepare(mode, people));
  });

  test('every way to write, in partitions', async () => {
    await everyWay(await prepare(mode, partitionedPeople), [
      'UPDATE ONLY',
      // PostgreSQL knows the cursor by one partition only.
      'UPDATE WHERE CURRENT OF a cursor',
      // A unique constraint has to have the partition key.
      'UPDATE while a constraint is deferred',
    ]);
  });
});
