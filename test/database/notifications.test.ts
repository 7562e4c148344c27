/**
 * What a receiver hears of a change that goes from its beginning to its end: by the operator's own loop on a real
 * database, with an operator that dies at the wrong moment.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { silentLog } from '../../src/kube/log.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import { occasions } from '../../src/notify/occasions.ts';
import { Sender } from '../../src/notify/sender.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/database.ts';
import { fullName } from '../support/database-change.ts';
import { eventually as eventuallyWithin } from '../support/eventually.ts';
import { OperatorLoop } from '../support/operator-loop.ts';

const eventually = (check: () => void): Promise<void> => eventuallyWithin(check, 60_000);
const testTimeoutMs = 120_000;

interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: { readonly phase: string; readonly message: string };
}

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;
let receiver: Server;
let heard: Event[];
let senders: Sender[];

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());

beforeEach(async () => {
  heard = [];
  senders = [];
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      heard.push(JSON.parse(body) as Event);
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  const nothing = (): void => {};
  const notifier = (): Notifier => {
    const sender = new Sender({
      url: `http://127.0.0.1:${port}/`,
      log: silentLog,
      observer: { sent: nothing, failed: nothing, dropped: nothing },
    });
    senders.push(sender);
    return new Notifier({ sender, format: 'CloudEvents', on: occasions });
  };
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text, last_name text);
    INSERT INTO customers (first_name, last_name) SELECT 'first' || n, 'last' || n FROM generate_series(1, 500) n`);
  loop = new OperatorLoop(sandbox.uri, fullName(), { spec: { approvals: ['Drop'] }, notifier });
});
afterEach(async () => {
  await Promise.all(senders.map((sender) => sender.stop()));
  await loop.close();
  await sandbox.close();
  receiver.close();
});

const kindsOf = (events: readonly Event[]): readonly string[] =>
  events.map(({ type, data }) => `${type.replace('dev.segue.schemachange.', '')} ${data.phase}`);

/** What a receiver makes of it that goes by the ids. */
const distinct = (): readonly Event[] => [...new Map(heard.map((event) => [event.id, event])).values()];

const whole = [
  'phasechanged AddColumn',
  'phasechanged DualWrite',
  'phasechanged Backfill',
  'phasechanged SwitchReads',
  'phasechanged Quarantine',
  'awaitingapproval Quarantine',
  'phasechanged Drop',
  'completed Completed',
];

test(
  'is told of every step once, and how to let Drop begin',
  async () => {
    await loop.until(({ reason }) => reason === 'AwaitingApproval', 60_000);
    await eventually(() => expect(kindsOf(heard)).toEqual(whole.slice(0, 6)));
    expect(heard.at(-1)?.data.message).toContain('segue.dev/approve=Drop');
    loop.approve('Drop');
    await loop.complete(60_000);
    await eventually(() => expect(kindsOf(heard)).toEqual(whole));
  },
  testTimeoutMs,
);

test(
  'hears nothing anew from an operator that was started again',
  async () => {
    await loop.until(({ reason }) => reason === 'AwaitingApproval', 60_000);
    await eventually(() => expect(heard).toHaveLength(6));
    await loop.restart();
    for (let i = 0; i < 5; i += 1) await loop.look();
    loop.approve('Drop');
    await loop.complete(60_000);
    await eventually(() => expect(kindsOf(heard)).toEqual(whole));
  },
  testTimeoutMs,
);

test(
  'hears twice, under one id, what an operator told that died before it wrote its report',
  async () => {
    await loop.until(({ phase }) => phase === 'SwitchReads');
    await eventually(() => expect(heard).toHaveLength(4));
    loop.failNextStatus();
    await expect(loop.until(({ phase }) => phase === 'Quarantine')).rejects.toThrow('The operator died.');
    await eventually(() => expect(heard).toHaveLength(5));
    await loop.restart();
    await loop.until(({ phase }) => phase === 'Quarantine');
    await eventually(() =>
      expect(kindsOf(heard).filter((kind) => kind === 'phasechanged Quarantine')).toHaveLength(2),
    );
    await loop.until(({ reason }) => reason === 'AwaitingApproval', 60_000);
    await eventually(() => expect(kindsOf(distinct())).toEqual(whole.slice(0, 6)));
  },
  testTimeoutMs,
);
