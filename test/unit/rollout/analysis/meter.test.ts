import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseJsonPath, valueAt } from '../../../../src/rollout/analysis/json-path.ts';
import { createMeter } from '../../../../src/rollout/analysis/meter.ts';

let answer: (request: IncomingMessage, response: ServerResponse) => void;
const server = createServer((request, response) => answer(request, response));
let origin = '';

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const meter = createMeter(async (query) => ({ kind: 'value', value: query }));
const http = { kind: 'http', method: 'GET', headers: {} } as const;
const says = (status: number, body: string) => (_: IncomingMessage, response: ServerResponse) => {
  response.statusCode = status;
  response.end(body);
};
const value = (result: unknown) => ({ kind: 'value', value: result });
const error = (message: RegExp) => ({ kind: 'error', message: expect.stringMatching(message) });
const vector = (...values: readonly string[]) =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map((text) => ({ metric: {}, value: [1, text] })) },
  });

test.each<[string, string, unknown]>([
  ['one series', vector('0.25'), value(0.25)],
  ['several series', vector('1', '2'), value([1, 2])],
  ['no series', vector(), value([])],
  ['NaN', vector('NaN'), value(Number.NaN)],
  ['infinity', vector('+Inf'), value(Number.POSITIVE_INFINITY)],
  ['a scalar', '{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}', value(7)],
  ['a range', '{"status":"success","data":{"resultType":"matrix","result":[]}}', error(/gives a matrix/)],
  [
    'a histogram',
    '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}',
    error(/histogram_quantile/),
  ],
  [
    'a query that is none',
    '{"status":"error","error":"parse error"}',
    error(/refused the query: parse error/),
  ],
  ['a page of somebody else', '<html>', error(/does not answer as Prometheus does \(status 200\)/)],
  ['nothing', 'null', error(/does not answer as Prometheus does/)],
])('Prometheus: %s', async (_, body, result) => {
  let asked = '';
  answer = (request, response) => {
    asked = request.url ?? '';
    response.end(body);
  };
  const source = { kind: 'prometheus', address: `http://${origin}/tenant/`, query: 'a / b' } as const;
  expect(await meter.measure(source, 5_000)).toEqual(result);
  expect(asked).toBe('/tenant/api/v1/query?query=a+%2F+b');
});

test.each<[string, number, string, { jsonPath?: string; expectedStatus?: number }, unknown]>([
  ['a status', 204, '', {}, value(204)],
  ['a bad status is a result where nothing else is looked at', 503, '', {}, value(503)],
  ['a redirect is not followed', 302, '', {}, value(302)],
  ['a value', 200, '{"data":[{"p 99":12}]}', { jsonPath: "$.data[0]['p 99']" }, value(12)],
  ['no such value', 200, '{"data":[]}', { jsonPath: '{.data[0]}' }, error(/has nothing at \{\.data\[0\]\}/)],
  ['a value that is null', 200, '{"data":null}', { jsonPath: '.data' }, value(null)],
  ['a value with a bad status', 500, '{"data":1}', { jsonPath: '.data' }, error(/answered with status 500/)],
  [
    'a value with the status that is expected',
    418,
    '{"data":1}',
    { jsonPath: '.data', expectedStatus: 418 },
    value(1),
  ],
  ['no JSON', 200, 'secret', { jsonPath: '.data' }, error(/no JSON$/)],
  ['too much', 200, 'x'.repeat(2_000_000), {}, error(/longer than 1 MiB/)],
])('HTTP: %s', async (_, status, body, over, result) => {
  answer = says(status, body);
  expect(await meter.measure({ ...http, ...over, url: `http://${origin}/` }, 5_000)).toEqual(result);
});

test('headers and credentials are sent, and never told', async () => {
  const got: unknown[] = [];
  answer = (request) => {
    got.push(request.headers.authorization, request.headers['x-team']);
    request.socket.destroy();
  };
  const url = `http://user:p%40ss@${origin}/health?token=p@ss`;
  const result = await meter.measure({ ...http, url, headers: { 'X-Team': 'shop' } }, 5_000);
  expect(got).toEqual([`Basic ${Buffer.from('user:p@ss').toString('base64')}`, 'shop']);
  expect(result).toEqual(error(/^http:\/\/127\.0\.0\.1:\d+\/health can't be reached/));
  expect(JSON.stringify(result)).not.toMatch(/p@ss|token/);
});

test('a silent source is given up after its time', async () => {
  answer = () => undefined;
  expect(await meter.measure({ ...http, url: `http://${origin}/` }, 200)).toEqual(
    error(/did not answer within 0\.2 s/),
  );
});

test.each(['$.a.b', '{.a.b}', "a['b']", '$..a', '$.a[*]', '$.a[', ''])('the path %s', (path) => {
  const parsed = parseJsonPath(path);
  if (path.includes('a.b')) expect(valueAt({ a: { b: 1 } }, parsed ?? [])).toBe(1);
  else expect(parsed).toBeUndefined();
});
