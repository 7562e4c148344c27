/** `make bench`: measures what is asked for on one server, prints tables and writes build/bench.json. */
import { busyShare, machineFacts } from './machine.ts';
import { parseOptions, usage, type Options, type SuiteName } from './options.ts';
import { suiteLines, writeReport, type SuiteReport } from './report.ts';
import { BenchServer } from './server.ts';
import { backfill } from './suites/backfill.ts';
import type { Suite } from './suites/suite.ts';
import { traffic } from './suites/traffic.ts';
import { trigger } from './suites/trigger.ts';
import { verify } from './suites/verify.ts';

const suites: Readonly<Record<SuiteName, Suite>> = { backfill, trigger, verify, traffic };

const runSuite = async (server: BenchServer, name: SuiteName, options: Options): Promise<SuiteReport> => {
  const busyBefore = await busyShare();
  console.log(`\n${name}`);
  const began = performance.now();
  const result = await suites[name](server, options);
  return { suite: name, seconds: (performance.now() - began) / 1_000, busyBefore, ...result };
};

const bench = async (options: Options): Promise<void> => {
  const startedAt = new Date().toISOString();
  const server = await BenchServer.start();
  // Ctrl-C must not leave a server behind; what was measured by then is lost.
  const interrupted = (): void => void server.stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const settings = await server.settings();
    const { rounds, rows, rate } = options;
    const machine = machineFacts();
    const done: SuiteReport[] = [];
    for (const name of options.suites) {
      done.push(await runSuite(server, name, options));
      // After every suite: an hour's figures must not be lost to the last one.
      await writeReport(options.output, {
        startedAt,
        rounds,
        rows,
        rate,
        machine,
        server: { version: settings['server_version'] ?? '', settings },
        suites: done,
      });
    }
    for (const report of done) console.log(suiteLines(report).join('\n'));
    console.log(`\n${options.output} has every sample, the server's settings and the machine.`);
  } finally {
    await server.stop();
  }
};

const options = parseOptions(process.argv.slice(2));
if (options.help) console.log(usage);
else await bench(options);
