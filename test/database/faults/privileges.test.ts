/** A role that lacks a privilege: said before anything is touched, with the statement that mends it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  // Roles belong to the server: each test has its own.
  const role = `Segue ${sandbox.name}`;
  await sandbox.script(`
    CREATE ROLE "${role}" LOGIN PASSWORD 'pw';
    CREATE ROLE "owner ${sandbox.name}";
    CREATE SCHEMA shop;
    GRANT USAGE, CREATE ON SCHEMA shop TO "${role}";
    CREATE TABLE shop.customers (id bigint PRIMARY KEY, first_name text, last_name text, city text);
    INSERT INTO shop.customers SELECT n, 'first' || n, 'last' || n, 'c1' FROM generate_series(1, 50) n;
    CREATE SCHEMA places;
    CREATE TABLE places.cities (code text PRIMARY KEY);
    INSERT INTO places.cities VALUES ('c1');
    GRANT USAGE ON SCHEMA places TO "${role}";
    GRANT SELECT, REFERENCES ON places.cities TO "${role}";
    ALTER TABLE shop.customers OWNER TO "${role}";
    GRANT CREATE, TEMPORARY ON DATABASE ${sandbox.name} TO "${role}"`);
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const begun = (change: ChangeSpec): OperatorLoop => {
  loop = new OperatorLoop(server.uriFor(sandbox, encodeURIComponent(`Segue ${sandbox.name}`), 'pw'), change);
  return loop;
};

const index: ChangeSpec = {
  createIndex: {
    table: 'shop.customers',
    name: 'by_city',
    keys: [{ column: 'city' }],
    unique: false,
    method: 'btree',
  },
};
const reference: ChangeSpec = {
  addConstraint: {
    table: 'shop.customers',
    foreignKey: {
      name: 'customers_city',
      columns: ['city'],
      references: { table: 'places.cities', columns: ['code'] },
      onDelete: 'NoAction',
    },
  },
};

interface Lack {
  readonly name: string;
  /** `ROLE`, `OWNER` and `DATABASE` stand for the test's own. */
  readonly takenAway: string;
  readonly change?: ChangeSpec;
  readonly run: string;
}

const lacks: readonly Lack[] = [
  {
    name: 'ownership of the table, which a plain role has',
    takenAway: 'ALTER TABLE shop.customers OWNER TO OWNER; GRANT ALL ON shop.customers TO ROLE',
    run: 'GRANT OWNER TO ROLE',
  },
  {
    name: 'ownership of the table, which a superuser has',
    takenAway: 'ALTER TABLE shop.customers OWNER TO postgres; GRANT ALL ON shop.customers TO ROLE',
    run: 'ALTER TABLE shop.customers OWNER TO ROLE',
  },
  {
    name: 'CREATE on the database',
    takenAway: 'REVOKE CREATE ON DATABASE DATABASE FROM ROLE',
    run: 'GRANT CREATE ON DATABASE "DATABASE" TO ROLE',
  },
  {
    name: 'TEMPORARY on the database',
    takenAway: 'REVOKE TEMPORARY ON DATABASE DATABASE FROM PUBLIC, ROLE',
    run: 'GRANT TEMPORARY ON DATABASE "DATABASE" TO ROLE',
  },
  {
    name: 'USAGE on the schema',
    takenAway: 'REVOKE USAGE ON SCHEMA shop FROM ROLE',
    run: 'GRANT USAGE ON SCHEMA "shop" TO ROLE',
  },
  {
    name: 'CREATE on the schema of an index',
    takenAway: 'REVOKE CREATE ON SCHEMA shop FROM ROLE',
    change: index,
    run: 'GRANT CREATE ON SCHEMA "shop" TO ROLE',
  },
  {
    name: 'REFERENCES on the referenced table',
    takenAway: 'REVOKE REFERENCES ON places.cities FROM ROLE',
    change: reference,
    run: 'GRANT REFERENCES ON "places"."cities" TO ROLE',
  },
  {
    name: 'SELECT on the referenced table',
    takenAway: 'REVOKE SELECT ON places.cities FROM ROLE',
    change: reference,
    run: 'GRANT SELECT ON "places"."cities" TO ROLE',
  },
  {
    name: 'USAGE on the schema of the referenced table',
    takenAway: 'REVOKE USAGE ON SCHEMA places FROM ROLE',
    change: reference,
    run: 'GRANT USAGE ON SCHEMA "places" TO ROLE',
  },
  {
    name: 'TRIGGER on the table',
    takenAway: 'REVOKE TRIGGER ON shop.customers FROM ROLE',
    run: 'GRANT TRIGGER ON "shop"."customers" TO ROLE',
  },
  {
    name: 'UPDATE on the table',
    takenAway: 'REVOKE UPDATE ON shop.customers FROM ROLE',
    run: 'GRANT UPDATE ON "shop"."customers" TO ROLE',
  },
  {
    name: 'USAGE on the language of triggers',
    takenAway: 'REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC',
    run: 'GRANT USAGE ON LANGUAGE plpgsql TO ROLE',
  },
  {
    name: 'freedom from row security',
    takenAway:
      'ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.customers FORCE ROW LEVEL SECURITY',
    run: 'ALTER ROLE ROLE BYPASSRLS',
  },
  {
    name: 'membership in the role that made the ledger',
    takenAway: 'CREATE SCHEMA segue AUTHORIZATION OWNER',
    run: 'GRANT OWNER TO ROLE',
  },
];

/** Everything but the rows: what is owned and granted, and what there is. */
const state = async (): Promise<unknown> =>
  sandbox.query(`
    SELECT relname::text AS name, relacl::text AS grants, relowner::text AS owner FROM pg_class
      WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('shop', 'places', 'public', 'segue'))
    UNION ALL SELECT nspname, nspacl::text, nspowner::text FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT tgname, '', '' FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`);

describe('a role that lacks', () => {
  test.each(lacks)(
    '$name is told so before anything is touched, and how to mend it',
    async ({ takenAway, change, run }) => {
      const named = (text: string): string =>
        text
          .replaceAll(/\bROLE\b(?! "?ROLE)(?= |;|$)/g, (word, at: number) =>
            text.slice(0, at).endsWith('ALTER ') ? word : `"Segue ${sandbox.name}"`,
          )
          .replaceAll(/\bOWNER(?= TO "|;|$)/g, (word, at: number, all: string) =>
            /(?:customers |CREATE )$/.test(all.slice(0, at)) ? word : `"owner ${sandbox.name}"`,
          )
          .replaceAll(/(?<=ON DATABASE "?)DATABASE\b/g, sandbox.name);
      await sandbox.script(named(takenAway));
      const before = await state();
      begun(change ?? fullName('shop.customers'));
      const told = await loop.until(({ did }) => did === undefined);
      expect(told).toMatchObject({ phase: 'Pending', reason: 'InsufficientPrivilege' });
      expect(told.message).toContain(named(run));
      expect(loop.resource.metadata.finalizers ?? []).toEqual([]);
      expect(await state()).toEqual(before);
      const [, statement = ''] = /Run, as a role that may: (.*?); It goes/.exec(told.message) ?? [];
      await sandbox.script(statement);
      if (takenAway.includes('SCHEMA segue')) {
        // Another's schema of that name is no ledger, whoever may write in it.
        await loop.until(({ reason }) => reason === 'ForeignLedger');
        return;
      }
      await loop.complete();
    },
  );
});

test('several lacks are told at once', async () => {
  await sandbox.script(`
    REVOKE TEMPORARY ON DATABASE ${sandbox.name} FROM PUBLIC, "Segue ${sandbox.name}";
    REVOKE TRIGGER ON shop.customers FROM "Segue ${sandbox.name}"`);
  begun(fullName('shop.customers'));
  const { message } = await loop.look();
  expect(message).toMatch(/GRANT TEMPORARY ON DATABASE.*GRANT TRIGGER ON/s);
});
