/** The page: asks the operator again and again, and shows what it says. */
import type { ChangeView } from '../view.ts';
import { needsPerson } from './filter.ts';
import { listOf } from './list.ts';
import { newsOf } from './news.ts';
import { patchChildren } from './patch.ts';
import { Trends } from './trend.ts';

const pollMs = 2_000;
/** Often enough for the curves to go on while another tab is looked at. */
const hiddenPollMs = 20_000;
const timeoutMs = 15_000;

const find = (id: string): HTMLElement => document.querySelector(`#${id}`) as HTMLElement;

const list = find('changes');
const words = find('words') as HTMLInputElement;
const group = find('standing') as HTMLSelectElement;

const trends = new Trends();
let changes: readonly ChangeView[] | undefined;
let etag: string | undefined;
/** When the operator last answered with what it knows. */
let knownAt = 0;

/** Writes only what differs, so that a screen reader says it once. */
const say = (id: string, text: string): void => {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
};

const show = (): void => {
  if (changes === undefined) return;
  const wanted = { words: words.value, group: group.value };
  const { items, found } = listOf({ changes, trends, now: Date.now() }, wanted);
  patchChildren(list, items);
  say('count', `${found} of ${changes.length}`);
  const waiting = changes.filter(needsPerson).length;
  document.title = waiting === 0 ? 'Segue' : `(${waiting}) Segue`;
};

const connection = (trouble?: string): void => {
  const since = knownAt === 0 ? '' : ` Shown is what was so at ${new Date(knownAt).toLocaleTimeString()}.`;
  say('connection', trouble === undefined ? 'Live' : `${trouble}${since}`);
  find('connection').dataset['state'] = trouble === undefined ? 'live' : 'trouble';
};

const take = (known: readonly ChangeView[]): void => {
  const news = newsOf(changes, known);
  if (news !== '') say('news', news);
  changes = known;
};

/** @throws with a sentence for people if the operator does not say how the changes stand. */
const ask = async (): Promise<void> => {
  const response = await fetch('api/changes', {
    headers: etag === undefined ? {} : { 'if-none-match': etag },
    cache: 'no-store',
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => {
    throw new Error('The operator does not answer.');
  });
  if (response.status !== 304) {
    const body = (await response.json().catch(() => ({}))) as { changes?: ChangeView[]; trouble?: string };
    if (body.changes === undefined)
      throw new Error(body.trouble ?? `The operator answers ${response.status}.`);
    take(body.changes);
    etag = response.headers.get('etag') ?? undefined;
  }
  knownAt = Date.now();
  trends.note(changes ?? [], knownAt);
};

const poll = async (): Promise<void> => {
  try {
    await ask();
    connection();
  } catch (error) {
    connection(error instanceof Error ? error.message : String(error));
  }
  show();
};

let timer: number | undefined;
let isAsking = false;

const loop = async (): Promise<void> => {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  await poll();
  isAsking = false;
  timer = setTimeout(() => void loop(), document.hidden ? hiddenPollMs : pollMs);
};

words.addEventListener('input', show);
group.addEventListener('change', show);
find('filter').addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('visibilitychange', () => void loop());
void loop();
