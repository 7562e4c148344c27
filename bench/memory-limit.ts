/**
 * The memory limit that the chart gives the operator's container, for a process of the benchmark. Node sizes its heap by
 * that limit (V8's half of it, seen with 26.10); on a machine with memory to spare the heap would grow as no container lets it.
 */
import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';

const values = path.join(import.meta.dirname, '..', 'charts', 'segue', 'values.yaml');

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** Bytes of a Kubernetes quantity in Mi, the only unit that the chart uses for memory. */
const bytesOf = (quantity: string): number => {
  const [, number] = /^(\d+)Mi$/.exec(quantity) ?? [];
  if (number === undefined)
    throw new Error(`resources.limits.memory of ${values} is ${quantity}, not in Mi.`);
  return Number(number) * 1024 ** 2;
};

/** A control group with the chart's limit; see `cgroups(7)`. */
export class MemoryLimit {
  readonly #directory: string;
  /** In bytes. */
  readonly bytes: number;

  private constructor(directory: string, bytes: number) {
    this.#directory = directory;
    this.bytes = bytes;
  }

  /** Makes one; undefined where this process may not. */
  static async make(): Promise<MemoryLimit | undefined> {
    const { resources } = parse(await readFile(values, 'utf8')) as {
      readonly resources: { readonly limits: { readonly memory: string } };
    };
    const bytes = bytesOf(resources.limits.memory);
    for (const [root, file] of [
      ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
      ['/sys/fs/cgroup', 'memory.max'],
    ] as const) {
      const directory = path.join(root, `segue-bench-${process.pid}`);
      try {
        await mkdir(directory);
      } catch {
        continue;
      }
      if (await exists(path.join(directory, file))) {
        await writeFile(path.join(directory, file), String(bytes));
        return new MemoryLimit(directory, bytes);
      }
      await rmdir(directory);
    }
    return undefined;
  }

  /** A command that runs another under the limit. */
  command(program: string, args: readonly string[]): readonly [string, readonly string[]] {
    const enter = 'echo $$ > "$0" && exec "$@"';
    return ['/bin/sh', ['-c', enter, path.join(this.#directory, 'cgroup.procs'), program, ...args]];
  }

  /** Removes it, once nothing runs under it any more. */
  async remove(): Promise<void> {
    await rmdir(this.#directory);
  }
}
