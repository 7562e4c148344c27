/** A server that is away, full of connections, read-only, starting or ending: the change waits, says why, goes on. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { chown, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { serverUser } from '../../../dev/postgres.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop, type Look } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer({ max_connections: 20, superuser_reserved_connections: 3 });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE ROLE ${sandbox.name} LOGIN PASSWORD 'pw';
    GRANT CREATE ON DATABASE ${sandbox.name} TO ${sandbox.name};
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 2000) n;
    ALTER TABLE customers OWNER TO ${sandbox.name}`);
});
afterEach(async () => {
  await loop.close();
  await sandbox.close();
});

const uri = (): string => server.uriFor(sandbox, sandbox.name, 'pw');

const inOrder = async (withinMs?: number): Promise<void> => {
  await loop.complete(withinMs);
  expect(
    await sandbox.query(
      `SELECT count(*)::int AS right FROM customers WHERE full_name = 'first' || id || ' last' || id`,
    ),
  ).toEqual([{ right: 2_000 }]);
};

describe('no connection to be had', () => {
  const exhausted = ({ reason, message }: Look): boolean =>
    reason === 'DatabaseUnreachable' && /SQLSTATE 53300.*let some go, or raise/.test(message);

  test('for anybody: max_connections', async () => {
    loop = new OperatorLoop(uri(), fullName());
    await loop.to('DualWrite');
    await loop.restart();
    const clients: pg.Client[] = [];
    for (;;) {
      const client = await sandbox.connect('crowd').catch(() => undefined);
      if (client === undefined) break;
      clients.push(client);
    }
    await loop.until(exhausted);
    expect(loop.resource.status?.conditions?.find(({ type }) => type === 'Stalled')?.status).toBe('False');
    for (const client of clients) await client.end();
    loop.patch({ targetPhase: 'Drop' });
    await inOrder();
  });

  test.each([
    ['the role', 'ALTER ROLE ROLE CONNECTION LIMIT'],
    ['the database', 'ALTER DATABASE ROLE CONNECTION LIMIT'],
  ])('for %s: its CONNECTION LIMIT', async (_, alter) => {
    const limit = alter.replace(/(?<!ALTER )ROLE/, sandbox.name);
    await sandbox.script(`${limit} 0`);
    loop = new OperatorLoop(uri(), fullName());
    await loop.until(exhausted);
    await sandbox.script(`${limit} -1`);
    await inOrder();
  });
});

/** Passes on so many answers, then cuts the connection, as a pooler that is restarted does; ever later, so that it ends. */
class Cutter {
  readonly uri: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #answers = 3;

  private constructor(listening: Server, port: number) {
    this.#server = listening;
    const url = new URL(uri());
    url.port = String(port);
    this.uri = url.href;
  }

  static async start(): Promise<Cutter> {
    const listening = createServer();
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const address = listening.address();
    const cutter = new Cutter(listening, typeof address === 'object' && address ? address.port : 0);
    listening.on('connection', (socket) => cutter.#pass(socket));
    return cutter;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(socket: Socket): void {
    const upstream = connect(server.postgres.port, '127.0.0.1');
    for (const end of [socket, upstream]) {
      this.#sockets.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        this.#sockets.delete(end);
        (end === socket ? upstream : socket).destroy();
      });
    }
    let left = this.#answers;
    upstream.on('data', () => {
      left -= 1;
      if (left > 0) return;
      this.#answers += 3 + Math.floor(this.#answers / 10);
      socket.destroy();
    });
    socket.pipe(upstream).pipe(socket);
  }
}

test('connections that are cut every now and then: the change gets through', async () => {
  const cutter = await Cutter.start();
  loop = new OperatorLoop(cutter.uri, fullName(), {
    spec: { locks: { timeout: '500ms', giveUpAfter: '1h' } },
  });
  try {
    await inOrder(60_000);
    expect(loop.told.some(({ reason }) => reason === 'DatabaseUnreachable')).toBe(true);
  } finally {
    await loop.close();
    await cutter.stop();
  }
});

describe('after a fail-over', () => {
  const asStandby = async (): Promise<void> => {
    const signal = path.join(server.postgres.dataDir, 'standby.signal');
    await server.end();
    await writeFile(signal, '');
    const user = await serverUser();
    if (user) await chown(signal, user.uid, user.gid);
    await server.begin();
  };

  test('the name leads to a replica at first: it waits, says so, and goes on once that is promoted', async () => {
    loop = new OperatorLoop(uri(), fullName());
    await loop.to('DualWrite');
    await asStandby();
    loop.patch({ targetPhase: 'Drop' });
    const look = await loop.until(({ message }) => message.includes('takes no writes'));
    expect(look).toMatchObject({
      reason: 'DatabaseUnreachable',
      message: expect.stringContaining('leads to the primary'),
    });
    for (let looks = 0; looks < 3; looks += 1) expect((await loop.look()).reason).toBe('DatabaseUnreachable');
    await sandbox.query('SELECT pg_promote()');
    await rm(path.join(server.postgres.dataDir, 'standby.signal'), { force: true });
    await inOrder();
  });

  test('before anything has begun: the replica is named for what it is', async () => {
    await asStandby();
    loop = new OperatorLoop(uri(), fullName());
    await loop.until(
      ({ reason, message }) => reason === 'UnsupportedServer' && message.includes('read replica'),
    );
    await sandbox.query('SELECT pg_promote()');
    await inOrder();
  });
});

test('a server that is shut down and comes back: 57P01, nobody there, 57P03, and on', async () => {
  loop = new OperatorLoop(uri(), fullName());
  await loop.to('DualWrite');
  loop.patch({ targetPhase: 'Drop', backfill: { ...loop.resource.spec.backfill, maxRowsPerSecond: 4_000 } });
  const looking = loop.until(({ reason }) => reason === 'DatabaseUnreachable');
  await new Promise((resolve) => setTimeout(resolve, 150));
  await server.end();
  await looking;
  await loop.until(
    ({ reason, message }) => reason === 'DatabaseUnreachable' && message.includes('ECONNREFUSED'),
  );
  await server.begin();
  await inOrder();
});

test('a server in a default of read-only: ours write all the same', async () => {
  await sandbox.script(`ALTER DATABASE ${sandbox.name} SET default_transaction_read_only = on`);
  loop = new OperatorLoop(uri(), fullName());
  await loop.complete();
});
