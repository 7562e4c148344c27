/** What may come next on a command line. Pure, but for the names that it asks for. */
import { commonOptions, verbAt } from './arguments.ts';
import type { Verb } from './verb.ts';

/** A word, and what it does. */
export interface Candidate {
  readonly word: string;
  readonly says?: string;
}

const optionsOf = (verb: Verb) => ({ ...commonOptions, ...verb.options });

const takesValue = (verb: Verb, word: string): boolean =>
  Object.entries(optionsOf(verb)).some(
    ([name, option]) =>
      option.type === 'string' &&
      (word === `--${name}` || ('short' in option && word === `-${option.short}`)),
  );

/** The words that are neither options nor their values. */
const positionals = (verb: Verb, words: readonly string[]): readonly string[] =>
  words.filter((word, index) => !word.startsWith('-') && !takesValue(verb, words[index - 1] ?? ''));

/**
 * Candidates for the last of `words`, which may be empty. `names` reads the names of changes, and is asked only where
 * one may come.
 */
export const complete = async (
  words: readonly string[],
  verbs: readonly Verb[],
  names: () => Promise<readonly string[]>,
): Promise<readonly Candidate[]> => {
  const [before, current] = [words.slice(0, -1), words.at(-1) ?? ''];
  const starting = (candidates: readonly Candidate[]): readonly Candidate[] =>
    candidates.filter(({ word }) => word.startsWith(current));
  const at = verbAt(before);
  if (at < 0) return starting(verbs.map(({ name, summary }) => ({ word: name, says: summary })));
  const verb = verbs.find(({ name }) => name === before[at]);
  if (verb === undefined) return [];
  const rest = before.toSpliced(at, 1);
  const last = rest.at(-1) ?? '';
  if (takesValue(verb, last))
    return last === '-o' || last === '--output' ? starting([{ word: 'json' }, { word: 'yaml' }]) : [];
  if (current.startsWith('-'))
    return starting(Object.keys(optionsOf(verb)).map((name) => ({ word: `--${name}` })));
  if (verb.completes !== 'names' || positionals(verb, rest).length > 0) return [];
  return starting((await names()).map((word) => ({ word })));
};

/** As kubectl and cobra read it: a line each, then `:4`, which means that no file name fits. */
export const forShell = (candidates: readonly Candidate[]): string =>
  [...candidates.map(({ word, says }) => (says === undefined ? word : `${word}\t${says}`)), ':4', ''].join(
    '\n',
  );
