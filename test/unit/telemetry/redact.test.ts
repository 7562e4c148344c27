import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { redact } from '../../../src/telemetry/redact.ts';

describe('redaction', () => {
  test.each([
    ['postgres://shop:s3cret@db:5432/shop', 'postgres://shop:***@db:5432/shop'],
    ['postgresql://:s3cret@db/shop?sslmode=require', 'postgresql://:***@db/shop?sslmode=require'],
    ['a postgres://u:p@ss@w/ord@db/x and b@c', 'a postgres://u:***@db/x and b@c'],
    ['connection to https://user:tok@host/path failed', 'connection to https://user:***@host/path failed'],
    ["host=db password='a b\\'c' user=x", 'host=db password=*** user=x'],
    ['host=db password=abc user=x', 'host=db password=*** user=x'],
    [
      'postgres://db/shop?user=u&password=abc&sslmode=require',
      'postgres://db/shop?user=u&password=***&sslmode=require',
    ],
    ['PGPASSWORD=abc psql', 'PGPASSWORD=*** psql'],
    ['Authorization: Bearer eyJhbGciOi.J9-_x', 'Authorization: Bearer ***'],
    ['{"password":"a\\"b","user":"u"}', '{"password":"***","user":"u"}'],
    ['{"token":"abc","n":1}', '{"token":"***","n":1}'],
  ])('%s', (text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  test.each([
    'postgres://shop@db:5432/shop',
    'http://127.0.0.1:8080/path?x=1 is asked by a@b',
    'the password of the secret is missing',
    '{"resource":"shop/customers-full-name","time":"2026-01-02T03:04:05.678Z"}',
    'https://[::1]:6443/apis/segue.dev',
  ])('leaves alone: %s', (text) => {
    expect(redact(text)).toBe(text);
  });

  test('no password in a URI survives being logged as JSON, whatever its characters', () => {
    const password = fc
      .string({ minLength: 6, maxLength: 20 })
      .filter((text) => !/[\s\u007f-\uffff]/u.test(text));
    fc.assert(
      fc.property(password, (secret) => {
        const marked = `${secret}#MARK#`;
        const line = JSON.stringify({
          err: { message: `can't connect to postgres://shop:${marked}@db/shop` },
        });
        const clean = redact(line);
        expect(clean).not.toContain('#MARK#');
        expect(() => JSON.parse(clean) as unknown).not.toThrow();
      }),
    );
  });
});

test('takes no time over long lines', () => {
  const lines = [
    'a'.repeat(200_000),
    'a://b:'.repeat(30_000),
    'a://b:c '.repeat(30_000),
    "password='".repeat(20_000),
    '"password"'.repeat(20_000),
    'password='.repeat(20_000),
  ];
  const before = performance.now();
  for (const line of lines) redact(line);
  expect(performance.now() - before).toBeLessThan(1_000);
});
