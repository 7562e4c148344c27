import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { systemPath } from '../dev/cluster/command.ts';

export interface ChildOptions {
  /** Ends the child and whatever it started. */
  readonly signal: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
}

function endGroup(child: ChildProcessWithoutNullStreams, name: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Starts a program in a process group of its own: Ctrl-C on the terminal reaches the driver alone, which then
 * ends everything in the right order, and a child that is ended takes its own children along.
 */
export function startChild(
  program: string,
  args: readonly string[],
  options: ChildOptions,
): ChildProcessWithoutNullStreams {
  options.signal.throwIfAborted();
  const child = spawn(program, args, {
    env: { ...process.env, PATH: systemPath(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const end = (): void => endGroup(child, 'SIGTERM');
  options.signal.addEventListener('abort', end, { once: true });
  child.once('close', () => options.signal.removeEventListener('abort', end));
  // A program that ends before it has read its input says enough by its exit code.
  child.stdin.on('error', () => undefined);
  return child;
}

export interface RunOptions extends ChildOptions {
  readonly input?: string;
  readonly timeoutMs: number;
  /** Shows what the program says on standard error while it runs. */
  readonly loud?: boolean;
}

/**
 * Runs a program to its end and returns its standard output.
 * @throws with the command line and the end of what it said; with the signal's reason if that was why
 */
export async function runChild(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string> {
  const limit = AbortSignal.timeout(options.timeoutMs);
  const child = startChild(program, args, { ...options, signal: AbortSignal.any([options.signal, limit]) });
  if (options.loud === true) child.stderr.pipe(process.stderr, { end: false });
  child.stdin.end(options.input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  options.signal.throwIfAborted();
  if (code === 0) return stdout;
  const why = limit.aborted ? `no end within ${options.timeoutMs / 1000} s` : `ended with ${code}`;
  const said = stderr.trim().split('\n').slice(-15).join('\n');
  throw new Error(`\`${[program.split('/').at(-1), ...args].join(' ')}\`: ${why}: ${said}`);
}
