/** What a verb of `kubectl segue` is: one file each in this folder, listed in `verbs.ts`. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Cluster } from '../kube/client.ts';

/** Where a verb writes to and reads from, so that a test can stand in for the terminal. */
export interface Terminal {
  /** Standard output: what was asked for, and nothing else. */
  out(text: string): void;
  /** Standard error: everything else. */
  err(text: string): void;
  /** True on a terminal that takes colours; never where `NO_COLOR` is set. */
  readonly colours: boolean;
  /** Columns to fill; undefined where it is no terminal. */
  readonly columns: number | undefined;
  /** All of standard input. */
  input(): Promise<string>;
}

/** What a verb works with. */
export interface Context extends Terminal {
  /** The API server by the user's own kubeconfig; opened when first asked for. @throws with the way out if none is named. */
  cluster(): Cluster;
  /** `-n`, else the kubeconfig context's, else `default`. */
  readonly namespace: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** 0: done, nothing found. 1: found what it looks for, or refused. 2: wrong usage, or a file or server that can't be read. */
export type ExitCode = 0 | 1 | 2;

/** What was given, as `util.parseArgs` has it. */
export interface Given {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface Verb {
  readonly name: string;
  /** One line for the list of verbs, without a full stop. */
  readonly summary: string;
  /** After `kubectl segue <name>`: `NAME [-w]`. */
  readonly usage: string;
  /** More for `--help`, examples among it. */
  readonly details: string;
  /** Its own options, beside those of every verb (`-n`, `--context`, `--kubeconfig`, `-h`). */
  readonly options: ParseArgsOptionsConfig;
  /** What positional arguments are, for shell completion. */
  readonly completes: 'names' | 'nothing';
  run(context: Context, given: Given): Promise<ExitCode>;
}
