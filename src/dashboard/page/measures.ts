/** Numbers of the backfill, its verification and the quarantine. Pure. */
import type { ChangeView } from '../view.ts';
import { el, type Element } from './tree.ts';
import { count, relative } from './words.ts';

const bar = (text: string, percent: number): Element =>
  el(
    'label',
    { class: 'bar' },
    el('span', {}, text),
    el('progress', { max: 100, value: percent }),
    el('strong', {}, `${percent} %`),
  );

/** Terms with their values; those without a value are left out. */
const numbers = (...pairs: readonly (readonly [term: string, value: string | undefined])[]): Element =>
  el(
    'dl',
    {},
    ...pairs.flatMap(([term, value]) =>
      value === undefined || value === '' ? [] : [el('div', {}, el('dt', {}, term), el('dd', {}, value))],
    ),
  );

const rows = (done: number, total: number | undefined): string =>
  total === undefined ? count(done) : `${count(done)} of about ${count(total)}`;

const backfill = ({ backfill, phase, name }: ChangeView, now: number): readonly Element[] => {
  if (backfill === undefined || phase !== 'Backfill') return [];
  const { rowsDone, rowsTotal, percent, rowsPerSecond, estimatedCompletion, workers, throttledBy, badRows } =
    backfill;
  return [
    bar(`Backfill of ${name}`, percent),
    numbers(
      ['Rows filled', rows(rowsDone, rowsTotal)],
      ['Rows per second', count(rowsPerSecond)],
      ['Estimated end', estimatedCompletion === undefined ? undefined : relative(estimatedCompletion, now)],
      ['Workers', count(workers)],
      ['Slowed down by', throttledBy],
      ['Bad rows', badRows === 0 ? undefined : count(badRows)],
    ),
  ];
};

const verification = ({ verification, phase, name }: ChangeView): readonly Element[] => {
  if (verification === undefined || phase === 'Completed' || phase === 'RolledBack') return [];
  const { percent = 100, rowsCompared, mismatches, share, repaired = 0 } = verification;
  return [
    ...(share === undefined ? [bar(`Verification of ${name}`, percent)] : []),
    numbers(
      ['Rows compared', count(rowsCompared)],
      ['Rows that differ', count(mismatches)],
      ['Share compared', share === undefined ? undefined : `${count(share)} %`],
      ['Rows repaired', repaired === 0 ? undefined : count(repaired)],
    ),
  ];
};

const quarantine = ({ quarantine, phase }: ChangeView, now: number): readonly Element[] => {
  if (quarantine === undefined || phase !== 'Quarantine') return [];
  const { startedAt, endsAt, hiddenAt, lastUse, blindSpots = [] } = quarantine;
  return [
    numbers(
      ['Quarantine began', relative(startedAt, now)],
      ['Quarantine over', relative(endsAt, now)],
      ['Hidden', hiddenAt === undefined ? undefined : relative(hiddenAt, now)],
      [
        'Last use',
        lastUse === undefined
          ? 'none seen'
          : `${lastUse.kind} by ${lastUse.by}, ${relative(lastUse.at, now)}`,
      ],
      ['Not seen', blindSpots.join(' ')],
    ),
  ];
};

/** What there is to measure in the phase that the change is in. */
export const measures = (view: ChangeView, now: number): readonly Element[] => [
  ...backfill(view, now),
  ...verification(view),
  ...quarantine(view, now),
];
