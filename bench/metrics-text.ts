/** The operator's own metrics, as its /metrics prints them. */

/** The sum of all samples of a name, of those whose labels fit. */
export const total = (text: string, name: string, fits: (labels: string) => boolean = () => true): number =>
  text
    .split('\n')
    .flatMap((line) => {
      const [, found, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return found === name && fits(labels) ? [Number(value)] : [];
    })
    .reduce((sum, value) => sum + value, 0);

const bucketsOf = (text: string, name: string): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [, found, labels = '', value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    const bound = /le="([^"]+)"/.exec(labels)?.[1];
    if (found !== `${name}_bucket` || bound === undefined) continue;
    const le = bound === '+Inf' ? Infinity : Number(bound);
    counts.set(le, (counts.get(le) ?? 0) + Number(value));
  }
  return counts;
};

/** A quantile, 0 to 1, of a histogram between two scrapes, as Prometheus estimates it; undefined without samples. */
export const quantile = (before: string, after: string, name: string, share: number): number | undefined => {
  const earlier = bucketsOf(before, name);
  const buckets = [...bucketsOf(after, name)]
    .map(([le, count]) => ({ le, count: count - (earlier.get(le) ?? 0) }))
    .sort((a, b) => a.le - b.le);
  const all = buckets.at(-1)?.count ?? 0;
  if (all === 0) return undefined;
  let [low, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= share * all)
      return le === Infinity ? low : low + ((le - low) * (share * all - below)) / (count - below || 1);
    [low, below] = [le, count];
  }
  return low;
};
