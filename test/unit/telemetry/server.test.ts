import { afterEach, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { Registry } from 'prom-client';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import {
  type Readiness,
  type Route,
  type TelemetryServer,
  startServer,
} from '../../../src/telemetry/server.ts';

let server: TelemetryServer | undefined;

afterEach(async () => {
  await server?.close(100);
  server = undefined;
});

async function serve(ready: () => Readiness | Promise<Readiness>, readyTimeoutMs = 50): Promise<string> {
  const registry = new Registry();
  const metrics = createMetrics(registry);
  metrics.stop();
  metrics.setLeading(true);
  server = await startServer({ port: 0, host: '127.0.0.1', metrics: registry, ready, readyTimeoutMs });
  return `http://127.0.0.1:${server.port}`;
}

test('is alive whatever the readiness', async () => {
  const url = await serve(() => ({ ready: false, reason: 'not yet' }));
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('is ready, or says why not', async () => {
  let readiness: Readiness = { ready: false, reason: 'The watch of pods has not brought a list yet.' };
  const url = await serve(() => readiness);
  const before = await fetch(`${url}/readyz`);
  expect([before.status, await before.text()]).toEqual([
    503,
    'The watch of pods has not brought a list yet.\n',
  ]);
  readiness = { ready: true };
  expect((await fetch(`${url}/readyz?verbose`)).status).toBe(200);
});

test('is not ready when the check hangs or throws, and does not tell strangers what it threw', async () => {
  const checks: (() => Promise<Readiness>)[] = [
    () => new Promise(() => {}),
    () => Promise.reject(new Error('secret')),
    () => {
      throw new Error('secret');
    },
  ];
  const url = await serve(() => checks.shift()?.() ?? { ready: true });
  for (const body of [/more than 50 ms/u, /^The check failed\.\n$/u, /^The check failed\.\n$/u]) {
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(503);
    expect(await response.text()).toMatch(body);
  }
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test('shows metrics as Prometheus reads them', async () => {
  const url = await serve(() => ({ ready: true }));
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  expect(await response.text()).toContain('segue_leader 1\n');
});

test('knows no other paths and no other methods', async () => {
  const url = await serve(() => ({ ready: true }));
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
  const head = await fetch(`${url}/healthz`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

const withRoutes = async (...routes: readonly Route[]): Promise<string> => {
  server = await startServer({
    port: 0,
    host: '127.0.0.1',
    metrics: new Registry(),
    ready: () => ({ ready: true }),
    routes,
  });
  return `http://127.0.0.1:${server.port}`;
};

test('answers by routes: exact, or all below where the path ends in a slash', async () => {
  const route = (path: string): Route => ({
    path,
    answer: async ({ method, url }) => ({
      status: 200,
      type: 'application/json',
      headers: { etag: '"1"' },
      body: `${method} ${path} ${url.pathname}${url.search}`,
    }),
  });
  const base = await withRoutes(route('/gate'), route('/pages/'));
  const post = await fetch(`${base}/gate?change=a`, { method: 'POST', body: 'x' });
  expect(await post.text()).toBe('POST /gate /gate?change=a');
  expect([post.headers.get('content-type'), post.headers.get('etag')]).toEqual(['application/json', '"1"']);
  expect(await (await fetch(`${base}/pages/a/b`)).text()).toBe('GET /pages/ /pages/a/b');
  for (const path of ['/gate/', '/gates', '/pages']) expect((await fetch(base + path)).status).toBe(404);
  expect(await (await fetch(`${base}/`)).text()).toBe('Try /metrics, /healthz, /readyz, /gate or /pages/.\n');
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
});

test('a route that fails is a 500 that tells nothing, and one that nobody waits for is told', async () => {
  const gone = Promise.withResolvers<void>();
  const url = await withRoutes(
    { path: '/fails', answer: () => Promise.reject(new Error('secret')) },
    {
      path: '/hangs',
      answer: async ({ signal }) => {
        signal.addEventListener('abort', () => gone.resolve());
        await gone.promise;
        return { status: 200, body: 'too late' };
      },
    },
  );
  const failed = await fetch(`${url}/fails`);
  expect([failed.status, await failed.text()]).toEqual([500, 'The answer could not be made.\n']);
  await expect(fetch(`${url}/hangs`, { signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout');
  await gone.promise;
});

test('closes in time, although somebody keeps a connection open', async () => {
  const url = await serve(() => ({ ready: true }));
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.on('error', () => {}); // cut while it writes
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n'); // never finished
  const cut = new Promise((resolve) => socket.once('close', resolve));
  const before = performance.now();
  await server?.close(100);
  await cut;
  expect(performance.now() - before).toBeLessThan(2_000);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

test('says so when the port is taken', async () => {
  const url = await serve(() => ({ ready: true }));
  const again = startServer({
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    metrics: new Registry(),
    ready: () => ({ ready: true }),
  });
  await expect(again).rejects.toThrow('EADDRINUSE');
});
