/** `make bench`: measures what is asked for on one server, prints tables and writes build/bench.json. */
import { busyShare, machineFacts } from './machine.ts';
import { parseOptions, usage, type Options, type SuiteName } from './options.ts';
import { suiteLines, writeReport, type SuiteReport } from './report.ts';
import { BenchServer } from './server.ts';
import { backfill } from './suites/backfill.ts';
import { memory } from './suites/memory.ts';
import { operator } from './suites/operator.ts';
import type { Suite, SuitePlan, SuiteResult } from './suites/suite.ts';
import { traffic } from './suites/traffic.ts';
import { trigger } from './suites/trigger.ts';
import { verify } from './suites/verify.ts';
import { shareOf } from './timetable.ts';

const suites: Readonly<Record<SuiteName, Suite>> = {
  backfill,
  trigger,
  verify,
  traffic,
  memory,
  operator,
};

/** What a suite found; one that fails as a whole is named, and does not take the others with it. */
const found = async (server: BenchServer, name: SuiteName, plan: SuitePlan): Promise<SuiteResult> => {
  try {
    return await suites[name](server, plan);
  } catch (error) {
    const failure = `${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    console.log(`  FAILED ${failure}`);
    return { measurements: [], goals: [], failures: [failure], notes: [] };
  }
};

const runSuite = async (server: BenchServer, name: SuiteName, plan: SuitePlan): Promise<SuiteReport> => {
  const busyBefore = await busyShare();
  console.log(`\n${name}`);
  const began = performance.now();
  const result = await found(server, name, plan);
  return { suite: name, seconds: (performance.now() - began) / 1_000, busyBefore, ...result };
};

/** True if everything was measured, whether or not it met its goal. */
const bench = async (options: Options): Promise<boolean> => {
  const end = performance.now() + options.minutes * 60_000;
  const startedAt = new Date().toISOString();
  const server = await BenchServer.start();
  // Ctrl-C must not leave a server behind; what was measured by then is lost.
  const interrupted = (): void => void server.stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const settings = await server.settings();
    const { rounds, rows, rate, minutes } = options;
    const machine = machineFacts();
    const done: SuiteReport[] = [];
    for (const [place, name] of options.suites.entries()) {
      const until = shareOf(options.suites.slice(place), performance.now(), end);
      done.push(await runSuite(server, name, { ...options, until }));
      // After every suite: an hour's figures must not be lost to the last one.
      await writeReport(options.output, {
        startedAt,
        rounds,
        ...(Number.isFinite(minutes) ? { minutes } : {}),
        rows,
        rate,
        machine,
        server: { version: settings['server_version'] ?? '', settings },
        suites: done,
      });
    }
    for (const report of done) console.log(suiteLines(report).join('\n'));
    console.log(`\n${options.output} has every sample, the server's settings and the machine.`);
    return done.every(({ failures }) => failures.length === 0);
  } finally {
    await server.stop();
  }
};

const options = parseOptions(process.argv.slice(2));
if (options.help) console.log(usage);
else if (!(await bench(options))) process.exitCode = 1;
