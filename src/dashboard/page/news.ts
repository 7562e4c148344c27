/** What is worth saying aloud: that a change goes on, waits for something else or ends, not each percent. Pure. */
import type { ChangeView } from '../view.ts';
import { spoken } from './words.ts';

const said = ({ phase, standing, reason }: ChangeView): string => [phase, standing, reason].join(' ');

/** Of many at once the first few are said, and how many more there are. */
const mostSaid = 3;

/** A sentence for each change that stands otherwise than before; empty at the first look. */
export const newsOf = (before: readonly ChangeView[] | undefined, now: readonly ChangeView[]): string => {
  if (before === undefined) return '';
  const known = new Map(before.map((view) => [view.uid, said(view)]));
  const changed = now.filter((view) => known.get(view.uid) !== said(view));
  const sentences = changed
    .slice(0, mostSaid)
    .map(
      ({ name, phase, standing, reason }) =>
        `${name}: ${spoken(phase)}, ${spoken(standing)}${reason === undefined ? '' : `, ${spoken(reason)}`}.`,
    );
  const rest = changed.length - mostSaid;
  return [...sentences, ...(rest > 0 ? [`And ${rest} more.`] : [])].join(' ');
};
