/** The pages that users read, taken apart: links, anchors, code. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the checkout is. */
export const root = join(import.meta.dirname, '../..');

/** A page of Markdown. */
export interface Page {
  /** Its path in the checkout. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block of code. */
export interface Block {
  /** What stands behind the fence, such as `yaml`; empty where nothing does. */
  readonly language: string;
  readonly text: string;
}

const paths = [
  'README.md',
  'CONTRIBUTING.md',
  'charts/segue/README.md',
  'demo/README.md',
  ...globSync('docs/**/*.md', { cwd: root }).toSorted(),
];

/** Every page for users and contributors. */
export const pages: readonly Page[] = paths.map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
}));

const fence = /^([ ]*)```(\w*)\n([^]*?)^\1```$/gm;

/** The blocks of a page. */
export const blocksOf = ({ text }: Page): readonly Block[] =>
  [...text.matchAll(fence)].map(([, indent = '', language = '', body = '']) => ({
    language,
    text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));

/** The page without its blocks: what is prose, a heading or a table. */
const proseOf = ({ text }: Page): string => text.replaceAll(fence, '');

/** All code of a page: its blocks, and what stands between backquotes. */
export const codeOf = (page: Page): readonly string[] => [
  ...blocksOf(page).map(({ text }) => text),
  ...[...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code),
];

/** Targets of the links and pictures of a page. */
export const linksOf = (page: Page): readonly string[] =>
  [
    ...proseOf(page)
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, target = '']) => target);

// As GitHub makes them: lower case, no punctuation, a hyphen for each space, a number behind the second of a kind.
const slugOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');

/** Anchors of a page's headings. */
export const anchorsOf = (page: Page): ReadonlySet<string> => {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = slugOf(heading);
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
};

/** The words after each `kubectl segue` of a text, up to a pipe, a redirection, a comment or the end of the code. */
export const commandsOf = (text: string): readonly string[] =>
  [...text.matchAll(/kubectl segue ([a-z-](?:"[^"\n]*"|[^\n|>#)`"])*)/g)].map(([, words = '']) =>
    words.trim(),
  );
