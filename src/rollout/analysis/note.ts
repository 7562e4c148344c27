/**
 * What was measured in the step under way, on the user's Deployment: annotation `analysis.segue.dev/<change>`. Each
 * write of it carries a measurement, so a crash loses at most one, which is taken again. Pure.
 */
import type { KubeObject } from '../../kube/types.ts';
import type { Counts } from './judge.ts';

/** A prefix of its own, for the name alone may have 63 characters. */
export const analysisAnnotation = (change: string): string => `analysis.segue.dev/${change}`;

export interface AnalysisNote {
  /** Stands for the step that the counts are of: those of another one say nothing. */
  readonly run: string;
  /** When the step's own time is over, in ms since the epoch. */
  readonly until: number;
  /** By the metric's name. */
  readonly counts: Readonly<Record<string, Counts>>;
}

/** Undefined where there is none, and where somebody else has been at it: then it is measured again, which costs time alone. */
export const readNote = (deployment: KubeObject, change: string): AnalysisNote | undefined => {
  const text = deployment.metadata.annotations?.[analysisAnnotation(change)];
  if (text === undefined) return undefined;
  try {
    const note = JSON.parse(text) as AnalysisNote | null;
    return typeof note?.run === 'string' && Number.isFinite(note.until) && isCounts(note.counts)
      ? note
      : undefined;
  } catch {
    return undefined;
  }
};

const numbers = ['at', 'measurements', 'failures', 'inconclusive', 'errors', 'errorsInARow'] as const;

const isCounts = (counts: unknown): boolean =>
  typeof counts === 'object' &&
  counts !== null &&
  Object.values(counts as Record<string, Counts | null>).every(
    (one) => typeof one?.id === 'string' && numbers.every((member) => Number.isFinite(one[member])),
  );
