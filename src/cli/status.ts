import type { SchemaChange } from '../api/schema-change.ts';
import { schemaChanges } from '../kube/resources.ts';
import { follow } from './follow.ts';
import { readNamed } from './named.ts';
import { outputOf, outputOptions, unknownOutput, written, type Output } from './output.ts';
import { isEnded, isInTrouble, standingOf, type Standing } from './standing.ts';
import { inOrder, statusList } from './status-list.ts';
import { statusTree } from './status-tree.ts';
import { renderTree } from './tree.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

/** What is looked at, and how it is shown. */
interface View {
  readonly context: Context;
  readonly output: Output;
  /** Undefined for a list. */
  readonly name: string | undefined;
  readonly everywhere: boolean;
}

const tickMs = 1_000;
// The screen is cleared once; then each line is written over the former one, so that nothing flickers.
const clearScreen = '\u001B[2J';
const overwritten = (text: string): string => `\u001B[H${text.replaceAll('\n', '\u001B[K\n')}\u001B[J`;

const textOf = ({ context, name, everywhere }: View, standings: readonly Standing[], now: number): string => {
  const [only] = standings;
  return name !== undefined && only !== undefined
    ? renderTree(statusTree(only, now), context)
    : statusList(standings, { now, everywhere, look: context });
};

const show = (view: View, standings: readonly Standing[], now: number): void => {
  const { context, output, name } = view;
  if (output === 'text') context.out(textOf(view, standings, now));
  else context.out(written(name === undefined ? inOrder(standings) : standings[0], output));
};

const codeOf = (standings: readonly Standing[]): ExitCode => (standings.some(isInTrouble) ? 1 : 0);

/** One line where nobody redraws: a log of what changed. */
const lineOf = ({ name, phase, progress, reason, blockedBy, message }: Standing): string => {
  const inTheWay = blockedBy === undefined || blockedBy.message === message ? '' : ` (${blockedBy.message})`;
  const words = [name, phase, progress, reason === phase ? undefined : reason].filter(
    (word) => word !== undefined,
  );
  return `${words.join(' ')}: ${message}${inTheWay}\n`;
};

/** Says of each change what it has not said before, and of each that is gone that it is. */
class ChangeLog {
  readonly #view: View;
  readonly #said = new Map<string, string>();

  constructor(view: View) {
    this.#view = view;
  }

  say(standings: readonly Standing[]): void {
    const { context, output } = this.#view;
    for (const standing of inOrder(standings)) {
      const key = `${standing.namespace}/${standing.name}`;
      const { phases: _, ...lasting } = standing;
      const text = output === 'text' ? lineOf(standing) : JSON.stringify(lasting);
      if (this.#said.get(key) === text) continue;
      this.#said.set(key, text);
      if (output === 'text') context.out(`${new Date().toISOString().slice(11, 19)} ${text}`);
      else
        context.out(
          output === 'json' ? `${JSON.stringify(standing)}\n` : `---\n${written(standing, 'yaml')}`,
        );
    }
  }
}

const watch = async (view: View): Promise<ExitCode> => {
  const { context, name, everywhere, output } = view;
  const redraws = context.columns !== undefined && output === 'text';
  const log = new ChangeLog(view);
  if (redraws) context.out(clearScreen);
  const namespace = everywhere ? undefined : context.namespace;
  const { signal } = context;
  const changes = follow({ cluster: context.cluster(), namespace, name, everyMs: tickMs, signal });
  for await (const items of changes) {
    const now = Date.now();
    const standings = items.map((change) => standingOf(change, now));
    if (name !== undefined && standings.length === 0) {
      context.err(`SchemaChange ${name} was deleted.\n`);
      return 1;
    }
    if (redraws) context.out(overwritten(textOf(view, standings, now)));
    else log.say(standings);
    if (name !== undefined && items.every(isEnded)) return codeOf(standings);
  }
  return 0;
};

const list = async (view: View): Promise<readonly SchemaChange[]> => {
  const { context, everywhere } = view;
  const namespace = everywhere ? undefined : context.namespace;
  const { items } = await context.cluster().list(schemaChanges, { namespace, signal: context.signal });
  if (items.length === 0)
    context.err(`There is no SchemaChange in ${everywhere ? 'any namespace' : `namespace ${namespace}`}.\n`);
  return items;
};

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const { values, positionals } = given;
  const output = outputOf(given);
  const [name] = positionals;
  const everywhere = values['all-namespaces'] === true;
  if (output === undefined || (name !== undefined && everywhere)) {
    context.err(
      `${output === undefined ? unknownOutput : 'A name is looked for in one namespace: leave out -A.'}\n`,
    );
    return 2;
  }
  const view: View = { context, output, name, everywhere };
  const named = name === undefined ? undefined : await readNamed(context, given);
  if (named?.kind === 'none') {
    context.err(`${named.message}\n`);
    return named.code;
  }
  if (values['watch'] === true) return await watch(view);
  const items = named === undefined ? await list(view) : [named.change];
  const now = Date.now();
  const standings = items.map((change) => standingOf(change, now));
  if (standings.length > 0 || output !== 'text') show(view, standings, now);
  return codeOf(standings);
};

/** `kubectl segue status`. */
export const status: Verb = {
  name: 'status',
  summary: 'Shows where a change stands, or all changes',
  usage: '[NAME] [-w] [-A] [-o json|yaml]',
  details: `Without NAME, a line for each change. With it, a tree: phases with what each took, the workloads with their pods by
code, rows filled and compared, the quarantine, and what is in the way.

  -w, --watch            go on until the change has ended; redraws on a terminal, else prints a line for each change
  -A, --all-namespaces   list those of all namespaces
  -o, --output FORMAT    json or yaml; with -w one document for each change

Exit code 1 if one that is shown is Stalled or Failed.

Examples:
  kubectl segue status customers-full-name -w
  kubectl segue status -A`,
  options: {
    ...outputOptions,
    watch: { type: 'boolean', short: 'w' },
    'all-namespaces': { type: 'boolean', short: 'A' },
  },
  completes: 'names',
  run,
};
