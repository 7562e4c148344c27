import type { BenchDatabase, BenchServer } from './server.ts';

/** Something to measure on a copy of a template; gives a figure of which more is better. */
export interface Contender {
  readonly name: string;
  readonly template: string;
  readonly measure: (database: BenchDatabase) => Promise<number>;
}

/**
 * Samples of every contender, by name, round by round (A B C, A B C, …): what the machine does to one round it
 * does to all contenders. Every other round goes backwards, so that nobody always comes after the same one.
 */
export const interleaved = async (
  server: BenchServer,
  contenders: readonly Contender[],
  { rounds, title }: { readonly rounds: number; readonly title: string },
): Promise<ReadonlyMap<string, readonly number[]>> => {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contender of round % 2 === 1 ? contenders : contenders.toReversed()) {
      const figure = await server.copy(contender.template, contender.measure);
      samples.get(contender.name)?.push(figure);
      console.log(
        `  ${title} ${contender.name}, round ${round} of ${rounds}: ${Math.round(figure).toLocaleString('en-US')}`,
      );
    }
  }
  return samples;
};

/** Seconds that something took. */
export const secondsOf = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
};
