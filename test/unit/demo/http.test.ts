import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, type Connection } from '../../../demo/load/exchange.ts';
import { stopGracefully } from '../../../demo/shop/graceful-stop.ts';

const open: { close: () => unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function serve(listener: RequestListener): Promise<{ server: Server; base: URL }> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ close: () => server.close() && server.closeAllConnections() });
  return { server, base: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

function clientOf(base: URL, connection: Connection): HttpClient {
  const client = new HttpClient(base, connection);
  open.push(client);
  return client;
}

const get = { method: 'GET', path: '/customers/1' } as const;
const ok: RequestListener = (_, response) => {
  response.writeHead(200, { 'x-shop-version': '1' });
  response.end('{"id":1}');
};

describe('the load counts as failed', () => {
  test('not an answer with its body', async () => {
    const { base } = await serve(ok);
    expect(await clientOf(base, 'new').send(get)).toEqual({
      kind: 'answered',
      version: '1',
      body: { id: 1 },
    });
  });

  test('a status other than 2xx', async () => {
    const { base } = await serve((_, response) =>
      response.writeHead(503, { 'x-shop-version': '2' }).end('{}'),
    );
    expect(await clientOf(base, 'new').send(get)).toEqual({
      kind: 'failed',
      cause: 'status 503 from version 2',
    });
  });

  test.each(['new', 'kept'] as const)('a %s connection that is reset', async (connection) => {
    const { base } = await serve((request) => request.socket.resetAndDestroy());
    const exchange = await clientOf(base, connection).send(get);
    expect(exchange).toEqual({ kind: 'failed', cause: 'ECONNRESET' });
  });

  test('a reset of a connection that was good before, which no second try hides', async () => {
    let requests = 0;
    const { base } = await serve((request, response) => {
      requests += 1;
      if (requests === 1) ok(request, response);
      else request.socket.resetAndDestroy();
    });
    const client = clientOf(base, 'kept');
    expect(await client.send(get)).toMatchObject({ kind: 'answered' });
    expect(await client.send(get)).toEqual({ kind: 'failed', cause: 'ECONNRESET on a kept connection' });
    expect(requests).toBe(2);
  });

  test('an answer that breaks off', async () => {
    const { base } = await serve((request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"id"', () => request.socket.resetAndDestroy());
    });
    expect(await clientOf(base, 'new').send(get)).toMatchObject({ kind: 'failed' });
  });

  test('a port on which nobody listens', async () => {
    const { server, base } = await serve(ok);
    server.close();
    expect(await clientOf(base, 'new').send(get)).toEqual({ kind: 'failed', cause: 'ECONNREFUSED' });
  });
});

test('half of the users keep their connection, the others open one for every request', async () => {
  const sockets = new Set<unknown>();
  const { base } = await serve((request, response) => {
    sockets.add(request.socket);
    ok(request, response);
  });
  const [kept, fresh] = [clientOf(base, 'kept'), clientOf(base, 'new')];
  for (let i = 0; i < 3; i += 1) await kept.send(get);
  expect(sockets.size).toBe(1);
  for (let i = 0; i < 3; i += 1) await fresh.send(get);
  expect(sockets.size).toBe(4);
});

describe('a graceful stop', () => {
  test('serves new connections for a while, and resets no kept one that is in use', async () => {
    let closing = false;
    const { server, base } = await serve((request, response) => {
      if (closing) response.setHeader('connection', 'close');
      ok(request, response);
    });
    const [kept, fresh] = [clientOf(base, 'kept'), clientOf(base, 'new')];
    await kept.send(get);
    closing = true;
    const stopped = stopGracefully(server, { serveMs: 3_000, drainMs: 5_000 });
    for (let i = 0; i < 10; i += 1) {
      expect(await fresh.send(get)).toMatchObject({ kind: 'answered' });
      expect(await kept.send(get)).toMatchObject({ kind: 'answered' });
      await delay(20);
    }
    await stopped;
    expect(await fresh.send(get)).toMatchObject({ kind: 'failed' });
  });

  test('waits for the request in flight', async () => {
    const { server, base } = await serve((request, response) => {
      setTimeout(() => ok(request, response), 500);
    });
    const answer = clientOf(base, 'new').send(get);
    await delay(50);
    await stopGracefully(server, { serveMs: 0, drainMs: 0 });
    expect(await answer).toMatchObject({ kind: 'answered' });
  });

  test('does not wait for ever for a connection that asks for nothing', async () => {
    const { server, base } = await serve(ok);
    await clientOf(base, 'kept').send(get);
    const started = performance.now();
    await stopGracefully(server, { serveMs: 0, drainMs: 300 });
    expect(performance.now() - started).toBeGreaterThan(290);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
