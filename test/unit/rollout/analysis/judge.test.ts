import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  count,
  judge,
  standingOf,
  type Counts,
  type Measured,
} from '../../../../src/rollout/analysis/judge.ts';
import { faultOf } from '../../../../src/rollout/analysis/condition.ts';
import { metricsOf, type Metric } from '../../../../src/rollout/analysis/metric.ts';
import { blueGreen } from '../shop.ts';

const metric = (given: Partial<Metric>): Metric => ({
  name: 'errors',
  id: 'id',
  source: { kind: 'sql', query: 'SELECT 1' },
  when: 'Always',
  intervalMs: 1_000,
  timeoutMs: 1_000,
  failureLimit: 0,
  inconclusiveLimit: 0,
  consecutiveErrorLimit: 4,
  ...given,
});

const value = (given: unknown): Measured => ({ kind: 'value', value: given });

describe('one measurement', () => {
  const success = 'result < 0.01';
  const failure = 'result > 0.05';
  test.each([
    ['good', { success }, 0.001, 'success'],
    ['not good', { success }, 0.02, 'failure'],
    ['a whole number where a fraction is asked for', { success: 'result < 1' }, 0, 'success'],
    ['equal to a whole number', { success: 'result == 200' }, 200, 'success'],
    ['bad', { failure }, 0.06, 'failure'],
    ['not bad', { failure }, 0.02, 'success'],
    ['between the two', { success, failure }, 0.02, 'inconclusive'],
    ['both at once counts as bad', { success: 'result > 0', failure: 'result > 0' }, 1, 'failure'],
    ['NaN, where only success is defined', { success }, Number.NaN, 'inconclusive'],
    ['NaN, where only failure is defined', { failure }, Number.NaN, 'inconclusive'],
    ['NaN that is wanted', { success: 'isNaN(result) || result < 1' }, Number.NaN, 'success'],
    ['NaN that is not', { failure: 'isNaN(result)' }, Number.NaN, 'failure'],
    ['no series', { success }, [], 'inconclusive'],
    ['no series, where only failure is defined', { failure }, [], 'inconclusive'],
    ['no series, which is good', { success: 'size(result) == 0 || result < 1' }, [], 'success'],
    [
      'a number where no series would be good as well',
      { success: 'size(result) == 0 || result < 1' },
      0.5,
      'success',
    ],
    ['several series, all good', { success: 'result.all(r, r < 1)' }, [0.1, 0.2], 'success'],
    ['several series where one is meant', { success }, [0.1, 0.2], 'error'],
    ['infinity', { success: '!isInf(result) && result < 1' }, Number.POSITIVE_INFINITY, 'failure'],
    ['a text', { success: 'result == "ok"' }, 'ok', 'success'],
    ['a text where a number is meant', { success }, 'many', 'error'],
    ['nothing known where a number is meant', { success }, null, 'error'],
    ['a member that is not there', { success: 'result.errors < 1' }, { warnings: 1 }, 'error'],
    ['an object', { success: 'result.errors < 1' }, { errors: 0 }, 'success'],
  ] as const)('%s', (_, conditions, given, mark) => {
    expect(judge(metric(conditions), value(given))).toMatchObject({ mark });
  });

  test('no answer is an error, whatever the conditions', () => {
    expect(judge(metric({ success: 'true' }), { kind: 'error', message: 'silent' })).toEqual({
      mark: 'error',
      why: 'silent',
    });
  });

  test('a value that may be of a row is never shown', () => {
    for (const given of ['alice@example.org', { mail: 'alice@example.org' }, ['alice@example.org', 'b']])
      for (const conditions of [
        { success: 'result == 1' },
        { success: 'result < 1' },
        { failure: 'result.x == 1' },
      ])
        expect(JSON.stringify(judge(metric(conditions), value(given)))).not.toContain('alice');
  });
});

describe('an expression that is none is refused, with the place and the cause', () => {
  test.each([
    ['result <', /Unexpected token: EOF at character 9/],
    ['results < 1', /Unknown variable: results at character 1/],
    ['result < 1 && foo(result)', /foo.* at character 15/],
    ['1 + 1', /type int/],
    ['result.matches("(a+)+$")', /matches\(\) is not offered/],
    ['x'.repeat(10), /Unknown variable/],
  ])('%s', (expression, says) => {
    expect(faultOf(expression)).toMatch(says);
  });
  test.each(['result < 0.01', 'result[0] < 1', 'isNaN(result) || size(result) == 0', 'result'])(
    '%s is one',
    (expression) => {
      expect(faultOf(expression)).toBeUndefined();
    },
  );
});

test('entries without a name are called by kind and place; a probe is judged by its status', () => {
  const common = {
    interval: '10s',
    timeout: '5s',
    failureLimit: 0,
    inconclusiveLimit: 0,
    consecutiveErrorLimit: 4,
  };
  const found = metricsOf({
    ...blueGreen,
    analysis: [
      { ...common, prometheus: { address: 'http://p', query: 'up' }, successCondition: 'result == 1' },
      { ...common, http: { url: 'http://shop', method: 'GET' } },
      { ...common, http: { url: 'http://shop', method: 'GET', expectedStatus: 204 }, name: 'health' },
    ],
  });
  expect(found.map(({ name, success, when }) => [name, success, when])).toEqual([
    ['prometheus-1', 'result == 1', 'AfterSwitch'],
    ['http-2', 'result >= 200 && result < 300', 'Always'],
    ['health', 'result == 204', 'Always'],
  ]);
});

describe('all of a step', () => {
  const outcomes = fc.array(fc.constantFrom('good', 'bad', 'nothing', 'silent'), { maxLength: 30 });
  const measured = {
    good: value(0),
    bad: value(1),
    nothing: value(Number.NaN),
    silent: { kind: 'error', message: 'silent' },
  } as const;
  const limits = fc.record({
    failureLimit: fc.nat(3),
    inconclusiveLimit: fc.nat(3),
    consecutiveErrorLimit: fc.nat(4),
  });

  test('limits hold, and only results make a success', () => {
    fc.assert(
      fc.property(
        outcomes,
        limits,
        fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
        fc.boolean(),
        (given, bounds, wanted, isOver) => {
          const asked = metric({
            success: 'result < 0.5',
            ...bounds,
            ...(wanted === undefined ? {} : { count: wanted }),
          });
          const counts = given.reduce<Counts | undefined>(
            (before, outcome, at) => count(asked, before, { measured: measured[outcome], at }),
            undefined,
          );
          const number = (kind: string) => given.filter((one) => one === kind).length;
          const inARow = given.length - 1 - given.findLastIndex((one) => one !== 'silent');
          const standing = standingOf(asked, counts, isOver);
          if (number('bad') > bounds.failureLimit) return expect(standing).toBe('Failed');
          if (inARow > bounds.consecutiveErrorLimit) return expect(standing).toBe('Error');
          if (number('nothing') > bounds.inconclusiveLimit) return expect(standing).toBe('Inconclusive');
          const judged = given.length - number('silent');
          const isEnough = wanted === undefined ? isOver && judged > 0 : judged >= wanted;
          expect(standing).toBe(isEnough && given.at(-1) === 'good' ? 'Successful' : 'Running');
        },
      ),
    );
  });

  test('counts that have been written down and read again go on as if nothing had been', () => {
    fc.assert(
      fc.property(outcomes, fc.nat(30), (given, crash) => {
        const asked = metric({ success: 'result < 0.5', failure: 'result > 0.5' });
        const run = (crashed: boolean) =>
          given.reduce<Counts | undefined>((before, outcome, at) => {
            const read =
              crashed && at === crash && before !== undefined
                ? (JSON.parse(JSON.stringify(before)) as Counts)
                : before;
            return count(asked, read, { measured: measured[outcome], at });
          }, undefined);
        expect(run(true)).toEqual(run(false));
      }),
    );
  });
});
