/** `kubectl segue`: reads the command line, opens the API server by the user's own kubeconfig, and runs a verb. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { text } from 'node:stream/consumers';
import { connect, type Cluster } from '../kube/client.ts';
import { schemaChanges } from '../kube/resources.ts';
import { readArguments } from './arguments.ts';
import { complete, forShell } from './complete.ts';
import { completeWord } from './completion.ts';
import { helpOf, overview } from './help.ts';
import { kubeconfigFiles, noKubeconfig } from './kubeconfig.ts';
import type { Context, Given } from './verb.ts';
import { verbs } from './verbs.ts';
import { clientVersion } from './version.ts';

const { stdout, stderr, stdin, env } = process;

const isSet = (variable: string | undefined): boolean => variable !== undefined && variable !== '';

const textOf = (value: Given['values'][string]): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** The context of a run, and what ends its connections. */
class Run implements Context {
  readonly colours = stdout.isTTY && !isSet(env['NO_COLOR']) && env['TERM'] !== 'dumb';
  readonly #given: Given;
  #cluster: Cluster | undefined;
  readonly signal: AbortSignal;

  constructor(given: Given, signal: AbortSignal) {
    this.#given = given;
    this.signal = signal;
  }

  out(words: string): void {
    stdout.write(words);
  }

  err(words: string): void {
    stderr.write(words);
  }

  /** Asked anew each time: windows are resized. */
  get columns(): number | undefined {
    return stdout.isTTY ? stdout.columns : undefined;
  }

  input(): Promise<string> {
    return text(stdin);
  }

  cluster(): Cluster {
    const { values } = this.#given;
    const kubeconfig = kubeconfigFiles({
      option: textOf(values['kubeconfig']),
      variable: env['KUBECONFIG'],
      home: homedir(),
      exists: existsSync,
    });
    if (kubeconfig.length === 0) throw new Error(noKubeconfig);
    this.#cluster ??= connect({
      kubeconfig,
      context: textOf(values['context']),
      userAgent: `kubectl-segue/${clientVersion}`,
    });
    return this.#cluster;
  }

  get namespace(): string {
    const named = textOf(this.#given.values['namespace']);
    if (named !== undefined) return named;
    try {
      return this.cluster().namespace ?? 'default';
    } catch {
      // A verb that asks no cluster needs no kubeconfig; one that does says what is wrong with it.
      return 'default';
    }
  }

  async close(): Promise<void> {
    await this.#cluster?.close();
  }
}

const stop = new AbortController();
// A reader such as head may have seen enough.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
});

const candidateLimitMs = 3_000;

/** Tells a shell what fits. What goes wrong is no candidate, and no noise on the command line. */
const answerShell = async (words: readonly string[]): Promise<void> => {
  const asked = readArguments(words.slice(0, -1), verbs);
  const given: Given = asked.kind === 'run' ? asked.given : { values: {}, positionals: [] };
  const run = new Run(given, AbortSignal.any([stop.signal, AbortSignal.timeout(candidateLimitMs)]));
  const names = async (): Promise<readonly string[]> => {
    try {
      const { namespace, signal } = run;
      const { items } = await run.cluster().list(schemaChanges, { namespace, signal });
      return items.map(({ metadata }) => metadata.name);
    } catch {
      return [];
    }
  };
  stdout.write(forShell(await complete(words, verbs, names)));
  await run.close();
};

const main = async (args: readonly string[]): Promise<number> => {
  if (args[0] === completeWord) {
    await answerShell(args.slice(1));
    return 0;
  }
  const asked = readArguments(args, verbs);
  switch (asked.kind) {
    case 'help':
      stdout.write(asked.verb === undefined ? overview(verbs) : helpOf(asked.verb));
      return 0;
    case 'wrong':
      stderr.write(`${asked.message}\n`);
      return 2;
    case 'run': {
      const run = new Run(asked.given, stop.signal);
      try {
        const code = await asked.verb.run(run, asked.given);
        return stop.signal.aborted ? 130 : code;
      } catch (error) {
        if (stop.signal.aborted) return 130;
        stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        return 2;
      } finally {
        await run.close();
      }
    }
  }
};

process.exitCode = await main(process.argv.slice(2));
