import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { interleaved, speedRatio, type Contender } from '../../../bench/rounds.ts';
import type { BenchDatabase, BenchServer } from '../../../bench/server.ts';

const nowhere = {} as BenchDatabase;
const server: Pick<BenchServer, 'copy'> = { copy: (_, use) => use(nowhere) };

const asked: string[] = [];
const contender = (name: string, perSecond: number | Error, once = false): Contender => ({
  name,
  template: 'any',
  once,
  measure: async () => {
    asked.push(name);
    if (perSecond instanceof Error) throw perSecond;
    return { perSecond, cpuMicros: undefined, walBytes: 0 };
  },
});

const plan = { rounds: 3, until: Infinity, title: 'fill' };

beforeEach(() => {
  asked.length = 0;
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => {
  jest.restoreAllMocks();
});

describe('rounds of the benchmarks', () => {
  test('every other round goes backwards; who is slow is asked once', async () => {
    await interleaved(server, [contender('a', 1), contender('b', 2), contender('slow', 3, true)], plan);
    expect(asked).toEqual(['a', 'b', 'slow', 'b', 'a', 'a', 'b']);
  });

  test('who fails is named and not asked again, the others go on', async () => {
    const all = [contender('a', 6), contender('broken', new Error('no disk')), contender('b', 2)];
    const rounds = await interleaved(server, all, plan);
    expect(rounds.failures).toEqual(['fill broken, round 1: no disk']);
    expect(asked.filter((name) => name === 'broken')).toHaveLength(1);
    expect(speedRatio(rounds, 'a', 'b')).toBe(3);
    expect(speedRatio(rounds, 'a', 'broken')).toBeUndefined();
  });

  test('when time is up there is one round', async () => {
    await interleaved(server, [contender('a', 1)], { ...plan, until: performance.now() });
    expect(asked).toEqual(['a']);
  });
});
