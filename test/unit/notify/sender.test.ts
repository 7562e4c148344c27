/** A receiver on the loopback that is slow, busy, broken or away. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Clock } from '../../../src/kube/clock.ts';
import type { Message } from '../../../src/notify/message.ts';
import { Sender } from '../../../src/notify/sender.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { eventually as eventuallyWithin } from '../../support/eventually.ts';

jest.setTimeout(90_000);
const eventually = <T>(check: () => T | Promise<T>): Promise<T> => eventuallyWithin(check, 60_000);

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Received {
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

const withStatus =
  (status: number, headers: Readonly<Record<string, string>> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, headers).end('an answer that nobody reads');
  };
const hang: Answer = () => {};
const cut: Answer = ({ socket }) => {
  socket.destroy();
};

/** Time passes as fast as it is slept away, and what was slept is noted. */
class HastyClock implements Clock {
  readonly slept: number[] = [];
  #now = 0;

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(Date.parse('2026-01-01T00:00:00Z') + this.#now);
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    this.slept.push(ms);
    this.#now += ms;
  }
}

let server: Server;
let port: number;
let answers: Answer[];
let received: Received[];
let lines: string[];
let clock: HastyClock;
const registry = new Registry();
const metrics = createMetrics(registry);
metrics.stop();

beforeEach(async () => {
  answers = [];
  received = [];
  lines = [];
  clock = new HastyClock();
  registry.resetMetrics();
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('error', () => {});
    request.on('end', () => {
      received.push({ body, headers: request.headers });
      (answers.shift() ?? withStatus(200))(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const note = (fields: object, message: string): void => {
  lines.push(`${JSON.stringify(fields)} ${message}`);
};

const senderTo = (url: string, over: { timeoutMs?: number } = {}): Sender =>
  new Sender({
    url,
    clock,
    log: { debug: note, info: note, warn: note, error: note },
    observer: metrics.notificationObserver,
    ...over,
  });

const secret = 'T0/B1/very-secret';
const receiver = (): string => `http://127.0.0.1:${port}/services/${secret}`;

const message = (id: string): Message => ({
  id,
  contentType: 'application/cloudevents+json; charset=utf-8',
  body: `{"id":"${id}"}`,
});

const counts = async (): Promise<Readonly<Record<string, number>>> => {
  const [found] = (await registry.getMetricsAsJSON()).filter(
    ({ name }) => name === 'segue_notifications_total',
  );
  const values = (found?.values ?? []) as readonly { labels: { result?: string }; value: number }[];
  return Object.fromEntries(values.map(({ labels, value }) => [labels.result ?? '', value]));
};

const bodies = (): readonly string[] => received.map(({ body }) => body);

test('posts one after the other, as what they are', async () => {
  const sender = senderTo(receiver());
  for (const id of ['a', 'b', 'c']) sender.send(message(id));
  await eventually(() => expect(received).toHaveLength(3));
  expect(bodies()).toEqual(['{"id":"a"}', '{"id":"b"}', '{"id":"c"}']);
  expect(received[0]?.headers).toMatchObject({
    'content-type': 'application/cloudevents+json; charset=utf-8',
    'user-agent': 'segue',
  });
  await eventually(async () => expect(await counts()).toEqual({ sent: 3 }));
  await sender.stop();
});

test('the same id is posted once', async () => {
  const sender = senderTo(receiver());
  for (const id of ['a', 'a', 'b', 'a']) sender.send(message(id));
  await eventually(async () => expect(await counts()).toEqual({ sent: 2 }));
  expect(bodies()).toEqual(['{"id":"a"}', '{"id":"b"}']);
  await sender.stop();
});

test('user and password of the address go into the header', async () => {
  const sender = senderTo(`http://me:p%40ss@127.0.0.1:${port}/`);
  sender.send(message('a'));
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  await sender.stop();
});

test('tries again after 429, 5xx, a hang and a cut connection, in order and later and later', async () => {
  answers = [withStatus(500), withStatus(503), hang, cut, withStatus(429)];
  const sender = senderTo(receiver(), { timeoutMs: 2_000 });
  sender.send(message('a'));
  sender.send(message('b'));
  await eventually(async () => expect(await counts()).toEqual({ sent: 2 }));
  expect(bodies()).toEqual([...Array.from({ length: 6 }, () => '{"id":"a"}'), '{"id":"b"}']);
  expect(clock.slept).toHaveLength(5);
  for (const [n, ms] of clock.slept.entries()) expect(ms).toBeLessThanOrEqual(1_000 * 2 ** n);
  expect(lines).toEqual([]);
  await sender.stop();
});

test.each([
  ['seconds', '17', 17_000],
  ['a date', 'Thu, 01 Jan 2026 00:00:42 GMT', 42_000],
  ['more than it waits', '86400', 300_000],
])('waits as long as Retry-After says: %s', async (_, retryAfter, ms) => {
  answers = [withStatus(429, { 'retry-after': retryAfter })];
  const sender = senderTo(receiver());
  sender.send(message('a'));
  await eventually(async () => expect(await counts()).toEqual({ sent: 1 }));
  expect(clock.slept).toEqual([ms]);
  await sender.stop();
});

test.each([400, 403, 404, 410, 302])('%d is for good: the next one is posted', async (status) => {
  answers = [withStatus(status, { location: `http://127.0.0.1:${port}/elsewhere` })];
  const sender = senderTo(receiver());
  sender.send(message('a'));
  sender.send(message('b'));
  await eventually(async () => expect(await counts()).toEqual({ failed: 1, sent: 1 }));
  expect(bodies()).toEqual(['{"id":"a"}', '{"id":"b"}']);
  expect(lines).toEqual([`{"id":"a","tries":1,"why":"status ${status}"} a notification was not delivered`]);
  await sender.stop();
});

test('gives up after a quarter of an hour, and says so without the address', async () => {
  server.close();
  const sender = senderTo(receiver());
  sender.send(message('a'));
  await eventually(async () => expect(await counts()).toEqual({ failed: 1 }));
  expect(clock.now()).toBeGreaterThan(10 * 60_000);
  expect(clock.now()).toBeLessThanOrEqual(16 * 60_000);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^{"id":"a","tries":\d+,"why":"ECONNREFUSED"} a notification was not delivered$/);
  expect(lines.join()).not.toContain(secret);
  await sender.stop();
});

test('what waits is bounded: the oldest goes, and whoever sends never waits', async () => {
  answers = [hang];
  const sender = senderTo(receiver(), { timeoutMs: 60_000 });
  for (let n = 0; n < 251; n += 1) sender.send(message(`m${n}`));
  await eventually(() => expect(received).toHaveLength(1));
  expect(await counts()).toEqual({ dropped: 50 });
  server.closeAllConnections();
  await eventually(async () => expect(await counts()).toEqual({ dropped: 50, sent: 201 }));
  expect(bodies().slice(1, 4)).toEqual(['{"id":"m0"}', '{"id":"m51"}', '{"id":"m52"}']);
  await sender.stop();
});

test('ends in time, although the receiver hangs, and takes no more', async () => {
  answers = [hang];
  const sender = senderTo(receiver(), { timeoutMs: 60_000 });
  sender.send(message('a'));
  await eventually(() => expect(received).toHaveLength(1));
  await sender.stop();
  sender.send(message('b'));
  expect(received).toHaveLength(1);
  expect(await counts()).toEqual({ failed: 1 });
});
