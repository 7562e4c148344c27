import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOrThrow } from '../../dev/cluster/command.ts';
import type { ToolModuleName } from '../../dev/cluster/programs.ts';

/** Where the source of a Go module is that `dev/cluster/toolchain/<name>` pins: in Go's cache, else fetched into it. */
export const sourceOf = async (name: ToolModuleName, module: string): Promise<string> => {
  const directory = join(import.meta.dirname, '../../dev/cluster/toolchain', name);
  const required = readFileSync(join(directory, 'go.mod'), 'utf8')
    .split('\n')
    .map((line) => line.trim().split(' '))
    .find(([path]) => path === module);
  if (required?.[1] === undefined) throw new Error(`${name}/go.mod requires no ${module}.`);
  const found = await runOrThrow('go', ['mod', 'download', '-json', `${module}@${required[1]}`], {
    cwd: directory,
    env: { GOFLAGS: '-mod=readonly', GOWORK: 'off' },
    timeoutMs: 300_000,
  });
  return (JSON.parse(found) as { readonly Dir: string }).Dir;
};
