/** What the pages show exists, and can be run. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { readArguments } from '../../src/cli/arguments.ts';
import { findingsIn } from '../../src/cli/lint/check.ts';
import { readManifests } from '../../src/cli/lint/manifests.ts';
import { verbs } from '../../src/cli/verbs.ts';
import {
  anchorsOf,
  blocksOf,
  codeOf,
  commandsOf,
  linksOf,
  pages,
  root,
  type Page,
} from '../support/documentation.ts';

/** What `find` finds on the pages, and what `fault` has to say of it. At least `least`, or the finder is broken. */
const check = <T>(
  least: number,
  find: (page: Page) => readonly T[],
  fault: (found: T, page: Page) => string | undefined,
): void => {
  const found = pages.flatMap((page) => find(page).map((what) => [page, what] as const));
  expect(found.length).toBeGreaterThanOrEqual(least);
  const faults = found.flatMap(([page, what]) => {
    const said = fault(what, page);
    return said === undefined ? [] : [`${page.path}: ${said}`];
  });
  expect(faults).toEqual([]);
};

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** What all of `pattern`'s first groups catch in a page's code. */
const inCode =
  (pattern: RegExp) =>
  (page: Page): readonly string[] =>
    codeOf(page).flatMap((code) => [...code.matchAll(pattern)].map(([, caught = '']) => caught));

test('links lead to files and headings', () =>
  check(
    80,
    (page) => linksOf(page).filter((link) => !/^[a-z]+:/.test(link)),
    (link, page) => {
      const [file = '', anchor] = link.split('#');
      const path = file === '' ? page.path : normalize(join(dirname(page.path), file));
      if (!existsSync(join(root, path))) return `${link}: there is no ${path}`;
      if (anchor === undefined) return undefined;
      const target = pages.find((other) => other.path === path) ?? { path, text: read(path) };
      return anchorsOf(target).has(anchor) ? undefined : `${link}: ${path} has no heading for #${anchor}`;
    },
  ));

test('files that are named are there', () =>
  check(
    50,
    inCode(
      /(?:^|[\s'"(=])((?:bench|charts|crds|demo|dev|docs|examples|gitops|src|test)\/[\w./-]*\w(?![\w*<{…/-]))/g,
    ),
    (path) => (existsSync(join(root, path)) ? undefined : `there is no ${path}`),
  ));

const makefile = read('Makefile');
const targets = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
const variables = new Set([...makefile.matchAll(/^([A-Z_]+) \?=/gm)].map(([, name]) => name));

test('make has the targets and variables', () =>
  check(20, inCode(/(?:^|[\s(])make((?: (?:[a-z][a-z-]*|[A-Z_]+=(?:'[^']*'|\S*)))+)/g), (words) => {
    const unknown = [...words.matchAll(/ ([A-Za-z_-]+)(=(?:'[^']*'|\S*))?/g)].find(
      ([, name, value]) => !(value === undefined ? targets : variables).has(name),
    );
    return unknown && `make${words}: the Makefile knows no ${unknown[1] ?? ''}`;
  }));

test('npm has the scripts', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  check(3, inCode(/npm run (?:--silent )?([a-z:]+)/g), (name) =>
    name in scripts ? undefined : `npm run ${name}: there is no such script`,
  );
});

const isVerb = (word: string): boolean => verbs.some(({ name }) => name === word);

test('kubectl segue takes the commands', () =>
  check(
    40,
    (page) => codeOf(page).flatMap(commandsOf),
    (command) => {
      // A verb alone is spoken of, not shown as a command.
      if (isVerb(command)) return undefined;
      const { kind } = readArguments(command.split(/ +/), verbs);
      return kind === 'run' || kind === 'help' ? undefined : `kubectl segue ${command}`;
    },
  ));

type Value = { readonly [key: string]: Value } | string | number | boolean | null | readonly unknown[];

const values = parse(read('charts/segue/values.yaml')) as Value;

const isMap = (value: Value | undefined): value is { readonly [key: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether the chart has such a value; below an empty map or list anything goes. */
const isValue = ([name, ...rest]: readonly string[], within: Value = values): boolean => {
  if (name === undefined || !isMap(within) || Object.keys(within).length === 0) return true;
  const found = within[name.replace(/\[\d+\]$/, '')];
  return found !== undefined && isValue(rest, found);
};

test('the chart has the values that --set sets', () =>
  check(5, inCode(/--set(?:-string|-json)?[ =]'?([\w.[\]]+)=/g), (path) =>
    isValue(path.split('.')) ? undefined : `--set ${path}: the chart has no such value`,
  ));

const pathsIn = (value: Value, path: readonly string[] = []): readonly (readonly string[])[] =>
  isMap(value) ? Object.entries(value).flatMap(([key, inner]) => pathsIn(inner, [...path, key])) : [path];

const yamlOf = (page: Page): readonly string[] =>
  blocksOf(page)
    .filter(({ language }) => language === 'yaml')
    .map(({ text }) => text);

test('YAML is YAML', () =>
  check(10, yamlOf, (text) => {
    const documents = parseAllDocuments(text, { merge: true });
    const [error] = (Array.isArray(documents) ? documents : []).flatMap(({ errors }) => errors);
    return error && `${error.message}\n${text}`;
  }));

const lint = (text: string): string | undefined => {
  const errors = findingsIn(readManifests('page', text).manifests).filter(
    ({ severity }) => severity === 'error',
  );
  return errors.length === 0
    ? undefined
    : errors.map(({ field, message }) => `${field}: ${message}`).join('\n');
};

test('each SchemaChange passes lint', () =>
  check(2, (page) => yamlOf(page).filter((text) => /^kind: SchemaChange$/m.test(text)), lint));

const example = parse(read('examples/customers-full-name.yaml')) as { spec: Record<string, Value> };

/** The only document of a block if it is a map, with what it has at its top. */
const fragmentsOf = (page: Page, isPart: (name: string) => boolean): readonly Record<string, Value>[] =>
  yamlOf(page)
    .filter((text) => !/^---$/m.test(text))
    .map((text) => parse(text) as Value)
    .filter(isMap)
    .filter((fragment) => Object.keys(fragment).every(isPart));

interface Described {
  readonly properties?: Readonly<Record<string, Described>>;
  readonly additionalProperties?: Described;
  readonly items?: Described;
}

const { properties: parts = {} } = (
  parse(read('crds/schemachanges.segue.dev.yaml')) as {
    readonly spec: {
      readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Described } }];
    };
  }
).spec.versions[0].schema.openAPIV3Schema;

const isField = (names: readonly string[], node: Described | undefined): boolean => {
  const [name, ...rest] = names;
  if (node === undefined || name === undefined || node.additionalProperties) return node !== undefined;
  return isField(rest, (node.items ?? node).properties?.[name]);
};

// Of other kinds.
const foreignFields = ['spec.template.metadata.labels', 'status.parents'];

test('fields that are named are in the CRD', () =>
  check(
    30,
    // Whole, so that a workload's own `spec` is not meant, nor a path of jq or Lua.
    (page) => codeOf(page).flatMap((code) => /^(?:spec|status)\.[\w.[\]]+$/.exec(code)?.[0] ?? []),
    (path) =>
      foreignFields.includes(path) ||
      isField(path.replaceAll(/\[[^\]]*\]/g, '').split('.'), { properties: parts })
        ? undefined
        : `the CRD has no field ${path}`,
  ));

test('each part of a spec fits into one', () =>
  check(
    3,
    (page) => fragmentsOf(page, (name) => isField([name], parts['spec'])),
    (fragment) => lint(JSON.stringify({ ...example, spec: { ...example.spec, ...fragment } })),
  ));

test('the chart has the values that files of values set', () =>
  check(
    2,
    (page) => fragmentsOf(page, (name) => isMap(values) && name in values),
    (fragment) => {
      const unknown = pathsIn(fragment).find((path) => !isValue(path));
      return unknown && `${unknown.join('.')}: the chart has no such value`;
    },
  ));

test('the index has every page, and each once', () => {
  const index = pages.find(({ path }) => path === 'docs/README.md');
  const entries = linksOf(index ?? { path: '', text: '' })
    .filter((link) => link.endsWith('.md') && !link.startsWith('..'))
    .map((link) => `docs/${link}`);
  const others = pages
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
  expect(entries.toSorted()).toEqual(others.toSorted());
});
