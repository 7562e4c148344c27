/**
 * Makes src/cli/runbook-sections.ts, what `kubectl segue explain` says of each reason, out of docs/runbook.md:
 * `node dev/generate/runbook.ts`; with `--check` it only compares.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { writeOrCheck } from './drift.ts';

const root = join(import.meta.dirname, '../..');
const source = 'docs/runbook.md';
const target = 'src/cli/runbook-sections.ts';

/** Paragraphs as lines for a terminal; a link becomes what it shows. */
const plain = (text: string): string =>
  text
    .trim()
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replaceAll(/\n(?!\n)/g, ' ')
    .replaceAll(/\n +/g, '\n\n');

// The last chapter is about alerts, not about a reason.
const [reasons = ''] = (await readFile(join(root, source), 'utf8')).split(/^## Alerts$/m);

const sections = reasons
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const [name = '', ...rest] = section.split('\n');
    const [meaning = '', whatToDo = ''] = rest.join('\n').split('**What to do:**');
    return [name.trim(), { meaning: plain(meaning), whatToDo: plain(whatToDo) }] as const;
  });

const code = `// Made by dev/generate/runbook.ts from ${source}. Don't edit it; edit that, and run the generator.
import type { Reason } from '../api/reasons.ts';

/** What the runbook says of a reason. */
export interface Section {
  readonly meaning: string;
  readonly whatToDo: string;
}

/** The runbook, section by section. */
export const runbook: Readonly<Record<Reason, Section>> = ${JSON.stringify(Object.fromEntries(sections), undefined, 2)};
`;
await writeOrCheck(
  join(root, target),
  await format(code, { parser: 'typescript', singleQuote: true, printWidth: 110 }),
);
