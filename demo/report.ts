import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { phases, type Phase } from '../src/api/phase.ts';
import type { SchemaChange } from '../src/api/schema-change.ts';
import type { Check } from './checks.ts';
import type { PhaseTime } from './follow-change.ts';
import type { LoadReport } from './load/report.ts';
import type { Kill } from './operator-killer.ts';
import type { WalkBack } from './walk-back.ts';

/** `build/demo-report.json`. The members up to `p99Ms` are fixed: others measure by them. */
export interface DemoReport {
  readonly requests: number;
  readonly failedRequests: number;
  readonly rows: number;
  readonly mismatches: number;
  readonly phases: readonly { readonly phase: Phase; readonly seconds: number }[];
  readonly p99Ms: LoadReport['p99Ms'];
  readonly passed: boolean;
  readonly checks: readonly Check[];
  readonly operatorKills: readonly Kill[];
  /** From which phases the change was walked back before, and how long the way back took. */
  readonly walkBacks: readonly { readonly from: Phase; readonly seconds: number }[];
  readonly load: Omit<LoadReport, 'requests' | 'failedRequests' | 'p99Ms' | 'comparison'>;
}

/** As it was seen from outside; a phase too short to be seen is taken from the resource's history. */
function secondsIn(phase: Phase, seen: readonly PhaseTime[], change: SchemaChange): number {
  const times = seen.filter((time) => time.phase === phase);
  if (times.length > 0) return times.reduce((sum, time) => sum + time.seconds, 0);
  const entry = change.status?.history?.find((each) => each.phase === phase);
  if (entry?.completedAt === undefined) return 0;
  return (Date.parse(entry.completedAt) - Date.parse(entry.startedAt)) / 1000;
}

export interface Outcome {
  readonly load: LoadReport;
  readonly change: SchemaChange;
  readonly phases: readonly PhaseTime[];
  readonly checks: readonly Check[];
  readonly kills: readonly Kill[];
  readonly walkedBack: readonly WalkBack[];
}

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms * 10) / 10);

export function demoReport({ load, change, phases: seen, checks, kills, walkedBack }: Outcome): DemoReport {
  const { requests, failedRequests, p99Ms, comparison, ...rest } = load;
  return {
    requests,
    failedRequests,
    rows: comparison?.rows ?? 0,
    mismatches: comparison?.mismatches ?? 0,
    phases: phases.map((phase) => ({ phase, seconds: secondsIn(phase, seen, change) })),
    p99Ms: { before: rounded(p99Ms.before), during: rounded(p99Ms.during) },
    passed: checks.every((check) => check.ok),
    checks,
    operatorKills: kills,
    walkBacks: walkedBack.map(({ from, seconds }) => ({ from, seconds })),
    load: rest,
  };
}

export async function writeReport(path: string, report: DemoReport): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(report, undefined, 2)}\n`);
}

const milliseconds = (value: number | null): string => (value === null ? '–' : `${Math.round(value)} ms`);

/** The report in words, for the terminal. */
export function reportLines(report: DemoReport): readonly string[] {
  const { p99Ms } = report;
  return [
    ...report.checks.map(({ ok, name, found }) => `  ${ok ? '✓' : '✗'} ${name}${ok ? '' : `: ${found}`}`),
    '',
    `  ${report.requests} requests, ${report.failedRequests} failed; ${report.rows} rows, ${report.mismatches} mismatches`,
    `  ${report.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(1)} s`).join(', ')}`,
    ...report.walkBacks.map(({ from, seconds }) => `  walked back from ${from} in ${seconds.toFixed(1)} s`),
    `  99 of 100 requests took at most ${milliseconds(p99Ms.before)} before, ${milliseconds(p99Ms.during)} during the change`,
    ...report.load.failures.slice(0, 10).map((failure) => `  ✗ ${JSON.stringify(failure)}`),
    ...report.load.staleSamples.slice(0, 10).map((answer) => `  ✗ ${JSON.stringify(answer)}`),
  ];
}
