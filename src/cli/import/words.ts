/** A statement as its words: tokens with their depth in brackets, so that a text can be cut where its grammar does. */
import { isComment, tokensOf, type Token } from '../../sql/parser.ts';

/** One word. */
export interface Word {
  /** As written. */
  readonly text: string;
  /** In capitals, for keywords; of a quoted name and of a literal its quotes keep it from being one. */
  readonly key: string;
  /** Open brackets, and open CASE … END, around it. */
  readonly depth: number;
  readonly start: number;
  readonly end: number;
}

const opens = (key: string): boolean => key === '(' || key === '[' || key === 'CASE';
const closes = (key: string): boolean => key === ')' || key === ']' || key === 'END';

/** The words of a text that the parser has taken. */
export const wordsIn = (text: string): readonly Word[] => {
  const tokens = tokensOf(text);
  if (tokens.kind === 'fault') return [];
  let depth = 0;
  return tokens.value
    .filter((token: Token) => !isComment(token))
    .map(({ text: own, start, end }) => {
      const key = own.toUpperCase();
      if (closes(key)) depth -= 1;
      const word = { text: own, key, depth, start, end };
      if (opens(key)) depth += 1;
      return word;
    });
};

/** The text from the first of some words to the last; empty for none. */
export const textOf = (text: string, words: readonly Word[]): string => {
  const [first, last] = [words[0], words.at(-1)];
  return first === undefined || last === undefined ? '' : text.slice(first.start, last.end);
};

/** Words between separators on the outermost level. */
export const splitAt = (
  words: readonly Word[],
  isSeparator: (word: Word) => boolean,
): readonly (readonly Word[])[] => {
  const base = words[0]?.depth ?? 0;
  const parts: Word[][] = [[]];
  for (const word of words)
    if (word.depth === base && isSeparator(word)) parts.push([]);
    else parts.at(-1)?.push(word);
  return parts;
};

/** What stands in the first pair of brackets, without them. */
export const inBrackets = (words: readonly Word[]): readonly Word[] => {
  const from = words.findIndex(({ key }) => key === '(');
  const opening = words[from];
  if (opening === undefined) return [];
  const to = words.findIndex(({ key, depth }, n) => n > from && key === ')' && depth === opening.depth);
  return words.slice(from + 1, to);
};

/** A name as the catalog has it. */
export const nameOf = (written: string): string =>
  written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();

/** The commands of an ALTER TABLE, each without what stands before it. */
export const alterClauses = (text: string): readonly (readonly Word[])[] => {
  const words = wordsIn(text);
  let at = 2;
  if (words[at]?.key === 'IF') at += 2;
  if (words[at]?.key === 'ONLY') at += 1;
  at += 1;
  while (words[at]?.key === '.') at += 2;
  if (words[at]?.key === '*') at += 1;
  return splitAt(words.slice(at), ({ key }) => key === ',');
};
