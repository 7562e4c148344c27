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
