/** Programs of Debian's packages, unpacked into the cache: nothing is installed, so no service is started. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../dev/cluster/cache.ts';
import { run, runOrThrow } from '../../dev/cluster/command.ts';
import { withLock } from '../../dev/cluster/lock.ts';

const fetchTimeoutMs = 5 * 60_000;

/** The packages that a program comes from, its own first, and where it lies in it, such as `usr/bin/prometheus`. */
export interface DebianProgram {
  readonly packages: readonly [string, ...string[]];
  readonly path: string;
}

const download = async (packages: readonly string[], cwd: string): Promise<void> => {
  const fetch = () => run('apt-get', ['download', ...packages], { cwd, timeoutMs: fetchTimeoutMs });
  if ((await fetch()).code === 0) return;
  // The package lists may be missing or old.
  await run('apt-get', ['update'], { timeoutMs: fetchTimeoutMs });
  const second = await fetch();
  if (second.code !== 0)
    throw new Error(
      `${packages.join(', ')} could not be fetched; install them, or apt-get: ${second.stderr.trim()}`,
    );
};

/** Where the packages' files lie, fetched on first use. */
export const unpacked = async ({ packages, path }: DebianProgram): Promise<string> => {
  const home = join(cacheDirectory(), 'toolchain', `${packages[0]}-debian`);
  mkdirSync(join(cacheDirectory(), 'toolchain'), { recursive: true });
  const fetchOnce = async (): Promise<void> => {
    if (existsSync(join(home, path))) return;
    const fresh = mkdtempSync(`${home}.`);
    await download(packages, fresh);
    for (const archive of readdirSync(fresh).filter((name) => name.endsWith('.deb')))
      await runOrThrow('dpkg', ['-x', archive, '.'], { cwd: fresh });
    rmSync(home, { recursive: true, force: true });
    renameSync(fresh, home);
  };
  await withLock(`${home}.lock`, fetchOnce, () => undefined);
  return home;
};

/** The machine's own program of that name, if it has one. */
export const installedProgram = async (name: string): Promise<string | undefined> => {
  const found = await run('sh', ['-c', `command -v ${name}`]);
  return found.code === 0 ? found.stdout.trim() : undefined;
};
