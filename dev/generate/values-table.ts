/**
 * Makes the table of values in the chart's README out of values.yaml and the comments in it:
 * `node dev/generate/values-table.ts`; with `--check` it only compares.
 *
 * The comment before a value is its meaning. A map whose members have no comments is one value.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { isMap, isScalar, parseDocument, type Pair, type YAMLMap } from 'yaml';
import { writeOrCheck } from './drift.ts';

interface Row {
  /** Its path, as `--set` names it. */
  readonly path: string;
  readonly default: unknown;
  readonly meaning: string;
}

const chart = join(import.meta.dirname, '../../charts/segue');
const begin = '<!-- Made from values.yaml by dev/generate/values-table.ts: -->';
const end = '<!-- End of what is made. -->';

/** The comment right before a member. The parser gives the first member's to the map. */
function commentOf(map: YAMLMap, pair: Pair): string {
  const own = isScalar(pair.key) ? pair.key.commentBefore : undefined;
  const text = own ?? (map.items[0] === pair ? map.commentBefore : undefined) ?? '';
  // What an empty line parts from it is about something else.
  const lines = (text.split(/\n\s*\n/).at(-1) ?? '').split('\n');
  return lines.map((line) => line.trim()).join(' ');
}

function isCommented(map: YAMLMap): boolean {
  return map.items.some(
    (pair) => commentOf(map, pair) !== '' || (isMap(pair.value) && isCommented(pair.value)),
  );
}

/** @throws if a value has no comment */
function rows(map: YAMLMap, prefix: string): readonly Row[] {
  return map.items.flatMap((pair): readonly Row[] => {
    const path = `${prefix}${String(pair.key)}`;
    if (isMap(pair.value) && isCommented(pair.value)) return rows(pair.value, `${path}.`);
    const meaning = commentOf(map, pair);
    if (meaning === '') throw new Error(`values.yaml: say in a comment before ${path} what it is for.`);
    const value: unknown = isScalar(pair.value) || isMap(pair.value) ? pair.value.toJSON() : pair.value;
    return [{ path, default: value, meaning }];
  });
}

function cells({ path, default: value, meaning }: Row): string {
  const shown = value === '' ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
  return `| ${[`\`${path}\``, shown, meaning].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const values = parseDocument(await readFile(join(chart, 'values.yaml'), 'utf8'));
if (!isMap(values.contents)) throw new Error('values.yaml is no map.');
const table = [
  '| value | default | meaning |',
  '| --- | --- | --- |',
  ...rows(values.contents, '').map(cells),
];

const readme = await readFile(join(chart, 'README.md'), 'utf8');
const [before, rest] = readme.split(begin);
const after = rest?.split(end)[1];
if (before === undefined || after === undefined) {
  throw new Error(
    `charts/segue/README.md lacks the lines "${begin}" and "${end}", between which the table goes.`,
  );
}
const whole = `${before}${begin}\n\n${table.join('\n')}\n\n${end}${after}`;
await writeOrCheck(join(chart, 'README.md'), await format(whole, { parser: 'markdown' }));
