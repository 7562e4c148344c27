import { describe, expect, test } from '@jest/globals';
import { parseOptions } from '../../../bench/options.ts';

describe('options of the benchmarks', () => {
  test('by default everything is measured, the smallest table first', () => {
    expect(parseOptions([])).toMatchObject({
      suites: ['backfill', 'trigger', 'verify', 'traffic'],
      rows: [100_000, 1_000_000],
      rounds: 3,
    });
    expect(parseOptions(['--rows=2000,1000']).rows).toEqual([1_000, 2_000]);
  });

  test('suites can be chosen', () => {
    expect(parseOptions(['--suite=traffic, backfill']).suites).toEqual(['backfill', 'traffic']);
  });

  test.each([['--suite=nothing'], ['--rows=1'], ['--rows=many'], ['--rounds=0'], ['--unknown']])(
    'refuses %s',
    (argument) => {
      expect(() => parseOptions([argument])).toThrow();
    },
  );
});
