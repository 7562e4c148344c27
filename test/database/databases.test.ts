import { execFile } from 'node:child_process';
import { chown, mkdtemp, chmod, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { serverUser } from '../../dev/postgres.ts';
import { Databases, readServer } from '../../src/database/databases.ts';
import { DatabaseError, outcomeOf, readFact } from '../../src/database/errors.ts';
import { sql } from '../../src/sql/sql.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';

let home: string;
let certificate: string;
let plain: TestServer;
let secure: TestServer;
let sandbox: TestDatabase;
let databases: Databases;

const makeCertificate = async (): Promise<{ certificate: string; key: string }> => {
  home = await mkdtemp(path.join(os.tmpdir(), 'segue-tls-'));
  await chmod(home, 0o755);
  const files = { certificate: path.join(home, 'server.crt'), key: path.join(home, 'server.key') };
  const request = [
    'req',
    '-x509',
    '-days',
    '2',
    '-nodes',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
  ];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  await promisify(execFile)('openssl', [
    ...request,
    ...subject,
    '-keyout',
    files.key,
    '-out',
    files.certificate,
  ]);
  await chmod(files.key, 0o600);
  const user = await serverUser();
  if (user) await chown(files.key, user.uid, user.gid);
  return files;
};

beforeAll(async () => {
  const files = await makeCertificate();
  ({ certificate } = files);
  plain = await startServer();
  secure = await startServer({ ssl: 'on', ssl_cert_file: files.certificate, ssl_key_file: files.key });
}, 60_000);
afterAll(async () => {
  await plain.stop();
  await secure.stop();
  await rm(home, { recursive: true, force: true });
});
beforeEach(async () => {
  sandbox = await plain.database();
  databases = new Databases();
});
afterEach(async () => {
  await databases.close();
  await sandbox.close();
});

/** Why a URI doesn't work. */
const failure = async (uri: string): Promise<DatabaseError> => {
  try {
    await readServer(databases.open(uri));
  } catch (error) {
    if (error instanceof DatabaseError) return error;
    throw error;
  }
  throw new Error('It did work.');
};

const withQuery = (uri: string, query: string): string => `${uri}?${query}`;

describe('what keeps us out', () => {
  test('a wrong password, user or database is a matter of credentials', async () => {
    const wrong = await failure(plain.uriFor(sandbox, 'postgres', 'hunter2'));
    expect(wrong).toMatchObject({ kind: 'credentials', code: '28P01' });
    expect(wrong.message).not.toContain('hunter2');
    expect(await failure(plain.uriFor(sandbox, 'nobody', 'hunter2'))).toMatchObject({ kind: 'credentials' });
    expect(await failure(`${sandbox.uri}_other`)).toMatchObject({ kind: 'credentials', code: '3D000' });
    expect(outcomeOf(wrong, 'look')).toMatchObject({ kind: 'refused', reason: 'InvalidCredentials' });
  });

  test.each([
    ['a closed port', 'postgresql://u:hunter2@127.0.0.1:1/db', 'ECONNREFUSED'],
    ['a name that does not resolve', 'postgresql://u:hunter2@no-such-host.invalid/db', 'ENOTFOUND'],
  ])('%s is an unreachable database', async (_, uri, code) => {
    const error = await failure(uri);
    expect(error).toMatchObject({ kind: 'unreachable' });
    expect([code, 'EAI_AGAIN']).toContain(error.code);
    expect(outcomeOf(error, 'look')).toMatchObject({ kind: 'deferred', reason: 'DatabaseUnreachable' });
    const fact = await readFact('the table', () => readServer(databases.open(uri)));
    expect(fact).toMatchObject({ known: false, reason: 'DatabaseUnreachable' });
    expect(JSON.stringify(fact)).not.toContain('hunter2');
  });

  test.each(['', 'hunter2', 'host=db password=hunter2', 'postgresql://u:hunter2@[bad/db'])(
    'a string that is no URI (%#) is refused without being shown',
    async (uri) => {
      const error = await failure(uri);
      expect(error).toMatchObject({ kind: 'credentials', message: expect.stringContaining('postgresql://') });
      expect(`${error.message}${error.stack ?? ''}${JSON.stringify(error)}`).not.toContain('hunter2');
    },
  );

  test('a role without rights is told apart', async () => {
    await sandbox.script(
      `DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'pw'; CREATE TABLE secret (a int)`,
    );
    const guest = databases.open(plain.uriFor(sandbox, 'guest', 'pw'));
    await expect(
      guest.transaction({ mode: 'read' }, (session) => session.rows(sql`SELECT FROM public.secret`)),
    ).rejects.toMatchObject({ kind: 'privilege' });
  });
});

describe('errors', () => {
  test('name the constraint and the state, never a value of a row', async () => {
    await sandbox.script(
      `CREATE TABLE t (a int, b text UNIQUE, CONSTRAINT positive CHECK (a > 0)); INSERT INTO t VALUES (1, 'sesame')`,
    );
    const db = databases.open(sandbox.uri);
    const attempts = [
      sql`INSERT INTO public.t VALUES (2, 'sesame')`,
      sql`INSERT INTO public.t VALUES (-77123, 'x')`,
      sql`UPDATE public.t SET a = b::int`,
      sql`DO $$ BEGIN RAISE EXCEPTION 'sesame'; END $$`,
    ];
    const messages: string[] = [];
    for (const statement of attempts) {
      const error: unknown = await db
        .transaction({ mode: 'write' }, (session) => session.run(statement))
        .catch((raised: unknown) => raised);
      expect(error).toBeInstanceOf(DatabaseError);
      messages.push((error as Error).message);
      const everything = JSON.stringify(error, Object.getOwnPropertyNames(error));
      expect(everything).not.toMatch(/sesame|77123/);
    }
    expect(messages).toEqual([
      'unique violation, table t, constraint t_b_key (SQLSTATE 23505)',
      'check violation, table t, constraint positive (SQLSTATE 23514)',
      'invalid text representation (SQLSTATE 22P02)',
      'an exception raised by a function or trigger (SQLSTATE P0001)',
    ]);
  });
});

describe('a transaction', () => {
  test('leaves no setting behind in the session, so that a pooler may hand it on', async () => {
    const db = databases.open(sandbox.uri);
    const read = () =>
      db.transaction({ mode: 'read', lockTimeoutMs: 123, searchPath: ['public'] }, (session) =>
        session.one(sql`SELECT current_setting('search_path') AS path, current_setting('lock_timeout') AS lock,
          current_setting('application_name') AS name, current_setting('transaction_read_only') AS ro, pg_backend_pid() AS pid`),
      );
    expect(await read()).toMatchObject({
      path: '"public", "pg_temp"',
      lock: '123ms',
      name: 'segue',
      ro: 'on',
    });
    const sessions = await sandbox.query<{ query: string; state: string }>(
      `SELECT state FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()`,
    );
    expect(sessions).toEqual([{ state: 'idle' }]);
    await db.transaction({ mode: 'write' }, (session) =>
      session.run(sql`CREATE TABLE public.seen AS SELECT 1 AS one`),
    );
    const outside = await db.transaction({ mode: 'read' }, (session) =>
      session.one<{ path: string }>(sql`SELECT current_setting('search_path') AS path`),
    );
    expect(outside.path).toBe('"pg_catalog", "pg_temp"');
  });

  test('that throws is rolled back, and the session serves the next', async () => {
    const db = databases.open(sandbox.uri);
    await expect(
      db.transaction({ mode: 'write' }, async (session) => {
        await session.run(sql`CREATE TABLE public.half ()`);
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    await expect(
      db.transaction({ mode: 'write' }, (session) => session.run(sql`SELECT 1/0`)),
    ).rejects.toMatchObject({ kind: 'conversion', code: '22012' });
    expect(await sandbox.query(`SELECT to_regclass('public.half') AS half`)).toEqual([{ half: null }]);
    expect((await readServer(db)).inRecovery).toBe(false);
  });

  test('is cancelled on the server when its signal fires', async () => {
    const db = databases.open(sandbox.uri);
    const interruption = new AbortController();
    setTimeout(() => interruption.abort(), 200);
    const began = performance.now();
    await expect(
      db.transaction({ mode: 'read', signal: interruption.signal, statementTimeoutMs: 0 }, (session) =>
        session.run(sql`SELECT pg_sleep(20)`),
      ),
    ).rejects.toMatchObject({ kind: 'transient', code: '57014' });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('would rather fail than skip rows that a policy hides', async () => {
    await sandbox.script(`
      DROP ROLE IF EXISTS owner_of_t; CREATE ROLE owner_of_t LOGIN PASSWORD 'pw';
      CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); ALTER TABLE t OWNER TO owner_of_t;
      ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;
      CREATE POLICY one ON t USING (a = 1);`);
    const owner = databases.open(plain.uriFor(sandbox, 'owner_of_t', 'pw'));
    await expect(
      owner.transaction({ mode: 'write' }, (session) => session.run(sql`UPDATE public.t SET a = a`)),
    ).rejects.toMatchObject({ kind: 'privilege' });
    await sandbox.script('DROP TABLE t');
  });

  test('of many at once takes turns on few sessions', async () => {
    const db = databases.open(sandbox.uri);
    const pids = await Promise.all(
      Array.from({ length: 100 }, () =>
        db.transaction({ mode: 'read' }, (session) =>
          session.one<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`),
        ),
      ),
    );
    // Three of the operator's, and 32 workers of a backfill at most.
    expect(new Set(pids.map(({ pid }) => pid)).size).toBeLessThanOrEqual(35);
  });

  test('after its session was ended by an administrator, the next has another', async () => {
    const db = databases.open(sandbox.uri);
    await readServer(db);
    await sandbox.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'segue'`,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await readServer(db)).version).toBeGreaterThanOrEqual(140_000);
  });
});

describe('TLS is as libpq reads the URI', () => {
  const encrypted = async (uri: string): Promise<boolean> => {
    const { ssl } = await databases
      .open(uri)
      .transaction({ mode: 'read' }, (session) =>
        session.one<{ ssl: boolean }>(sql`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`),
      );
    return ssl;
  };

  test('without sslmode it is used where the server has it, and done without where not', async () => {
    expect(await encrypted(secure.postgres.uri)).toBe(true);
    expect(await encrypted(sandbox.uri)).toBe(false);
    const many = Array.from({ length: 5 }, () => readServer(databases.open(withQuery(sandbox.uri, 'a=1'))));
    await expect(Promise.all(many)).resolves.toHaveLength(5);
  });

  test.each([
    ['disable', false],
    ['prefer', true],
    ['require', true],
  ])('sslmode=%s', async (mode, expected) => {
    expect(await encrypted(withQuery(secure.postgres.uri, `sslmode=${mode}`))).toBe(expected);
  });

  test('require does not fall back', async () => {
    expect(await failure(withQuery(sandbox.uri, 'sslmode=require'))).toMatchObject({ kind: 'unreachable' });
  });

  test('verify-full takes the right authority only', async () => {
    const trusted = `sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate)}`;
    expect(await encrypted(withQuery(secure.postgres.uri, trusted))).toBe(true);
    expect(await failure(withQuery(secure.postgres.uri, 'sslmode=verify-full'))).toMatchObject({
      kind: 'unreachable',
    });
  });
});
