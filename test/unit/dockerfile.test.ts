/** The Dockerfile, as far as it can be looked at without a Docker engine. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';

const checkout = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(checkout, file), 'utf8');

/** The sources of each COPY, by the stage that they come from; '' is the checkout. */
const copies = [...read('Dockerfile').matchAll(/^COPY (?:--from=(\S+) )?(.+) \S+$/gm)].map(
  ([, stage = '', sources = '']) => ({ stage, sources: sources.split(' ') }),
);
const sourcesFrom = (stage: string): readonly string[] =>
  copies.filter((copy) => copy.stage === stage).flatMap(({ sources }) => sources);

test('all that is copied from the checkout is there', () => {
  const sources = sourcesFrom('');
  expect(sources).toContain('src');
  expect(sources.filter((source) => !existsSync(join(checkout, source)))).toEqual([]);
});

test('what the last stage takes of the build is made there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { bundle: string } };
  const commands = [scripts.bundle, ...(read('Dockerfile').match(/^RUN .+$/gm) ?? [])].join('\n');
  const taken = sourcesFrom('build').filter((source) => source.startsWith('/build/build/'));
  expect(taken).toHaveLength(3);
  expect(taken.filter((source) => !commands.includes(basename(source)))).toEqual([]);
});

test('the Node of the image is that of the tests', () => {
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } };
  expect(read('Dockerfile')).toContain(`ARG NODE_VERSION=${devDependencies.node}\n`);
});
