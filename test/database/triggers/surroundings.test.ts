import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import type { TriggerMode } from '../../../src/changes/change.ts';
import { changeOf } from '../../../src/changes/registry.ts';
import { triggersStand } from '../../../src/changes/sync-triggers.ts';
import { Databases, type Database } from '../../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import {
  dualWriting,
  expectDone,
  fullName,
  takeOver,
  toNumber,
  type DrivenChange,
} from '../../support/database-change.ts';

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

const fivePeople = `INSERT INTO people (id, first_name, last_name)
  SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 5) n`;
const people = `
  CREATE TABLE people (id bigint PRIMARY KEY, first_name text, last_name text, visits int NOT NULL DEFAULT 0);
  ${fivePeople};`;
const afresh = `DELETE FROM people; ${fivePeople}`;
const modes = ['wide', 'narrow', 'watch'] as const;

const into = async (driven: DrivenChange, mode: TriggerMode): Promise<void> => {
  expectDone(await driven.fillAll());
  if (mode !== 'wide') expectDone(await driven.triggers('narrow'));
  if (mode === 'watch') {
    expectDone(await driven.steps(driven.change.relax));
    expectDone(await driven.triggers('watch'));
  }
};

const peopleIn = async (mode: TriggerMode): Promise<DrivenChange> => {
  const driven = await dualWriting(db, fullName('public.people'));
  await into(driven, mode);
  return driven;
};

/** Tries the same in each mode, one after the other, each time with what `people` makes. */
const inEachMode = async (
  driven: DrivenChange,
  fresh: string,
  check: (mode: TriggerMode) => Promise<void>,
): Promise<void> => {
  for (const mode of modes) {
    await into(driven, mode);
    // The mark says that the session's use is on record.
    await sandbox.script(
      `${fresh}; TRUNCATE segue.conflict, segue.column_use; SET segue.noted_${driven.id} = ''`,
    );
    await check(mode).catch((error: unknown) => {
      throw new Error(`With triggers ${mode}.`, { cause: error });
    });
  }
};

const row = async (id: number): Promise<unknown> => {
  const [found] = await sandbox.query('SELECT first_name, last_name, full_name FROM people WHERE id = $1', [
    id,
  ]);
  return found;
};

const conflicts = () => sandbox.query('SELECT side, key, sqlstate FROM segue.conflict ORDER BY at');

describe('triggers of the user', () => {
  const upper = (name: string, events: string): string => `
    CREATE FUNCTION upper_${events.toLowerCase()}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      NEW.last_name := upper(NEW.last_name); RETURN NEW; END $$;
    CREATE TRIGGER "${name}" BEFORE ${events} ON people FOR EACH ROW EXECUTE FUNCTION upper_${events.toLowerCase()}();`;

  test('change source columns that the statement does not name', async () => {
    await sandbox.script(people);
    const driven = await dualWriting(db, fullName('public.people'));
    await sandbox.script(upper('zz upper', 'UPDATE') + upper('AA upper', 'INSERT'));
    await inEachMode(driven, afresh, async () => {
      await sandbox.script(
        `UPDATE people SET visits = 1 WHERE id = 1; INSERT INTO people VALUES (9, 'Ann', 'Lee');`,
      );
      expect(await row(1)).toEqual({ first_name: 'first1', last_name: 'LAST1', full_name: 'first1 LAST1' });
      expect(await row(9)).toEqual({ first_name: 'Ann', last_name: 'LEE', full_name: 'Ann LEE' });
    });
  });

  test('that come after ours are seen, and ours are made to look at every row', async () => {
    await sandbox.script(people);
    const driven = await dualWriting(db, fullName('public.people'));
    await inEachMode(driven, afresh, async (mode) => {
      await sandbox.script(upper('later', 'UPDATE'));
      expect(triggersStand(driven.id, await driven.table(), mode)).toBe(mode === 'wide');
      expectDone(await driven.triggers(mode));
      expect(triggersStand(driven.id, await driven.table(), mode)).toBe(true);
      await sandbox.script('UPDATE people SET visits = 1 WHERE id = 1');
      expect(await row(1)).toEqual({ first_name: 'first1', last_name: 'LAST1', full_name: 'first1 LAST1' });
      await sandbox.script('DROP TRIGGER later ON people; DROP FUNCTION upper_update()');
    });
  });
});

test('a new column that would follow a generated one is refused: triggers see it before it is computed', async () => {
  await sandbox.script(
    'CREATE TABLE people (id int PRIMARY KEY, a int, doubled int GENERATED ALWAYS AS (a * 2) STORED)',
  );
  const spec = (backfill: string): ChangeSpec => ({
    addColumn: { table: 'public.people', name: 'b', type: 'int', nullable: true, unique: false, backfill },
  });
  const driven = await takeOver(db, spec('doubled + 1'));
  expect(driven.change.preflight(await driven.table())).toEqual([
    { reason: 'UnsupportedColumn', message: expect.stringContaining('"doubled"') },
  ]);
  expect(changeOf(spec('a * 2')).preflight(await driven.table())).toEqual([]);
});

test('triggers of Segue itself do not make ours look at every row', async () => {
  await sandbox.script(people);
  const driven = await dualWriting(db, fullName('public.people'));
  await sandbox.script(`
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER "~segue_99_update" BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION f();`);
  await into(driven, 'narrow');
  const mine = (await driven.table()).triggers.find(({ name }) => name === `~segue_${driven.id}_update`);
  expect(mine).toMatchObject({ enabled: true, ofColumns: true });
  expect(driven.change.preflight(await driven.table()).map(({ reason }) => reason)).not.toContain(
    'UnsupportedTable',
  );
});

test('a trigger of the user that fires after ours is refused before anything is touched', async () => {
  await sandbox.script(`${people}
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER "über" BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION f();
    CREATE TRIGGER "~~" BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION f();
    CREATE TRIGGER "~~after" AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION f();`);
  const driven = await takeOver(db, fullName('public.people'));
  expect(driven.change.preflight(await driven.table())).toEqual([
    {
      reason: 'UnsupportedTable',
      message: expect.stringMatching(/"~~", "über" .*ALTER TRIGGER/),
    },
  ]);
});

describe('in partitions', () => {
  beforeEach(async () => {
    await sandbox.script(`
      CREATE TABLE people (id bigint, first_name text, last_name text, visits int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
      CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (0) TO (7);
      CREATE TABLE people_high PARTITION OF people FOR VALUES FROM (7) TO (100);
      ${fivePeople}`);
  });

  test('a row that moves takes both sides along, whoever wrote it', async () => {
    await inEachMode(await dualWriting(db, fullName('public.people')), afresh, async () => {
      await sandbox.script(`
        UPDATE people SET id = 11 WHERE id = 1;
        UPDATE people SET id = 12, first_name = 'Ann' WHERE id = 2;
        UPDATE people SET id = 13, full_name = 'Bob Ray' WHERE id = 3;
        UPDATE people_low SET first_name = 'Eve' WHERE id = 4;
        INSERT INTO people_high (id, full_name) VALUES (14, 'Joe Day')`);
      expect(await Promise.all([11, 12, 13, 4, 14].map(row))).toEqual([
        { first_name: 'first1', last_name: 'last1', full_name: 'first1 last1' },
        { first_name: 'Ann', last_name: 'last2', full_name: 'Ann last2' },
        { first_name: 'Bob', last_name: 'Ray', full_name: 'Bob Ray' },
        { first_name: 'Eve', last_name: 'last4', full_name: 'Eve last4' },
        { first_name: 'Joe', last_name: 'Day', full_name: 'Joe Day' },
      ]);
      expect(await conflicts()).toEqual([]);
    });
  });

  test('one that is attached has the triggers, one that is detached has not', async () => {
    const driven = await peopleIn('narrow');
    await sandbox.script(`
      CREATE TABLE more (LIKE people INCLUDING DEFAULTS);
      ALTER TABLE people ATTACH PARTITION more FOR VALUES FROM (100) TO (200);
      ALTER TABLE people DETACH PARTITION people_high;
      INSERT INTO more (id, first_name, last_name) VALUES (101, 'Ann', 'Lee');
      INSERT INTO people (id, full_name) VALUES (102, 'Bob Ray');
      INSERT INTO people_high (id, first_name, last_name) VALUES (8, 'Eve', 'Day')`);
    expect(await Promise.all([101, 102].map(row))).toEqual([
      { first_name: 'Ann', last_name: 'Lee', full_name: 'Ann Lee' },
      { first_name: 'Bob', last_name: 'Ray', full_name: 'Bob Ray' },
    ]);
    expect(await sandbox.query('SELECT full_name FROM people_high')).toEqual([{ full_name: null }]);
    expect(triggersStand(driven.id, await driven.table(), 'narrow')).toBe(true);
  });
});

test('a foreign key cascades to a source column', async () => {
  await sandbox.script(`
    CREATE TABLE cities (code text PRIMARY KEY);
    CREATE TABLE orders (id int PRIMARY KEY, city text REFERENCES cities ON UPDATE CASCADE ON DELETE SET NULL);`);
  const driven = await dualWriting(db, {
    renameColumn: { table: 'public.orders', from: 'city', to: 'town' },
  });
  const fresh = `DELETE FROM orders; DELETE FROM cities; INSERT INTO cities VALUES ('ber'), ('par'), ('rom');
    INSERT INTO orders (id, city) VALUES (1, 'ber'), (2, 'par'), (3, 'rom')`;
  await inEachMode(driven, fresh, async () => {
    await sandbox.script(
      `UPDATE cities SET code = 'BER' WHERE code = 'ber'; DELETE FROM cities WHERE code = 'par'`,
    );
    expect(await sandbox.query('SELECT * FROM orders ORDER BY id')).toEqual([
      { id: 1, city: 'BER', town: 'BER' },
      { id: 2, city: null, town: null },
      { id: 3, city: 'rom', town: 'rom' },
    ]);
  });
});

describe('one statement that writes both sides', () => {
  beforeEach(() => sandbox.script(people));

  test('the same: nothing is touched, nothing noted, but it is a use of the old side', async () => {
    const driven = await dualWriting(db, fullName('public.people'));
    await inEachMode(driven, afresh, async (mode) => {
      expect(await sandbox.query('SELECT FROM segue.column_use')).toEqual([]);
      await sandbox.script(
        `UPDATE people SET first_name = 'Ann', last_name = 'Lee', full_name = 'Ann Lee' WHERE id = 1`,
      );
      expect(await sandbox.query('SELECT FROM segue.column_use')).toHaveLength(mode === 'watch' ? 1 : 0);
      await sandbox.script(
        `INSERT INTO people (id, first_name, last_name, full_name) VALUES (9, 'Bob', 'Ray', 'Bob Ray')`,
      );
      expect(await row(1)).toEqual({ first_name: 'Ann', last_name: 'Lee', full_name: 'Ann Lee' });
      expect(await row(9)).toEqual({ first_name: 'Bob', last_name: 'Ray', full_name: 'Bob Ray' });
      expect(await conflicts()).toEqual([]);
    });
  });

  test('different things: the old side wins until the backfill is done, then the new one, and it is noted', async () => {
    await inEachMode(await dualWriting(db, fullName('public.people')), afresh, async (mode) => {
      await sandbox.script(`
        UPDATE people SET first_name = 'Ann', last_name = 'Lee', full_name = 'Bob Ray' WHERE id = 1;
        INSERT INTO people (id, first_name, last_name, full_name) VALUES (9, 'Ann', 'Lee', 'Bob Ray')`);
      const winner =
        mode === 'wide'
          ? { first_name: 'Ann', last_name: 'Lee', full_name: 'Ann Lee' }
          : { first_name: 'Bob', last_name: 'Ray', full_name: 'Bob Ray' };
      expect(await row(1)).toEqual(winner);
      expect(await row(9)).toEqual(winner);
      expect(await conflicts()).toEqual([
        { side: 'both', key: { id: 1 }, sqlstate: '' },
        { side: 'both', key: { id: 9 }, sqlstate: '' },
      ]);
    });
  });
});

describe('what cannot be converted', () => {
  test('never fails the write; old values that fail leave the new side empty, noted by key', async () => {
    await sandbox.script(`CREATE TABLE items (id int PRIMARY KEY, amount text)`);
    const fresh = `DELETE FROM items; INSERT INTO items (id, amount) VALUES (1, '1'), (2, '2')`;
    await inEachMode(await dualWriting(db, toNumber()), fresh, async () => {
      await sandbox.script(
        `UPDATE items SET amount = 'one' WHERE id = 1; INSERT INTO items (id, amount) VALUES (3, 'x')`,
      );
      expect(await sandbox.query('SELECT * FROM items ORDER BY id')).toEqual([
        { id: 1, amount: 'one', amount_int: null },
        { id: 2, amount: '2', amount_int: 2 },
        { id: 3, amount: 'x', amount_int: null },
      ]);
      expect(await conflicts()).toEqual([
        { side: 'forward', key: { id: 1 }, sqlstate: '22P02' },
        { side: 'forward', key: { id: 3 }, sqlstate: '22P02' },
      ]);
    });
  });

  test('back: the old side stays whole as it was, noted by key', async () => {
    await sandbox.script(`CREATE TABLE t (id int PRIMARY KEY, a int, b smallint)`);
    const driven = await dualWriting(db, {
      replaceColumns: {
        table: 'public.t',
        from: ['a', 'b'],
        to: [{ name: 'n', type: 'bigint', nullable: true }],
        forward: { n: 'a + b' },
        backward: { a: '(n / 2)::int', b: '(n - n / 2)::smallint' },
      },
    });
    await inEachMode(
      driven,
      'DELETE FROM t; INSERT INTO t (id, a, b) VALUES (1, 1, 1), (2, 2, 2)',
      async () => {
        await sandbox.script('UPDATE t SET n = 100000 WHERE id = 1; UPDATE t SET n = 6 WHERE id = 2');
        expect(await sandbox.query('SELECT a, b, n::int FROM t ORDER BY id')).toEqual([
          { a: 1, b: 1, n: 100_000 },
          { a: 3, b: 3, n: 6 },
        ]);
        expect(await conflicts()).toEqual([{ side: 'backward', key: { id: 1 }, sqlstate: '22003' }]);
      },
    );
  });

  test.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(
    'or says less on the old side is noted, in a transaction that is %s',
    async (level) => {
      await sandbox.script(people);
      await inEachMode(await dualWriting(db, fullName('public.people')), afresh, async () => {
        await sandbox.script(`
          BEGIN ISOLATION LEVEL ${level};
          UPDATE people SET first_name = 'Ann' WHERE id = 1;
          UPDATE people SET full_name = 'Ann Mary Lee' WHERE id = 2;
          COMMIT`);
        expect(await row(1)).toMatchObject({ full_name: 'Ann last1' });
        expect(await row(2)).toEqual({ first_name: 'Ann', last_name: 'Mary', full_name: 'Ann Mary Lee' });
        expect(await conflicts()).toEqual([{ side: 'lossy', key: { id: 2 }, sqlstate: '' }]);
      });
    },
  );

  test('goes through where nobody may use schema segue, and verification finds it', async () => {
    await sandbox.script(`${people}
      DROP ROLE IF EXISTS stranger;
      CREATE ROLE stranger;
      GRANT SELECT, INSERT, UPDATE ON people TO stranger`);
    const driven = await dualWriting(db, fullName('public.people'));
    await inEachMode(driven, afresh, async (mode) => {
      await sandbox.script(`
        REVOKE ALL ON SCHEMA segue FROM PUBLIC;
        SET ROLE stranger;
        UPDATE people SET first_name = 'Ann' WHERE id = 1;
        UPDATE people SET full_name = 'Bob Ray' WHERE id = 2;
        INSERT INTO people (id, first_name, last_name) VALUES (9, 'Eve', 'Day');
        RESET ROLE;
        GRANT USAGE ON SCHEMA segue TO PUBLIC`);
      expect(await row(1)).toEqual({ first_name: 'Ann', last_name: 'last1', full_name: null });
      expect(await row(2)).toEqual({ first_name: 'first2', last_name: 'last2', full_name: 'Bob Ray' });
      if (mode !== 'wide') return;
      expectDone(await driven.verify());
      expect((await driven.ledger()).verification).toMatchObject({ mismatches: 3 });
    });
    await sandbox.script('DROP OWNED BY stranger; DROP ROLE stranger');
  });
});

test('statements that were prepared before there were triggers, or in another mode of them, act by those that stand', async () => {
  await sandbox.script(people);
  const client = await sandbox.connect();
  const update = (first: string) =>
    client.query({ name: 'u', text: 'UPDATE people SET first_name = $1 WHERE id = 1', values: [first] });
  const unrelated = () =>
    client.query({ name: 'v', text: 'UPDATE people SET visits = visits + 1 WHERE id = 2' });
  // Often enough for a generic plan.
  for (let n = 0; n < 8; n++) await update(`before${n}`);
  for (let n = 0; n < 8; n++) await unrelated();
  const driven = await dualWriting(db, fullName('public.people'));
  await update('wide');
  await unrelated();
  expect(await row(1)).toMatchObject({ full_name: 'wide last1' });
  expect(await row(2)).toMatchObject({ full_name: 'first2 last2' });
  await into(driven, 'narrow');
  await update('narrow');
  expect(await row(1)).toMatchObject({ full_name: 'narrow last1' });
  await into(driven, 'watch');
  await update('watch');
  expect(await row(1)).toMatchObject({ full_name: 'watch last1' });
});

test('writes with session_replication_role = replica pass the triggers by, and the verification finds them', async () => {
  await sandbox.script(people);
  const driven = await peopleIn('wide');
  await sandbox.script(`
    SET session_replication_role = replica;
    UPDATE people SET first_name = 'Ann' WHERE id = 1;
    RESET session_replication_role`);
  expect(await row(1)).toMatchObject({ full_name: 'first1 last1' });
  expectDone(await driven.verify());
  expect((await driven.ledger()).verification).toMatchObject({ mismatches: 1 });
});

test('triggers that were disabled, on the table or on one partition, do not count as standing and are made anew', async () => {
  await sandbox.script(`
    CREATE TABLE people (id bigint, first_name text, last_name text) PARTITION BY RANGE (id);
    CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (0) TO (7);`);
  const driven = await peopleIn('narrow');
  for (const disable of [
    'ALTER TABLE people DISABLE TRIGGER USER',
    'ALTER TABLE people_low DISABLE TRIGGER ALL',
    `ALTER TABLE people_low ENABLE REPLICA TRIGGER "~segue_${driven.id}_update"`,
  ]) {
    await sandbox.script(disable);
    expect(triggersStand(driven.id, await driven.table(), 'narrow')).toBe(false);
    expectDone(await driven.triggers('narrow'));
    expect(triggersStand(driven.id, await driven.table(), 'narrow')).toBe(true);
  }
});

test('triggers that an older operator made are replaced', async () => {
  await sandbox.script(people);
  const driven = await peopleIn('narrow');
  await sandbox.script(`
    COMMENT ON FUNCTION segue.sync_${driven.id}() IS 'segue: narrow v1';
    CREATE OR REPLACE TRIGGER "~segue_${driven.id}_update" BEFORE UPDATE OF first_name, last_name, full_name ON people FOR EACH ROW
      WHEN (OLD.first_name IS DISTINCT FROM NEW.first_name) EXECUTE FUNCTION segue.sync_${driven.id}()`);
  expect(triggersStand(driven.id, await driven.table(), 'narrow')).toBe(false);
  expectDone(await driven.triggers('narrow'));
  expect(
    await sandbox.query(
      `SELECT tgqual IS NULL AS "free" FROM pg_trigger WHERE tgname = '~segue_${driven.id}_update'`,
    ),
  ).toEqual([{ free: true }]);
});
