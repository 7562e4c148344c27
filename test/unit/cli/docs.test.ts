/** What the docs and the help show can be run. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { readArguments } from '../../../src/cli/arguments.ts';
import { verbs } from '../../../src/cli/verbs.ts';

const docs = readFileSync(new URL('../../../docs/kubectl-segue.md', import.meta.url), 'utf8');

/** The words after each `kubectl segue` of a text, up to a pipe, a redirection, a comment or the end of the code. */
const commandsOf = (text: string): readonly string[] =>
  [...text.matchAll(/kubectl segue ([a-z-][^\n|>#)`"]*)/g)].map(([, words = '']) => words.trim());

describe.each([
  ['the docs', docs],
  ...verbs.map(({ name, details }) => [`the help of ${name}`, details] as const),
])('%s', (_, text) => {
  const commands = commandsOf(text);

  test('show commands', () => expect(commands).not.toEqual([]));

  test.each(commands)('kubectl segue %s', (command) => {
    expect(['run', 'help']).toContain(readArguments(command.split(/ +/), verbs).kind);
  });
});

test('the docs have an example of each verb', () => {
  const shown = commandsOf(docs).map((command) => command.split(' ')[0]);
  for (const { name } of verbs.filter(({ name }) => name !== 'version')) expect(shown).toContain(name);
  expect(docs).toContain('| `version`');
});
