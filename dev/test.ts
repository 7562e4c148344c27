/**
 * All of the project's tests, one suite after the other, with one closing line. A suite that can't run on this
 * machine is named with the reason and makes the run fail in CI: what was not run must not look passed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

interface Suite {
  readonly name: 'unit' | 'database' | 'cluster' | 'e2e';
  /** Tests of one file at a time: each starts servers of its own. */
  readonly serial: boolean;
  /** Needs Kubernetes's own programs, which are built here on the first run. */
  readonly programs: boolean;
  /** Why it can't run here, if it can't. */
  readonly obstacle: string | undefined;
}

const root = process.getuid?.() === 0;

const suites: readonly Suite[] = [
  { name: 'unit', serial: false, programs: false, obstacle: undefined },
  { name: 'database', serial: false, programs: false, obstacle: undefined },
  { name: 'cluster', serial: true, programs: true, obstacle: undefined },
  {
    name: 'e2e',
    serial: true,
    programs: true,
    obstacle: root ? undefined : 'a one-node cluster needs root; run make test as root',
  },
];

const output = 'build/test-results';

const run = (command: string, args: readonly string[]): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Counts from jest's own report; a run that wrote none, or failed without a failed test, counts as one failure. */
const countsOf = (file: string, exitCode: number): Counts => {
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(file, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
  };
  const failed = Math.max(
    report.numFailedTests,
    report.numFailedTestSuites > 0 ? 1 : 0,
    exitCode === 0 ? 0 : 1,
  );
  return { passed: report.numPassedTests, failed };
};

const elapsed = (since: number): string => `${Math.round((Date.now() - since) / 1000)} s`;

/** Builds what a suite needs before its clock runs: a build takes minutes, and no test should be blamed for them. */
const prepare = async (suite: Suite): Promise<boolean> =>
  !suite.programs || (await run(process.execPath, ['dev/cluster/toolchain.ts'])) === 0;

const runSuite = async (suite: Suite): Promise<Counts> => {
  const file = join(output, `${suite.name}.json`);
  const started = Date.now();
  process.stdout.write(`\n== ${suite.name} tests\n`);
  if (!(await prepare(suite))) return { passed: 0, failed: 1 };
  const code = await run('npm', [
    'run',
    '--silent',
    'jest',
    '--',
    '--selectProjects',
    suite.name,
    ...(suite.serial ? ['--runInBand'] : ['--maxWorkers=2']),
    '--json',
    `--outputFile=${file}`,
    '--forceExit',
  ]);
  const counts = countsOf(file, code);
  process.stdout.write(
    `== ${suite.name}: ${counts.passed} passed, ${counts.failed} failed, ${elapsed(started)}\n`,
  );
  return counts;
};

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const started = Date.now();
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  if (values.only === undefined) {
    process.stdout.write('== checks: types, lint, format, dead code, generated files\n');
    if ((await run('npm', ['run', '--silent', 'check'])) === 0) passed += 1;
    else failed += 1;
  }
  for (const suite of suites) {
    if (values.only !== undefined && !values.only.includes(suite.name)) continue;
    if (suite.obstacle !== undefined) {
      skipped.push(`${suite.name} (${suite.obstacle})`);
      continue;
    }
    const counts = await runSuite(suite);
    passed += counts.passed;
    failed += counts.failed;
  }
  process.stdout.write(
    `\nSkipped: ${skipped.length === 0 ? 'nothing' : skipped.join('; ')}. Took ${elapsed(started)}.\n`,
  );
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed > 0 || (skipped.length > 0 && process.env['CI'] !== undefined) ? 1 : 0;
};

process.exitCode = await main();
