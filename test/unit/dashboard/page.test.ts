/** What the page makes of its data, without a browser; what the browser makes of that is in test/cluster. */
import { describe, expect, test } from '@jest/globals';
import { resourceOf, samples } from '../../../dev/dashboard/samples.ts';
import { card } from '../../../src/dashboard/page/card.ts';
import { fits, needsPerson } from '../../../src/dashboard/page/filter.ts';
import { listOf } from '../../../src/dashboard/page/list.ts';
import { newsOf } from '../../../src/dashboard/page/news.ts';
import type { Content } from '../../../src/dashboard/page/tree.ts';
import { pointsOf, Trends } from '../../../src/dashboard/page/trend.ts';
import { count, relative, span, spoken } from '../../../src/dashboard/page/words.ts';
import { inOrder, viewOf, type ChangeView } from '../../../src/dashboard/view.ts';

const now = Date.parse('2026-05-01T12:00:00Z');
const views = inOrder(samples(now).map((sample, at) => viewOf(resourceOf(sample, at, now))));
const view = (name: string): ChangeView => {
  const found = views.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no sample ${name}`);
  return found;
};
const backfilling = view('customers-full-name');

/** All texts in their order, `|` between elements. */
const textOf = (content: Content): string =>
  typeof content === 'string' ? content : content.children.map(textOf).join('|');

describe('words', () => {
  test.each([
    [0, '0 s'],
    [-5, '0 s'],
    [59_999, '59 s'],
    [302_000, '5 min 2 s'],
    [7_200_000, '2 h'],
    [273_600_000, '3 d 4 h'],
  ])('%i ms are %s', (ms, words) => expect(span(ms)).toBe(words));

  test.each([
    ['2026-05-01T12:00:00Z', 'now'],
    ['2026-05-01T11:59:30Z', '30 s ago'],
    ['2026-05-01T11:54:30Z', '5 min ago'],
    ['2026-05-02T13:00:20Z', 'in 1 d 1 h'],
  ])('%s is %s', (at, words) => expect(relative(at, now)).toBe(words));

  test('numbers and names', () => {
    expect(count(1_234_567.6)).toBe('1,234,568');
    expect([spoken('rolled-back'), spoken('replaceColumns'), spoken('SwitchReads')]).toEqual([
      'rolled back',
      'replace columns',
      'Switch reads',
    ]);
  });
});

describe('trends', () => {
  const at = (percent: number): ChangeView => ({
    ...backfilling,
    backfill: { rowsDone: 0, percent, rowsPerSecond: percent * 10, workers: 1, badRows: 0 },
  });

  test('keep what was seen of a backfill while it runs, the last ten minutes of it', () => {
    const trends = new Trends();
    for (let n = 0; n < 400; n += 1) trends.note([at(n), view('users-email-lower')], n * 2_000);
    const samples = trends.of(backfilling.uid);
    expect(samples).toHaveLength(300);
    expect(samples.at(-1)).toEqual({ at: 399 * 2_000, rate: 3_990, percent: 399 });
    expect(trends.of(view('users-email-lower').uid)).toEqual([]);
    trends.note([{ ...at(100), phase: 'SwitchReads' }], 800_000);
    expect(trends.of(backfilling.uid)).toEqual([]);
  });

  test('are drawn to scale', () => {
    const samples = [0, 50, 100].map((percent, n) => ({ at: n * n * 1_000, rate: 0, percent }));
    const frame = { width: 40, height: 10, top: 100 };
    expect(pointsOf(samples, ({ percent }) => percent, frame)).toBe('0.0,10.0 10.0,5.0 40.0,0.0');
    expect(pointsOf(samples, ({ rate }) => rate, { ...frame, top: 0 })).toBe('0.0,10.0 10.0,10.0 40.0,10.0');
  });
});

describe('cards', () => {
  test('say the standing and each step in words', () => {
    const text = textOf(card(view('orders-note-not-null'), [], now));
    expect(text).toContain('Needs a person: BadRows');
    expect(text).toContain('DualWrite|: done');
    expect(text).toContain('Backfill|: now');
    expect(text).toContain('SwitchReads|: to come');
  });

  test('show a backfill with its curves, and pods by code', () => {
    const samples = [1, 2].map((n) => ({ at: n * 60_000, rate: n * 5_000, percent: n }));
    const element = card(backfilling, samples, now);
    const text = textOf(element);
    expect(text).toContain('Rows filled|2,024,820 of about 4,821,000');
    expect(text).toContain('Deployment shop|0|3|0|0|Blue green|–|Done');
    expect(JSON.stringify(element)).toContain(
      'Rows per second over the last 1 min: now 10,000, between 5,000 and 10,000',
    );
    expect(JSON.stringify(card(backfilling, samples.slice(1), now))).not.toContain('polyline');
  });

  test('show the blocker, the quarantine and who approved', () => {
    expect(textOf(card(view('sessions-token-type'), [], now))).toContain('Lock: |pid 4711');
    expect(textOf(card(view('invoices-drop-legacy-number'), [], now))).toContain(
      'Last use|Read by report, 1 d 1 h ago',
    );
    const over = textOf(card(view('users-email-lower'), [], now));
    expect(over).toContain('Drop was approved by kubectl-annotate');
    expect(over).toContain('2026-05-01 06:00:00Z|2026-05-01 07:00:00Z|1 h');
  });
});

describe('what is shown', () => {
  const shown = (words: string, group = 'all') =>
    views.filter((each) => fits(each, { words, group })).map(({ name }) => name);

  test('by words, all of which must be there', () => {
    expect(shown('')).toHaveLength(5);
    expect(shown(' PUBLIC.customers ')).toEqual(['customers-full-name']);
    expect(shown('shop badrows')).toEqual(['orders-note-not-null']);
    expect(shown('customers badrows')).toEqual([]);
  });

  test('by how they stand', () => {
    expect(shown('', 'attention')).toEqual(['orders-note-not-null', 'invoices-drop-legacy-number']);
    expect(shown('', 'over')).toEqual(['users-email-lower']);
    expect(shown('', 'open')).toHaveLength(4);
    expect(views.filter(needsPerson)).toHaveLength(2);
  });
});

describe('the list', () => {
  const trends = new Trends();
  const many = Array.from({ length: 203 }, (_, n) => ({ ...backfilling, uid: `${n}`, name: `many-${n}` }));
  const draw = (changes: readonly ChangeView[], text = '') => {
    const { items, found } = listOf({ changes, trends, now }, { words: text, group: 'all' });
    return { found, items: items.length, last: items.map(textOf).at(-1) };
  };

  test('is no longer than a browser likes; the rest is found', () => {
    expect(draw(many)).toEqual({
      found: 203,
      items: 201,
      last: '3 more are not shown; find them by a word of their name or table.',
    });
    expect(draw(many, 'many-202')).toMatchObject({
      found: 1,
      items: 1,
      last: expect.stringContaining('many-202'),
    });
    expect(draw(many.slice(0, 200))).toMatchObject({ found: 200, items: 200 });
  });

  test('says why it is empty', () => {
    expect(draw([])).toEqual({ found: 0, items: 1, last: 'There is no SchemaChange yet.' });
    expect(draw(many, 'nowhere')).toEqual({ found: 0, items: 1, last: 'No change fits.' });
  });
});

describe('news', () => {
  const moved: ChangeView = {
    ...backfilling,
    phase: 'SwitchReads',
    standing: 'waiting',
    reason: 'RollingOut',
  };

  test('are of phases and standings, not of each percent', () => {
    const further = { ...backfilling, backfill: undefined, message: 'other' };
    expect(newsOf(undefined, [backfilling])).toBe('');
    expect(newsOf([backfilling], [further])).toBe('');
    expect(newsOf([backfilling], [moved])).toBe('customers-full-name: Switch reads, waiting, Rolling out.');
    expect(newsOf([], [{ ...backfilling, reason: undefined }])).toBe(
      'customers-full-name: Backfill, working.',
    );
  });

  test('are no flood', () => {
    const many = Array.from({ length: 5 }, (_, n) => ({ ...moved, uid: `${n}` }));
    expect(newsOf([], many)).toMatch(/^(customers-full-name: [^.]*\. ){3}And 2 more\.$/u);
  });
});
