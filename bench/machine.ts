import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the figures were measured on. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export const machineFacts = (): MachineFacts => ({
  cpu: os.cpus()[0]?.model ?? 'unknown',
  cpus: os.cpus().length,
  memoryBytes: os.totalmem(),
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  node: process.version,
});

const ticks = (): { readonly busy: number; readonly all: number } => {
  const times = os.cpus().map((cpu) => cpu.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busy: all - times.reduce((sum, { idle }) => sum + idle, 0), all };
};

/** Share of all processors that are busy over the next two seconds, 0 to 1; in between we do nothing. */
export const busyShare = async (): Promise<number> => {
  const before = ticks();
  await sleep(2_000);
  const after = ticks();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
};

// proc(5): after the name in parentheses come state and ppid; utime, stime, cutime and cstime are fields 14 to 17, in
// ticks of 10 ms on every Linux that Node runs on.
const ticksPerSecond = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly seconds: number;
}

const timesOf = async (pid: string): Promise<ProcessTimes | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const spent = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return { parent: fields[1] ?? 0, seconds: spent / ticksPerSecond };
};

/**
 * Processor time of a process and its children, also those that have ended: on a machine that others use, a truer
 * measure of work than the clock on the wall. Undefined where there is no /proc.
 */
export const cpuSecondsOf = async (pid: number): Promise<number | undefined> => {
  const own = await timesOf(String(pid));
  if (!own) return undefined;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(timesOf));
  return all.reduce((sum, times) => (times?.parent === pid ? sum + times.seconds : sum), own.seconds);
};
