/** The gate over HTTP, as Flagger and Argo Rollouts ask it. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import type { Reading } from '../../../src/gate/changes.ts';
import { gateRoutes } from '../../../src/gate/routes.ts';
import { startServer, type TelemetryServer } from '../../../src/telemetry/server.ts';
import { places, shortSpec } from '../../support/places.ts';

let server: TelemetryServer;
let reading: Reading;
let read: string[];

const inPlace = (name: string): Reading => ({
  kind: 'found',
  change: {
    metadata: { name: 'names', namespace: 'shop' },
    spec: shortSpec,
    status: places.find((place) => place.name === name)?.status,
  } as SchemaChange,
});

beforeEach(async () => {
  reading = inPlace('in-switch-reads');
  read = [];
  const changes = {
    read: (namespace: string, name: string): Promise<Reading> => {
      read.push(`${namespace}/${name}`);
      return Promise.resolve(reading);
    },
  };
  server = await startServer({
    port: 0,
    host: '127.0.0.1',
    metrics: new Registry(),
    ready: () => ({ ready: true }),
    routes: gateRoutes({ changes, namespaces: ['shop'] }),
  });
});
afterEach(() => server.close(100));

const ask = async (
  path: string,
  init?: RequestInit,
): Promise<{
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}> => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
  const text = await response.text();
  return {
    status: response.status,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    headers: response.headers,
  };
};

test('says yes, with what it rests on', async () => {
  const { status, body, headers } = await ask('/gate/v1/shop/names?code=new-only');
  expect([status, body]).toEqual([
    200,
    {
      allowed: true,
      change: 'shop/names',
      code: 'new-only',
      phase: 'SwitchReads',
      atLeast: 'old',
      atMost: 'new-only',
      message: 'SchemaChange shop/names is in SwitchReads: new-only code may run.',
    },
  ]);
  expect(headers.get('content-type')).toBe('application/json');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(read).toEqual(['shop/names']);
});

test('says no with a status that no caller takes for a yes', async () => {
  reading = inPlace('in-backfill');
  const { status, body } = await ask('/gate/v1/shop/names?code=new-only');
  expect([status, body['allowed']]).toEqual([409, false]);
  expect(body['message']).toContain('It may come once condition Backfilled is True');
  const head = await ask('/gate/v1/shop/names?code=new-only', { method: 'HEAD' });
  expect(head.status).toBe(409);
});

test('says no with status 200 to whoever judges by the body', async () => {
  reading = inPlace('in-backfill');
  const { status, body } = await ask('/gate/v1/shop/names?code=new-only&denied=200');
  expect([status, body['allowed']]).toEqual([200, false]);
});

test('a change that is not there is no yes, whoever asks', async () => {
  reading = { kind: 'absent' };
  for (const query of ['code=old', 'code=new-only', 'code=new-only&denied=200']) {
    const { status, body } = await ask(`/gate/v1/shop/names?${query}`);
    expect([status, body['allowed']]).toEqual([404, false]);
    expect(body['message']).toContain('There is no SchemaChange shop/names');
  }
});

test('an API server that can not be asked is no yes', async () => {
  reading = { kind: 'unreadable', why: 'it is on fire' };
  const { status, body, headers } = await ask('/gate/v1/shop/names?code=new-only&denied=200');
  expect([status, body['allowed'], headers.get('retry-after')]).toEqual([503, false, '1']);
  expect(body['message']).toContain('it is on fire');
});

test('a namespace that nobody looks after is not asked for', async () => {
  const { status, body } = await ask('/gate/v1/billing/names?code=new-only');
  expect([status, body['message']]).toEqual([404, 'This operator does not look after namespace billing.']);
  expect(read).toEqual([]);
});

test.each([
  ['/gate/v1/shop/names', 'The code is missing or unknown'],
  ['/gate/v1/shop/names?code=newest', 'The code is missing or unknown'],
  ['/gate/v1/shop', 'Ask /gate/v1/NAMESPACE/NAME'],
  ['/gate/v1', 'Ask /gate/v1/NAMESPACE/NAME'],
  ['/gate/v1/shop/names/more?code=old', 'Ask /gate/v1/NAMESPACE/NAME'],
  ['/gate/v1/shop/na%2Fmes?code=old', 'what stands for it is no name'],
  ['/gate/v1/sh%2Fop/names?code=old', 'is no name of a namespace'],
])('%s is refused, and the API server not asked', async (path, message) => {
  const { status, body } = await ask(path);
  expect([status, body['allowed']]).toEqual([400, false]);
  expect(body['message']).toContain(message);
  expect(read).toEqual([]);
});

test('other methods are none of its', async () => {
  expect((await ask('/gate/v1/shop/names?code=old', { method: 'DELETE' })).status).toBe(405);
});

describe('as Flagger asks', () => {
  // https://docs.flagger.app/usage/webhooks, "Webhooks": what it sends.
  const payload = (metadata: object): object => ({
    name: 'shop',
    namespace: 'shop',
    phase: 'Progressing',
    checksum: '85d557f47b',
    metadata,
  });
  const post = (path: string, body: object | string) =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  test.each(['/gate/v1', '/gate/v1/'])('at %s, change and code in the metadata', async (path) => {
    const asked = payload({ change: 'names', code: 'new-only' });
    expect(await post(path, asked)).toMatchObject({ status: 200, body: { allowed: true } });
    reading = inPlace('in-backfill');
    // Flagger goes on with any status up to 202, and shows the body of others.
    expect(await post(path, asked)).toMatchObject({ status: 409, body: { allowed: false } });
    expect(read).toEqual(['shop/names', 'shop/names']);
  });

  test('or both in the address', async () => {
    expect(await post('/gate/v1/shop/names?code=new-only', payload({}))).toMatchObject({ status: 200 });
  });

  test.each([
    ['{', 'The body is no JSON object.'],
    ['null', 'The body is no JSON object.'],
    [payload({ code: 'new-only' }), 'The SchemaChange is missing'],
    [payload({ change: 'names' }), 'The code is missing or unknown'],
    [{ ...payload({ change: 'names', code: 'old' }), namespace: '../x' }, 'is no name of a namespace'],
    [payload({ change: 'names', code: 'old', filler: 'x'.repeat(70_000) }), 'The body is too long.'],
  ])('what can not be read is no yes: %#', async (body, message) => {
    const answer = await post('/gate/v1', body);
    expect([answer.status, answer.body['allowed']]).toEqual([400, false]);
    expect(answer.body['message']).toContain(message);
    expect(read).toEqual([]);
  });
});
