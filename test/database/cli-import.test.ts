import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { importSql } from '../../src/cli/import.ts';
import { judgeManifest } from '../../src/cli/lint/check.ts';
import { readManifests } from '../../src/cli/lint/manifests.ts';
import { lint } from '../../src/cli/lint.ts';
import { Databases } from '../../src/database/databases.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { say } from '../support/terminal.ts';
import { drive } from '../support/undisturbed.ts';
import { fingerprint } from './lifecycle/fingerprint.ts';

let server: TestServer;
let direct: TestDatabase;
let gradual: TestDatabase;
let databases: Databases;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  direct = await server.database();
  gradual = await server.database();
  databases = new Databases();
});
afterEach(async () => {
  await databases.close();
  await direct.close();
  await gradual.close();
});

const before = `
  CREATE TABLE regions (id int PRIMARY KEY, name text);
  CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text, mail varchar(80), region int, fax text);
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL, total numeric(10,2) DEFAULT 0, code text);
  CREATE VIEW recent AS SELECT id FROM orders;
  CREATE INDEX orders_customer ON orders (customer);
  INSERT INTO regions VALUES (1, 'north');
  INSERT INTO customers SELECT n, 'f' || n, 'l' || n, 'M' || n, 1, NULL FROM generate_series(1, 500) n;
  INSERT INTO orders (customer, total, code) SELECT n, n, n FROM generate_series(1, 500) n;`;

/** What a person fills in where the import can't know it. */
const seenTo = (yaml: string, answers: Readonly<Record<string, string>>): string =>
  Object.entries(answers).reduce((text, [from, to]) => text.replace(from, to), yaml);

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly answers?: Readonly<Record<string, string>>;
  /** What makes of the direct result what is meant to come out. */
  readonly renames?: string;
  readonly kinds: readonly string[];
}

const migrations: readonly Migration[] = [
  {
    name: 'columns, constraints and indexes',
    sql: `
      BEGIN;
      ALTER TABLE customers ADD COLUMN note varchar(20) NOT NULL DEFAULT 'none' CHECK (note <> ''), ADD COLUMN joined timestamptz DEFAULT now();
      ALTER TABLE customers ADD COLUMN mail_key text;
      UPDATE customers SET mail_key = lower(mail);
      ALTER TABLE customers ALTER COLUMN mail_key SET NOT NULL;
      CREATE UNIQUE INDEX customers_mail ON customers (lower(mail) text_pattern_ops DESC) INCLUDE (region) WHERE mail IS NOT NULL;
      CREATE INDEX ON customers (region, lower(last_name));
      ALTER TABLE customers ADD CONSTRAINT mail_short CHECK (length(mail) < 80) NOT VALID;
      ALTER TABLE customers VALIDATE CONSTRAINT mail_short;
      ALTER TABLE customers ADD FOREIGN KEY (region) REFERENCES regions (id) ON DELETE SET NULL;
      ALTER TABLE orders ADD UNIQUE (customer, code);
      COMMIT;`,
    kinds: [
      'addColumn',
      'addColumn',
      'addColumn',
      'createIndex',
      'createIndex',
      'addConstraint',
      'addConstraint',
      'addConstraint',
    ],
  },
  {
    name: 'columns that give way to others',
    sql: `
      ALTER TABLE customers ADD COLUMN full_name text;
      UPDATE customers SET full_name = first_name || ' ' || last_name;
      ALTER TABLE customers ALTER COLUMN full_name SET NOT NULL;
      ALTER TABLE customers DROP COLUMN first_name, DROP COLUMN last_name;
      ALTER TABLE customers DROP COLUMN fax;
      ALTER TABLE orders RENAME COLUMN total TO amount;
      ALTER TABLE orders ALTER COLUMN code TYPE bigint USING code::bigint;`,
    answers: {
      'first_name: "NULL"': "first_name: split_part(full_name, ' ', 1)",
      'last_name: "NULL"': "last_name: split_part(full_name, ' ', 2)",
      'backward: "NULL"': 'backward: code_bigint::text',
    },
    renames: 'ALTER TABLE orders RENAME COLUMN code TO code_bigint',
    kinds: ['replaceColumns', 'dropColumn', 'renameColumn', 'changeType'],
  },
  {
    name: 'what has no kind, as Liquibase has it',
    sql: `--liquibase formatted sql
--changeset ann:1
CREATE TABLE audit (order_id bigint REFERENCES orders (id), at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON audit (at);
COMMENT ON TABLE audit IS 'who; when';
--rollback DROP TABLE audit;
--changeset ann:2 splitStatements:false
CREATE FUNCTION note_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER note_order AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note_order();
--changeset ann:3
ALTER TABLE orders ALTER COLUMN total DROP DEFAULT;
DROP VIEW recent;
DROP INDEX orders_customer;`,
    kinds: ['sql', 'sql', 'sql'],
  },
];

test.each(migrations)(
  'the same schema as by the SQL itself: $name',
  async ({ sql, answers = {}, renames, kinds }) => {
    await direct.script(before);
    await direct.script(sql);
    if (renames !== undefined) await direct.script(renames);

    await gradual.script(before);
    const imported = await say(importSql, { filename: ['-'] }, sql);
    expect(imported.out).not.toContain('NOT IMPORTED');
    expect((await say(lint, { filename: ['-'] }, imported.out)).code).toBe(0);
    const yaml = seenTo(imported.out, answers);
    const changes = readManifests('imported', yaml).manifests.map((manifest) => {
      const { sound, faults } = judgeManifest(manifest);
      if (sound === undefined) throw new Error(faults.map(({ message }) => message).join());
      return { name: sound.resource.split('/')[1] ?? '', change: sound.spec.change };
    });
    expect(changes.flatMap(({ change }: { change: ChangeSpec }) => Object.keys(change))).toEqual(kinds);
    const db = databases.open(gradual.uri);
    for (const { name, change } of changes) {
      const { decision } = await drive(db, { name, uid: name, change, targetPhase: 'Drop' });
      expect(decision).toMatchObject({ kind: 'finished', reason: 'Completed' });
    }
    expect(await fingerprint(gradual, 'public')).toBe(await fingerprint(direct, 'public'));
  },
);
