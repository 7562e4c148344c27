/** Makes docs/dashboard/light.png and dark.png: `node dev/dashboard/pictures.ts`, some two minutes. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { dashboardRoutes } from '../../src/dashboard/routes.ts';
import { inOrder, viewOf } from '../../src/dashboard/view.ts';
import { startServer } from '../../src/telemetry/server.ts';
import { Chromium } from './chromium.ts';
import { backfilling, resourceOf, samples } from './samples.ts';

const directory = join(import.meta.dirname, '../../docs/dashboard');
const watchedMs = 90_000;
const size = [860, 910] as const;

const startedAt = Date.now();

/** As it would go on: faster at first, slowed down by a replica for a while. */
const changes = () => {
  const now = Date.now();
  const seconds = (now - startedAt) / 1000;
  const slow = seconds > 40 && seconds < 60 ? 0.45 : 1;
  const rate = Math.round((14_000 + 1_600 * Math.sin(seconds / 4) + 500 * Math.sin(seconds * 3)) * slow);
  const percent = Math.floor(20 + seconds * 0.3);
  const all = samples(now)
    .filter(({ name }) => name !== 'invoices-drop-legacy-number') // one fewer leaves room for the curves
    .map((sample) => (sample.name === 'customers-full-name' ? backfilling(now, percent, rate) : sample));
  return inOrder(all.map((sample, at) => viewOf(resourceOf(sample, at, now))));
};

const server = await startServer({
  port: 0,
  host: '127.0.0.1',
  metrics: new Registry(),
  ready: () => ({ ready: true }),
  routes: dashboardRoutes(async () => ({ kind: 'known', changes: changes() })),
});
const chromium = await Chromium.start();
try {
  const tab = await chromium.tab();
  await tab.resize(...size);
  await tab.open(`http://127.0.0.1:${server.port}/dashboard/`);
  await sleep(watchedMs);
  await mkdir(directory, { recursive: true });
  for (const scheme of ['light', 'dark']) {
    await tab.emulate({ 'prefers-color-scheme': scheme, 'prefers-reduced-motion': 'reduce' });
    const picture = await tab.picture(...size);
    await writeFile(join(directory, `${scheme}.png`), picture);
    console.log(`${scheme}.png: ${Math.ceil(picture.length / 1000)} kB`);
  }
} finally {
  await chromium.stop();
  await server.close();
}
