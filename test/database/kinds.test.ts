/** What each change kind does where rows, expressions or other sessions are in its way. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { checkExpressions, readTable } from '../../src/database/catalog.ts';
import { changeOf } from '../../src/changes/registry.ts';
import { Databases, type Database } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { expectDone, takeOver } from '../support/database-change.ts';

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
  await sandbox.script(`
    CREATE TABLE cities (code text PRIMARY KEY);
    INSERT INTO cities VALUES ('bern'), ('rome');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE people (id bigint PRIMARY KEY, mail text, city text, fax text NOT NULL DEFAULT '-', age int NOT NULL);
    INSERT INTO people SELECT n, 'm' || n, 'bern', 'f' || n, n FROM generate_series(1, 50) n;`);
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

const violations = async (spec: ChangeSpec): Promise<readonly string[]> => {
  const change = changeOf(spec);
  const table = await readTable(db, change.table);
  if (table === undefined) throw new Error('The table is gone.');
  const found = [
    ...change.preflight(table),
    ...(await checkExpressions(db, change.table, change.parseChecks(table))),
  ];
  return found.map(({ reason, message }) => `${reason}: ${message}`);
};

const uniqueMail: ChangeSpec = {
  createIndex: {
    table: 'people',
    name: 'people_mail',
    keys: [{ expression: 'lower(mail)' }],
    unique: true,
    method: 'btree',
  },
};

describe('rows in the way', () => {
  const spoil = `UPDATE people SET mail = 'M7' WHERE id = 8;
    UPDATE people SET city = 'atlantis' WHERE id = 9; UPDATE people SET city = NULL WHERE id = 10`;
  const mend = `UPDATE people SET mail = 'm' || id, city = 'rome'`;

  const kinds: readonly (readonly [string, ChangeSpec, readonly string[]])[] = [
    ['a unique index', uniqueMail, ['{"id": 7}', '{"id": 8}']],
    [
      'a unique constraint',
      { addConstraint: { table: 'people', unique: { name: 'u', columns: ['mail', 'fax'] } } },
      ['{"id": 3}', '{"id": 4}'],
    ],
    [
      'a check',
      { addConstraint: { table: 'people', check: { name: 'real', expression: `city <> 'atlantis'` } } },
      ['{"id": 9}'],
    ],
    ['NOT NULL', { addConstraint: { table: 'people', notNull: { column: 'city' } } }, ['{"id": 10}']],
    [
      'a foreign key',
      {
        addConstraint: {
          table: 'people',
          foreignKey: {
            name: 'people_city_fkey',
            columns: ['city'],
            references: { table: 'cities', columns: ['code'] },
            onDelete: 'NoAction',
          },
        },
      },
      ['{"id": 9}'],
    ],
  ];

  test.each(kinds)(
    'of %s are named by their keys, and once they are mended it goes on',
    async (_, spec, keys) => {
      expect(await violations(spec)).toEqual([]);
      await sandbox.script(spoil);
      await sandbox.script(`UPDATE people SET mail = 'same', fax = 'same' WHERE id IN (3, 4)`);
      const driven = await takeOver(db, spec);
      expectDone(await driven.steps(driven.change.expand));
      const held = await driven.steps(driven.change.constrain);
      expect(held).toMatchObject({ kind: 'deferred', reason: 'BadRows' });
      for (const key of keys) expect(held.message).toContain(key);
      expect(held.message).not.toContain('atlantis');
      await sandbox.script(mend);
      expectDone(await driven.steps(driven.change.constrain));
      expect((await driven.table()).indexes.every(({ valid }) => valid)).toBe(true);
      const done = driven.change.constrain(driven.id, await driven.table());
      const table = await driven.table();
      expect(done.every((step) => step.done(table))).toBe(true);
    },
  );
});

describe('an index', () => {
  test('that a failed build left behind is seen, dropped and built again', async () => {
    await sandbox.script(`UPDATE people SET mail = 'm1' WHERE id = 2`);
    const driven = await takeOver(db, uniqueMail);
    expect(await driven.steps(driven.change.constrain)).toMatchObject({ reason: 'BadRows' });
    expect((await driven.table()).indexes).toContainEqual(
      expect.objectContaining({ name: 'people_mail', valid: false }),
    );
    await sandbox.script(`UPDATE people SET mail = 'm2' WHERE id = 2`);
    expectDone(await driven.steps(driven.change.constrain));
    expect((await driven.table()).indexes).toContainEqual(
      expect.objectContaining({ name: 'people_mail', valid: true }),
    );
    const steps = await sandbox.query<{ step: string }>('SELECT step FROM segue.expand_step ORDER BY number');
    expect(steps.map(({ step }) => step)).toEqual(['people_mail-clear', 'people_mail-build']);
  });

  test('waits for an older transaction longer than other DDL and the role’s time-outs allow', async () => {
    await sandbox.script(`DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''400ms''', current_database());
      IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE format('ALTER DATABASE %I SET transaction_timeout = ''400ms''', current_database());
      END IF;
    END $$`);
    const driven = await takeOver(db, uniqueMail);
    const older = await sandbox.connect('report');
    await older.query(
      `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')`,
    );
    await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await older.query('SELECT count(*) FROM people');
    const building = driven.steps(driven.change.constrain, 100);
    await new Promise((resolve) => setTimeout(resolve, 700));
    // Nobody queues behind it meanwhile.
    await sandbox.query(`UPDATE people SET age = age + 1 WHERE id = 1`);
    await older.query('COMMIT');
    expectDone(await building);
  });
});

describe('what PostgreSQL would refuse later is refused before anything is touched', () => {
  const refused: readonly (readonly [string, ChangeSpec, string])[] = [
    [
      'an index over a function that is not immutable',
      {
        createIndex: {
          table: 'people',
          name: 'i',
          keys: [{ expression: 'now()' }],
          unique: false,
          method: 'btree',
        },
      },
      'IMMUTABLE',
    ],
    [
      'an index on a column that is not there',
      {
        createIndex: {
          table: 'people',
          name: 'i',
          keys: [{ column: 'Mail' }],
          unique: false,
          method: 'btree',
        },
      },
      'ColumnNotFound',
    ],
    [
      'an index of a name that is taken',
      {
        createIndex: {
          table: 'people',
          name: 'people_pkey',
          keys: [{ column: 'id' }],
          unique: false,
          method: 'btree',
        },
      },
      'TargetExists',
    ],
    [
      'a check with a subquery',
      { addConstraint: { table: 'people', check: { name: 'c', expression: 'age IN (SELECT 1)' } } },
      'InvalidExpression',
    ],
    [
      'a foreign key to a column that is not there',
      {
        addConstraint: {
          table: 'people',
          foreignKey: {
            name: 'f',
            columns: ['city'],
            references: { table: 'cities', columns: ['name'] },
            onDelete: 'NoAction',
          },
        },
      },
      'InvalidExpression',
    ],
    [
      'NOT NULL of what has it',
      { addConstraint: { table: 'people', notNull: { column: 'age' } } },
      'TargetExists',
    ],
    [
      'a column of an unknown type',
      { addColumn: { table: 'people', name: 'c', type: 'txet', nullable: true, unique: false } },
      'InvalidExpression',
    ],
    [
      'a column of a domain with a constraint, for which PostgreSQL rewrites the table',
      { addColumn: { table: 'people', name: 'c', type: 'positive', nullable: true, unique: false } },
      'would rewrite the whole table',
    ],
    [
      'such a domain in the place of a column',
      {
        changeType: {
          table: 'people',
          column: 'age',
          to: { name: 'years', type: 'positive' },
          forward: 'age',
          backward: 'years',
        },
      },
      'would rewrite the whole table',
    ],
    [
      'a serial column',
      { addColumn: { table: 'people', name: 'c', type: 'bigserial', nullable: true, unique: false } },
      'UnsupportedColumn',
    ],
    [
      'a column computed from one that is not there',
      {
        addColumn: {
          table: 'people',
          name: 'c',
          type: 'int',
          nullable: true,
          unique: false,
          backfill: 'agge + 1',
        },
      },
      'agge',
    ],
    [
      'a primary key that is to be dropped',
      { dropColumn: { table: 'people', column: 'id' } },
      'primary key people_pkey',
    ],
  ];
  test.each(refused)('%s', async (_, spec, says) => {
    expect((await violations(spec)).join('\n')).toContain(says);
  });

  test('nor does it leave a trace', async () => {
    for (const [, spec] of refused) await violations(spec);
    expect(await sandbox.query(`SELECT FROM pg_namespace WHERE nspname = 'segue'`)).toEqual([]);
    expect(await sandbox.query(`SELECT FROM pg_class WHERE relname LIKE 'segue%'`)).toEqual([]);
  });
});

describe('a column to be dropped', () => {
  const dropFax: ChangeSpec = { dropColumn: { table: 'people', column: 'fax' } };

  const watched = async (statement: string, spec = dropFax): Promise<boolean> => {
    const driven = await takeOver(db, spec);
    expectDone(await driven.steps(driven.change.constrain));
    expectDone(await driven.triggers('watch'));
    const writer = await sandbox.connect('writer');
    await writer.query(statement);
    const [found] = await sandbox.query<{ uses: string }>('SELECT count(*) AS uses FROM segue.column_use');
    return Number(found?.uses) > 0;
  };

  const writes: readonly (readonly [string, boolean, string])[] = [
    ['an INSERT with a value', true, `INSERT INTO people (id, fax, age) VALUES (100, '1', 1)`],
    ['an INSERT without it', false, `INSERT INTO people (id, age) VALUES (100, 1)`],
    ['an INSERT with its default', false, `INSERT INTO people (id, age, fax) VALUES (100, 1, '-')`],
    ['an INSERT with NULL', false, `INSERT INTO people (id, age, fax) VALUES (100, 1, NULL)`],
    ['an UPDATE of it', true, `UPDATE people SET fax = 'x' WHERE id = 1`],
    ['an UPDATE to the same value', true, `UPDATE people SET fax = fax WHERE id = 1`],
    ['an UPDATE of another column', false, `UPDATE people SET age = 1 WHERE id = 1`],
  ];
  test.each(writes)('%s is a use of it: %s', async (_, used, statement) => {
    expect(await watched(statement)).toBe(used);
  });

  test('is in use by a trigger that assigns it, whatever the statement names', async () => {
    await sandbox.script(`
      CREATE FUNCTION assign() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.fax := ''by trigger''; RETURN NEW; END';
      CREATE TRIGGER assign BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION assign()`);
    expect(await watched(`UPDATE people SET age = 1 WHERE id = 1`)).toBe(true);
  });

  test('holds the way back by the keys of rows without a value, where it was NOT NULL', async () => {
    const driven = await takeOver(db, { dropColumn: { table: 'people', column: 'age' } });
    expectDone(await driven.steps(driven.change.constrain));
    await sandbox.script(`INSERT INTO people (id) VALUES (77)`);
    expectDone(await driven.mutate({ kind: 'turnBack' }));
    const held = await driven.steps(driven.change.undo.constrain);
    expect(held).toMatchObject({ kind: 'deferred', reason: 'BadRows' });
    expect(held.message).toContain('{"id": 77}');
    await sandbox.script(`UPDATE people SET age = 1 WHERE id = 77`);
    expectDone(await driven.steps(driven.change.undo.constrain));
    expect((await driven.table()).columns['age']?.notNull).toBe(true);
  });

  test('takes along what hangs on it alone, and says so', async () => {
    await sandbox.script(`
      CREATE INDEX by_fax ON people (fax);
      ALTER TABLE people ADD CONSTRAINT fax_given CHECK (fax <> '')`);
    expect(await violations(dropFax)).toEqual([]);
    const driven = await takeOver(db, dropFax);
    const [step] = driven.change.contract(driven.id, await driven.table());
    expect(step?.purpose).toBe('drop column fax with check constraint fax_given, index by_fax');
    expectDone(await driven.steps(driven.change.contract));
    expect((await driven.table()).columns['fax']).toBeUndefined();
    await sandbox.script(`CREATE INDEX shared ON people (mail, city)`);
    expect((await violations({ dropColumn: { table: 'people', column: 'mail' } })).join('')).toContain(
      'index shared',
    );
  });
});

test('a new column follows its row until the code gives it a value, and a failed expression fails no write', async () => {
  const driven = await takeOver(db, {
    addColumn: {
      table: 'people',
      name: 'share',
      type: 'int',
      nullable: true,
      unique: false,
      backfill: '100 / age',
    },
  });
  expectDone(await driven.steps(driven.change.expand));
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
  expectDone(await driven.triggers('wide'));
  expect(await driven.prove()).toMatchObject({ message: expect.stringContaining('seen on a row') });
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'Backfill' }));
  expectDone(await driven.fillAll());
  expectDone(await driven.verify());
  expect((await driven.ledger()).verification).toMatchObject({ rowsCompared: 50, mismatches: 0 });
  expectDone(await driven.triggers('narrow'));
  await sandbox.script(`
    UPDATE people SET age = 10 WHERE id = 1;
    UPDATE people SET age = 10, share = 3 WHERE id = 2;
    UPDATE people SET mail = 'other' WHERE id = 4;
    UPDATE people SET age = 0 WHERE id = 5;
    INSERT INTO people (id, age) VALUES (60, 20);
    INSERT INTO people (id, age, share) VALUES (61, 20, 1);
    INSERT INTO people (id, age) VALUES (62, 0)`);
  const rows = await sandbox.query<{ id: string; share: number | null }>(
    'SELECT id, share FROM people WHERE id IN (1, 2, 4, 5, 60, 61, 62) ORDER BY id',
  );
  expect(rows.map(({ share }) => share)).toEqual([10, 3, 25, null, 5, 1, null]);
  expect((await driven.ledger()).conflicts).toBe(2);
});
