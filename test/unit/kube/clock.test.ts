import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../src/kube/clock.ts';
import { microTime } from '../../../src/kube/micro-time.ts';

describe('the system clock', () => {
  test('sleeps at least as long as asked', async () => {
    const before = systemClock.now();
    await systemClock.sleep(20);
    expect(systemClock.now() - before).toBeGreaterThanOrEqual(20);
  });

  test('wakes with the reason of the abort, at once', async () => {
    const stop = new AbortController();
    const before = systemClock.now();
    const sleep = systemClock.sleep(60_000, stop.signal);
    stop.abort(new Error('enough'));
    await expect(sleep).rejects.toThrow('enough');
    await expect(systemClock.sleep(60_000, stop.signal)).rejects.toThrow('enough');
    await expect(systemClock.sleep(0, stop.signal)).rejects.toThrow('enough');
    expect(systemClock.now() - before).toBeLessThan(1_000);
  });

  test('does not wake at once from a sleep longer than a timer can be', async () => {
    const stop = new AbortController();
    const sleep = systemClock.sleep(2 ** 40, stop.signal).then(
      () => 'woke',
      () => 'aborted',
    );
    await systemClock.sleep(20);
    stop.abort();
    await expect(sleep).resolves.toBe('aborted');
  });
});

test('a MicroTime has six fractional digits', () => {
  expect(microTime(new Date('2026-01-02T03:04:05.006Z'))).toBe('2026-01-02T03:04:05.006000Z');
});
