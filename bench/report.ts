/** What a run of the benchmarks leaves behind: `build/bench.json`, and a table for the terminal. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MachineFacts } from './machine.ts';
import type { SuiteName } from './options.ts';
import type { Summary } from './statistics.ts';

/** One thing that was measured, in every round. */
export interface Measurement extends Summary {
  /** What was done, such as "backfill narrow 100000 segue-1". */
  readonly name: string;
  /** Such as "rows/s". */
  readonly unit: string;
}

/** A goal of the project beside what was found. A missed goal is no failure of the run: it is to be explained. */
export interface Goal {
  readonly name: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly found: number;
  readonly met: boolean;
}

export interface SuiteReport {
  readonly suite: SuiteName;
  readonly seconds: number;
  /** Share of all processors that others kept busy before the suite began, 0 to 1. */
  readonly busyBefore: number;
  readonly measurements: readonly Measurement[];
  readonly goals: readonly Goal[];
  /** What was left out, and how the figures are to be read. */
  readonly notes: readonly string[];
}

/** `build/bench.json`. */
export interface BenchReport {
  readonly startedAt: string;
  readonly rounds: number;
  readonly rows: readonly number[];
  readonly rate: number;
  readonly machine: MachineFacts;
  readonly server: { readonly version: string; readonly settings: Readonly<Record<string, string>> };
  readonly suites: readonly SuiteReport[];
}

/** A goal of at least so much. */
export const atLeast = (name: string, bound: number, found: number): Goal => ({
  name,
  atLeast: bound,
  found,
  met: found >= bound,
});

/** A goal of at most so much. */
export const atMost = (name: string, bound: number, found: number): Goal => ({
  name,
  atMost: bound,
  found,
  met: found <= bound,
});

const figure = (value: number): string => {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return Math.abs(value) >= 20 ? value.toFixed(0) : value.toFixed(3);
};

const table = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(
    (row) =>
      `  ${row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd()}`,
  );
};

const bound = ({ atLeast: least, atMost: most }: Goal): string =>
  least === undefined ? `<= ${most}` : `>= ${least}`;

/** A suite in words, for the terminal. */
export const suiteLines = (report: SuiteReport): readonly string[] => [
  '',
  `${report.suite} (${Math.round(report.seconds)} s; others kept ${Math.round(100 * report.busyBefore)} % of the processors busy before it)`,
  ...table([
    ['', 'median', 'min', 'max', 'spread', ''],
    ...report.measurements.map(({ name, unit, median, min, max, spread }) => [
      name,
      figure(median),
      figure(min),
      figure(max),
      `${Math.round(100 * spread)} %`,
      unit,
    ]),
  ]),
  '',
  ...table(
    report.goals.map((goal) => [
      goal.name,
      figure(goal.found),
      `goal ${bound(goal)}`,
      goal.met ? 'met' : 'MISSED',
    ]),
  ),
  ...report.notes.map((note) => `  ${note}`),
];

export const writeReport = async (file: string, report: BenchReport): Promise<void> => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
};
