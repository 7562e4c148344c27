/** The curves of a backfill, with their words for who does not see them. */
import { el, type Element } from './tree.ts';
import { pointsOf, type Sample } from './trend.ts';
import { count, span } from './words.ts';

const width = 240;
const height = 48;

interface Curve {
  readonly title: string;
  readonly valueOf: (sample: Sample) => number;
  readonly format: (value: number) => string;
  /** Value at the upper edge; default the greatest. */
  readonly top?: number;
}

const curveOf = (samples: readonly Sample[], { title, valueOf, format, top }: Curve): Element => {
  const values = samples.map(valueOf);
  const [now = 0, greatest, least] = [values.at(-1), Math.max(...values), Math.min(...values)];
  const points = pointsOf(samples, valueOf, { width, height, top: top ?? greatest });
  const time = span((samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0));
  return el(
    'figure',
    {},
    el('figcaption', {}, `${title}, last ${time}`, el('strong', {}, format(now))),
    el(
      'svg',
      {
        viewBox: `0 -2 ${width} ${height + 4}`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': `${title} over the last ${time}: now ${format(now)}, between ${format(least)} and ${format(greatest)}`,
      },
      el('polygon', { points: `0,${height} ${points} ${width},${height}` }),
      el('polyline', { points, 'vector-effect': 'non-scaling-stroke' }),
    ),
  );
};

/** Rate and progress over time; nothing before there are two moments to join. */
export const curves = (samples: readonly Sample[]): Element | undefined =>
  samples.length < 2
    ? undefined
    : el(
        'div',
        { class: 'curves' },
        curveOf(samples, {
          title: 'Rows per second',
          valueOf: ({ rate }) => rate,
          format: count,
        }),
        curveOf(samples, {
          title: 'Progress',
          valueOf: ({ percent }) => percent,
          format: (value) => `${count(value)} %`,
          top: 100,
        }),
      );
