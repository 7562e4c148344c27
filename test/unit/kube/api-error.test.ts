import { describe, expect, test } from '@jest/globals';
import {
  ApiError,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  refusal,
  statusFrom,
} from '../../../src/kube/api-error.ts';

describe('a refusal', () => {
  test('names the request, the status and what the server said', () => {
    const body = { kind: 'Status', reason: 'Conflict', message: 'the object has been modified' };
    const error = refusal('patch Deployment shop/shop', 409, body);
    expect(error.message).toBe(
      'The API server refused to patch Deployment shop/shop (409 Conflict): the object has been modified',
    );
    expect(error).toMatchObject({ status: 409, reason: 'Conflict', retryAfterMs: undefined });
  });

  test('knows how long to stay away, by the header or by the body', () => {
    expect(refusal('x', 429, {}, '3').retryAfterMs).toBe(3_000);
    expect(refusal('x', 504, { details: { retryAfterSeconds: 2 } }).retryAfterMs).toBe(2_000);
    expect(refusal('x', 429, {}, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBeUndefined();
    expect(refusal('x', 429, {}, '0').retryAfterMs).toBeUndefined();
  });

  test('is short, whatever the server sent', () => {
    expect(refusal('x', 422, { message: 'm'.repeat(100_000) }).message.length).toBeLessThan(1_100);
  });

  test.each(['<html>Bad gateway, password=secret</html>', '', 'null', '7', '{"kind":"Secret","data":{}}'])(
    'takes nothing from a body that is no Status: %s',
    (text) => {
      expect(refusal('get x', 502, statusFrom(text)).message).toBe('The API server refused to get x (502)');
    },
  );
});

test('kinds of refusals are told apart', () => {
  const error = (status: number) => new ApiError('', { status });
  expect(isNotFound(error(404))).toBe(true);
  expect(isConflict(error(409))).toBe(true);
  expect(isExpired(error(410))).toBe(true);
  expect(isForbidden(error(401)) && isForbidden(error(403))).toBe(true);
  expect(isInvalid(error(400)) && isInvalid(error(422))).toBe(true);
  expect(isNotFound(error(409)) || isNotFound(new Error('404')) || isConflict(undefined)).toBe(false);
});
