import { describe, expect, test } from '@jest/globals';
import { checkChange, checkKills, checkLoad } from '../../../demo/checks.ts';
import { LoadRecord, type LoadReport } from '../../../demo/load/report.ts';
import { parseOptions } from '../../../demo/options.ts';
import { changeLine, loadLine } from '../../../demo/progress-line.ts';
import { demoReport, reportLines } from '../../../demo/report.ts';
import { phases } from '../../../src/api/phase.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';

const good: LoadReport = {
  ...new LoadRecord().report({ comparison: { rows: 200_000, mismatches: 0, sampleIds: [] } }),
  requests: 6_000,
  answersByVersion: { '1': 3_000, '2': 3_000 },
};

const changeWith = (status: SchemaChangeStatus): SchemaChange =>
  ({ apiVersion: 'segue.dev/v1alpha1', kind: 'SchemaChange', metadata: {}, spec: {}, status }) as never;

const startedAt = '2026-01-01T00:00:00.000Z';
const completedAt = '2026-01-01T00:00:02.500Z';
const completed = changeWith({
  phase: 'Completed',
  history: phases.map((phase) => ({ phase, startedAt, completedAt })),
  conditions: [
    { type: 'Ready', status: 'True', reason: 'Completed', message: '', lastTransitionTime: startedAt },
  ],
});

const failing = (checks: readonly { readonly name: string; readonly ok: boolean }[]): readonly string[] =>
  checks.filter((check) => !check.ok).map((check) => check.name);

describe('checks', () => {
  test('nothing fails where all is well', () => {
    expect(failing([...checkLoad(good), ...checkChange(completed)])).toEqual([]);
  });

  test.each<[string, Partial<LoadReport>, string]>([
    ['one failed request', { failedRequests: 1 }, 'no request failed'],
    ['too few requests', { requests: 4_999 }, 'there were at least 5000 requests'],
    ['one wrong answer', { staleAnswers: 1 }, 'every answer held what was last acknowledged'],
    [
      'one row that differs',
      { comparison: { rows: 200_000, mismatches: 1, sampleIds: [7] } },
      'every row holds what was last acknowledged',
    ],
    ['a version that never served', { answersByVersion: { '2': 6_000 } }, 'both versions of the shop served'],
  ])('%s fails the demo', (_, damage, name) => {
    expect(failing(checkLoad({ ...good, ...damage }))).toEqual([name]);
  });

  test('a comparison that could not be made fails the demo and says why', () => {
    const { comparison: _, ...uncompared } = good;
    const [failed] = checkLoad({ ...uncompared, comparisonError: 'no column full_name' }).filter(
      ({ ok }) => !ok,
    );
    expect(failed).toMatchObject({ found: 'no column full_name' });
  });

  test('a change that stands in Quarantine has neither ended nor done all phases', () => {
    const change = changeWith({
      phase: 'Quarantine',
      history: [{ phase: 'AddColumn', startedAt, completedAt }],
    });
    expect(failing(checkChange(change))).toHaveLength(3);
  });

  test('a phase in which the operator was not killed fails that run', () => {
    const kills = phases.map((phase) => ({ phase, pids: [1] }));
    expect(failing(checkKills(kills))).toEqual([]);
    expect(failing(checkKills(kills.slice(1)))).toHaveLength(1);
  });
});

describe('report', () => {
  const outcome = { load: good, change: completed, phases: [], checks: [], kills: [], walkedBack: [] };

  test('has the fixed members', () => {
    expect(demoReport(outcome)).toMatchObject({
      requests: 6_000,
      failedRequests: 0,
      rows: 200_000,
      mismatches: 0,
      phases: phases.map((phase) => ({ phase, seconds: 2.5 })),
      p99Ms: { before: null, during: null },
      passed: true,
    });
  });

  test('a phase that was seen counts as long as it was seen, in all its stretches', () => {
    const seen = [
      { phase: 'Backfill', seconds: 3 },
      { phase: 'Pending', seconds: 1 },
      { phase: 'Backfill', seconds: 4 },
    ] as const;
    const { phases: times } = demoReport({ ...outcome, phases: seen });
    expect(times).toContainEqual({ phase: 'Backfill', seconds: 7 });
    expect(times).toContainEqual({ phase: 'Drop', seconds: 2.5 });
  });

  test('one failed check fails it, and its line says what was found', () => {
    const report = demoReport({
      ...outcome,
      checks: [{ name: 'no request failed', ok: false, found: '3 of 9' }],
    });
    expect(report.passed).toBe(false);
    expect(reportLines(report)).toContain('  ✗ no request failed: 3 of 9');
  });
});

describe('lines', () => {
  test('the change says phase, progress, message and who runs what', () => {
    const change = changeWith({
      phase: 'SwitchReads',
      progress: '2/3',
      message: 'waits for pods',
      rollouts: [
        { deployment: 'a', strategy: 'BlueGreen', podsByCode: { old: 2, 'new-only': 1 } },
        { deployment: 'b', strategy: 'BlueGreen', podsByCode: { old: 0, 'new-only': 3 } },
      ],
    });
    expect(changeLine(change)).toBe('SwitchReads  2/3 · waits for pods [pods: old 2, new-only 4]');
  });

  test('a resource without status is Pending', () => {
    expect(changeLine(changeWith({}))).toBe('Pending      ');
  });

  test('the load says what failed and who answered', () => {
    expect(
      loadLine({ requests: 10, failedRequests: 1, staleAnswers: 2, answersByVersion: { '2': 3, '1': 4 } }),
    ).toBe('10 requests, 1 failed, 2 wrong answers; 4/s by version 1, 3/s by version 2');
  });
});

describe('options', () => {
  test('have the defaults of `make demo`', () => {
    expect(parseOptions([])).toMatchObject({
      keep: false,
      killOperator: false,
      rows: 200_000,
      rate: 150,
      strategy: 'blueGreen',
      mode: 'manage',
    });
  });

  test.each([
    ['--rate', '0'],
    ['--rows', 'many'],
    ['--deadline-seconds', '1.5'],
    ['--strategy', 'all'],
    ['--mode', 'argo'],
    ['--nonsense'],
  ])('refuse %s %s', (...args) => {
    expect(() => parseOptions(args)).toThrow();
  });
});
