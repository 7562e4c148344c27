/** Scripts of test/support run as processes of their own, so that they can be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface Child {
  readonly process: ChildProcess;
  /** The next line of its output. Rejects if it ends without one. */
  line(): Promise<string>;
  /** Ends its input and gives the last line that it prints. */
  finish(): Promise<string>;
  /** kill -9. */
  kill9(): Promise<void>;
}

/** Starts `test/support/<script>` with arguments. */
export const startChild = (script: string, args: readonly string[]): Child => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, script), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${script} ended without another line.`);
    return value;
  };
  return {
    process: child,
    line,
    finish: async () => {
      child.stdin.end();
      const last = await line();
      await ended;
      return last;
    },
    kill9: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};
