import { describe, expect, test } from '@jest/globals';
import { readArguments } from '../../../src/cli/arguments.ts';
import { helpOf, overview } from '../../../src/cli/help.ts';
import { nearest } from '../../../src/cli/nearest.ts';
import { verbs } from '../../../src/cli/verbs.ts';

const read = (line: string) => readArguments(line.split(' ').filter(Boolean), verbs);

describe('a verb', () => {
  test('is found behind options of every verb, and options may stand anywhere', () => {
    expect(read('-n shop --context other status names -w -o json')).toMatchObject({
      kind: 'run',
      verb: { name: 'status' },
      given: {
        values: { namespace: 'shop', context: 'other', watch: true, output: 'json' },
        positionals: ['names'],
      },
    });
    expect(read('--namespace=shop approve names Drop')).toMatchObject({
      verb: { name: 'approve' },
      given: { values: { namespace: 'shop' }, positionals: ['names', 'Drop'] },
    });
  });

  test.each([
    ['approve names --wait=false', false],
    ['approve names --no-wait', false],
    ['approve names --wait=true', true],
    ['approve names', true],
  ])('%s waits: %s', (line, wait) => {
    expect(read(line)).toMatchObject({ given: { values: { wait } } });
  });

  test('that is misspelt is answered with the nearest', () => {
    expect(read('aprove names')).toEqual({
      kind: 'wrong',
      message: 'There is no verb "aprove". Did you mean "approve"? See: kubectl segue --help',
    });
    expect(read('drop')).toEqual({
      kind: 'wrong',
      message: 'There is no verb "drop". See: kubectl segue --help',
    });
  });

  test('that is missing beside an option is asked for', () => {
    expect(read('-n shop')).toMatchObject({ kind: 'wrong' });
  });
});

describe('an option', () => {
  test('that is unknown is answered with the nearest', () => {
    expect(read('status --wach')).toEqual({
      kind: 'wrong',
      message: 'Unknown option --wach. Did you mean "--watch"? See: kubectl segue status --help',
    });
  });

  test('that lacks its value, or has one too many, is told so', () => {
    expect(read('status -o')).toMatchObject({ kind: 'wrong' });
    expect(read('status --watch=often')).toMatchObject({ kind: 'wrong' });
  });
});

describe('help', () => {
  test.each(['', '--help', '-h', 'help'])('"%s" lists every verb', (line) => {
    expect(read(line)).toEqual({ kind: 'help', verb: undefined });
    const text = overview(verbs);
    for (const { name, summary } of verbs)
      expect(text).toMatch(new RegExp(`^ {2}${name} +${summary.slice(0, 20)}`, 'm'));
  });

  test.each(verbs.map((verb) => [verb.name, verb] as const))(
    '%s has help that names its options',
    (name, verb) => {
      for (const line of [`${name} --help`, `${name} names -h`, `help ${name}`])
        expect(read(line)).toEqual({ kind: 'help', verb });
      const text = helpOf(verb);
      for (const option of Object.keys(verb.options)) expect(text).toContain(`--${option}`);
      expect(text).toContain(`kubectl segue ${name}`);
      expect(text.split('\n').filter((line) => line.length > 120)).toEqual([]);
      expect(verb.summary).not.toMatch(/\.$/);
    },
  );
});

test('the nearest word is one that is near', () => {
  expect(nearest('statsu', ['status', 'suspend'])).toBe('status');
  expect(nearest('xyz', ['status', 'suspend'])).toBeUndefined();
});
