import type { Measurement } from './report.ts';
import type { BenchDatabase, BenchServer, Sample } from './server.ts';
import { pairedRatio, summarise } from './statistics.ts';

/** Something to measure on a copy of a template. */
export interface Contender {
  readonly name: string;
  readonly template: string;
  readonly measure: (database: BenchDatabase) => Promise<Sample>;
  /** True for one that is far slower than all others: the first round has to do. */
  readonly once?: boolean;
}

/** What all rounds came to. */
export interface Rounds {
  /** Each contender's samples by name, one a round. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Contenders that failed, and what they said. One that fails is not asked again. */
  readonly failures: readonly string[];
}

export interface RoundsPlan {
  readonly rounds: number;
  /** On the clock of `performance.now`: no round but the first begins if it would end later. */
  readonly until: number;
  readonly title: string;
}

/**
 * Samples of every contender, by name, round by round (A B C, C B A, …): what the machine does to one round it
 * does to all contenders. Every other round goes backwards, so that nobody always comes after the same one.
 */
export const interleaved = async (
  server: Pick<BenchServer, 'copy'>,
  contenders: readonly Contender[],
  { rounds, until, title }: RoundsPlan,
): Promise<Rounds> => {
  const samples = new Map<string, Sample[]>();
  const failures: string[] = [];
  let running = contenders;
  const measure = async (contender: Contender, round: number): Promise<void> => {
    const { name, template } = contender;
    try {
      const sample = await server.copy(template, contender.measure);
      samples.set(name, [...(samples.get(name) ?? []), sample]);
      console.log(
        `  ${title} ${name}, round ${round} of ${rounds}: ${Math.round(sample.perSecond).toLocaleString('en-US')}`,
      );
    } catch (error) {
      const failure = `${title} ${name}, round ${round}: ${error instanceof Error ? error.message : String(error)}`;
      console.log(`  FAILED ${failure}`);
      failures.push(failure);
      running = running.filter((other) => other !== contender);
    }
  };
  for (let round = 1; round <= rounds && running.length > 0; round++) {
    const began = performance.now();
    for (const contender of round % 2 === 1 ? running : running.toReversed()) await measure(contender, round);
    running = running.filter(({ once }) => once !== true);
    if (2 * performance.now() - began > until) break;
  }
  return { samples, failures };
};

const speeds = ({ samples }: Rounds, name: string): readonly number[] =>
  (samples.get(name) ?? []).map(({ perSecond }) => perSecond);

/** How many times as fast one contender was as another; undefined if either was not measured. */
export const speedRatio = (rounds: Rounds, of: string, to: string): number | undefined => {
  const [ofSpeeds, toSpeeds] = [speeds(rounds, of), speeds(rounds, to)];
  return ofSpeeds.length === 0 || toSpeeds.length === 0 ? undefined : pairedRatio(ofSpeeds, toSpeeds).median;
};

/** Speed, processor time and WAL of every contender. */
export const measurementsOf = (
  { samples }: Rounds,
  { prefix, unit }: { readonly prefix: string; readonly unit: string },
): readonly Measurement[] =>
  [...samples].flatMap(([name, all]) => {
    const cpu = all.flatMap(({ cpuMicros }) => cpuMicros ?? []);
    const named = `${prefix}${name}`;
    return [
      { name: named, unit: `${unit}s/s`, ...summarise(all.map(({ perSecond }) => perSecond)) },
      ...(cpu.length === 0 ? [] : [{ name: named, unit: `µs CPU/${unit}`, ...summarise(cpu) }]),
      { name: named, unit: `bytes WAL/${unit}`, ...summarise(all.map(({ walBytes }) => walBytes)) },
    ];
  });
