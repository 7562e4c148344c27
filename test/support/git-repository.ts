import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { runOrThrow } from '../../dev/cluster/command.ts';

// Neither the user's settings nor the machine's may matter.
const env = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
};

/** A local git repository with one branch, `main`. */
export class GitRepository {
  /** Where others read it from. */
  readonly url: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.url = `file://${directory}`;
  }

  static async init(directory: string): Promise<GitRepository> {
    mkdirSync(directory, { recursive: true });
    const repository = new GitRepository(directory);
    await repository.#git('init', '--quiet', '--initial-branch=main');
    return repository;
  }

  /** Commits files by path, each a manifest, or undefined to take it out. Gives the commit's hash. */
  async commit(message: string, files: Readonly<Record<string, object | undefined>>): Promise<string> {
    for (const [name, manifest] of Object.entries(files)) {
      const path = join(this.#directory, name);
      mkdirSync(dirname(path), { recursive: true });
      if (manifest === undefined) rmSync(path);
      else writeFileSync(path, stringify(manifest));
    }
    await this.#git('add', '--all');
    await this.#git('commit', '--quiet', '--message', message);
    return this.#head();
  }

  /** `git revert` of the latest commit. Gives the hash of the one that reverts it. */
  async revert(): Promise<string> {
    await this.#git('revert', '--no-edit', 'HEAD');
    return this.#head();
  }

  async #head(): Promise<string> {
    return (await this.#git('rev-parse', 'HEAD')).trim();
  }

  #git(...args: readonly string[]): Promise<string> {
    return runOrThrow('git', args, { cwd: this.#directory, env });
  }
}
