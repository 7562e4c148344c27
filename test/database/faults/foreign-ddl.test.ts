/** What others do to table and ledger while a change is under way: noticed before the next step, nothing lost. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ChangeSpec, SchemaChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { OperatorLoop, type Look } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

jest.setTimeout(90_000);
beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'city' FROM generate_series(1, 300) n`);
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const merged: ChangeSpec = {
  replaceColumns: {
    table: 'public.customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: "first_name || ' ' || last_name" },
    backward: { first_name: "split_part(full_name, ' ', 1)", last_name: "split_part(full_name, ' ', 2)" },
  },
};

const begun = (change: ChangeSpec = merged): OperatorLoop => {
  loop = new OperatorLoop(sandbox.uri, change);
  return loop;
};

type Phase = SchemaChangeSpec['targetPhase'];
const phases: readonly Phase[] = ['DualWrite', 'Backfill', 'SwitchReads', 'Quarantine'];

const goOn = (): void => loop.patch({ targetPhase: 'Drop' });

const wrong = async (): Promise<unknown> =>
  sandbox.query(`SELECT id FROM customers WHERE full_name IS DISTINCT FROM
    CASE id WHEN 7 THEN 'Ann last7' WHEN 8 THEN 'Bob last8' WHEN 900 THEN 'Eve Old' ELSE 'first' || id || ' last' || id END`);

/** Old code goes on writing, whatever has become of the triggers. */
const oldCodeWrites = (): Promise<void> =>
  sandbox.script(`UPDATE customers SET first_name = 'Ann' WHERE id = 7;
    INSERT INTO customers (id, first_name, last_name) VALUES (900, 'Eve', 'Old');
    UPDATE customers SET first_name = 'Bob' WHERE id = 8`);

const away: readonly (readonly [string, string])[] = [
  ['a trigger dropped', `DROP TRIGGER "~segue_1_update" ON customers`],
  ['both triggers disabled', 'ALTER TABLE customers DISABLE TRIGGER USER'],
  ['the trigger function dropped', 'DROP FUNCTION segue.sync_1() CASCADE'],
  [
    'the trigger function replaced',
    `CREATE OR REPLACE FUNCTION segue.sync_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
  ],
];

describe.each(phases)('at the end of %s', (phase) => {
  test.each(away)('%s: made anew, and what was written meanwhile is not lost', async (_, ddl) => {
    begun();
    await loop.to(phase);
    if (phase !== 'DualWrite') await sandbox.script('ALTER TABLE customers ALTER full_name DROP NOT NULL');
    await sandbox.script(ddl);
    await oldCodeWrites();
    goOn();
    const held = await loop.until(
      ({ reason, phase }) => reason === 'VerificationFailed' || phase === 'Completed',
    );
    if (held.reason === 'VerificationFailed') {
      // Found by comparison; old columns are all still there to mend from.
      expect(held.message).toMatch(/"id": (7|8|900)/);
      await sandbox.script(
        `UPDATE customers SET full_name = first_name || ' ' || last_name WHERE full_name IS DISTINCT FROM first_name || ' ' || last_name`,
      );
      loop.retry();
      await loop.complete();
    }
    expect(await wrong()).toEqual([]);
  });
});

describe.each(['DualWrite', 'Backfill', 'Quarantine'] as const)('after %s', (phase) => {
  const clear = ({ reason, message }: Look): boolean => reason === 'TableChanged' && message.length > 0;

  test.each([
    [
      'an old column renamed',
      'first_name',
      'RENAME first_name TO given',
      'RENAME given TO first_name',
      /"first_name" was renamed to "given"/,
    ],
    [
      'the new column renamed',
      'full_name',
      'RENAME full_name TO whole',
      'RENAME whole TO full_name',
      /"full_name" was renamed to "whole"/,
    ],
    [
      'an old column retyped',
      '',
      'ALTER first_name TYPE varchar(90)',
      'ALTER first_name TYPE text',
      /"first_name" was of type text and is character varying\(90\)/,
    ],
  ])('%s: held, said, writes go on, and on once it is undone', async (_, gone, ddl, undo, says) => {
    begun();
    await loop.to(phase);
    if (gone === '') await retype(ddl);
    else await sandbox.script(`ALTER TABLE customers ${ddl}`);
    goOn();
    const held = await loop.until(clear);
    const [renamed = ''] = /(?<=^RENAME )\w+/.exec(undo) ?? [];
    expect(held.message).toMatch(says);
    await loop.until(({ did }) => did === undefined);
    // What the application can still write, it writes.
    const names = ['first_name', 'last_name', 'full_name'].map((name) => (name === gone ? renamed : name));
    await sandbox.script(
      `INSERT INTO customers (id, ${names.join(', ')}) VALUES (-1, 'a', 'b', 'a b'); UPDATE customers SET city = 'y' WHERE id = 3; DELETE FROM customers WHERE id = -1`,
    );
    if (gone === '') await retype(undo);
    else await sandbox.script(`ALTER TABLE customers ${undo}`);
    await loop.complete();
    expect(await wrongButFor([])).toEqual([]);
  });

  test('the table renamed, and back', async () => {
    begun();
    await loop.to(phase);
    await sandbox.script('ALTER TABLE customers RENAME TO clients');
    goOn();
    expect((await loop.until(clear)).message).toContain('public.customers');
    await sandbox.script('ALTER TABLE clients RENAME TO customers');
    await loop.complete();
    expect(await wrongButFor([])).toEqual([]);
  });

  test('the table made again under its name: nothing is done to the new one', async () => {
    begun();
    await loop.to(phase);
    await sandbox.script(`ALTER TABLE customers RENAME TO clients;
      CREATE TABLE customers (id bigint, first_name text, last_name text, full_name text)`);
    goOn();
    for (let looks = 0; looks < 3; looks += 1)
      expect(await loop.look()).toMatchObject({ did: undefined, reason: 'TableChanged' });
    const [columns] = await sandbox.query(
      `SELECT count(*)::int AS n FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0 AND NOT attisdropped`,
    );
    expect(columns).toEqual({ n: 4 });
  });

  test('the owner changed: the statement that mends it is said', async () => {
    await sandbox.script(`CREATE ROLE ${sandbox.name} LOGIN PASSWORD 'pw'; CREATE ROLE other_${sandbox.name};
      GRANT CREATE ON DATABASE ${sandbox.name} TO ${sandbox.name}; ALTER TABLE customers OWNER TO ${sandbox.name}`);
    loop = new OperatorLoop(server.uriFor(sandbox, sandbox.name, 'pw'), merged);
    await loop.to(phase);
    await sandbox.script(`ALTER TABLE customers OWNER TO other_${sandbox.name}`);
    goOn();
    const { message } = await loop.until(({ reason }) => reason === 'InsufficientPrivilege');
    expect(message).toContain(`GRANT "other_${sandbox.name}" TO "${sandbox.name}"`);
    await sandbox.script(`GRANT other_${sandbox.name} TO ${sandbox.name}`);
    await loop.complete();
  });

  test('the ledger’s row deleted: held, with what to run, and no column is touched', async () => {
    begun();
    await loop.to(phase);
    await sandbox.script('DELETE FROM segue.change');
    goOn();
    const held = await loop.until(({ did }) => did === undefined);
    expect(['ForeignLedger', 'TargetColumnExists']).toContain(held.reason);
    const [row] = await sandbox.query('SELECT first_name, last_name FROM customers WHERE id = 5');
    expect(row).toEqual({ first_name: 'first5', last_name: 'last5' });
    if (held.reason !== 'ForeignLedger') return;
    const [, statements = ''] = /and run: (.*);$/.exec(held.message) ?? [];
    await sandbox.script(statements);
    await loop.until(({ reason }) => reason === 'TargetColumnExists');
    await sandbox.script('ALTER TABLE customers DROP COLUMN full_name');
    await loop.complete();
    expect(await wrongButFor([])).toEqual([]);
  });

  test('schema segue dropped: held, and no column is touched', async () => {
    begun();
    await loop.to(phase);
    await sandbox.script('DROP SCHEMA segue CASCADE');
    goOn();
    await loop.until(({ reason }) => reason === 'TargetColumnExists');
    await sandbox.script('ALTER TABLE customers DROP COLUMN full_name');
    await loop.complete();
    expect(await wrongButFor([])).toEqual([]);
  });

  test('NOT NULL of the new column dropped: it is back before the old columns go', async () => {
    begun();
    await loop.to(phase);
    await sandbox.script(`ALTER TABLE customers ALTER full_name DROP NOT NULL`);
    goOn();
    await loop.complete();
    const [column] = await sandbox.query(
      `SELECT attnotnull FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'full_name'`,
    );
    expect(column).toEqual({ attnotnull: true });
  });
});

/** PostgreSQL retypes no column that a trigger names: whoever does it takes the triggers away and puts them back. */
const retype = async (ddl: string): Promise<void> => {
  const triggers = await sandbox.query<{ name: string; definition: string }>(
    `SELECT tgname AS name, pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgrelid = 'customers'::regclass AND NOT tgisinternal`,
  );
  await sandbox.script(
    [
      'BEGIN',
      ...triggers.map(({ name }) => `DROP TRIGGER "${name}" ON customers`),
      `ALTER TABLE customers ${ddl}`,
      ...triggers.map(({ definition }) => definition),
      'COMMIT',
    ].join(';'),
  );
};

const wrongButFor = async (ids: readonly number[]): Promise<unknown> =>
  sandbox.query(
    `SELECT id FROM customers WHERE id <> ALL ($1) AND full_name IS DISTINCT FROM 'first' || id || ' last' || id`,
    [ids],
  );

test('an index dropped that the change has built: it is built again', async () => {
  begun({
    addConstraint: {
      table: 'public.customers',
      unique: { name: 'customers_names', columns: ['first_name', 'last_name'] },
    },
  });
  await loop.to('AddColumn');
  goOn();
  await loop.until(({ did }) => did === 'step customers_names-build');
  await sandbox.script('DROP INDEX customers_names');
  await loop.complete();
  const [found] = await sandbox.query(`SELECT contype FROM pg_constraint WHERE conname = 'customers_names'`);
  expect(found).toEqual({ contype: 'u' });
});

describe('a partition', () => {
  beforeEach(() =>
    sandbox.script(`DROP TABLE customers;
      CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text, city text) PARTITION BY RANGE (id);
      CREATE TABLE low PARTITION OF customers FOR VALUES FROM (-100) TO (200);
      CREATE TABLE mid PARTITION OF customers FOR VALUES FROM (200) TO (1000);
      INSERT INTO customers SELECT n, 'first' || n, 'last' || n, 'city' FROM generate_series(1, 300) n`),
  );

  test.each(['Backfill', 'Quarantine'] as const)(
    'attached after %s: its rows are filled too',
    async (phase) => {
      begun();
      await loop.to(phase);
      await sandbox.script(
        `CREATE TABLE high (LIKE customers INCLUDING ALL);
      ALTER TABLE high ADD PRIMARY KEY (id);
      ALTER TABLE high ALTER full_name DROP NOT NULL;
      INSERT INTO high (id, first_name, last_name) SELECT n, 'first' || n, 'last' || n FROM generate_series(1000, 1100) n`.replace(
          'ALTER TABLE high ADD PRIMARY KEY (id);',
          '',
        ),
      );
      const [required] = await sandbox.query(
        `SELECT FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'full_name' AND attnotnull`,
      );
      if (required !== undefined)
        await sandbox.script(
          `UPDATE high SET full_name = first_name || ' ' || last_name; ALTER TABLE high ALTER full_name SET NOT NULL`,
        );
      await sandbox.script('ALTER TABLE customers ATTACH PARTITION high FOR VALUES FROM (1000) TO (2000)');
      goOn();
      await loop.complete();
      expect(await wrongButFor([])).toEqual([]);
      expect(await sandbox.query('SELECT count(*)::int AS n FROM customers')).toEqual([{ n: 401 }]);
    },
  );

  test.each(['Backfill', 'Quarantine'] as const)(
    'detached after %s: the others go on, and it keeps its rows',
    async (phase) => {
      begun();
      await loop.to(phase);
      await sandbox.script('ALTER TABLE customers DETACH PARTITION mid');
      goOn();
      await loop.complete();
      expect(await wrongButFor([])).toEqual([]);
      expect(await sandbox.query('SELECT count(*)::int AS n FROM mid')).toEqual([{ n: 101 }]);
    },
  );
});
