/** Segue behind a real PgBouncer, whose sessions it shares with the application: what docs/pgbouncer.md says. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { OperatorLoop } from '../support/operator-loop.ts';
import { PgBouncer } from '../support/pgbouncer.ts';

let server: TestServer;
let sandbox: TestDatabase;
let bouncer: PgBouncer;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 20000) n`);
});
afterEach(async () => {
  await bouncer.stop();
  await sandbox.close();
});

const merge: ChangeSpec = {
  replaceColumns: {
    table: 'public.customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false }],
    forward: { full_name: `first_name || ' ' || coalesce(last_name, '')` },
    backward: { first_name: `split_part(full_name, ' ', 1)`, last_name: `split_part(full_name, ' ', 2)` },
  },
};

const index: ChangeSpec = {
  createIndex: {
    table: 'public.customers',
    name: 'customers_last_name',
    keys: [{ column: 'last_name' }],
    unique: false,
    method: 'btree',
  },
};

/** An application's sessions through the pooler, and what it sees of settings that are not its own. */
class Application {
  readonly #pool: pg.Pool;
  readonly #strange = new Set<string>();
  readonly #stop = new AbortController();
  #statements = 0;
  readonly #done: Promise<unknown>;

  constructor(uri: string, write: string) {
    this.#pool = new pg.Pool({ connectionString: uri, max: 6 });
    this.#done = Promise.all(Array.from({ length: 6 }, (_, worker) => this.#work(worker, write)));
  }

  async #work(worker: number, write: string): Promise<void> {
    for (let n = 0; !this.#stop.signal.aborted; n += 1) {
      await this.#pool.query(write, [(worker * 1_000 + n) % 20_000]);
      // What PgBouncer itself sets for a client it sets for the next one, too.
      const { rows } = await this.#pool.query<{ name: string }>(
        `SELECT name || ' = ' || setting AS name FROM pg_settings WHERE source = 'session'
          AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')`,
      );
      for (const { name } of rows) this.#strange.add(name);
      this.#statements += 2;
    }
  }

  /** Ends it; gives how much it did, and every setting that somebody had left behind. */
  async end(): Promise<{ readonly statements: number; readonly strange: readonly string[] }> {
    this.#stop.abort();
    await this.#done;
    await this.#pool.end();
    return { statements: this.#statements, strange: [...this.#strange] };
  }
}

test('in transaction mode a whole change passes through, and leaves no setting behind in a session of the application', async () => {
  bouncer = await PgBouncer.start(sandbox.uri, 'transaction');
  const uri = bouncer.uriOf(sandbox.uri);
  const loop = new OperatorLoop(uri, merge, { spec: { targetPhase: 'SwitchReads' } });
  const application = new Application(uri, `UPDATE customers SET first_name = 'x' WHERE id = $1`);
  try {
    await loop.until(({ reason }) => reason === 'TargetPhaseReached', 60_000);
    const { statements, strange } = await application.end();
    expect(strange).toEqual([]);
    expect(statements).toBeGreaterThan(100);
    loop.patch({ targetPhase: 'Drop' });
    await loop.complete(60_000);
  } finally {
    await application.end().catch(() => undefined);
    await loop.close();
  }
  expect(await sandbox.query('SELECT count(*)::int AS n FROM customers WHERE full_name IS NOT NULL')).toEqual(
    [{ n: 20_000 }],
  );
});

test.each(['transaction', 'session'] as const)(
  'in %s mode a statement outside a transaction is refused, and leaves nothing behind',
  async (mode) => {
    bouncer = await PgBouncer.start(sandbox.uri, mode);
    const uri = bouncer.uriOf(sandbox.uri);
    const application = new Application(uri, `UPDATE customers SET first_name = 'x' WHERE id = $1`);
    const loop = new OperatorLoop(uri, index);
    try {
      const { message } = await loop.until((look) => look.message.includes('pooler'), 30_000);
      expect(message).toContain('name an address of PostgreSQL itself in the Secret');
      expect((await application.end()).strange).toEqual([]);
      // What ends it.
      loop.secret(sandbox.uri);
      await loop.complete(30_000);
    } finally {
      await application.end().catch(() => undefined);
      await loop.close();
    }
    expect(await sandbox.query(`SELECT to_regclass('customers_last_name') IS NOT NULL AS made`)).toEqual([
      { made: true },
    ]);
  },
);
