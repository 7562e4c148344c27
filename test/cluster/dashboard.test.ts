/** The dashboard in a real browser: served by a replica that does not lead, from a real API server. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Chromium, type Tab } from '../../dev/dashboard/chromium.ts';
import { backfilling, samples, type Sample } from '../../dev/dashboard/samples.ts';
import { connect, type Cluster } from '../../src/kube/client.ts';
import { leases, namespaces, schemaChanges } from '../../src/kube/resources.ts';
import { startApiServer, type PrivateApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { Operator } from '../support/operator.ts';

const namespace = 'shop';
const setupTimeoutMs = 30 * 60_000; // the first time on a machine programs are built and installed
const withinMs = 60_000;
const timeoutMs = 180_000;

let api: PrivateApiServer;
let cluster: Cluster;
let operator: Operator;
let chromium: Chromium;
let tab: Tab;
let origin = '';

const report = ({ name, status }: Sample) =>
  cluster.apply(
    { resource: schemaChanges, namespace, name },
    { status },
    { force: true, subresource: 'status', fieldManager: 'test' },
  );

const create = async (sample: Sample): Promise<void> => {
  const { name, change } = sample;
  const spec = { database: { secretRef: { name: 'db' } }, change };
  await cluster.create({ resource: schemaChanges, namespace, name }, { spec });
  await report(sample);
};

/** What the operator logs as its port. */
const originOf = (started: Operator): Promise<string> =>
  eventually(() => {
    const port = /"port":(\d+)/u.exec(started.log)?.[1];
    if (port === undefined) throw new Error(started.log);
    return `http://127.0.0.1:${port}`;
  }, withinMs);

/** Waits until the page, or a part of it, says so. */
const says = (words: string | RegExp, selector?: string): Promise<void> =>
  eventually(async () => expect(await tab.text(selector)).toMatch(words), withinMs);

const card = (name: string): string =>
  `[...document.querySelectorAll('article')].find((each) => each.querySelector('h2').textContent === '${name}')`;

beforeAll(async () => {
  api = await startApiServer();
  const crd = join(import.meta.dirname, '../../crds/schemachanges.segue.dev.yaml');
  await api.kubectl(['apply', '--server-side', '-f', crd]);
  await api.kubectl(['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=60s']);
  cluster = connect({ kubeconfig: api.kubeconfig });
  // Another leads, for longer than the test takes: this replica only looks.
  const now = '2026-01-01T00:00:00.000000Z';
  const spec = { holderIdentity: 'another', leaseDurationSeconds: 36_000, acquireTime: now, renewTime: now };
  await cluster.create({ resource: leases, namespace: 'default', name: 'segue' }, { spec });
  await cluster.create({ resource: namespaces, name: namespace }, {});
  for (const sample of samples(Date.now())) await create(sample);
  operator = new Operator(api.kubeconfig, { SEGUE_DASHBOARD: 'true' });
  origin = await originOf(operator);
  chromium = await Chromium.start();
  tab = await chromium.tab();
  await tab.resize(1_000, 1_000);
  await tab.emulate({ 'prefers-color-scheme': 'light', 'prefers-reduced-motion': 'reduce' });
  await tab.open(`${origin}/dashboard/`);
  await says('5 of 5', '#count');
}, setupTimeoutMs);

afterAll(async () => {
  await chromium?.stop();
  await operator?.stop();
  await cluster?.close();
  await api?.stop();
}, timeoutMs);

test('shows all changes with phases, blocker, pods by code and quarantine', async () => {
  const text = await tab.text('main');
  for (const words of [
    'Needs a person: BadRows',
    'Lock: pid 4711 (app=report',
    'Last use',
    'Rows per second',
    'writes-both',
    'Deployment shop',
    'Blue green',
    'Completed',
  ])
    expect(text).toContain(words);
  expect(text).not.toContain('secret');
  const states = await tab.evaluate<string[]>(
    `[...${card('customers-full-name')}.querySelectorAll('.track li')].map((step) => step.textContent.slice(1))`,
  );
  expect(states).toEqual([
    'AddColumn: done',
    'DualWrite: done',
    'Backfill: now',
    'SwitchReads: to come',
    'Quarantine: to come',
    'Drop: to come',
  ]);
});

test(
  'goes on by itself: curves grow, news are said, and what a person has opened and focused stays',
  async () => {
    await tab.evaluate(`{
      const summary = ${card('customers-full-name')}.querySelector('summary');
      summary.click();
      summary.focus();
      window.kept = summary;
    }`);
    for (const [percent, rate] of [
      [43, 9_000],
      [44, 16_000],
    ] as const) {
      await report(backfilling(Date.now(), percent, rate));
      await says(`${percent} %`);
    }
    const label = await tab.evaluate<string>(
      `${card('customers-full-name')}.querySelector('svg').getAttribute('aria-label')`,
    );
    expect(label).toMatch(/^Rows per second over the last .*: now 16,000, between 9,000 and 16,000$/u);
    const moved = backfilling(Date.now(), 100, 0);
    await report({
      ...moved,
      status: {
        ...moved.status,
        phase: 'SwitchReads',
        message: '<b id="bold">not markup</b>',
        blockedBy: { kind: 'Pod', message: '2 pods of shop still run writes-both.' },
      },
    });
    await says('2 pods of shop still run writes-both.');
    await says('<b id="bold">not markup</b>');
    expect(await tab.text('#news')).toBe('customers-full-name: Switch reads, waiting, Progressing.');
    expect(
      await tab.evaluate(
        `[document.querySelector('#bold'), window.kept.isConnected, window.kept.parentElement.open, document.activeElement === window.kept]`,
      ),
    ).toEqual([null, true, true, true]);
    await create({ ...moved, name: 'one-more' });
    await says('6 of 6', '#count');
  },
  timeoutMs,
);

test('finds changes by words and by how they stand', async () => {
  await tab.evaluate(`document.querySelector('#words').focus()`);
  await tab.call('Input.insertText', { text: 'drop legacy' });
  await says('1 of 6', '#count');
  await tab.evaluate(`{
    const words = document.querySelector('#words');
    words.value = '';
    words.dispatchEvent(new Event('input'));
    const group = document.querySelector('#standing');
    group.value = 'over';
    group.dispatchEvent(new Event('change'));
  }`);
  await says('users-email-lower', '#changes');
  await says('1 of 6', '#count');
  await tab.evaluate(`{
    const group = document.querySelector('#standing');
    group.value = 'all';
    group.dispatchEvent(new Event('change'));
  }`);
  await says('6 of 6', '#count');
});

/** Every text that is seen, with its colour's contrast to what is behind it; the least of each pair of colours. */
const contrasts = `(() => {
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e !== null; e = e.parentElement) {
      const [r, g, b, a = 1] = rgba(getComputedStyle(e).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
    const element = text.parentElement;
    if (text.data.trim() === '' || element.closest('.unseen, script, noscript') || !element.checkVisibility()) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
    found.push({ text: text.data.trim(), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
  }
  return found;
})()`;

test.each(['light', 'dark'])(
  'is readable in %s: every text has a contrast of 4.5 at least',
  async (scheme) => {
    await tab.emulate({ 'prefers-color-scheme': scheme, 'prefers-reduced-motion': 'reduce' });
    const found = await tab.evaluate<{ text: string; ratio: number }[]>(contrasts);
    expect(found.length).toBeGreaterThan(80);
    expect(found.filter(({ ratio }) => !(ratio >= 4.5))).toEqual([]);
    const [page] = /\d+/u.exec(
      await tab.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor'),
    ) ?? ['-1'];
    expect(Number(page) > 128).toBe(scheme === 'light');
  },
);

test('moves nothing for who asked for that', async () => {
  await report(backfilling(Date.now(), 50, 1_000));
  const moves = `getComputedStyle(document.querySelector('.track [data-state=current] .sign')).animationName`;
  expect(await tab.evaluate(moves)).toBe('none');
  await tab.emulate({ 'prefers-reduced-motion': 'no-preference' });
  expect(await tab.evaluate(moves)).toBe('breathe');
});

test('needs no sideways scrolling on a narrow screen', async () => {
  await tab.resize(320, 700);
  expect(await tab.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
  await tab.resize(1_000, 1_000);
});

describe('for who does not use a mouse or a screen', () => {
  test('the keyboard reaches all controls', async () => {
    await tab.evaluate('document.activeElement.blur()');
    // From the top of the page on, until the focus comes round.
    await tab.open(`${origin}/dashboard/`);
    await says('6 of 6', '#count');
    const reached: string[] = [];
    for (let n = 0; n < 60; n += 1) {
      await tab.press('Tab', 9);
      const now = await tab.evaluate<string>(
        `(document.activeElement.id || document.activeElement.className || document.activeElement.textContent)`,
      );
      if (reached.includes(now)) break;
      reached.push(now);
    }
    const summaries = await tab.evaluate<string[]>(
      `[...document.querySelectorAll('summary')].map((each) => each.textContent)`,
    );
    expect(summaries).toHaveLength(6);
    expect(reached).toEqual(expect.arrayContaining(['skip', 'words', 'standing', ...summaries]));
    await tab.evaluate(`document.querySelector('summary').focus()`);
    await tab.press('Enter', 13, '\r');
    expect(await tab.evaluate(`document.querySelector('details').open`)).toBe(true);
    expect(await tab.evaluate(`getComputedStyle(document.querySelector('summary')).outlineStyle`)).toBe(
      'solid',
    );
    await tab.evaluate(`document.querySelector('.skip').focus()`);
    await tab.press('Enter', 13, '\r');
    expect(await tab.evaluate('document.activeElement.id')).toBe('changes');
  });

  test('everything has a role and a name', async () => {
    await eventually(
      async () => expect(await tab.evaluate(`document.querySelector('svg') !== null`)).toBe(true),
      withinMs,
    );
    const nodes = await tab.accessibleNodes();
    const roles = new Set(nodes.map(({ role }) => role));
    const named = [
      'banner',
      'main',
      'search',
      'contentinfo',
      'heading',
      'article',
      'link',
      'searchbox',
      'combobox',
      'DisclosureTriangle',
      'progressbar',
      'table',
      'image',
      'status',
    ];
    expect(named.filter((role) => !roles.has(role))).toEqual([]);
    const needName = [
      'heading',
      'article',
      'link',
      'searchbox',
      'combobox',
      'search',
      'table',
      'image',
      'progressbar',
      'DisclosureTriangle',
    ];
    expect(nodes.filter(({ role, name }) => needName.includes(role) && name.trim() === '')).toEqual([]);
    expect(nodes.filter(({ role }) => role === 'article').map(({ name }) => name)).toContain('one-more');
  });

  test('no id is there twice', async () => {
    const ids = await tab.evaluate<string[]>(`[...document.querySelectorAll('[id]')].map(({ id }) => id)`);
    expect(ids).toHaveLength(new Set(ids).size);
  });
});

test('asks nobody but the operator, and complains of nothing', () => {
  expect(tab.requests.length).toBeGreaterThan(10);
  expect(tab.requests.filter((url) => !url.startsWith(`${origin}/dashboard/`))).toEqual([]);
  expect(tab.complaints).toEqual([]);
});

test('runs no code that somebody puts into the page', async () => {
  const put = `{
    const script = document.createElement('script');
    script.textContent = 'window.put = true';
    document.body.append(script);
  }`;
  await expect(tab.evaluate(put)).rejects.toThrow('TrustedScript');
  expect(await tab.evaluate('window.put === undefined')).toBe(true);
});

test(
  'says so while the API server or the operator is away, and keeps what it knew',
  async () => {
    expect(await tab.text('#connection')).toBe('Live');
    await api.killApiServer();
    await says('The API server does not answer', '#connection');
    expect(await tab.text('#count')).toBe('6 of 6');
    await api.startApiServer();
    await says(/^Live$/u, '#connection');
    await operator.stop();
    await says(/^The operator does not answer\. Shown is what was so at /u, '#connection');
    expect(await tab.text('#count')).toBe('6 of 6');
  },
  timeoutMs,
);

test(
  'is served only where that was asked for',
  async () => {
    const other = new Operator(api.kubeconfig);
    try {
      const url = await originOf(other);
      for (const path of ['/dashboard', '/dashboard/', '/dashboard/api/changes'])
        expect((await fetch(url + path)).status).toBe(404);
    } finally {
      await other.stop();
    }
  },
  timeoutMs,
);
