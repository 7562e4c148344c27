/** Two changes on one table: one waits, says for whom, and goes on by itself. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop, type LoopOptions } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loops: OperatorLoop[];

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  loops = [];
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'city' FROM generate_series(1, 100) n`);
});
afterEach(async () => {
  for (const loop of loops) await loop.close();
  await sandbox.close();
});

const loop = (name: string, change: ChangeSpec, options: Omit<LoopOptions, 'name'> = {}): OperatorLoop => {
  const made = new OperatorLoop(sandbox.uri, change, { ...options, name });
  loops.push(made);
  return made;
};

const dropped = (column: string): ChangeSpec => ({ dropColumn: { table: 'public.customers', column } });
const added = (name: string, backfill?: string): ChangeSpec => ({
  addColumn: {
    table: 'public.customers',
    name,
    type: 'text',
    nullable: true,
    unique: false,
    ...(backfill === undefined ? {} : { backfill }),
  },
});
const indexed = (column: string): ChangeSpec => ({
  createIndex: {
    table: 'public.customers',
    name: `by_${column}`,
    keys: [{ column }],
    unique: false,
    method: 'btree',
  },
});

const rivals: readonly (readonly [string, ChangeSpec, ChangeSpec])[] = [
  ['the same columns', fullName(), fullName()],
  ['an old column of the other', fullName(), dropped('last_name')],
  ['the new column of the other', fullName(), dropped('full_name')],
  ['a new column of the same name', added('nick', 'first_name'), added('nick', 'city')],
  ['a column that the other reads', added('nick', 'lower(first_name)'), dropped('first_name')],
  ['a column that it reads and the other replaces', fullName(), added('nick', 'lower(first_name)')],
  ['an index over a column that the other replaces', fullName(), indexed('last_name')],
  ['a column over which the other builds an index', indexed('city'), dropped('city')],
];

describe('on', () => {
  test.each(rivals)('%s: the second waits and names the first, then goes on', async (_, first, second) => {
    const one = loop('one', first);
    await one.until(({ phase }) => phase !== 'Pending' && phase !== '');
    const two = loop('two', second);
    expect(await two.look()).toMatchObject({
      phase: 'Pending',
      reason: 'ConflictingChange',
      message: expect.stringContaining('shop/one'),
      blockedBy: expect.stringContaining('shop/one'),
    });
    expect(two.resource.metadata.finalizers ?? []).toEqual([]);
    expect(two.resource.status?.conditions?.find(({ type }) => type === 'Stalled')?.status).toBe('False');
    one.patch({ rollback: true });
    await one.until(({ phase }) => phase === 'RolledBack');
    await two.until(({ reason }) => reason !== 'ConflictingChange');
  });
});

test('on other columns: both go their way at once, and every row is right', async () => {
  const one = loop('one', fullName());
  const two = loop('two', added('town', 'upper(city)'));
  for (const each of [one, two]) await each.to('Backfill');
  await sandbox.script(`
    INSERT INTO customers (id, first_name, last_name, city) VALUES (500, 'Ann', 'Lee', 'Rome');
    UPDATE customers SET first_name = 'Bob', city = 'Oslo' WHERE id = 1`);
  for (const each of [one, two]) each.patch({ targetPhase: 'Drop' });
  await one.complete();
  await two.complete();
  expect(
    await sandbox.query('SELECT id, full_name, town FROM customers WHERE id IN (1, 500) ORDER BY id'),
  ).toEqual([
    { id: '1', full_name: 'Bob last1', town: 'OSLO' },
    { id: '500', full_name: 'Ann Lee', town: 'ROME' },
  ]);
});

test('three of them go one after the other', async () => {
  const one = loop('one', fullName());
  await one.to('DualWrite');
  const two = loop('two', indexed('last_name'));
  const three = loop('three', added('nick', 'lower(first_name)'));
  for (const waiting of [two, three])
    expect(await waiting.look()).toMatchObject({ reason: 'ConflictingChange' });
  one.patch({ rollback: true });
  await one.until(({ phase }) => phase === 'RolledBack');
  await two.complete();
  await three.complete();
});

test('the first is deleted: the second goes on', async () => {
  const one = loop('one', added('nick', 'lower(first_name)'));
  await one.to('DualWrite');
  const two = loop('two', indexed('first_name'));
  expect(await two.look()).toMatchObject({ reason: 'ConflictingChange' });
  one.delete();
  await one.until(() => (one.resource.metadata.finalizers ?? []).length === 0);
  await two.complete();
});

test('both begin at the same moment: one of them waits', async () => {
  const both = [loop('one', fullName()), loop('two', fullName())];
  for (const each of both) await each.look();
  await Promise.all(both.map((each) => each.look()));
  const [active] = await sandbox.query<{ count: string }>(
    `SELECT count(*) FROM segue.change WHERE state = 'Active'`,
  );
  expect(active).toEqual({ count: '1' });
  for (const each of both) await each.look();
  expect(both.map(({ told }) => told.at(-1)?.reason)).toContain('ConflictingChange');
});
