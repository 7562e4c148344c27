/** Which changes are shown. Pure. */
import type { ChangeView, Standing } from '../view.ts';

const groups: Readonly<Record<string, readonly Standing[]>> = {
  attention: ['stalled', 'awaiting-approval', 'failed'],
  open: ['stalled', 'awaiting-approval', 'suspended', 'waiting', 'working', 'new'],
  over: ['completed', 'rolled-back', 'failed'],
};

/** What a person asked to see. */
export interface Wanted {
  /** All of these words have to be somewhere in what is known of the change. */
  readonly words: string;
  /** A group of standings; any other name is all. */
  readonly group: string;
}

export const needsPerson = ({ standing }: ChangeView): boolean =>
  groups['attention']?.includes(standing) === true;

export const fits = (view: ChangeView, { words, group }: Wanted): boolean => {
  if (groups[group]?.includes(view.standing) === false) return false;
  const text = [
    view.namespace,
    view.name,
    view.table,
    view.kind,
    view.phase,
    view.standing,
    view.reason,
    view.message,
  ]
    .join(' ')
    .toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/u)
    .every((word) => text.includes(word));
};
