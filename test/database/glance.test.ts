/** What a change that waits asks of the API server between two whole looks. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { OperatorLoop } from '../support/operator-loop.ts';
import { aSpec } from '../support/world.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script('CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)');
  loop = new OperatorLoop(
    sandbox.uri,
    { renameColumn: { table: 'public.customers', from: 'name', to: 'title' } },
    { spec: { quarantine: { ...aSpec().quarantine, duration: '24h' } } },
  );
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const inQuarantine = () => loop.until(({ reason, did }) => reason === 'InQuarantine' && did === undefined);

const lookAt = async () => {
  const [row] = await sandbox.query<{ at: string | null }>(`SELECT look->>'at' AS at FROM segue.change`);
  return row?.at;
};

test('in quarantine it asks for nothing, and looks for uses all the same', async () => {
  await inQuarantine();
  expect(await loop.glance()).toMatchObject({ next: { waits: { reason: 'InQuarantine' } }, requests: [] });
  await sandbox.script(`UPDATE segue.change SET look = NULL`);
  expect(await loop.glance()).toEqual({ next: { did: 'look', afterMs: 0 }, requests: [] });
  expect(await lookAt()).not.toBeNull();
  expect(await loop.glance()).toMatchObject({ next: { waits: { reason: 'InQuarantine' } }, requests: [] });
});

test('a look that can not be made is left to a whole look, which says why', async () => {
  await inQuarantine();
  await sandbox.script(`UPDATE segue.change SET look = NULL; LOCK TABLE segue.change`);
  const holder = await sandbox.connect('');
  await holder.query('BEGIN; LOCK TABLE segue.change IN EXCLUSIVE MODE');
  const glance = await loop.glance();
  await holder.query('ROLLBACK');
  expect(glance.next).toBeUndefined();
  expect(await lookAt()).toBeNull();
});

test('a missing Secret is asked for, and nothing else; once it is there a whole look is due', async () => {
  loop.withoutSecret();
  expect((await loop.look()).reason).toBe('SecretNotFound');
  loop.secondsLater();
  const { next, requests } = await loop.glance();
  expect(next).toMatchObject({ waits: { reason: 'SecretNotFound' } });
  expect(requests).toEqual(['get secrets']);
  loop.secret(sandbox.uri);
  expect((await loop.glance()).next).toBeUndefined();
});
