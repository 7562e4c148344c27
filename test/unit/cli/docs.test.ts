/** What the help shows can be run, and the page of the plugin leaves no verb out. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { readArguments } from '../../../src/cli/arguments.ts';
import { verbs } from '../../../src/cli/verbs.ts';
import { commandsOf } from '../../support/documentation.ts';

const docs = readFileSync(new URL('../../../docs/kubectl-segue.md', import.meta.url), 'utf8');

describe.each(verbs.map(({ name, details }) => [name, details] as const))('the help of %s', (_, text) => {
  const commands = commandsOf(text);

  test('shows commands', () => expect(commands).not.toEqual([]));

  test.each(commands)('kubectl segue %s', (command) => {
    expect(['run', 'help']).toContain(readArguments(command.split(/ +/), verbs).kind);
  });
});

test('the docs have an example of each verb', () => {
  const shown = commandsOf(docs).map((command) => command.split(' ')[0]);
  for (const { name } of verbs.filter(({ name }) => name !== 'version')) expect(shown).toContain(name);
  expect(docs).toContain('| `version`');
});
