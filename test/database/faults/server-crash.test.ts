/**
 * kill -9 of PostgreSQL, all its processes, before and after every commit of a change: on its way back and to its
 * end, with an application that writes all the while.
 *
 * The kill takes the processes, not the operating system: what they had written to files is there afterwards, so
 * fsync may be off; what they had in memory is lost, so commits wait for their WAL to be written.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { eventually } from '../../support/eventually.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';
import { PostgresLine, type Moment } from '../../support/postgres-line.ts';

const rows = 4_000;

const change: ChangeSpec = {
  replaceColumns: {
    table: 'public.customers',
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: false, inherits: 'last_name' }],
    forward: { full_name: "first_name || ' ' || last_name" },
    backward: { first_name: "split_part(full_name, ' ', 1)", last_name: "split_part(full_name, ' ', 2)" },
  },
};

let server: TestServer;
let sandbox: TestDatabase;
let line: PostgresLine;
let loops: OperatorLoop[];
let writer: Writer;

/** Inserts rows as an application does, and knows of which it was told that they are there. */
class Writer {
  readonly acknowledged: number[] = [];
  /** What the database refused with a reason: nobody's fault but ours. */
  readonly refused: string[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #insert: string;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(uri: string, insert: string) {
    this.#insert = insert;
    this.#ended = this.#run(uri);
  }

  /** Writes so from now on; resolves once what was under way is over. */
  async turnTo(insert: string): Promise<void> {
    this.#insert = insert;
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(uri: string): Promise<void> {
    for (let next = 10_001; !this.#stop.signal.aborted;) {
      const client = new pg.Client({ connectionString: uri, application_name: 'shop' });
      client.on('error', () => undefined);
      try {
        await client.connect();
        for (; !this.#stop.signal.aborted; next += 1) {
          const insert = client.query(this.#insert, [next]);
          this.#writing = insert.catch(() => undefined);
          await insert;
          this.acknowledged.push(next);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } catch (error) {
        const { code = '', message } = error as { code?: string; message: string };
        // The row may be there although its answer was lost; the next has another key.
        next += 1;
        if (/^(0A|22|23|42|P0)/.test(code)) this.refused.push(message);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await client.end().catch(() => undefined);
    }
  }
}

const asOldCode = `INSERT INTO customers (id, first_name, last_name) VALUES ($1::bigint, 'first' || $1, 'last' || $1)`;
const asNewCode = `INSERT INTO customers (id, full_name) VALUES ($1::bigint, 'first' || $1 || ' last' || $1)`;

beforeAll(async () => {
  // A page that a kill cuts in two is mended by full_page_writes alone.
  server = await startServer({
    synchronous_commit: 'on',
    full_page_writes: 'on',
    shared_buffers: '8MB',
    wal_writer_delay: '10s',
  });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  loops = [];
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL);
    CREATE INDEX by_last_name ON customers (last_name);
    CREATE TABLE filled (id bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO filled VALUES (NEW.id); RETURN NULL; END';
    CREATE TRIGGER note AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION note();
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, ${rows}) n`);
  writer = new Writer(sandbox.uri, asOldCode);
  line = await PostgresLine.open(sandbox.uri);
});
afterEach(async () => {
  await writer.stop();
  for (const loop of loops) await loop.close();
  await line.close();
  await sandbox.close();
});

const started = (name: string): OperatorLoop => {
  const loop = new OperatorLoop(line.uri, change, {
    name,
    spec: {
      backfill: {
        targetBatchTime: '10ms',
        maxWorkers: 2,
        maxReplicaLag: '10s',
        maxRowsPerSecond: 0,
        onBadRow: 'Hold',
      },
    },
  });
  loops.push(loop);
  return loop;
};

/** Where rows that were filled and rows that the cursors speak of differ, or one was filled twice; nothing if all is well. */
const disagreement = (): Promise<readonly unknown[]> =>
  eventually(() =>
    sandbox.query(
      `SELECT * FROM (
        SELECT count(*)::int AS filled, count(DISTINCT id)::int AS rows,
          (SELECT coalesce(sum(rows_done), 0)::int FROM (
            SELECT change_id, rows_done FROM segue.backfill UNION ALL SELECT change_id, rows_done FROM segue.backfill_range) work
            WHERE change_id = (SELECT id FROM segue.change WHERE state = 'Active')) AS recorded
        FROM filled
      ) counts WHERE filled <> recorded OR filled <> rows`,
    ),
  );

/** Kills the server where it has not been killed yet: at each commit, once before it and once after it. */
class Killer {
  /** What was struck, and how often in which phase. */
  readonly struck = new Map<string, Map<string, number>>();
  #restarted: Promise<void> | undefined;

  /** Looks until a look fits, and has the server killed on the way. */
  async drive(loop: OperatorLoop, fits: (look: Awaited<ReturnType<OperatorLoop['look']>>) => boolean) {
    line.strikes = (transaction) => this.#strike(loop, transaction);
    line.onCut = () => {
      this.#restarted = server.crash();
    };
    const end = performance.now() + 80_000;
    for (;;) {
      const look = await loop.look();
      if (line.dead) {
        await this.#restarted;
        line.mend();
        if (loop.resource.status?.phase === 'Backfill') expect(await disagreement()).toEqual([]);
      } else if (fits(look)) return;
      if (performance.now() > end) throw new Error(`It did not come to pass:\n${loop.story()}`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(look.afterMs ?? 20, 20)));
    }
  }

  #strike(loop: OperatorLoop, transaction: string): Moment | undefined {
    if (line.dead) return undefined;
    const { phase = 'Pending' } = loop.resource.status ?? {};
    const action = transaction.replaceAll(/\d+/g, '#');
    // The same text means another thing in each phase; but a claim whose answer is lost is made anew in any.
    const struck = this.struck.get(action) ?? new Map<string, number>();
    this.struck.set(action, struck);
    const when = action.includes('UPDATE segue.fence') ? 'ever' : phase;
    const strikes = struck.get(when) ?? 0;
    if (strikes > 1) return undefined;
    struck.set(when, strikes + 1);
    return strikes === 0 ? 'before the commit' : 'after the commit';
  }
}

test('at every commit of a change that is walked back, and of one that goes to its end: as if nothing had been', async () => {
  const killer = new Killer();
  const back = started('back');
  back.patch({ targetPhase: 'SwitchReads' });
  await killer.drive(back, ({ reason }) => reason === 'TargetPhaseReached');
  back.patch({ rollback: true });
  await killer.drive(back, ({ phase }) => phase === 'RolledBack');
  expect(
    await sandbox.query(
      `SELECT attname FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'full_name'`,
    ),
  ).toEqual([]);

  await sandbox.script('TRUNCATE filled');
  const on = started('on');
  on.patch({ targetPhase: 'SwitchReads' });
  await killer.drive(on, ({ reason }) => reason === 'TargetPhaseReached');
  await writer.turnTo(asNewCode);
  on.patch({ targetPhase: 'Drop' });
  await killer.drive(on, ({ phase }) => phase === 'Completed');
  await writer.stop();

  const struck = [...killer.struck].map(([action, by]) => ({ action, by: [...by.values()] }));
  // The catalog shows an index to be there whether or not the history has it; all else is begun again.
  const again = struck.filter(({ action }) => !/revision = .*\n *INSERT INTO segue.expand_step/.test(action));
  expect(again.filter(({ by }) => by.every((strikes) => strikes < 2))).toEqual([]);
  expect(struck.flatMap(({ by }) => by).length).toBeGreaterThan(30);
  expect(writer.refused).toEqual([]);
  expect(writer.acknowledged.length).toBeGreaterThan(20);
  const there = new Set(
    (await sandbox.query<{ id: string }>('SELECT id FROM customers')).map(({ id }) => Number(id)),
  );
  expect(writer.acknowledged.filter((id) => !there.has(id))).toEqual([]);
  expect(
    await sandbox.query(
      `SELECT id FROM customers WHERE full_name IS DISTINCT FROM 'first' || id || ' last' || id`,
    ),
  ).toEqual([]);
}, 240_000);

describe('in the middle of an index being built', () => {
  test('what is left of it goes, and it is built', async () => {
    const loop = new OperatorLoop(line.uri, {
      createIndex: {
        table: 'public.customers',
        name: 'by_name',
        keys: [{ column: 'first_name' }],
        unique: false,
        method: 'btree',
      },
    });
    loops.push(loop);
    await loop.to('DualWrite');
    const older = await sandbox.connect('older');
    await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM customers');
    loop.patch({ targetPhase: 'Drop' });
    const building = loop.until(({ reason }) => reason === 'DatabaseUnreachable');
    await eventually(async () => {
      const found = await sandbox.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'virtualxid'`);
      expect(found).toHaveLength(1);
    });
    await server.crash();
    await building;
    await loop.complete();
    expect(
      await sandbox.query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass`),
    ).toEqual([{ indisvalid: true }]);
    expect(loop.told.some(({ did }) => did === 'step by_name-clear')).toBe(true);
  });
});
