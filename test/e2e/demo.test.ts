/**
 * The main job, as a newcomer runs it, and harder: on a real cluster, under load, walked back from every phase
 * before Drop and applied anew each time, then to its end, with the operator killed (kill -9) on the ways back and
 * once in every phase.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';

const project = path.join(import.meta.dirname, '..', '..');
const reportFile = path.join(project, 'build', 'demo-report.json');
// Covers the first build of the programs.
const limitMs = 60 * 60_000;

interface DemoReport {
  readonly requests: number;
  readonly failedRequests: number;
  readonly rows: number;
  readonly mismatches: number;
  readonly phases: readonly { readonly phase: string; readonly seconds: number }[];
  readonly p99Ms: { readonly before: number; readonly during: number };
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly found: string }[];
  readonly walkBacks: readonly { readonly from: string; readonly seconds: number }[];
}

const beforeDrop = ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine'] as const;

describe('the demo with walk-backs and the operator killed in every phase', () => {
  let exitCode: unknown;
  let report: DemoReport;
  beforeAll(async () => {
    await rm(reportFile, { force: true });
    const flags = ['--kill-operator', `--rollback=${beforeDrop.join(',')}`];
    const demo = spawn(process.execPath, [path.join(project, 'demo', 'run.ts'), ...flags], {
      cwd: project,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    [exitCode] = await once(demo, 'exit');
    report = JSON.parse(await readFile(reportFile, 'utf8')) as DemoReport;
  }, limitMs);

  test('ends well', () => {
    expect(exitCode).toBe(0);
  });

  test('loses no request of at least 5,000', () => {
    expect(report.failedRequests).toBe(0);
    expect(report.requests).toBeGreaterThanOrEqual(5_000);
  });

  test('loses no row of at least 200,000', () => {
    expect(report.mismatches).toBe(0);
    expect(report.rows).toBeGreaterThanOrEqual(200_000);
  });

  test.each(beforeDrop)('walked back from %s, leaves schema, Deployment and Service as before', (phase) => {
    expect(report.walkBacks.map(({ from }) => from)).toContain(phase);
    const checks = report.checks.filter(({ name }) => name.startsWith(`walked back from ${phase}:`));
    expect(checks.length).toBeGreaterThan(5);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('goes through all six phases', () => {
    const named = report.phases.map(({ phase }) => phase);
    for (const phase of ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'])
      expect(named).toContain(phase);
  });
});
