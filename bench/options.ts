import { parseArgs } from 'node:util';

/** The suites in the order in which they run. */
const suiteNames = ['backfill', 'trigger', 'verify', 'traffic', 'memory', 'operator'] as const;

/** What can be measured by itself. */
export type SuiteName = (typeof suiteNames)[number];

export interface Options {
  readonly suites: readonly SuiteName[];
  /** Sizes of the tables of the suites `backfill` and `verify`, ascending; `memory` takes the biggest. */
  readonly rows: readonly number[];
  /** How often everything is measured at most; medians are of so many. */
  readonly rounds: number;
  /** About how long the run may take; Infinity for as long as it wants. */
  readonly minutes: number;
  /** Statements per second of the suite `traffic`. */
  readonly rate: number;
  /** Where the figures go. */
  readonly output: string;
  readonly help: boolean;
}

export const usage = `node bench/run.ts [options]
  --suite A,B    of ${suiteNames.join(', ')}; default all (make bench SUITE=…)
  --rows N,M     table sizes of backfill and verify, default 100000,1000000,10000000; memory takes
                 the biggest (make bench BENCH_ROWS=…)
  --rounds N     measure everything so often at most, default 3 (make bench BENCH_ROUNDS=…)
  --minutes N    begin no round, and leave out what is not essential, where the run would take longer;
                 default 20, 0 for no bound (make bench BENCH_MINUTES=…)
  --rate N       statements per second of traffic, default 300 (make bench BENCH_RATE=…)
  --output FILE  default build/bench.json`;

const wholeNumber = (name: string, text: string, [min, max]: readonly [number, number]): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}, not "${text}"\n${usage}`);
};

const suiteOf = (text: string): SuiteName => {
  const found = suiteNames.find((name) => name === text);
  if (found) return found;
  throw new Error(`--suite must be of ${suiteNames.join(', ')}, not "${text}"\n${usage}`);
};

const listed = (text: string): readonly string[] => text.split(',').map((item) => item.trim());

/** @throws with the usage, for an option that is unknown or out of range */
export const parseOptions = (args: readonly string[]): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string', default: suiteNames.join(',') },
      rows: { type: 'string', default: '100000,1000000,10000000' },
      rounds: { type: 'string', default: '3' },
      minutes: { type: 'string', default: '20' },
      rate: { type: 'string', default: '300' },
      output: { type: 'string', default: 'build/bench.json' },
      help: { type: 'boolean', default: false },
    },
  });
  const wanted = listed(values.suite).map(suiteOf);
  return {
    help: values.help,
    suites: suiteNames.filter((name) => wanted.includes(name)),
    rows: listed(values.rows)
      .map((text) => wholeNumber('rows', text, [1_000, 100_000_000]))
      .toSorted((a, b) => a - b),
    rounds: wholeNumber('rounds', values.rounds, [1, 100]),
    minutes: wholeNumber('minutes', values.minutes, [0, 1_440]) || Number.POSITIVE_INFINITY,
    rate: wholeNumber('rate', values.rate, [10, 5_000]),
    output: values.output,
  };
};
