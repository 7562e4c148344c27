import { readFile, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';

/**
 * Writes a generated file, or with `--check` on the command line compares it with what stands there and fails
 * if they differ, so that nobody edits the copy or forgets to make it anew.
 */
export const writeOrCheck = async (path: string, wanted: string): Promise<void> => {
  const name = relative(process.cwd(), path);
  const script = relative(process.cwd(), process.argv[1] ?? '');
  const found = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === wanted) return console.log(`${name} is up to date.`);
  if (process.argv.includes('--check')) {
    console.error(`${name} is not what ${script} makes of its source; run: node ${script}`);
    process.exitCode = 1;
    return;
  }
  await writeFile(path, wanted);
  console.log(`${name} written.`);
};
