/** The command line: which verb, with which options. Pure. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { didYouMean } from './nearest.ts';
import type { Given, Verb } from './verb.ts';

/** Options that every verb takes. */
export const commonOptions = {
  namespace: { type: 'string', short: 'n' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsOptionsConfig;

/** What a command line asks for. */
export type Asked =
  | { readonly kind: 'run'; readonly verb: Verb; readonly given: Given }
  | { readonly kind: 'help'; readonly verb: Verb | undefined }
  | { readonly kind: 'wrong'; readonly message: string };

const takesValue = new Set(
  Object.entries(commonOptions).flatMap(([name, option]) =>
    option.type === 'boolean' ? [] : [`--${name}`, ...('short' in option ? [`-${option.short}`] : [])],
  ),
);

/** Where the verb stands: the first word that is no option and no option's value; -1 if there is none. */
export const verbAt = (args: readonly string[]): number => {
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? '';
    if (!word.startsWith('-')) return index;
    if (takesValue.has(word)) index += 1;
  }
  return -1;
};

/** `--wait=false`, as kubectl has it, in words that `parseArgs` takes. */
const plainBooleans = (args: readonly string[], options: ParseArgsOptionsConfig): string[] =>
  args.map((word) => {
    const [, name = '', value] = /^--([a-z-]+)=(true|false)$/.exec(word) ?? [];
    if (options[name]?.type !== 'boolean') return word;
    return value === 'true' ? `--${name}` : `--no-${name}`;
  });

const faultOf = (error: unknown, options: ParseArgsOptionsConfig): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
  const [, word] = /^Unknown option '([^']+)'/.exec(message) ?? [];
  if (word === undefined) return message;
  const words = Object.keys(options).map((name) => `--${name}`);
  return `Unknown option ${word}.${didYouMean(word, words)}`;
};

const asked = (verb: Verb, args: readonly string[]): Asked => {
  const options = { ...commonOptions, ...verb.options };
  try {
    const { values, positionals } = parseArgs({
      args: plainBooleans(args, options),
      options,
      allowPositionals: true,
      allowNegative: true,
    });
    return values['help'] === true
      ? { kind: 'help', verb }
      : { kind: 'run', verb, given: { values, positionals } };
  } catch (error) {
    return { kind: 'wrong', message: `${faultOf(error, options)} See: kubectl segue ${verb.name} --help` };
  }
};

/** Reads the words after `kubectl segue`. */
export const readArguments = (args: readonly string[], verbs: readonly Verb[]): Asked => {
  const at = verbAt(args);
  const name = args[at];
  const names = verbs.map((verb) => verb.name);
  if (name === undefined) {
    const option = args.find((word) => word !== '-h' && word !== '--help');
    return option === undefined
      ? { kind: 'help', verb: undefined }
      : { kind: 'wrong', message: 'No verb was given. See: kubectl segue --help' };
  }
  const find = (wanted: string | undefined): Verb | undefined => verbs.find((verb) => verb.name === wanted);
  if (name === 'help') return { kind: 'help', verb: find(args[at + 1]) };
  const verb = find(name);
  if (verb === undefined)
    return {
      kind: 'wrong',
      message: `There is no verb "${name}".${didYouMean(name, names)} See: kubectl segue --help`,
    };
  return asked(verb, args.toSpliced(at, 1));
};
