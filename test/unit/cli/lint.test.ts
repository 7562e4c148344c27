import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { lint } from '../../../src/cli/lint.ts';
import { findingsIn } from '../../../src/cli/lint/check.ts';
import type { Finding } from '../../../src/cli/lint/finding.ts';
import { readManifests } from '../../../src/cli/lint/manifests.ts';
import { notJudged } from '../../../src/cli/lint/report.ts';
import { say } from '../../support/terminal.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

const root = join(import.meta.dirname, '../../..');
const text = (path: string): Promise<string> => readFile(join(root, path), 'utf8');
const read = async (path: string): Promise<unknown> => parse(await text(path), { merge: true });
const base = (await read('test/fixtures/manifests/base.yaml')) as JsonObject;
const accepted = (await read('test/fixtures/manifests/accepted.yaml')) as {
  name: string;
  patch: JsonObject;
}[];
const rejected = (await read('test/fixtures/manifests/rejected.yaml')) as {
  name: string;
  patch: JsonObject;
  says: string;
}[];
const updates = (await read('test/fixtures/manifests/updates.yaml')) as { says?: string }[];
const examples = (await readdir(join(root, 'examples'))).filter((name) => name.endsWith('.yaml'));

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON merge patch, as the tests of the API server lay it over the same base. */
const merge = (target: JsonObject, patch: JsonObject): JsonObject => {
  const merged: Record<string, Json> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const old = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isObject(value) ? merge(isObject(old) ? old : {}, value) : value;
  }
  return merged;
};

const findings = (yaml: string): readonly Finding[] => findingsIn(readManifests('a.yaml', yaml).manifests);
const patched = (patch: JsonObject): readonly Finding[] => findings(stringify(merge(base, patch)));
const rules = (found: readonly Finding[]): readonly string[] => found.map(({ rule }) => rule);

describe('the verdict of the API server', () => {
  test.each(accepted)('accepted: $name', ({ patch }) => {
    expect(patched(patch).filter(({ rule }) => rule === 'schema')).toEqual([]);
  });

  test.each(rejected)('rejected: $name', ({ patch, says }) => {
    const said = patched(patch)
      .filter(({ rule, severity }) => rule === 'schema' && severity === 'error')
      .map(({ message }) => message);
    expect(said.join('\n')).toContain(says);
  });

  test('what only updates break is named as not judged', () => {
    const ofUpdates = updates.flatMap(({ says }) => (says === undefined ? [] : [says.slice(0, 40)]));
    const unjudged = notJudged().filter((line) => line.startsWith('against what stands in the cluster'));
    expect(unjudged.length).toBeGreaterThan(4);
    for (const line of unjudged) expect(ofUpdates.some((words) => line.includes(words))).toBe(true);
  });
});

test.each(examples)('examples/%s has no error', async (name) => {
  expect(findings(await text(`examples/${name}`)).filter(({ severity }) => severity === 'error')).toEqual([]);
});

const example = await text('examples/customers-full-name.yaml');
const script = await text('examples/sql.yaml');

describe('SQL', () => {
  test('an expression that is none has the line on which it stands', () => {
    const line = example.split('\n').findIndex((words) => words.includes('split_part(full_name'));
    const found = findings(example.replace("split_part(full_name, ' ', 1)\n", "split_part(full_name, ' '\n"));
    expect(found).toMatchObject([{ rule: 'invalid-expression', severity: 'error', line: line + 1 }]);
  });

  test('a statement of a script has its own line in the file', () => {
    const unsafe = script.replace(
      'CREATE TRIGGER note_customer',
      'UPDATE public.customers SET id = id;\n        CREATE TRIGGER note_customer',
    );
    const line = unsafe.split('\n').findIndex((words) => words.includes('UPDATE public.customers SET'));
    const found = findings(unsafe).filter(({ severity }) => severity === 'error');
    expect(found).toMatchObject([{ rule: 'unsafe-statement', line: line + 1 }]);
    expect(found[0]?.message).toContain('writes every row of the table in one transaction');
  });

  test('a type that would rewrite the table', () => {
    const found = patched({
      spec: {
        change: { replaceColumns: null, addColumn: { table: 'customers', name: 'n', type: 'bigserial' } },
      },
    });
    expect(found).toMatchObject([{ rule: 'unsupported' }]);
  });
});

describe('advice', () => {
  const spec = (over: JsonObject): readonly string[] => rules(patched({ spec: over }));

  test.each<[string, JsonObject]>([
    ['drop-unapproved', {}],
    ['quarantine-short', { quarantine: { duration: '59m' } }],
    ['no-workloads', { workloads: [] }],
    ['bad-rows-skipped', { backfill: { onBadRow: 'Skip' } }],
    ['dead-letters-discarded', { drop: { deadLetters: 'Discard' } }],
    ['not-verified', { verify: { mode: 'None' } }],
    ['not-verified', { verify: { mode: 'Sample' } }],
    ['lock-timeout-long', { locks: { timeout: '6s' } }],
    ['wildcards-ignored', { quarantine: { wildcards: 'Ignore' } }],
    [
      'volatile-expression',
      { change: { replaceColumns: { forward: { full_name: 'first_name || now()' } } } },
    ],
    [
      'volatile-expression',
      { change: { replaceColumns: { forward: { full_name: 'last_name || CURRENT_DATE' } } } },
    ],
    ['backward-constant', { change: { replaceColumns: { backward: { last_name: 'NULL' } } } }],
    ['forward-constant', { change: { replaceColumns: { forward: { full_name: "'x'" } } } }],
    ['type-choice', { change: { replaceColumns: { to: [{ name: 'full_name', type: 'character(20)' }] } } }],
    [
      'unsafe-allowed',
      {
        change: {
          replaceColumns: null,
          sql: { table: 't', expand: 'SELECT 1', undo: 'SELECT 1', allowUnsafe: true },
        },
      },
    ],
    ['no-way-back', { change: { replaceColumns: null, sql: { table: 't', expand: 'SELECT 1' } } }],
  ])('%s', (rule, over) => {
    expect(spec(over)).toContain(rule);
    // And not where all is as it should be.
    expect(spec({ approvals: ['Drop'] })).toEqual([]);
  });

  test('an index needs neither workloads nor approvals', () => {
    const createIndex = { table: 't', name: 'i', keys: [{ column: 'a' }] };
    expect(spec({ workloads: [], change: { replaceColumns: null, createIndex } })).toEqual([]);
  });

  test('nobody is asked for an approval of a Drop that is not wanted yet', () => {
    expect(spec({ targetPhase: 'Quarantine' })).toEqual([]);
  });
});

test('a time zone that does not exist', () => {
  const window = { from: '22:00', to: '05:00', timeZone: 'Europe/Bärlin' };
  expect(rules(patched({ spec: { approvals: ['Drop'], backfill: { window } } }))).toEqual([
    'unknown-time-zone',
  ]);
});

test('the same name twice', () => {
  expect(rules(findings(`${example}\n---\n${example}`))).toEqual(['duplicate-resource']);
});

test('a wrong version, and a name that is none', () => {
  const found = patched({ apiVersion: 'segue.dev/v1', metadata: { name: 'A_b' } });
  expect(found.map(({ field }) => field)).toEqual(['apiVersion', 'metadata.name']);
});

test('a manifest as kubectl get prints it, with its status', () => {
  expect(findings(`${example}status: { phase: Backfill }\n`)).toEqual([]);
});

test('items of a List, merge keys, and documents of other kinds', () => {
  const list = `apiVersion: v1\nkind: List\nitems:\n- &a\n  ${example.replaceAll('\n', '\n  ')}\n- { <<: *a }\n`;
  const content = readManifests('a.yaml', `${list}\n---\nkind: Secret\n`);
  expect(content).toMatchObject({ faults: [], others: ['Secret'] });
  expect(content.manifests).toHaveLength(2);
  expect(rules(findingsIn(content.manifests))).toEqual(['duplicate-resource']);
});

describe('the command', () => {
  const on = (values: Record<string, string | boolean | readonly string[]>, input: string) =>
    say(lint, { filename: ['-'], ...values }, input);
  const careless = example.replace('approvals: [Drop]', 'approvals: []');

  test('clean is 0, warnings are 0, and 1 with --strict', async () => {
    expect(await on({}, example)).toMatchObject({ code: 0, out: '1 SchemaChange: 0 errors, 0 warnings.\n' });
    expect((await on({}, careless)).code).toBe(0);
    expect((await on({ strict: true }, careless)).code).toBe(1);
    expect((await on({ strict: true, disable: ['drop-unapproved'] }, careless)).code).toBe(0);
  });

  test('an error is 1, and can’t be disabled', async () => {
    const broken = example.replace('kind: SchemaChange', 'kind: SchemaChange\nspeck: 1');
    const said = await on({ disable: ['schema'] }, broken);
    expect(said.code).toBe(1);
    expect(said.out).toContain('stdin:6: error schema (shop/customers-full-name): unknown field "speck"');
  });

  test.each([
    ['no YAML', 'a: [', 'stdin:1: this is no YAML'],
    ['a template', 'a: {{ b }}: c: d', 'render the template first'],
    ['nothing of ours', 'kind: Secret', 'There is no SchemaChange in stdin.'],
  ])('%s is 2', async (_name, input, says) => {
    const said = await on({}, input);
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain(says);
  });

  test('a file that is not there, no file, and an unknown format are 2', async () => {
    expect(await say(lint, { filename: ['/nowhere.yaml'] })).toMatchObject({ code: 2 });
    expect(await say(lint, {})).toMatchObject({ code: 2 });
    expect(await on({ output: 'xml' }, example)).toMatchObject({ code: 2 });
  });

  test('JSON for programs', async () => {
    const { out } = await on({ output: 'json' }, careless);
    expect(JSON.parse(out)).toMatchObject({
      resources: 1,
      errors: 0,
      warnings: 1,
      findings: [{ rule: 'drop-unapproved', severity: 'warning', field: 'spec.approvals', file: 'stdin' }],
    });
  });

  test('annotations for GitHub, in one line each', async () => {
    const { out } = await on({ output: 'github' }, careless);
    expect(out).toMatch(
      /^::warning file=stdin,line=\d+,title=drop-unapproved::Drop begins .*%0AWrite approvals: \[Drop\].*\n$/,
    );
  });
});
