/** Samples of one thing, and what they come to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** (max − min) / median: how much to believe of it. */
  readonly spread: number;
  readonly samples: readonly number[];
}

/** The middle value; of an even number the mean of the middle two. @throws without values */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error('There is no median of nothing.');
  return (low + high) / 2;
};

/** @throws without values */
export const summarise = (samples: readonly number[]): Summary => {
  const middle = median(samples);
  const [min, max] = [Math.min(...samples), Math.max(...samples)];
  return { median: middle, min, max, spread: middle === 0 ? 0 : (max - min) / middle, samples };
};

/**
 * The ratio of two things that were measured in the same rounds: the median of the rounds' ratios. What slows a
 * whole round down falls on both sides of its ratio, so this is steadier than the ratio of two medians. Rounds that
 * only one of them took part in do not count. @throws if there is none with both
 */
export const pairedRatio = (of: readonly number[], to: readonly number[]): Summary =>
  summarise(
    of.flatMap((value, round) => {
      const other = to[round];
      return other === undefined ? [] : [value / other];
    }),
  );
