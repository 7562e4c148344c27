/** All cards that are shown. Pure. */
import type { ChangeView } from '../view.ts';
import { card } from './card.ts';
import { fits, type Wanted } from './filter.ts';
import { el, type Element } from './tree.ts';
import type { Trends } from './trend.ts';

/** More cards would keep the browser busy; what needs a person comes first. */
const mostShown = 200;

const note = (text: string): Element => el('li', { class: 'none' }, text);

/** What is known when the page is drawn. */
export interface Known {
  readonly changes: readonly ChangeView[];
  readonly trends: Pick<Trends, 'of'>;
  readonly now: number;
}

/** List items, and how many changes fit. */
export const listOf = (
  { changes, trends, now }: Known,
  wanted: Wanted,
): { readonly items: readonly Element[]; readonly found: number } => {
  const found = changes.filter((view) => fits(view, wanted));
  const cards = found.slice(0, mostShown).map((view) => card(view, trends.of(view.uid), now));
  const rest = found.length - cards.length;
  const items =
    found.length === 0
      ? [note(changes.length === 0 ? 'There is no SchemaChange yet.' : 'No change fits.')]
      : rest === 0
        ? cards
        : [...cards, note(`${rest} more are not shown; find them by a word of their name or table.`)];
  return { items, found: found.length };
};
