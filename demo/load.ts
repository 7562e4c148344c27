/**
 * The load on the shop: `node demo/load.ts --url http://10.0.0.1 --rate 100 --seconds 60`.
 *
 * It knows nothing of Segue. Half of its virtual users open a connection for every request, the other half
 * keep theirs. It ends on SIGTERM, when the driver says so or goes away, and in any case after `--seconds`.
 * With DATABASE_URL set, which is for a freshly seeded table, it then compares every row with what was
 * acknowledged. Exit code 0 only if no request failed and nothing differs.
 */
import { parseArgs } from 'node:util';
import { compareWithDatabase } from './load/comparison.ts';
import { asFound, asSeeded, Expectations } from './load/expectations.ts';
import type { FromLoad, ToLoad } from './load/messages.ts';
import { LoadRecord, type LoadReport } from './load/report.ts';
import { VirtualUser } from './load/virtual-user.ts';

const progressMs = 1_000;
const userCount = 16;
const maxRate = 500;

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
    rows: { type: 'string', default: '200000' },
  },
});
if (values.url === undefined) throw new Error('--url: where the shop answers, as http://10.0.0.1');
const [base, rate, seconds, rows] = [
  new URL(values.url),
  Math.min(Number(values.rate), maxRate),
  Number(values.seconds),
  Number(values.rows),
];
if (!(rate > 0 && seconds > 0 && rows >= userCount)) {
  throw new Error(`--rate and --seconds must be above 0, --rows at least ${userCount}`);
}

const stop = new AbortController();
const record = new LoadRecord();
const database = process.env['DATABASE_URL'];
const expectations = new Expectations(database === undefined ? asFound : asSeeded);

/** Resolves once the driver has the message, or there is no driver to have it. */
const tell = (message: FromLoad): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });

async function run(): Promise<LoadReport> {
  const users = Array.from(
    { length: userCount },
    (_, index) =>
      new VirtualUser(
        base,
        {
          index,
          users: userCount,
          seededRows: rows,
          connection: index % 2 === 0 ? 'new' : 'kept',
          intervalMs: (1000 * userCount) / rate,
        },
        expectations,
        record,
      ),
  );
  const limit = setTimeout(() => stop.abort(), seconds * 1000);
  const progress = setInterval(
    () => void tell({ kind: 'progress', progress: record.progress() }),
    progressMs,
  );
  await Promise.all(users.map((user) => user.run(stop.signal)));
  clearTimeout(limit);
  clearInterval(progress);
  if (database === undefined) return record.report();
  try {
    return record.report({ comparison: await compareWithDatabase(database, rows, expectations) });
  } catch (error) {
    return record.report({ comparisonError: error instanceof Error ? error.message : String(error) });
  }
}

process.on('message', (message: ToLoad) => {
  if (message.kind === 'stop') stop.abort();
  else record.stretch = message.stretch;
});
process.on('disconnect', () => stop.abort());
process.on('SIGTERM', () => stop.abort());
// Ctrl-C reaches the whole foreground group. Under a driver it is the driver's to end the load in its turn.
process.on('SIGINT', () => (process.connected ? undefined : stop.abort()));

const report = await run();
await tell({ kind: 'report', report });
if (process.send === undefined) console.log(JSON.stringify(report, undefined, 2));
const wrong = report.failedRequests + report.staleAnswers + (report.comparison?.mismatches ?? 0);
process.exitCode = wrong === 0 && report.comparisonError === undefined ? 0 : 1;
if (process.connected) process.disconnect?.();
