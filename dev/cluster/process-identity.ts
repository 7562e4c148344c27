import { readFileSync } from 'node:fs';

/**
 * One process for as long as the machine is up: a pid alone is given to another process later, the pair of
 * pid and start time is not.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since the boot, field 22 of /proc/<pid>/stat; see proc_pid_stat(5). */
  readonly startTicks: string;
  /** A pid and start time may come again after a reboot; the boot's id does not. */
  readonly bootId: string;
}

/** Differs after every boot. */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function statOf(pid: number): { readonly state: string; readonly startTicks: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

/** The identity of a running process, or undefined where there is none with this pid. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: currentBootId() };
}

/** Whether this very process still runs; a zombie has ended. */
export function isRunning(identity: ProcessIdentity): boolean {
  const stat = statOf(identity.pid);
  return (
    stat !== undefined &&
    stat.state !== 'Z' &&
    stat.startTicks === identity.startTicks &&
    currentBootId() === identity.bootId
  );
}

/** Sends a signal, but never to a process that merely got the same pid later. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
