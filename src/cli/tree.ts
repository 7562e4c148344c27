/** Trees and tables as text. Pure. */
import type { Terminal } from './verb.ts';

/** What a text is about: colours alone say nothing that the words do not. */
export type Tone = 'good' | 'bad' | 'now' | 'dim' | 'strong';

export interface Node {
  readonly text: string;
  readonly tone?: Tone | undefined;
  readonly children?: readonly Node[];
}

const escapes: Readonly<Record<Tone, string>> = { good: '32', bad: '31', now: '33', dim: '2', strong: '1' };

/** The text in its colour, where the terminal takes colours. */
const paint = ({ colours }: Pick<Terminal, 'colours'>, text: string, tone: Tone | undefined): string =>
  colours && tone !== undefined ? `\u001B[${escapes[tone]}m${text}\u001B[0m` : text;

const narrowest = 20;

/** Lines no longer than `width`, broken at spaces; a longer word stays whole. */
const wrap = (text: string, width: number): readonly string[] =>
  text.split('\n').flatMap((line) => {
    const lines: string[] = [];
    let current = '';
    for (const word of line.split(' ')) {
      if (current !== '' && current.length + 1 + word.length > width) {
        lines.push(current);
        current = word;
      } else current = current === '' ? word : `${current} ${word}`;
    }
    return [...lines, current];
  });

type Look = Pick<Terminal, 'colours' | 'columns'>;

const draw = (node: Node, look: Look, first: string, rest: string): string => {
  const children = node.children ?? [];
  const below = children.length === 0 ? '' : '│ ';
  const width =
    look.columns === undefined ? Infinity : Math.max(narrowest, look.columns - rest.length - below.length);
  const own = wrap(node.text, width).map((line, index) => {
    const lead = index === 0 ? first : `${rest}${below}`;
    return `${paint(look, lead, 'dim')}${paint(look, line, node.tone)}\n`.replace(/ +\n$/, '\n');
  });
  const drawn = children.map((child, index) =>
    index === children.length - 1
      ? draw(child, look, `${rest}└─ `, `${rest}   `)
      : draw(child, look, `${rest}├─ `, `${rest}│  `),
  );
  return [...own, ...drawn].join('');
};

/** The tree, a line a node, longer texts wrapped to the terminal's width. */
export const renderTree = (root: Node, look: Look): string => draw(root, look, '', '');

export interface Cell {
  readonly text: string;
  readonly tone?: Tone | undefined;
}

/** A table with a heading; on a terminal its lines are cut at the edge. */
export const renderTable = (
  heading: readonly string[],
  rows: readonly (readonly Cell[])[],
  look: Look,
): string => {
  const all = [heading.map((text): Cell => ({ text })), ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]?.text.length ?? 0)));
  return all
    .map((row) => {
      let left = look.columns ?? Infinity;
      const cells = row.map(({ text, tone }, column) => {
        const padded = column === row.length - 1 ? text : text.padEnd((widths[column] ?? 0) + 3);
        const shown = text.length > left ? `${text.slice(0, Math.max(0, left - 1))}…` : padded.slice(0, left);
        left -= shown.length;
        return left < 0 || shown === '…' ? '' : paint(look, shown, tone);
      });
      return `${cells.join('').trimEnd()}\n`;
    })
    .join('');
};
