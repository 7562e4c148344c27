import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { resourceOf, samples } from '../../../dev/dashboard/samples.ts';
import type { Reading } from '../../../src/dashboard/recent.ts';
import { dashboardRoutes } from '../../../src/dashboard/routes.ts';
import { viewOf } from '../../../src/dashboard/view.ts';
import { startServer, type TelemetryServer } from '../../../src/telemetry/server.ts';

const changes = samples(0).map((sample, at) => viewOf(resourceOf(sample, at, 0)));
let reading: Reading = { kind: 'known', changes };
let server: TelemetryServer;
let base = '';

beforeAll(async () => {
  server = await startServer({
    port: 0,
    host: '127.0.0.1',
    metrics: new Registry(),
    ready: () => ({ ready: true }),
    routes: dashboardRoutes(async () => reading),
  });
  base = `http://127.0.0.1:${server.port}`;
});
afterAll(() => server.close(100));

test.each([
  ['', 'text/html; charset=utf-8', '<title>Segue</title>'],
  ['style.css', 'text/css; charset=utf-8', 'light-dark('],
  ['dashboard.js', 'text/javascript; charset=utf-8', 'api/changes'],
  ['icon.svg', 'image/svg+xml', '<svg'],
])('serves %s', async (name, type, text) => {
  const response = await fetch(`${base}/dashboard/${name}`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, type]);
  expect(await response.text()).toContain(text);
});

test('lets the page load from here alone, and run no code but its file', async () => {
  const response = await fetch(`${base}/dashboard/`);
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|data:|\*|http/u);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  const page = await response.text();
  expect(page).not.toMatch(/ on[a-z]+=|style=|<script>|https?:/u);
});

test('says all changes, and nothing new to who has them', async () => {
  const url = `${base}/dashboard/api/changes`;
  const response = await fetch(url);
  expect(await response.json()).toEqual({ changes: JSON.parse(JSON.stringify(changes)) as unknown });
  const etag = response.headers.get('etag') ?? '';
  const ask = (tag: string) => fetch(url, { headers: { 'if-none-match': tag }, cache: 'no-store' });
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const again = await ask(tag);
    expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([304, etag, '']);
  }
  expect((await ask('"other"')).status).toBe(200);
  reading = { kind: 'known', changes: changes.slice(1) };
  expect((await ask(etag)).status).toBe(200);
  reading = { kind: 'unknown', trouble: 'No.' };
  const unknown = await ask(etag);
  expect([unknown.status, await unknown.json()]).toEqual([503, { trouble: 'No.' }]);
  expect(unknown.headers.get('etag')).toBeNull();
});

test('is read-only, has a fixed set of files, and finds its way to the slash', async () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    expect((await fetch(`${base}/dashboard/api/changes`, { method })).status).toBe(405);
  for (const path of ['x', 'api/', 'constructor', '..%2f..%2fetc/passwd'])
    expect((await fetch(`${base}/dashboard/${path}`)).status).toBe(404);
  const moved = await fetch(`${base}/dashboard`);
  expect([moved.url, moved.status]).toEqual([`${base}/dashboard/`, 200]);
});
