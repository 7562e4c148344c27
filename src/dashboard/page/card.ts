/** One change on the page. Pure. */
import type { StepState } from '../track.ts';
import type { ChangeView, Standing } from '../view.ts';
import { curves } from './curves.ts';
import { history } from './history.ts';
import { measures } from './measures.ts';
import { el, type Element } from './tree.ts';
import type { Sample } from './trend.ts';
import { relative, spoken } from './words.ts';
import { workloads } from './workloads.ts';

/** What no colour has to tell: a sign, and words. */
const standingWords: Readonly<Record<Standing, readonly [sign: string, words: string]>> = {
  stalled: ['✖', 'Needs a person'],
  'awaiting-approval': ['◆', 'Awaits approval'],
  suspended: ['‖', 'Suspended'],
  waiting: ['◷', 'Waits'],
  working: ['▶', 'In progress'],
  new: ['○', 'Not looked at yet'],
  failed: ['✖', 'Given up'],
  'rolled-back': ['↩', 'Rolled back'],
  completed: ['✔', 'Completed'],
};

/** Where the words alone do not say why; the reason is a heading of the runbook. */
const needsReason = new Set<Standing>(['stalled', 'waiting', 'failed']);

const stepWords: Readonly<Record<StepState, readonly [sign: string, words: string]>> = {
  todo: ['○', 'to come'],
  current: ['●', 'now'],
  done: ['✔', 'done'],
  undoing: ['↩', 'being undone'],
  undone: ['↩', 'undone'],
  stopped: ['✖', 'stopped here'],
};

const sign = (text: string): Element => el('span', { 'aria-hidden': 'true', class: 'sign' }, text);

const track = ({ track, name }: ChangeView): Element =>
  el(
    'ol',
    { class: 'track', 'aria-label': `Phases of ${name}` },
    ...track.map(({ phase, state }) => {
      const [mark, words] = stepWords[state];
      const isPresent = state === 'current' || state === 'undoing';
      return el(
        'li',
        { 'data-state': state, 'aria-current': isPresent ? 'step' : undefined },
        sign(mark),
        el('span', { class: 'phase' }, phase),
        el('span', { class: 'unseen' }, `: ${words}`),
      );
    }),
  );

const facts = (view: ChangeView, now: number): Element =>
  el(
    'p',
    { class: 'facts' },
    [
      view.namespace,
      spoken(view.kind),
      view.table,
      view.phase === 'RollingBack' ? 'walks back' : undefined,
      view.isReady && view.standing !== 'completed' ? 'ready' : undefined,
      view.isDeleting ? 'being deleted' : undefined,
      view.isOutdated ? 'its spec was edited and has not been looked at yet' : undefined,
      `made ${relative(view.createdAt, now)}`,
    ]
      .filter((text) => text !== undefined)
      .join(' · '),
  );

const head = (view: ChangeView, now: number): Element => {
  const [mark, words] = standingWords[view.standing];
  return el(
    'header',
    {},
    el('h2', { id: `name-${view.uid}` }, view.name),
    el(
      'p',
      { class: 'standing', 'data-standing': view.standing },
      sign(mark),
      needsReason.has(view.standing) && view.reason !== undefined ? `${words}: ${view.reason}` : words,
    ),
    facts(view, now),
  );
};

/** A list item, keyed by the change. */
export const card = (view: ChangeView, samples: readonly Sample[], now: number): Element =>
  el(
    'li',
    { 'data-key': view.uid },
    el(
      'article',
      { 'aria-labelledby': `name-${view.uid}` },
      head(view, now),
      track(view),
      view.message === undefined ? undefined : el('p', { class: 'message' }, view.message),
      view.blocker === undefined
        ? undefined
        : el('p', { class: 'blocker' }, el('strong', {}, `${view.blocker.kind}: `), view.blocker.message),
      ...measures(view, now),
      curves(samples),
      workloads(view),
      history(view),
    ),
  );
