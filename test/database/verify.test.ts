import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import { replayed } from '../../src/database/replicas.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  takeOver,
  toNumber,
  type DrivenChange,
} from '../support/database-change.ts';
import { OperatorLoop } from '../support/operator-loop.ts';
import { aSpec } from '../support/world.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  databases = new Databases();
  db = databases.open(sandbox.uri);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const customers = async (rows: number): Promise<void> =>
  sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n;`);

/** As a person with the wrong tools would: past the triggers. */
const inject = (statement: string): Promise<void> =>
  sandbox.script(`SET session_replication_role = replica; ${statement}; RESET session_replication_role`);

test('compares every row and records it with a position in the WAL', async () => {
  await customers(20_000);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  const { verification } = await change.ledger();
  expect(verification).toEqual({
    at: expect.any(Number),
    share: 100,
    rowsCompared: 20_000,
    mismatches: 0,
    sampleKeys: [],
    lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
  });
  expect(await replayed(db, verification?.lsn ?? '')).toBe(true);
});

test('finds rows that differ, counts all, shows keys of ten and no values', async () => {
  await customers(20_000);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  await inject(`UPDATE customers SET full_name = 'mallory' WHERE id % 1000 = 0`);
  const outcome = await change.verify();
  const { verification } = await change.ledger();
  expect(verification).toMatchObject({ rowsCompared: 20_000, mismatches: 20 });
  expect(verification?.sampleKeys).toHaveLength(10);
  for (const key of verification?.sampleKeys ?? [])
    expect((JSON.parse(key) as { id: number }).id % 1000).toBe(0);
  expect(JSON.stringify([outcome, verification])).not.toContain('mallory');
});

test('finds a row whose new value is missing though it should have one, and one that should not', async () => {
  await customers(10);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  await inject(
    `UPDATE customers SET full_name = NULL WHERE id = 3; UPDATE customers SET last_name = NULL WHERE id = 5`,
  );
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({
    mismatches: 2,
    sampleKeys: ['{"id": 3}', '{"id": 5}'],
  });
});

test('a row that cannot even be converted differs; the others are compared all the same', async () => {
  await sandbox.script(`
    CREATE TABLE items (id int PRIMARY KEY, amount text);
    INSERT INTO items SELECT n, n::text FROM generate_series(1, 5000) n;
    UPDATE items SET amount = 'x' WHERE id IN (77, 4000)`);
  const change = await dualWriting(db, toNumber());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({
    rowsCompared: 5_000,
    mismatches: 2,
  });
  expect(new Set((await change.ledger()).verification?.sampleKeys)).toEqual(
    new Set(['{"id": 77}', '{"id": 4000}']),
  );
  // With onBadRow: Skip they are known, and only what is not known counts.
  await inject('UPDATE items SET amount_int = -1 WHERE id = 9');
  expectDone(await change.verify({ skipBadRows: true }));
  expect((await change.ledger()).verification).toMatchObject({
    rowsCompared: 5_000,
    mismatches: 1,
    sampleKeys: ['{"id": 9}'],
  });
});

test('an expression that fails on every row ends soon, with mismatches', async () => {
  await sandbox.script(`
    CREATE TABLE items (id int PRIMARY KEY, amount text);
    INSERT INTO items SELECT n, 'x' FROM generate_series(1, 20000) n`);
  const change = await dualWriting(db, toNumber());
  const outcome = await change.verify();
  if (outcome.kind === 'done')
    expect((await change.ledger()).verification?.mismatches).toBeGreaterThanOrEqual(200);
  else expect(outcome).toMatchObject({ kind: 'refused' });
}, 90_000);

test('a new pass of the backfill takes the result back', async () => {
  await customers(100);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toBeDefined();
  expectDone(await change.mutate({ kind: 'handleRetry', value: '1' }));
  expect((await change.ledger()).verification).toBeUndefined();
});

test('is interrupted at once when asked', async () => {
  await customers(100);
  await sandbox.script(`
    CREATE FUNCTION slowly(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'`);
  const change = await dualWriting(db, {
    replaceColumns: {
      table: 'customers',
      from: ['last_name'],
      to: [{ name: 'surname', type: 'text', nullable: true }],
      forward: { surname: 'slowly(last_name)' },
      backward: { last_name: 'surname' },
    },
  });
  expectDone(await change.comparing(true));
  const interruption = new AbortController();
  setTimeout(() => interruption.abort(), 300);
  const began = performance.now();
  const outcome = await change.verifyStretch({}, interruption.signal);
  expect(outcome).toMatchObject({ kind: 'deferred' });
  expect(performance.now() - began).toBeLessThan(2_000);
  expect((await change.ledger()).verification).toBeUndefined();
});

/** Five rows a page: more pages than a first range has, few rows. */
const spacious = async (options = ''): Promise<void> =>
  sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0,
      pad text NOT NULL) ${options};
    ALTER TABLE customers ALTER pad SET STORAGE PLAIN;
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 0, repeat('x', 1500) FROM generate_series(1, 12500) n;`);

const pageOf = async (id: number): Promise<number> => {
  const [row] = await sandbox.query<{ page: number }>(
    'SELECT (ctid::text::point)[0]::int AS page FROM customers WHERE id = $1',
    [id],
  );
  return row?.page ?? -1;
};

/** A first range, and no more. */
const firstRange = (change: DrivenChange) => change.verifyStretch({ budgetMs: 0, workers: 1 });

describe('a row that moves from a page yet to be read to one that was read', () => {
  /** Leaves a row that differs behind the first range, then has an update of another column carry it into that range. */
  const jump = async (change: DrivenChange): Promise<void> => {
    expectDone(await change.fillAll());
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id = 12500`);
    await sandbox.script('DELETE FROM customers WHERE id < 1000');
    await sandbox.script('VACUUM customers');
    const before = await pageOf(12_500);
    expectDone(await change.comparing(true));
    expectDone(await firstRange(change));
    const { verifying, verification } = await change.ledger();
    expect(verification).toBeUndefined();
    expect(before).toBeGreaterThanOrEqual(verifying?.pagesDone ?? Infinity);
    // An old snapshot keeps the row's former versions where they are, until its page is full; the free space map
    // then sends it to the holes.
    const report = await sandbox.connect('report');
    await report.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await report.query('SELECT FROM customers LIMIT 1');
    for (let n = 0; n < 50 && (await pageOf(12_500)) >= (verifying?.pagesDone ?? 0); n += 1)
      await sandbox.query('UPDATE customers SET visits = visits + 1 WHERE id = 12500');
    await report.query('COMMIT');
    expect(await pageOf(12_500)).toBeLessThan(verifying?.pagesDone ?? 0);
  };

  const finish = async (change: DrivenChange): Promise<void> => {
    while ((await change.ledger()).verification === undefined) expectDone(await change.verifyStretch());
  };

  test('is compared by the trigger', async () => {
    await spacious();
    const change = await dualWriting(db, fullName());
    await jump(change);
    await finish(change);
    expect((await change.ledger()).verification).toMatchObject({
      mismatches: 1,
      sampleKeys: ['{"id": 12500}'],
    });
  });

  test('would be missed without it', async () => {
    await spacious();
    const change = await dualWriting(db, fullName());
    expectDone(await change.comparing(true));
    // The trigger that the verification asks for, with nothing in it.
    await sandbox.script(
      `CREATE OR REPLACE FUNCTION segue.compare_${change.id}() RETURNS trigger LANGUAGE plpgsql AS '
-- segue: compare v1
BEGIN RETURN NEW; END'`,
    );
    await jump(change);
    await finish(change);
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
    const [wrong] = await sandbox.query(
      `SELECT count(*)::int AS n FROM customers WHERE full_name = 'mallory'`,
    );
    expect(wrong).toEqual({ n: 1 });
  });

  test('is compared where the application writes both sides and no other trigger stands', async () => {
    await spacious();
    const change = await takeOver(db, {
      replaceColumns: {
        table: 'customers',
        from: ['last_name'],
        to: [{ name: 'full_name', type: 'text', nullable: true }],
        forward: { full_name: 'last_name' },
        backward: { last_name: 'full_name' },
      },
    });
    expectDone(await change.steps(change.change.expand));
    expectDone(await change.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
    expectDone(await change.mutate({ kind: 'enterPhase', to: 'Backfill' }));
    await jump(change);
    await finish(change);
    expectDone(await change.comparing(false));
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 1 });
    expect((await change.table()).triggers).toEqual([]);
  });

  test('is compared where it moves to another partition', async () => {
    await sandbox.script(`
      CREATE TABLE customers (id bigint, region int, first_name text, last_name text, PRIMARY KEY (id, region))
        PARTITION BY LIST (region);
      CREATE TABLE customers_1 PARTITION OF customers FOR VALUES IN (1);
      CREATE TABLE customers_2 PARTITION OF customers FOR VALUES IN (2);
      INSERT INTO customers SELECT n, 1 + n % 2, 'first' || n, 'last' || n FROM generate_series(1, 1000) n`);
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id = 3`);
    expectDone(await change.comparing(true));
    expectDone(await firstRange(change));
    expect((await change.ledger()).verifying).toMatchObject({ mismatches: 0, rowsCompared: 500 });
    await sandbox.query('UPDATE customers SET region = 1 WHERE id = 3');
    await finish(change);
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 1 });
  });

  test('counts once, however often and wherever it is met', async () => {
    await spacious();
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id IN (1, 12500)`);
    expectDone(await change.comparing(true));
    const bump = (): Promise<unknown> =>
      sandbox.query('UPDATE customers SET visits = visits + 1 WHERE id IN (1, 12500)');
    await bump();
    expectDone(await firstRange(change));
    await bump();
    await finish(change);
    await bump();
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 2 });
  });
});

describe('a verification under way', () => {
  const started = async (): Promise<DrivenChange> => {
    await spacious();
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    expectDone(await change.comparing(true));
    expectDone(await firstRange(change));
    return change;
  };

  test('is gone on with by whoever leads next, where it was', async () => {
    const before = await started();
    const { verifying } = await before.ledger();
    expect(verifying?.pagesDone).toBeGreaterThan(0);
    expect(verifying?.pagesDone).toBeLessThan(verifying?.pagesTotal ?? 0);
    const after = await takeOver(db, fullName(), 'another');
    await expect(before.verifyStretch()).rejects.toThrow('taken over by another');
    expect((await after.ledger()).verifying).toEqual(verifying);
    expectDone(await after.verifyStretch());
    expect((await after.ledger()).verification).toMatchObject({ rowsCompared: 12_500, mismatches: 0 });
  });

  test('finds each row once with workers side by side, while rows move all the time', async () => {
    await spacious('WITH (fillfactor = 60)');
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id % 500 = 0`);
    const writer = await sandbox.connect('writer');
    const end = new AbortController();
    const moving = (async () => {
      for (let n = 0; !end.signal.aborted; n += 1)
        await writer.query('UPDATE customers SET visits = visits + 1 WHERE id % 250 = $1', [n % 250]);
    })();
    expectDone(await change.verify({ budgetMs: 20 }));
    end.abort();
    await moving;
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 25 });
  });

  test.each([
    ['VACUUM FULL', 'VACUUM FULL customers', 12_500],
    ['TRUNCATE', 'TRUNCATE customers', 0],
    [
      'a trigger that was held off for a while',
      'ALTER TABLE customers DISABLE TRIGGER USER; ALTER TABLE customers ENABLE TRIGGER USER',
      12_500,
    ],
  ])('starts anew after %s', async (_, statement, rows) => {
    const change = await started();
    for (const one of statement.split('; ')) await sandbox.script(one);
    await sandbox.script('DELETE FROM customers WHERE id < 100');
    while ((await change.ledger()).verification === undefined) expectDone(await change.verifyStretch());
    expect((await change.ledger()).verification).toMatchObject({
      rowsCompared: Math.max(0, rows - 99),
      mismatches: 0,
    });
  });

  test('compares nothing without its trigger', async () => {
    const change = await started();
    await sandbox.script(`ALTER TABLE customers DISABLE TRIGGER "~segue_${change.id}_compare"`);
    expect(await change.verifyStretch()).toMatchObject({ kind: 'stale' });
    expect((await change.ledger()).verification).toBeUndefined();
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 12_500, mismatches: 0 });
  });

  test('needs no look at rows that are written beyond its end', async () => {
    const change = await started();
    await sandbox.script(
      `INSERT INTO customers SELECT n, 'a', 'b', 0, '' FROM generate_series(20001, 20500) n`,
    );
    while ((await change.ledger()).verification === undefined) expectDone(await change.verifyStretch());
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
  });

  test('fails no write whose comparison fails, and notes it', async () => {
    await sandbox.script(`
      CREATE TABLE items (id int PRIMARY KEY, amount text, note text);
      INSERT INTO items SELECT n, n::text FROM generate_series(1, 100) n`);
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll());
    await inject(`UPDATE items SET amount = 'x' WHERE id = 7`);
    expectDone(await change.comparing(true));
    await sandbox.query(`UPDATE items SET note = 'seen'`);
    expect(await sandbox.query('SELECT key FROM segue.conflict')).toEqual([{ key: { id: 7 } }]);
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 1 });
  });
});

test('a sample compares its share of the pages, from all over the table', async () => {
  await spacious();
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  await inject(`UPDATE customers SET full_name = 'mallory'`);
  expectDone(await change.verify({ share: 10 }));
  const { verification } = await change.ledger();
  expect(verification).toMatchObject({ share: 10 });
  expect(verification?.rowsCompared).toBeGreaterThan(1_000);
  expect(verification?.rowsCompared).toBeLessThan(1_700);
  const [found] = await sandbox.query<{ low: number; high: number }>(
    `SELECT min((key->'id')::int) AS low, max((key->'id')::int) AS high FROM segue.conflict WHERE side = 'verify'`,
  );
  expect((found?.high ?? 0) - (found?.low ?? 0)).toBeGreaterThan(10_000);
});

test('where nothing is to be compared it is recorded that nothing was', async () => {
  await customers(10);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verifyStretch({ share: 0 }));
  expect((await change.ledger()).verification).toMatchObject({ share: 0, rowsCompared: 0, mismatches: 0 });
});

test('after reads have switched a row that new code wrote, and the old side cannot hold, counts no more', async () => {
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text) PARTITION BY RANGE (id);
    CREATE TABLE customers_1 PARTITION OF customers FOR VALUES FROM (1) TO (1000);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 100) n`);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expectDone(await change.triggers('narrow'));
  expectDone(await change.mutate({ kind: 'enterPhase', to: 'SwitchReads' }));
  // What new code writes need not come back the same from the old side.
  await sandbox.query(`UPDATE customers SET full_name = 'Plato' WHERE id = 7`);
  await sandbox.script(`
    CREATE TABLE late (LIKE customers INCLUDING DEFAULTS);
    INSERT INTO late (id, first_name, last_name) SELECT n, 'a' || n, 'b' || n FROM generate_series(1000, 1099) n;
    ALTER TABLE customers ATTACH PARTITION late FOR VALUES FROM (1000) TO (2000)`);
  expectDone(await change.fillAll());
  expect((await change.ledger()).verification).toBeUndefined();
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 200, mismatches: 0 });
  await inject('UPDATE late SET full_name = NULL WHERE id = 1001');
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({ mismatches: 1, sampleKeys: ['{"id": 1001}'] });
});

describe('a repair', () => {
  test('computes rows that differ anew from the old side, leaves that side alone, and is counted', async () => {
    await customers(2_000);
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id % 100 = 0`);
    await inject(`UPDATE customers SET full_name = NULL WHERE id = 7`);
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ mismatches: 21 });
    expectDone(await change.mutate({ kind: 'handleRepair', value: '1' }));
    expect(await change.ledger()).toMatchObject({
      repair: { handled: '1', running: true },
      backfill: { done: false },
    });
    expectDone(await change.fillAll());
    expect((await change.ledger()).repair.rows).toBe(21);
    expectDone(await change.verify({ rowsRepaired: 21 }));
    const { verification, repair } = await change.ledger();
    expect(verification).toMatchObject({ rowsCompared: 2_000, mismatches: 0, sampleKeys: [] });
    expect(repair).toEqual({ handled: '1', running: false, rows: 21 });
    expect(
      await sandbox.query(
        `SELECT id FROM customers WHERE (first_name, last_name, full_name)
          IS DISTINCT FROM ('first' || id, 'last' || id, 'first' || id || ' last' || id)`,
      ),
    ).toEqual([]);
  });

  test('that is refused is on record, and alters nothing', async () => {
    await customers(10);
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    expectDone(await change.verify());
    expectDone(await change.mutate({ kind: 'handleRepair', value: '1', refused: 'all agree' }));
    expect(await change.ledger()).toMatchObject({
      repair: { handled: '1', refused: 'all agree', running: false, rows: 0 },
      backfill: { done: true },
      verification: { mismatches: 0 },
    });
  });
});

test('the backfill leaves the old side alone where an expression gives NULL for one of two columns', async () => {
  await sandbox.script(`
    CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'Plato')`);
  const change = await dualWriting(db, {
    replaceColumns: {
      table: 'people',
      from: ['name'],
      to: [
        { name: 'first', type: 'text', nullable: true },
        { name: 'last', type: 'text', nullable: true },
      ],
      forward: { first: `split_part(name, ' ', 1)`, last: `nullif(split_part(name, ' ', 2), '')` },
      backward: { name: `first || coalesce(' - ' || last, '!')` },
    },
  });
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({ mismatches: 0 });
  expect(await sandbox.query('SELECT name, first, last FROM people ORDER BY id')).toEqual([
    { name: 'Ada Lovelace', first: 'Ada', last: 'Lovelace' },
    { name: 'Plato', first: 'Plato', last: null },
  ]);
});

test('a comparison that is asked for begins from the first row, and sees what was written past the triggers', async () => {
  await customers(2_000);
  const change = await dualWriting(db, fullName());
  expectDone(await change.fillAll());
  expectDone(await change.verify());
  await inject(`UPDATE customers SET full_name = 'mallory' WHERE id IN (1, 2000)`);
  expectDone(await change.mutate({ kind: 'handleVerify', value: '1', refused: 'too early' }));
  expect(await change.ledger()).toMatchObject({
    handledVerify: '1',
    verifyRefused: 'too early',
    verification: { mismatches: 0 },
  });
  expectDone(await change.mutate({ kind: 'handleVerify', value: '2' }));
  const asked = await change.ledger();
  expect(asked).toMatchObject({ handledVerify: '2', verifyRefused: null, backfill: { done: true } });
  expect(asked.verification).toBeUndefined();
  expect(asked.verifying).toBeUndefined();
  expectDone(await change.verify());
  expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 2_000, mismatches: 2 });
});

describe('in Quarantine, at a word', () => {
  let loop: OperatorLoop;
  afterEach(() => loop.close());

  const compared = async (handled: number): Promise<number | undefined> => {
    loop.compareAgain();
    await loop.until(
      ({ did, reason }) =>
        did === undefined &&
        ['InQuarantine', 'VerificationFailed'].includes(reason) &&
        loop.resource.status?.verification?.share === 100,
    );
    expect(loop.told.filter(({ did }) => did === 'compareAgain')).toHaveLength(handled);
    return loop.resource.status?.verification?.mismatches;
  };

  test('rows are compared as either code has left them, and what was written past the triggers holds Drop', async () => {
    await customers(500);
    loop = new OperatorLoop(
      sandbox.uri,
      {
        replaceColumns: {
          table: 'public.customers',
          from: ['first_name', 'last_name'],
          to: [{ name: 'full_name', type: 'text', nullable: true }],
          forward: { full_name: `first_name || ' ' || last_name` },
          backward: {
            first_name: `split_part(full_name, ' ', 1)`,
            last_name: `split_part(full_name, ' ', 2)`,
          },
        },
      },
      { spec: { quarantine: { ...aSpec().quarantine, duration: '24h' } } },
    );
    await loop.until(({ did, reason }) => did === undefined && reason === 'InQuarantine');
    await sandbox.script(`
      INSERT INTO customers (id, full_name) VALUES (9001, 'New Code');
      UPDATE customers SET full_name = 'Newer Name' WHERE id = 1;
      UPDATE customers SET first_name = 'old', last_name = 'code' WHERE id = 2;
      UPDATE customers SET full_name = 'What the old columns cannot hold' WHERE id = 3;
      DELETE FROM customers WHERE id = 4`);
    expect(await compared(1)).toBe(0);
    await inject(`UPDATE customers SET full_name = 'mallory' WHERE id = 5`);
    expect(await compared(2)).toBe(1);
    expect(loop.resource.status?.message).toMatch(/^1 of \d+ rows differ.*Nothing is dropped\. Find out/);
    await sandbox.script(`UPDATE customers SET first_name = 'mall', last_name = 'ory' WHERE id = 5`);
    expect(await compared(3)).toBe(0);
  });
});
