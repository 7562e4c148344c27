import { describe, expect, test } from '@jest/globals';
import { parseOptions } from '../../../bench/options.ts';

describe('options of the benchmarks', () => {
  test('by default everything is measured, the smallest table first', () => {
    expect(parseOptions([])).toMatchObject({
      suites: ['backfill', 'trigger', 'verify', 'traffic', 'memory', 'operator'],
      rows: [100_000, 1_000_000, 10_000_000],
      minutes: 20,
      rounds: 3,
    });
    expect(parseOptions(['--rows=2000,1000']).rows).toEqual([1_000, 2_000]);
    expect(parseOptions(['--minutes=0']).minutes).toBe(Infinity);
  });

  test('suites can be chosen', () => {
    expect(parseOptions(['--suite=traffic, backfill']).suites).toEqual(['backfill', 'traffic']);
  });

  test.each([
    ['--suite=nothing'],
    ['--rows=1'],
    ['--rows=many'],
    ['--rounds=0'],
    ['--minutes=-1'],
    ['--unknown'],
  ])('refuses %s', (argument) => {
    expect(() => parseOptions([argument])).toThrow();
  });
});
