import type { Measurement } from './report.ts';
import type { BenchDatabase, BenchServer, Sample } from './server.ts';
import { pairedRatio, summarise } from './statistics.ts';

/** Something to measure on a copy of a template. */
export interface Contender {
  readonly name: string;
  readonly template: string;
  readonly measure: (database: BenchDatabase) => Promise<Sample>;
}

/** Every round's sample of every contender, by name. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/**
 * Samples of every contender, by name, round by round (A B C, A B C, …): what the machine does to one round it
 * does to all contenders. Every other round goes backwards, so that nobody always comes after the same one.
 */
export const interleaved = async (
  server: BenchServer,
  contenders: readonly Contender[],
  { rounds, title }: { readonly rounds: number; readonly title: string },
): Promise<Samples> => {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contender of round % 2 === 1 ? contenders : contenders.toReversed()) {
      const sample = await server.copy(contender.template, contender.measure);
      samples.get(contender.name)?.push(sample);
      console.log(
        `  ${title} ${contender.name}, round ${round} of ${rounds}: ${Math.round(sample.perSecond).toLocaleString('en-US')}`,
      );
    }
  }
  return samples;
};

const speeds = (samples: Samples, name: string): readonly number[] => {
  const found = samples.get(name);
  if (!found) throw new Error(`Nobody measured ${name}.`);
  return found.map(({ perSecond }) => perSecond);
};

/** How many times as fast one contender was as another. @throws if either was not measured */
export const speedRatio = (samples: Samples, of: string, to: string): number =>
  pairedRatio(speeds(samples, of), speeds(samples, to)).median;

/** Speed, processor time and WAL of every contender. */
export const measurementsOf = (
  samples: Samples,
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
