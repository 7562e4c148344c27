/** Imported changes as YAML with notes, and as JSON. Pure. */
import { Document } from 'yaml';
import type { Item } from './entries.ts';

const comment = (lines: readonly string[]): string => lines.map((line) => `# ${line}`.trimEnd()).join('\n');

const document = (item: Extract<Item, { kind: 'manifest' }>): string => {
  const head = comment([
    item.place,
    ...item.todo.map((text) => `TO DO: ${text}.`),
    ...(item.todo.length > 0 ? ['It is suspended: take suspend out once that is done.'] : []),
    ...item.notes.map((text) => `Note: ${text}.`),
  ]);
  return `${head}\n${new Document(item.manifest).toString({ lineWidth: 0 })}`;
};

const leftOut = ({ place, why, sql }: Extract<Item, { kind: 'leftOut' }>): string =>
  `${comment([
    `NOT IMPORTED: ${place}: ${why}`,
    ...sql
      .trim()
      .split('\n')
      .map((line) => `  ${line}`),
  ])}\n`;

const isOpen = (item: Item): boolean => item.kind === 'leftOut' || item.todo.length > 0;

/** What a person has to see to. */
export const openItems = (items: readonly Item[]): number => items.filter(isOpen).length;

/** For `kubectl apply -f -`, and for people. */
export const asYaml = (items: readonly Item[], files: readonly string[]): string => {
  const head = comment([
    `Made by kubectl segue import from ${files.join(', ')}, in the order in which the migration has it.`,
    'A change that rests on another one waits by itself until that is there.',
    'Without workloads no phase waits for code: list the Deployments that use the table (--deployment NAME).',
  ]);
  const parts = items.map((item) => (item.kind === 'manifest' ? `---\n${document(item)}` : leftOut(item)));
  return `${head}\n${parts.join('')}`;
};

/** For programs. */
export const asJson = (items: readonly Item[]): string => {
  const changes = items.flatMap((item) => {
    if (item.kind === 'leftOut') return [];
    const { name, place, todo, notes, manifest } = item;
    return [{ name, place, todo, notes, manifest }];
  });
  const notImported = items.flatMap((item) => {
    if (item.kind === 'manifest') return [];
    const { place, why, sql } = item;
    return [{ place, why, sql }];
  });
  return `${JSON.stringify({ changes, notImported }, undefined, 2)}\n`;
};
