import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { withLock } from '../../../dev/cluster/lock.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'segue-test-'));
  path = join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true }));

test('the second waits for the first, is told so once, and the lock goes with its holder', async () => {
  const order: string[] = [];
  const waited: number[] = [];
  await Promise.all(
    ['first', 'second'].map((name) =>
      withLock(
        path,
        async () => {
          order.push(`${name} in`);
          await delay(500);
          order.push(`${name} out`);
        },
        (pid) => waited.push(pid),
      ),
    ),
  );
  expect(order).toEqual(['first in', 'first out', 'second in', 'second out']);
  expect(waited).toEqual([process.pid]);
  expect(existsSync(path)).toBe(false);
});

test.each([
  ['a process that has ended', JSON.stringify({ pid: process.pid, startTicks: '1', bootId: 'x' })],
  ['nobody, cut off by a crash', '{"pid":'],
])('the lock of %s is taken over', async (_, content) => {
  writeFileSync(path, content);
  expect(
    await withLock(
      path,
      async () => 'done',
      () => undefined,
    ),
  ).toBe('done');
});

test('a failure frees the lock', async () => {
  const failing = withLock(
    path,
    async () => {
      throw new Error('no');
    },
    () => undefined,
  );
  await expect(failing).rejects.toThrow('no');
  expect(existsSync(path)).toBe(false);
});
