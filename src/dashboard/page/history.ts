/** When each phase was entered and left, and who approved what. Pure. */
import type { ChangeView } from '../view.ts';
import { el, type Content, type Element } from './tree.ts';
import { span } from './words.ts';

const moment = (at: string): Element => el('time', { datetime: at }, at.replace('T', ' '));

const cells = (...contents: readonly Content[]): readonly Element[] =>
  contents.map((content) => el('td', {}, content));

/** To be opened; undefined where nothing has happened yet. */
export const history = ({ history, approvals, name }: ChangeView): Element | undefined => {
  if (history.length === 0 && approvals.length === 0) return undefined;
  return el(
    'details',
    {},
    el('summary', {}, 'History', el('span', { class: 'unseen' }, ` of ${name}`)),
    el(
      'div',
      { class: 'scroll' },
      el(
        'table',
        {},
        el('caption', { class: 'unseen' }, `History of ${name}`),
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            ...['Phase', 'From', 'To', 'Took', 'Note'].map((title) => el('th', { scope: 'col' }, title)),
          ),
        ),
        el(
          'tbody',
          {},
          ...history.map(({ phase, startedAt, completedAt, skipped = '' }) =>
            el(
              'tr',
              {},
              el('th', { scope: 'row' }, phase),
              ...cells(
                moment(startedAt),
                completedAt === undefined ? '–' : moment(completedAt),
                completedAt === undefined ? '–' : span(Date.parse(completedAt) - Date.parse(startedAt)),
                skipped,
              ),
            ),
          ),
        ),
      ),
    ),
    ...approvals.map(({ phase, by = 'unknown', at }) =>
      el('p', {}, `${phase} was approved by ${by}, `, moment(at)),
    ),
  );
};
