import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to the command's standard input; without it the input is empty. */
  readonly input?: string | Uint8Array;
  /** After this time the command is killed and counts as failed. Default one minute. */
  readonly timeoutMs?: number;
}

/** Root's PATH often lacks the sbin directories where ip, iptables and conntrack live. */
export function systemPath(): string {
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  return [
    path,
    ...['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((d) => !path.split(':').includes(d)),
  ].join(':');
}

/** Runs a program to its end. A program that can't be started, or was killed, has code -1. */
export async function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, PATH: systemPath(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  // A program that exits without reading its input makes the write fail; its exit code says enough.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const closed = once(child, 'close');
  try {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  } catch (cause) {
    return { code: -1, stdout: '', stderr: cause instanceof Error ? cause.message : String(cause) };
  }
}

/**
 * Runs a program that has to succeed and returns its standard output.
 * @throws with the command line, the exit code and the end of the program's standard error
 */
export async function runOrThrow(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await run(program, args, options);
  if (result.code === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-20).join('\n');
  throw new Error(`\`${[program, ...args].join(' ')}\` failed with code ${result.code}: ${said}`);
}
