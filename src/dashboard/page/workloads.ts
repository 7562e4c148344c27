/** The application's side: pods by the code that they run. Pure. */
import { codes } from '../../api/phase.ts';
import type { ChangeView } from '../view.ts';
import { el, type Element } from './tree.ts';
import { spoken } from './words.ts';

type Rollout = ChangeView['rollouts'][number];

const row = (rollout: Rollout, columns: readonly string[]): Element => {
  const { kind = 'Deployment', deployment, strategy, weight, step = '', podsByCode = {} } = rollout;
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, `${kind} ${deployment}`),
    ...columns.map((code) => el('td', { class: 'number' }, String(podsByCode[code] ?? 0))),
    el('td', {}, strategy === 'None' ? 'Observed' : spoken(strategy)),
    el('td', { class: 'number' }, weight === undefined ? '–' : `${weight} %`),
    el('td', {}, step),
  );
};

/** A table; undefined where the change names no workload, or is over. */
export const workloads = ({ rollouts, phase, name }: ChangeView): Element | undefined => {
  if (rollouts.length === 0 || phase === 'Completed' || phase === 'RolledBack') return undefined;
  const others = rollouts.flatMap(({ podsByCode = {} }) => Object.keys(podsByCode));
  const columns = [...new Set<string>([...codes, ...others])];
  return el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      {},
      el('caption', {}, 'Pods by code', el('span', { class: 'unseen' }, ` of ${name}`)),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          ...['Workload', ...columns, 'Strategy', 'Traffic', 'Step'].map((title) =>
            el('th', { scope: 'col' }, title),
          ),
        ),
      ),
      el('tbody', {}, ...rollouts.map((rollout) => row(rollout, columns))),
    ),
  );
};
