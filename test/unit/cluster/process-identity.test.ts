import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { identify, isRunning, signal } from '../../../dev/cluster/process-identity.ts';

test('a recycled pid is another process, and is not sent the signal', async () => {
  const child = spawn('sleep', ['60']);
  const identity = identify(child.pid ?? 0);
  expect(identity).toBeDefined();
  if (identity === undefined) return;
  expect(isRunning(identity)).toBe(true);

  const earlier = { ...identity, startTicks: '1' };
  const beforeReboot = { ...identity, bootId: 'another' };
  expect([earlier, beforeReboot].map(isRunning)).toEqual([false, false]);
  signal(earlier, 'SIGKILL');
  signal(beforeReboot, 'SIGKILL');
  expect(isRunning(identity)).toBe(true);

  const ended = once(child, 'exit');
  signal(identity, 'SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(isRunning(identity)).toBe(false);
  signal(identity, 'SIGKILL');
});
