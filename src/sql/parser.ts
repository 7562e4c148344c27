/**
 * PostgreSQL's own parser (libpg_query, the grammar of PostgreSQL 18, compiled to WebAssembly): the one place that
 * calls it. It runs in this process and knows no catalog: it says what a text is made of, not whether it is right.
 *
 * Its grammar is bounded, but the code that prints its tree recurses: a text that nests thousands of levels deep
 * overruns the stack in the middle, and leaves memory behind in which a later call never ends. So the text is
 * bounded here, by length and by depth, before the parser sees it.
 */
import { hasSqlDetails, loadModule, parseSync, scanSync, type Node, type ScanToken } from 'libpg-query';

await loadModule();

/** A node of the parse tree, as libpg_query prints it. */
export type { Node };

/** What the parser objects to, and where: line and column count from 1, in characters. */
export interface SyntaxFault {
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** The same place as JavaScript counts. */
  readonly offset: number;
}

/** What a text was read as, or why it could not be. */
export type Parsed<T> =
  { readonly kind: 'parsed'; readonly value: T } | ({ readonly kind: 'fault' } & SyntaxFault);

/** One token; `start` and `end` are offsets in the text as JavaScript counts. */
export interface Token {
  readonly text: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** A statement with its place in the text, from its first token to its last; offsets as JavaScript counts. */
export interface RawStatement {
  readonly tree: Node;
  readonly start: number;
  readonly end: number;
}

/** Longest text that is parsed, in characters; a longer one is a fault. */
export const longestText = 100_000;
// Deepest nesting that a text may reach. The parser's printer was seen to overrun its stack above 3,000.
const deepest = 1_500;

// Every look at a resource reads the same few texts anew.
const mostRemembered = 256;
const longestRemembered = 4_096;

/** A pure function of a text that keeps its latest answers. */
export const remembered = <T>(answer: (text: string) => T): ((text: string) => T) => {
  const known = new Map<string, T>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const found = answer(text);
    if (text.length > longestRemembered) return found;
    const [oldest] = known.size < mostRemembered ? [] : known.keys();
    if (oldest !== undefined) known.delete(oldest);
    known.set(text, found);
    return found;
  };
};

/** Wraps a value. */
export const parsed = <T>(value: T): Parsed<T> => ({ kind: 'parsed', value });

/** A fault at an offset of the text. */
export const faultAt = (
  text: string,
  offset: number,
  message: string,
): Extract<Parsed<never>, { kind: 'fault' }> => {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return {
    kind: 'fault',
    message,
    line: before.split('\n').length,
    column: Array.from(before.slice(lineStart)).length + 1,
    offset: before.length,
  };
};

// The parser's offsets count bytes of UTF-8.
const offsetOf = (text: string): ((bytes: number) => number) => {
  // eslint-disable-next-line no-control-regex
  if (/^[\0-\x7f]*$/.test(text)) return (bytes) => bytes;
  const bytesAt: number[] = [];
  for (let index = 0; index < text.length;) {
    const point = text.codePointAt(index) ?? 0;
    const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;
    for (let n = 0; n < size; n++) bytesAt.push(index);
    index += point > 0xffff ? 2 : 1;
  }
  return (bytes) => bytesAt[bytes] ?? text.length;
};

const refuse = (text: string): Parsed<never> | undefined => {
  if (text.length > longestText)
    return faultAt(text, longestText, `the text is longer than ${longestText} characters`);
  const zero = text.indexOf('\0');
  if (zero >= 0) return faultAt(text, zero, 'the text has a zero byte');
  return text.isWellFormed() ? undefined : faultAt(text, 0, 'the text is no well-formed Unicode');
};

const messageOf = (error: unknown): string => {
  // Anything but a complaint about the text means that the parser itself broke: nobody may rely on it then.
  if (!(error instanceof Error) || error instanceof RangeError || error.name === 'RuntimeError') throw error;
  return error.message;
};

/** The tokens of a text, comments included. */
export const tokensOf = (text: string): Parsed<readonly Token[]> => {
  const refused = refuse(text);
  if (refused) return refused;
  if (text.trim() === '') return parsed([]);
  const at = offsetOf(text);
  try {
    return parsed(
      scanSync(text).tokens.map(({ start, end, tokenName }: ScanToken) => {
        const [from, to] = [at(start), at(end)];
        return { text: text.slice(from, to), name: tokenName, start: from, end: to };
      }),
    );
  } catch (error) {
    return faultAt(text, text.length, messageOf(error));
  }
};

/** True for a token that is no part of a statement. */
export const isComment = ({ name }: Token): boolean => name === 'SQL_COMMENT' || name === 'C_COMMENT';

const opens = (token: Token): boolean => token.text === '(' || token.text === '[';
const closes = (token: Token): boolean => token.text === ')' || token.text === ']';

/**
 * How deep the tree can be at most: tokens since the last comma, summed over the brackets that are open. Lists are
 * flat, so a comma starts anew, and so does a semicolon.
 */
const tooDeep = (tokens: readonly Token[]): Token | undefined => {
  let depth = 0;
  const levels = [0];
  return tokens.find((token) => {
    const level = levels.at(-1) ?? 0;
    if (token.text === ';') {
      levels.splice(0, levels.length, 0);
      depth = 0;
    } else if (token.text === ',') {
      levels[levels.length - 1] = 0;
      depth -= level;
    } else if (closes(token) && levels.length > 1) {
      depth -= level;
      levels.pop();
    } else {
      levels[levels.length - 1] = level + 1;
      depth += 1;
      if (opens(token)) levels.push(0);
    }
    return depth > deepest;
  });
};

/** The statements of a text, none for an empty one. */
export const statementsOf = (text: string): Parsed<readonly RawStatement[]> => {
  const tokens = tokensOf(text);
  if (tokens.kind === 'fault') {
    // The scanner does not say where it stopped; the parser stops at the same place and does.
    const refused = refuse(text);
    return refused ?? treesOf(text, []);
  }
  const words = tokens.value.filter((token) => !isComment(token));
  const deep = tooDeep(words);
  if (deep) return faultAt(text, deep.start, 'the text nests too deeply');
  if (words.every((token) => token.text === ';')) return parsed([]);
  return treesOf(text, words);
};

const treesOf = (text: string, words: readonly Token[]): Parsed<readonly RawStatement[]> => {
  const at = offsetOf(text);
  try {
    const { stmts = [] } = parseSync(text);
    return parsed(
      stmts.flatMap(({ stmt, stmt_location: location = 0, stmt_len: length = 0 }) => {
        if (stmt === undefined) return [];
        const [from, to] = [at(location), length === 0 ? text.length : at(location + length)];
        const own = words.filter(({ start, end, text: word }) => start >= from && end <= to && word !== ';');
        return [{ tree: stmt, start: own[0]?.start ?? from, end: own.at(-1)?.end ?? to }];
      }),
    );
  } catch (error) {
    const message = messageOf(error);
    const position = hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
    // The place of an error counts characters, not bytes.
    return faultAt(text, Array.from(text).slice(0, position).join('').length, message);
  }
};
