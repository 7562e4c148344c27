import { describe, expect, test } from '@jest/globals';
import { importSql } from '../../../src/cli/import.ts';
import { readChangelogs, type Changelog } from '../../../src/cli/import/changelog.ts';
import { lint } from '../../../src/cli/lint.ts';
import { say } from '../../support/terminal.ts';

interface Imported {
  readonly changes: readonly {
    readonly name: string;
    readonly todo: readonly string[];
    readonly notes: readonly string[];
    readonly manifest: {
      readonly spec: { readonly change: object; readonly suspend?: boolean; readonly approvals?: string[] };
    };
  }[];
  readonly notImported: readonly { readonly why: string; readonly sql: string }[];
}

const read = async (
  sql: string,
  values: Record<string, string | readonly string[]> = {},
): Promise<Imported> => {
  const said = await say(importSql, { filename: ['-'], output: 'json', ...values }, sql);
  if (said.code === 2) throw new Error(said.err);
  return JSON.parse(said.out) as Imported;
};

const changesOf = async (sql: string): Promise<readonly object[]> => {
  const { changes, notImported } = await read(sql);
  expect(notImported).toEqual([]);
  return changes.map(({ manifest }) => manifest.spec.change);
};

describe('a statement and its change', () => {
  test.each<[string, readonly object[]]>([
    ['ALTER TABLE shop.a ADD COLUMN b text', [{ addColumn: { table: 'shop.a', name: 'b', type: 'text' } }]],
    [
      `ALTER TABLE a ADD b numeric(10, 2) DEFAULT (1 + 2) NOT NULL CHECK (b > 0 AND b < 9), ADD COLUMN IF NOT EXISTS "C d" timestamp with time zone UNIQUE`,
      [
        {
          addColumn: {
            table: 'a',
            name: 'b',
            type: 'numeric(10, 2)',
            default: '(1 + 2)',
            nullable: false,
            check: 'b > 0 AND b < 9',
          },
        },
        { addColumn: { table: 'a', name: 'C d', type: 'timestamp with time zone', unique: true } },
      ],
    ],
    [
      'ALTER TABLE a ADD b int DEFAULT CASE WHEN true THEN NULL ELSE 1 END REFERENCES x.y ("Z") ON DELETE SET NULL',
      [
        {
          addColumn: {
            table: 'a',
            name: 'b',
            type: 'int',
            default: 'CASE WHEN true THEN NULL ELSE 1 END',
            references: { table: 'x.y', column: 'Z', onDelete: 'SetNull' },
          },
        },
      ],
    ],
    ['ALTER TABLE a RENAME b TO c', [{ renameColumn: { table: 'a', from: 'b', to: 'c' } }]],
    ['ALTER TABLE a DROP COLUMN IF EXISTS b', [{ dropColumn: { table: 'a', column: 'b' } }]],
    ['ALTER TABLE a ALTER b SET NOT NULL', [{ addConstraint: { table: 'a', notNull: { column: 'b' } } }]],
    [
      'ALTER TABLE a ADD CHECK (b IN (1, 2))',
      [{ addConstraint: { table: 'a', check: { name: 'a_check', expression: 'b IN (1, 2)' } } }],
    ],
    [
      'ALTER TABLE a ADD CONSTRAINT u UNIQUE (b, c)',
      [{ addConstraint: { table: 'a', unique: { name: 'u', columns: ['b', 'c'] } } }],
    ],
    [
      'CREATE UNIQUE INDEX CONCURRENTLY u ON a (b); ALTER TABLE a ADD CONSTRAINT uq UNIQUE USING INDEX u;',
      [{ addConstraint: { table: 'a', unique: { name: 'uq', columns: ['b'] } } }],
    ],
    [
      'ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c (id) ON DELETE CASCADE NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT a_b_fkey',
      [
        {
          addConstraint: {
            table: 'a',
            foreignKey: {
              name: 'a_b_fkey',
              columns: ['b'],
              references: { table: 'c', columns: ['id'] },
              onDelete: 'Cascade',
            },
          },
        },
      ],
    ],
    [
      `CREATE INDEX ON s.a USING gin (lower(b || 'x') gin_trgm_ops, (c -> 'd')) WHERE b <> ''`,
      [
        {
          createIndex: {
            table: 's.a',
            name: 'a_lower_expr_idx',
            method: 'gin',
            keys: [
              { expression: "lower(b || 'x')", operatorClass: 'gin_trgm_ops' },
              { expression: "c -> 'd'" },
            ],
            where: "b <> ''",
          },
        },
      ],
    ],
    [
      'CREATE INDEX i ON a (b DESC NULLS LAST, c NULLS FIRST) INCLUDE (d)',
      [
        {
          createIndex: {
            table: 'a',
            name: 'i',
            keys: [
              { column: 'b', order: 'Descending', nulls: 'Last' },
              { column: 'c', nulls: 'First' },
            ],
            include: ['d'],
          },
        },
      ],
    ],
    [
      `ALTER TABLE a ADD COLUMN b text; UPDATE a SET b = lower(c) WHERE b IS NULL; ALTER TABLE a ALTER b SET DEFAULT '-', ALTER b SET NOT NULL`,
      [
        {
          addColumn: {
            table: 'a',
            name: 'b',
            type: 'text',
            backfill: 'lower(c)',
            default: "'-'",
            nullable: false,
          },
        },
      ],
    ],
    [
      "ALTER TABLE a ADD b int, ADD c text; UPDATE a SET b = d + 1, c = 'x' || d",
      [
        { addColumn: { table: 'a', name: 'b', type: 'int', backfill: 'd + 1' } },
        { addColumn: { table: 'a', name: 'c', type: 'text', backfill: "'x' || d" } },
      ],
    ],
    // The dance that makes a NOT NULL without a scan is what the kind does by itself.
    [
      'ALTER TABLE a ADD CONSTRAINT b_set CHECK (b IS NOT NULL) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT b_set; ALTER TABLE a ALTER b SET NOT NULL; ALTER TABLE a DROP CONSTRAINT b_set',
      [{ addConstraint: { table: 'a', notNull: { column: 'b' } } }],
    ],
    ['BEGIN; SET lock_timeout = 1; COMMIT', []],
    [
      'ALTER TABLE a ALTER b DROP NOT NULL',
      [{ sql: { table: 'a', expand: 'ALTER TABLE a ALTER b DROP NOT NULL;' } }],
    ],
    [
      'DROP INDEX i; COMMENT ON TABLE a IS NULL; DROP VIEW v; ANALYZE a',
      [
        {
          sql: {
            table: 'a',
            expand: 'COMMENT ON TABLE a IS NULL;\nANALYZE a;',
            contract: 'DROP INDEX CONCURRENTLY IF EXISTS i;\nDROP VIEW v;',
          },
        },
      ],
    ],
    // Of a table that nobody uses yet nothing has to be gradual.
    [
      'CREATE TABLE n (a int REFERENCES o (id)); ALTER TABLE o ADD COLUMN x int; CREATE INDEX ON n (a); ALTER TABLE n ALTER a SET NOT NULL',
      [
        {
          sql: {
            table: 'o',
            expand:
              'CREATE TABLE n (a int REFERENCES o (id));\nCREATE INDEX ON n (a);\nALTER TABLE n ALTER a SET NOT NULL;',
          },
        },
        { addColumn: { table: 'o', name: 'x', type: 'int' } },
      ],
    ],
    // The name holds letters of several bytes each.
    [
      'ALTER TABLE "Größe" ADD COLUMN ü text DEFAULT \'ß\', ADD y int',
      [
        { addColumn: { table: 'Größe', name: 'ü', type: 'text', default: "'ß'" } },
        { addColumn: { table: 'Größe', name: 'y', type: 'int' } },
      ],
    ],
  ])('%s', async (sql, expected) => {
    expect(await changesOf(sql)).toEqual(expected);
  });
});

test('assignments that read each other stay one statement', async () => {
  const { notImported } = await read('ALTER TABLE a ADD b int, ADD c int; UPDATE a SET b = d, c = b');
  expect(notImported.map(({ sql }) => sql)).toEqual(['UPDATE a SET b = d, c = b']);
});

describe('columns in the place of others', () => {
  const merge = `ALTER TABLE a ADD COLUMN full_name text; UPDATE a SET full_name = f || ' ' || l;
    ALTER TABLE a ALTER full_name SET NOT NULL; ALTER TABLE a DROP f, DROP l;`;

  test('what can be shown is one replaceColumns, suspended for the way back', async () => {
    const { changes } = await read(merge);
    expect(changes.map(({ manifest }) => manifest.spec)).toMatchObject([
      {
        suspend: true,
        approvals: ['Drop'],
        change: {
          replaceColumns: {
            from: ['f', 'l'],
            to: [{ name: 'full_name', type: 'text', nullable: false }],
            forward: { full_name: "f || ' ' || l" },
            backward: { f: 'NULL', l: 'NULL' },
          },
        },
      },
    ]);
    expect(changes[0]?.todo).toHaveLength(2);
  });

  test('a mere copy can be walked back as it is', async () => {
    const { changes } = await read('ALTER TABLE a ADD n text; UPDATE a SET n = o; ALTER TABLE a DROP o');
    expect(changes).toMatchObject([
      {
        todo: [],
        manifest: { spec: { change: { replaceColumns: { from: ['o'], backward: { o: '"n"' } } } } },
      },
    ]);
    expect(changes[0]?.manifest.spec.suspend).toBeUndefined();
  });

  test.each([
    ['another column is read too', 'ALTER TABLE a ADD n text; UPDATE a SET n = o || p; ALTER TABLE a DROP o'],
    [
      'the UPDATE has a condition',
      'ALTER TABLE a ADD n text; UPDATE a SET n = o WHERE p = 1; ALTER TABLE a DROP o',
    ],
    ['the UPDATE comes after', 'ALTER TABLE a ADD n text; ALTER TABLE a DROP o; UPDATE a SET n = o'],
    [
      'something else names the column',
      'ALTER TABLE a ADD n text; UPDATE a SET n = o; CREATE INDEX ON a (n); ALTER TABLE a DROP o',
    ],
    ['another table', 'ALTER TABLE a ADD n text; UPDATE a SET n = o; ALTER TABLE b DROP o'],
  ])('apart: %s', async (_why, sql) => {
    const { changes } = await read(sql);
    const kinds = changes.flatMap(({ manifest }) => Object.keys(manifest.spec.change));
    expect(kinds).not.toContain('replaceColumns');
    expect(kinds).toContain('addColumn');
    expect(kinds).toContain('dropColumn');
  });
});

test('what needs a person: suspended, and said', async () => {
  const { changes } = await read(`ALTER TABLE a ADD b int NOT NULL; ALTER TABLE a ADD c int REFERENCES d;
    ALTER TABLE a DROP e CASCADE; ALTER TABLE a ALTER f TYPE text`);
  expect(changes.map(({ todo }) => todo.join())).toEqual([
    expect.stringContaining('write default or backfill'),
    expect.stringContaining('id is supposed'),
    expect.stringContaining('CASCADE'),
    expect.stringContaining('backward: write how f follows from f_text'),
  ]);
  expect(changes.every(({ manifest }) => manifest.spec.suspend)).toBe(true);
});

test.each([
  ['UPDATE a SET b = 1', 'writes every row of the table in one transaction'],
  ['DO $$ BEGIN END $$; ANALYZE a', 'runs code that this check does not look into'],
  ['ALTER TABLE a RENAME TO b', 'renames or moves the table'],
  ['CREATE TABLE a (b int)', 'run it as it is'],
  ['ALTER TABLE a ADD b serial', 'Create a sequence'],
])('left out, with what to do: %s', async (sql, why) => {
  const { notImported } = await read(sql);
  expect(notImported.map((one) => one.why).join()).toContain(why);
});

test('a script that makes tables alone is imported where a table is named', async () => {
  const { changes, notImported } = await read('CREATE TABLE a (b int)', { table: 'public.c' });
  expect(notImported).toEqual([]);
  expect(changes).toMatchObject([{ manifest: { spec: { change: { sql: { table: 'public.c' } } } } }]);
});

describe('Liquibase', () => {
  const changelog = `--liquibase formatted sql

--changeset ann:1 runInTransaction:false labels:"big one" context:prod
--comment: adds a note
--preconditions onFail:MARK_RAN
--precondition-sql-check expectedResult:0 SELECT count(*) FROM x
ALTER TABLE a ADD COLUMN note text;
--rollback ALTER TABLE a DROP COLUMN note;

-- changeset ann:2 endDelimiter:/
COMMENT ON TABLE a IS 'x'/
COMMENT ON COLUMN a.b IS 'y; z'/
-- rollback COMMENT ON TABLE a IS NULL;
--changeset ann:3 dbms:mysql,oracle
ALTER TABLE a ENGINE = x;
--changeset ann:"4 b" runOnChange:true
CREATE OR REPLACE VIEW v AS SELECT b FROM a;
--rollback DROP VIEW v;
`;

  test('changesets with their attributes, preconditions and rollbacks', async () => {
    const { changes, notImported } = await read(changelog);
    expect(changes.map(({ name }) => name)).toEqual(['ann-1-add-a-note', 'ann-2-run-a', 'ann-4-b-run-a']);
    expect(changes[0]?.todo.join()).toMatch(/precondition-sql-check .*count.*context prod.*labels big one/);
    expect(changes[0]?.notes.join()).toContain('its rollback is not needed');
    expect(changes[1]?.manifest.spec.change).toEqual({
      sql: {
        table: 'a',
        expand: "COMMENT ON TABLE a IS 'x';\nCOMMENT ON COLUMN a.b IS 'y; z';",
        undo: 'COMMENT ON TABLE a IS NULL;',
      },
    });
    expect(changes[2]?.manifest.spec.change).toMatchObject({ sql: { undo: 'DROP VIEW IF EXISTS v;' } });
    expect(changes[2]?.notes.join()).toContain('runs anew whenever it changes');
    expect(notImported).toMatchObject([{ why: 'it is for mysql,oracle, not for PostgreSQL' }]);
  });

  test('a place is told in the file', async () => {
    const said = await say(importSql, { filename: ['-'] }, `${changelog}ALTER TABL b;\n`);
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain('stdin:19: ');
  });
});

describe('Flyway', () => {
  const files = (...names: string[]): Changelog =>
    readChangelogs(names.map((name) => ({ name: `db/${name}`, text: `COMMENT ON TABLE a IS '${name}'` })));

  test('versions in their order, undo with its version, the rest as it is', () => {
    const { changesets, leftOut } = files('V10__b.sql', 'V2.1__Make_it.sql', 'U10__b.sql');
    expect(changesets).toMatchObject([
      { name: 'v2-1-make-it' },
      { name: 'v10-b', rollback: "COMMENT ON TABLE a IS 'U10__b.sql'" },
    ]);
    expect(changesets[0]).not.toHaveProperty('rollback');
    expect(leftOut).toEqual([]);
  });

  test('repeatable ones are noted; callbacks and baselines are left out', () => {
    const { changesets, leftOut } = files(
      'R__views.sql',
      'afterMigrate__grants.sql',
      'beforeEachMigrate.sql',
      'B5__base.sql',
    );
    expect(changesets).toMatchObject([{ name: 'r-views', notes: [expect.stringContaining('runs anew')] }]);
    expect(leftOut.map(({ place }) => place)).toEqual([
      'db/afterMigrate__grants.sql',
      'db/beforeEachMigrate.sql',
      'db/B5__base.sql',
    ]);
  });
});

test('names are short, lower case and each its own', async () => {
  const long = 'x'.repeat(60);
  const { changes } = await read(
    `ALTER TABLE "A b" ADD "${long}1" int; ALTER TABLE "A b" ADD "${long}2" int`,
  );
  const names = changes.map(({ name }) => name);
  expect(new Set(names).size).toBe(2);
  for (const name of names) expect(name).toMatch(/^[a-z0-9-]{1,63}$/);
});

test('what comes out passes lint, with its notes as comments', async () => {
  const sql = `ALTER TABLE a ADD n text; UPDATE a SET n = lower(o); ALTER TABLE a DROP o; ALTER TABLE a ALTER q TYPE bigint;
    UPDATE a SET z = 1; CREATE INDEX ON a (r); COMMENT ON TABLE a IS 'x'; DROP VIEW v;`;
  const imported = await say(importSql, { filename: ['-'], secret: 'shop-db', deployment: ['shop'] }, sql);
  expect(imported.code).toBe(1);
  expect(imported.out).toContain('# TO DO: backward.o');
  expect(imported.out).toContain('# NOT IMPORTED: stdin:2: it writes every row');
  const checked = await say(lint, { filename: ['-'] }, imported.out);
  expect(checked).toMatchObject({ code: 0 });
  expect(checked.out).not.toContain('no-workloads');
});

test('no SQL, commands of psql and unknown formats are 2', async () => {
  for (const sql of ['ALTER TABLE', '\\d a', 'SELECT ${x}'])
    expect(await say(importSql, { filename: ['-'] }, sql)).toMatchObject({ code: 2, out: '' });
  expect(await say(importSql, { filename: ['-'], output: 'xml' }, 'SELECT 1')).toMatchObject({ code: 2 });
});
