import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Databases, type Database } from '../../src/database/databases.ts';
import type { ApplicationReport } from '../support/application.ts';
import { startChild } from '../support/child.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  toNumber,
  type DrivenChange,
} from '../support/database-change.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';

let server: TestServer;
let sandbox: TestDatabase;
let databases: Databases;
let db: Database;

beforeAll(async () => {
  server = await startServer({ track_functions: 'all' });
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

const customers = (rows: number): string => `
  CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
  INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n;`;

const unconverted = async (table = 'customers'): Promise<number> => {
  const [row] = await sandbox.query<{ count: string }>(
    `SELECT count(*) FROM ${table} WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`,
  );
  return Number(row?.count);
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('the whole table', () => {
  test('is filled, and the ledger tells how far it is', async () => {
    await sandbox.script(customers(30_000));
    await sandbox.script('ANALYZE customers');
    const change = await dualWriting(db, fullName());
    expect((await change.ledger()).backfill).toMatchObject({ pagesDone: 0, rowsDone: 0, done: false });
    expectDone(await change.fillAll());
    expect(await unconverted()).toBe(0);
    // Over less than half a second no rate is told.
    await sleep(600);
    const { backfill } = await change.ledger();
    expect(backfill).toMatchObject({
      rowsDone: 30_000,
      rowsTotal: 30_000,
      badRows: 0,
      done: true,
      throttledBy: '',
    });
    expect(backfill.pagesDone).toBe(backfill.pagesTotal);
    expect(backfill.rowsPerSecond).toBeGreaterThan(0);
  });

  test('is filled without one call of the trigger function', async () => {
    await sandbox.script(customers(5_000));
    const change = await dualWriting(db, fullName());
    expectDone(await change.fillAll());
    // One write of an application, so that the count has something to show: all calls there are must be this one.
    await sandbox.query(`UPDATE customers SET first_name = 'x' WHERE id = 1`);
    await eventually(async () => {
      const calls = await sandbox.query(
        `SELECT calls FROM pg_stat_user_functions WHERE schemaname = 'segue' AND funcname LIKE 'sync_%'`,
      );
      expect(calls).toEqual([{ calls: '1' }]);
    });
  });

  test('rows that already agree are left alone', async () => {
    await sandbox.script(customers(2_000));
    const change = await dualWriting(db, fullName());
    await sandbox.query(`UPDATE customers SET visits = 1 WHERE id <= 500`);
    expectDone(await change.fillAll());
    expect((await change.ledger()).backfill.rowsDone).toBe(1_500);
  });

  test('an empty table is done at once', async () => {
    await sandbox.script(customers(0));
    const change = await dualWriting(db, fullName());
    expect((await change.ledger()).backfill.done).toBe(false);
    expectDone(await change.fillAll());
    expect((await change.ledger()).backfill).toMatchObject({ done: true, pagesTotal: 0 });
  });

  test('a stretch ends after its budget, and the next goes on behind it', async () => {
    await sandbox.script(customers(60_000));
    const change = await dualWriting(db, fullName());
    expectDone(await change.stretch({ targetBatchMs: 5 }, 60));
    const first = (await change.ledger()).backfill;
    expect(first.done).toBe(false);
    expect(first.rowsDone).toBeGreaterThan(0);
    expectDone(await change.fillAll());
    // Each row exactly once: nothing that was committed is done again.
    expect((await change.ledger()).backfill.rowsDone).toBe(60_000);
  });
});

describe('rows that move', () => {
  // Full pages at the end, empty ones at the start: an UPDATE of any column moves a row of the end to the start.
  const holes = `
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 20000) n;
    DELETE FROM customers WHERE id <= 10000;`;

  /** Lets the cursor pass the holes, then has rows from beyond it jump into them; gives how many did. */
  const jumpBehind = async (change: DrivenChange): Promise<number> => {
    let { backfill } = await change.ledger();
    for (let n = 0; n < 50 && backfill.pagesDone <= backfill.pagesTotal / 2; n++) {
      expectDone(await change.stretch({ targetBatchMs: 5, maxRowsPerSecond: 4_000 }, 50));
      ({ backfill } = await change.ledger());
    }
    expect(backfill.done).toBe(false);
    const jumped = await sandbox.query<{ page: number }>(
      `UPDATE customers SET visits = visits + 1 WHERE id > 15000 RETURNING (ctid::text::point)[0]::int AS page`,
    );
    return jumped.filter(({ page }) => page < backfill.pagesDone).length;
  };

  test('jump behind the cursor and are filled all the same', async () => {
    await sandbox.script(holes);
    await sandbox.script('VACUUM customers');
    const change = await dualWriting(db, fullName());
    expect(await jumpBehind(change)).toBeGreaterThan(50);
    expectDone(await change.fillAll());
    expect(await unconverted()).toBe(0);
  });

  test('would be missed with triggers on the columns alone, which verification finds', async () => {
    await sandbox.script(holes);
    await sandbox.script('VACUUM customers');
    const change = await dualWriting(db, fullName());
    expectDone(await change.triggers('narrow'));
    const behind = await jumpBehind(change);
    expectDone(await change.fillAll());
    const missed = await unconverted();
    // Those that jumped behind the cursor, and those that went to pages after the end that was fixed for it.
    expect(missed).toBeGreaterThanOrEqual(behind);
    expect(behind).toBeGreaterThan(50);
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 10_000, mismatches: missed });
  });

  test('all the time, pushed by a process of their own', async () => {
    await sandbox.script(
      holes.replace('CREATE TABLE customers', 'SET synchronous_commit = off; CREATE TABLE customers'),
    );
    await sandbox.script('VACUUM customers');
    const change = await dualWriting(db, fullName());
    const pushers = ['11', '12'].map((seed) =>
      startChild('application.ts', [sandbox.uri, 'unrelated', 'customers', seed]),
    );
    await Promise.all(pushers.map((pusher) => pusher.line()));
    expectDone(await change.fillAll({ targetBatchMs: 5, maxRowsPerSecond: 8_000 }));
    expect(await unconverted()).toBe(0);
    for (const pusher of pushers) {
      const report = JSON.parse(await pusher.finish()) as ApplicationReport;
      expect(report.failures).toEqual([]);
      expect(report.statements).toBeGreaterThan(100);
    }
    expect(await unconverted()).toBe(0);
  });

  test('by VACUUM FULL half-way are noticed, and the scan starts over', async () => {
    await sandbox.script(customers(40_000));
    const change = await dualWriting(db, fullName());
    expectDone(await change.stretch({ targetBatchMs: 5 }, 60));
    const before = await change.ledger();
    expect(before.backfill.done).toBe(false);
    // Deleted before the rewrite, so that every page number means other rows after it.
    await sandbox.query('DELETE FROM customers WHERE id <= 3000');
    await sandbox.script('VACUUM FULL customers');
    expectDone(await change.fillAll());
    expect(await unconverted()).toBe(0);
    const [cursor] = await sandbox.query(
      `SELECT filenode = pg_relation_filenode('customers') AS same FROM segue.backfill`,
    );
    expect(cursor).toEqual({ same: true });
  });
});

describe('a row that cannot be converted', () => {
  const items = (key: string): string => `
    CREATE TABLE items (id bigint ${key}, amount text);
    INSERT INTO items SELECT n, n::text FROM generate_series(1, 20000) n;
    UPDATE items SET amount = 'seven' WHERE id = 7;
    UPDATE items SET amount = '99999999999' WHERE id IN (12000, 12001);`;

  test('is found by bisection and kept by key; its neighbours are converted', async () => {
    await sandbox.script(items('PRIMARY KEY'));
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll());
    const rest = await sandbox.query(`SELECT id::int FROM items WHERE amount_int IS NULL ORDER BY id`);
    expect(rest).toEqual([{ id: 7 }, { id: 12000 }, { id: 12001 }]);
    const letters = await sandbox.query(
      `SELECT key, sqlstate, reason FROM segue.dead_letter ORDER BY key->'id'`,
    );
    expect(letters).toEqual([
      { key: { id: 7 }, sqlstate: '22P02', reason: expect.stringContaining('invalid text representation') },
      {
        key: { id: 12000 },
        sqlstate: '22003',
        reason: expect.stringContaining('numeric value out of range'),
      },
      {
        key: { id: 12001 },
        sqlstate: '22003',
        reason: expect.stringContaining('numeric value out of range'),
      },
    ]);
    // Values of rows are not ours to keep.
    expect(JSON.stringify(letters)).not.toMatch(/seven|99999999999/);
    expect((await change.ledger()).backfill).toMatchObject({ done: true, badRows: 3, rowsDone: 19_997 });
  });

  test('is filled after its correction and a retry', async () => {
    await sandbox.script(items('PRIMARY KEY'));
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll());
    await sandbox.query(`UPDATE items SET amount = '7' WHERE id IN (7, 12000, 12001)`);
    expectDone(await change.mutate({ kind: 'handleRetry', value: 'again' }));
    const { backfill, handledRetry } = await change.ledger();
    expect(handledRetry).toBe('again');
    expect(backfill).toMatchObject({ done: false, badRows: 0, pagesDone: 0 });
    expectDone(await change.fillAll());
    expect((await change.ledger()).backfill).toMatchObject({ done: true, badRows: 0 });
    expect(await sandbox.query('SELECT FROM items WHERE amount_int IS NULL')).toEqual([]);
  });

  test('is kept by its place where there is no primary key', async () => {
    await sandbox.script(items(''));
    const change = await dualWriting(db, toNumber());
    expectDone(await change.fillAll());
    expect((await change.ledger()).backfill).toMatchObject({ done: true, badRows: 3 });
    const [letter] = await sandbox.query<{ key: { ctid: string } }>(
      'SELECT key FROM segue.dead_letter LIMIT 1',
    );
    const [row] = await sandbox.query('SELECT amount FROM items WHERE ctid = $1::tid', [letter?.key.ctid]);
    expect(row).toEqual({ amount: 'seven' });
  });

  test('in a table full of them stops the backfill', async () => {
    await sandbox.script(`
      CREATE TABLE items (id bigint PRIMARY KEY, amount text);
      INSERT INTO items SELECT n, 'x' || n FROM generate_series(1, 5000) n;`);
    const change = await dualWriting(db, toNumber());
    const outcome = await change.fillAll();
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'BadRows' });
    expect((await change.ledger()).backfill.done).toBe(false);
  });
});

describe('others at work', () => {
  test('who hold a row are waited for a little, named, and hold up nobody else', async () => {
    await sandbox.script(customers(3_000));
    const change = await dualWriting(db, fullName());
    const holder = await sandbox.connect('report');
    await holder.query('BEGIN');
    await holder.query('UPDATE customers SET visits = 1 WHERE id = 1500');
    const outcome = await change.stretch({ targetBatchMs: 20 }, 10_000);
    expect(outcome).toMatchObject({
      kind: 'deferred',
      reason: 'LockNotAvailable',
      blockedBy: {
        kind: 'Lock',
        message: expect.stringMatching(
          /^pid \d+ \(app=report, idle in transaction \d+s\) may hold rows of customers$/,
        ),
      },
    });
    expect((await change.ledger()).lockWaitSince).toBeGreaterThan(0);
    await holder.query('COMMIT');
    expectDone(await change.fillAll());
    expect(await unconverted()).toBe(0);
    expect((await change.ledger()).lockWaitSince).toBeUndefined();
  });

  test('who deadlock with a batch do not end it', async () => {
    await sandbox.script(customers(3_000));
    const change = await dualWriting(db, fullName());
    const rival = await sandbox.connect('rival');
    let deadlocks = 0;
    const end = new AbortController();
    // Against the scan's order, in long transactions: the shape that deadlocks.
    const writing = (async () => {
      while (!end.signal.aborted) {
        try {
          await rival.query('BEGIN');
          for (let id = 2_900; id > 100; id -= 400)
            await rival.query('UPDATE customers SET visits = visits + 1 WHERE id = $1', [id]);
          await rival.query('COMMIT');
        } catch (error) {
          if ((error as { code?: string }).code !== '40P01') throw error;
          deadlocks += 1;
          await rival.query('ROLLBACK');
        }
        await sleep(5);
      }
    })();
    for (let round = 0; round < 40; round++) {
      const outcome = await change.stretch({ targetBatchMs: 20 }, 1_000);
      expect(['done', 'deferred']).toContain(outcome.kind);
      if ((await change.ledger()).backfill.done) break;
    }
    end.abort();
    await writing;
    expect((await change.ledger()).backfill.done).toBe(true);
    expect(await unconverted()).toBe(0);
    expect(deadlocks).toBeGreaterThanOrEqual(0);
  });

  test('an interrupted stretch leaves the cursor where its batches are', async () => {
    await sandbox.script(customers(60_000));
    const change = await dualWriting(db, fullName());
    const interruption = new AbortController();
    setTimeout(() => interruption.abort(), 100);
    const began = performance.now();
    await change.stretch({ targetBatchMs: 400 }, 60_000, interruption.signal);
    expect(performance.now() - began).toBeLessThan(2_000);
    const { backfill } = await change.ledger();
    expect(backfill.done).toBe(false);
    const [filled] = await sandbox.query<{ count: string }>('SELECT count(full_name) FROM customers');
    expect(Number(filled?.count)).toBe(backfill.rowsDone);
  });
});

describe('shapes of tables', () => {
  test('mixed-case quoted names', async () => {
    await sandbox.script(`
      CREATE SCHEMA "Shop Data";
      CREATE TABLE "Shop Data"."Cust""omers" ("Id" int PRIMARY KEY, "First Name" text, "lastName" text);
      INSERT INTO "Shop Data"."Cust""omers" SELECT n, 'f' || n, 'l' || n FROM generate_series(1, 1000) n;`);
    const change = await dualWriting(db, {
      replaceColumns: {
        table: 'Shop Data.Cust"omers',
        from: ['First Name', 'lastName'],
        to: [{ name: 'Full"Name', type: 'text', nullable: true }],
        forward: { 'Full"Name': `"First Name" || ' ' || "lastName"` },
        backward: {
          'First Name': `split_part("Full""Name", ' ', 1)`,
          lastName: `split_part("Full""Name", ' ', 2)`,
        },
      },
    });
    expectDone(await change.fillAll());
    const wrong = await sandbox.query(
      `SELECT FROM "Shop Data"."Cust""omers" WHERE "Full""Name" IS DISTINCT FROM "First Name" || ' ' || "lastName"`,
    );
    expect(wrong).toEqual([]);
    expectDone(await change.verify());
    expect((await change.ledger()).verification).toMatchObject({ rowsCompared: 1000, mismatches: 0 });
  });

  test('a partitioned table, one partition after the other, with one added half-way', async () => {
    await sandbox.script(`
      CREATE TABLE customers (id bigint, first_name text NOT NULL, last_name text, visits int NOT NULL DEFAULT 0, PRIMARY KEY (id))
        PARTITION BY RANGE (id);
      CREATE TABLE customers_a PARTITION OF customers FOR VALUES FROM (0) TO (20001);
      CREATE TABLE customers_b (last_name text, visits int NOT NULL DEFAULT 0, junk int, first_name text NOT NULL, id bigint PRIMARY KEY);
      ALTER TABLE customers_b DROP COLUMN junk;
      ALTER TABLE customers ATTACH PARTITION customers_b FOR VALUES FROM (20001) TO (40001);
      INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 40000) n;`);
    const change = await dualWriting(db, fullName());
    expect((await change.table()).heaps.map(({ name }) => name)).toEqual(['customers_a', 'customers_b']);
    expectDone(await change.stretch({ targetBatchMs: 5 }, 60));
    expect((await change.ledger()).backfill.done).toBe(false);
    await sandbox.script(`
      CREATE TABLE customers_c (LIKE customers INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
      INSERT INTO customers_c SELECT n, 'first' || n, 'last' || n FROM generate_series(40001, 45000) n;
      ALTER TABLE customers ATTACH PARTITION customers_c FOR VALUES FROM (40001) TO (50001);`);
    expectDone(await change.fillAll());
    expect(await unconverted()).toBe(0);
    expect((await change.ledger()).backfill).toMatchObject({ rowsDone: 45_000, done: true });
  });
});

describe('throttling', () => {
  test('keeps below maxRowsPerSecond', async () => {
    await sandbox.script(customers(6_000));
    const change = await dualWriting(db, fullName());
    const began = performance.now();
    expectDone(await change.stretch({ maxRowsPerSecond: 2_000 }, 1_000));
    const seconds = (performance.now() - began) / 1_000;
    const { rowsDone } = (await change.ledger()).backfill;
    expect(rowsDone).toBeGreaterThan(0);
    // The first batch is small but not yet capped by what is known of the rows.
    expect(rowsDone / seconds).toBeLessThan(3_000);
  });

  test('stops where the lag of a replica cannot be read, and goes on where it can', async () => {
    await sandbox.script(customers(1_000));
    await sandbox.script(`
      DROP ROLE IF EXISTS segue_owner;
      CREATE ROLE segue_owner LOGIN PASSWORD 'pw';
      GRANT CREATE ON DATABASE ${sandbox.name} TO segue_owner;
      GRANT ALL ON SCHEMA public TO segue_owner;
      ALTER TABLE customers OWNER TO segue_owner;`);
    const change = await dualWriting(databases.open(server.uriFor(sandbox, 'segue_owner', 'pw')), fullName());
    // Everything that a standby does but to fetch: enough to be listed.
    const replica = await sandbox.replicate();
    const outcome = await change.stretch();
    expect(outcome).toMatchObject({
      kind: 'deferred',
      reason: 'ReplicaLagging',
      message: expect.stringContaining('pg_monitor'),
    });
    expect((await change.ledger()).backfill).toMatchObject({
      rowsDone: 0,
      throttledBy: expect.stringContaining('pg_monitor'),
    });
    await sandbox.script('GRANT pg_monitor TO segue_owner');
    expectDone(await change.fillAll());
    expect((await change.ledger()).backfill).toMatchObject({ rowsDone: 1_000, throttledBy: '' });
    await replica.end();
    await sandbox.script(
      `REASSIGN OWNED BY segue_owner TO postgres; DROP OWNED BY segue_owner; DROP ROLE segue_owner;`,
    );
  });
});
