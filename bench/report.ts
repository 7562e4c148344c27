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
  /** Absent where it could not be measured. */
  readonly found?: number;
  readonly met: boolean;
  /** What is known to limit it, for the reader of a missed goal. */
  readonly limit?: string;
}

/** A figure over time. */
export interface Course {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly { readonly seconds: number; readonly value: number }[];
}

export interface SuiteReport {
  readonly suite: SuiteName;
  readonly seconds: number;
  /** Share of all processors that others kept busy before the suite began, 0 to 1. */
  readonly busyBefore: number;
  readonly measurements: readonly Measurement[];
  readonly goals: readonly Goal[];
  readonly courses?: readonly Course[];
  /** What could not be measured, by name, and why. */
  readonly failures: readonly string[];
  /** What was left out, and how the figures are to be read. */
  readonly notes: readonly string[];
}

/** `build/bench.json`. */
export interface BenchReport {
  readonly startedAt: string;
  readonly rounds: number;
  /** Absent without a bound. */
  readonly minutes?: number;
  readonly rows: readonly number[];
  readonly rate: number;
  readonly machine: MachineFacts;
  readonly server: { readonly version: string; readonly settings: Readonly<Record<string, string>> };
  readonly suites: readonly SuiteReport[];
}

const judged = (
  bounds: Pick<Goal, 'name' | 'atLeast' | 'atMost'>,
  found: number | undefined,
  limit: string | undefined,
): Goal => ({
  ...bounds,
  ...(found === undefined ? {} : { found }),
  met: found !== undefined && found >= (bounds.atLeast ?? -Infinity) && found <= (bounds.atMost ?? Infinity),
  ...(limit === undefined ? {} : { limit }),
});

/** A goal of at least so much. `limit` says what is known to limit it. */
export const atLeast = (name: string, bound: number, found: number | undefined, limit?: string): Goal =>
  judged({ name, atLeast: bound }, found, limit);

/** A goal of at most so much. `limit` says what is known to limit it. */
export const atMost = (name: string, bound: number, found: number | undefined, limit?: string): Goal =>
  judged({ name, atMost: bound }, found, limit);

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

/** What limits the goals that were missed, each thing once. */
const limitsOf = (goals: readonly Goal[]): readonly string[] => {
  const missed = goals.filter(({ met, found }) => !met && found !== undefined);
  return [...Map.groupBy(missed, ({ limit }) => limit)].flatMap(([limit, group]) =>
    limit === undefined ? [] : [`  Missed ${group.map(({ name }) => `"${name}"`).join(', ')}: ${limit}`],
  );
};

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
      goal.found === undefined ? 'not measured' : figure(goal.found),
      `goal ${bound(goal)}`,
      goal.met ? 'met' : 'MISSED',
    ]),
  ),
  ...limitsOf(report.goals),
  ...report.failures.map((failure) => `  FAILED ${failure}`),
  ...report.notes.map((note) => `  ${note}`),
];

export const writeReport = async (file: string, report: BenchReport): Promise<void> => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
};
