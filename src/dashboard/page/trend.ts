/** Progress and rate over time, of what this page has seen. Pure: the time is told. */
import type { ChangeView } from '../view.ts';

export interface Sample {
  /** In ms. */
  readonly at: number;
  /** Rows a second. */
  readonly rate: number;
  /** Share that is done, 0 to 100. */
  readonly percent: number;
}

/** Ten minutes at one every two seconds. */
const mostSamples = 300;

/** Samples by change, while its backfill runs. */
export class Trends {
  readonly #samples = new Map<string, readonly Sample[]>();

  /** Takes a sample of each change whose backfill runs; forgets the others. */
  note(changes: readonly ChangeView[], at: number): void {
    const running = changes.filter(({ phase, backfill }) => phase === 'Backfill' && backfill !== undefined);
    const uids = new Set(running.map(({ uid }) => uid));
    for (const uid of this.#samples.keys()) if (!uids.has(uid)) this.#samples.delete(uid);
    for (const { uid, backfill } of running) {
      const { rowsPerSecond: rate = 0, percent = 0 } = backfill ?? {};
      this.#samples.set(uid, [...this.of(uid), { at, rate, percent }].slice(-mostSamples));
    }
  }

  /** Oldest first. */
  of(uid: string): readonly Sample[] {
    return this.#samples.get(uid) ?? [];
  }
}

/** Size of a curve in its own units; `top` is the value at its upper edge. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly top: number;
}

/** The values as `x,y x,y …` for an SVG polyline: time goes right, values go up. */
export const pointsOf = (
  samples: readonly Sample[],
  valueOf: (sample: Sample) => number,
  { width, height, top }: Frame,
): string => {
  const from = samples[0]?.at ?? 0;
  const duration = Math.max(1, (samples.at(-1)?.at ?? 0) - from);
  return samples
    .map((sample) => {
      const x = ((sample.at - from) / duration) * width;
      const y = height - (Math.min(valueOf(sample), top) / Math.max(top, 1e-9)) * height;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
};
