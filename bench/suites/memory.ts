/** What the operator's process holds of memory while it fills a big table: it should not grow with the table. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchOperator, type Memory } from '../operator.ts';
import { atMost, type Course, type Goal } from '../report.ts';
import { median, summarise } from '../statistics.ts';
import { building, narrow } from '../tables.ts';
import type { Suite } from './suite.ts';

const sampleEveryMs = 500;
const graceMs = 5 * 60_000;
const slowestRowsPerSecond = 10_000;
const megabyte = 1e6;

interface Sample extends Memory {
  readonly seconds: number;
}

/** Samples from the resource's creation until the backfill is done and verified. */
const sampled = async (operator: BenchOperator, rows: number): Promise<readonly Sample[]> => {
  const began = performance.now();
  const limitMs = graceMs + (rows / slowestRowsPerSecond) * 1_000;
  const samples: Sample[] = [];
  for (;;) {
    const elapsedMs = performance.now() - began;
    samples.push({ seconds: elapsedMs / 1_000, ...(await operator.memory()) });
    const { done, message } = await operator.progress();
    if (done) return samples;
    if (elapsedMs > limitMs)
      throw new Error(`The backfill was not done within ${Math.round(limitMs / 1_000)} s: ${message}`);
    await sleep(sampleEveryMs);
  }
};

const residentOf = (samples: readonly Sample[]): readonly number[] =>
  samples.map(({ resident }) => resident / megabyte);

/** The median of the last quarter beside that of the second: the first holds the start. */
const growthOf = (samples: readonly Sample[]): number => {
  const quarter = (n: number): readonly number[] =>
    residentOf(
      samples.slice(Math.floor((n * samples.length) / 4), Math.ceil(((n + 1) * samples.length) / 4)),
    );
  return median(quarter(3)) / median(quarter(1));
};

const goalsOf = (rows: number, samples: readonly Sample[], peak: number): readonly Goal[] => [
  atMost(`peak resident memory (MB) at ${rows} rows`, 150, peak),
  atMost(
    'last quarter / second quarter of the run',
    1.1,
    growthOf(samples),
    'V8 collects its young generation at leisure while memory is free; a course that levels out is no leak.',
  ),
];

export const memory: Suite = async (server, { rows: sizes }) => {
  const rows = Math.max(...sizes);
  const template = await server.template(building(narrow, rows));
  await using operator = await BenchOperator.start();
  const samples = await server.copy(template, async ({ uri }) => {
    await operator.apply(uri);
    return sampled(operator, rows);
  });
  await server.drop(template);
  const peak = (samples.at(-1)?.peak ?? Number.NaN) / megabyte;
  const seconds = samples.at(-1)?.seconds ?? Number.NaN;
  const course: Course = {
    name: 'resident memory of the operator',
    unit: 'MB',
    samples: samples.map((sample) => ({ seconds: sample.seconds, value: sample.resident / megabyte })),
  };
  return {
    measurements: [
      { name: 'peak resident memory', unit: 'MB', ...summarise([peak]) },
      { name: 'resident memory over time', unit: 'MB', ...summarise(residentOf(samples)) },
      { name: 'from applied to filled and verified', unit: 's', ...summarise([seconds]) },
    ],
    goals: goalsOf(rows, samples, peak),
    courses: [course],
    failures: [],
    notes: [
      `${rows} rows of the narrow table, once. The operator’s bundled program under Node ${process.version}, ${operator.memoryLimit}, against a real API server, from the SchemaChange’s creation until the backfill is done and verified; VmHWM and VmRSS of its process every ${sampleEveryMs} ms.`,
    ],
  };
};
