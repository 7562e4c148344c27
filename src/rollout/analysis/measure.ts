/** Takes the measurements of a step and makes the note that is written with them. */
import { count } from './judge.ts';
import type { Meter } from './meter.ts';
import type { Metric } from './metric.ts';
import type { AnalysisNote } from './note.ts';

/** What a step measures; the metrics themselves are in the resource, for their headers may be nobody else's business. */
export interface Measuring {
  readonly note: AnalysisNote;
  /** Ids of the metrics that are due. */
  readonly due: readonly string[];
  /** When that was decided, in ms since the epoch. */
  readonly at: number;
}

/** The note with one more measurement of each metric that is due; all are taken at once. */
export const measure = async (
  meter: Meter,
  metrics: readonly Metric[],
  { note, due, at }: Measuring,
): Promise<AnalysisNote> => {
  const taken = await Promise.all(
    metrics
      .filter(({ id }) => due.includes(id))
      .map(async (metric) => {
        const measured = await meter.measure(metric.source, metric.timeoutMs);
        return [metric.name, count(metric, note.counts[metric.name], { measured, at })] as const;
      }),
  );
  return { ...note, counts: { ...note.counts, ...Object.fromEntries(taken) } };
};
