/**
 * All of the project's tests, one suite after the other, with one closing line. A suite that can't run on this
 * machine is named with the reason and makes the run fail in CI: what was not run must not look passed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

interface Suite {
  /** Jest's project. */
  readonly project: 'unit' | 'database' | 'cluster' | 'e2e';
  /** PostgreSQL's major, for tests that start one. */
  readonly major?: number;
  /** Only test files whose path matches, with a name for the report; without it all of the project. */
  readonly only?: { readonly name: string; readonly paths: string };
  /** Tests of one file at a time: each starts servers of its own. */
  readonly serial?: boolean;
  /** Needs Kubernetes's own programs, which are built here on the first run. */
  readonly programs?: boolean;
  /** Why it can't run here, if it can't. */
  readonly obstacle?: string | undefined;
}

const root = process.getuid?.() === 0;

// The newest PostgreSQL gets every test, the oldest all that could differ there: not faults, nor what rests on the
// ledger, on locks, crashes and connections alone, nor the plugin. Between them it is DDL and its locks that differ, which the
// lifecycle of every change kind goes through, with plain and with quoted names in turn.
const life = (names: 'public' | 'quoted-names') => ({ name: 'lifecycle', paths: `lifecycle/${names}` });
const suites: readonly Suite[] = [
  { project: 'unit' },
  {
    project: 'database',
    major: 18,
    only: { name: 'all', paths: 'test/database/(?!lifecycle/quoted-names)' },
  },
  {
    project: 'database',
    major: 14,
    only: {
      name: 'most',
      paths:
        'test/database/(?!faults/|lifecycle/(public|deleted|held)|(archive|cli-.*|crash|databases|demo|glance|ledger|live|notifications|pgbouncer|verify)\\.|triggers/inter)',
    },
  },
  { project: 'database', major: 15, only: life('public') },
  { project: 'database', major: 16, only: life('quoted-names') },
  { project: 'database', major: 17, only: life('public') },
  { project: 'cluster', programs: true },
  {
    project: 'e2e',
    serial: true,
    programs: true,
    obstacle: root ? undefined : 'a one-node cluster needs root; run make test as root',
  },
];

const nameOf = ({ project, major, only }: Suite): string =>
  [project, only?.name, major === undefined ? undefined : `postgres${major}`].filter(Boolean).join('-');

const output = 'build/test-results';

const run = (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
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
const prepare = async ({ project, programs }: Suite): Promise<boolean> => {
  const build = async (...args: readonly string[]): Promise<boolean> =>
    (await run(process.execPath, ['dev/cluster/toolchain.ts', ...args])) === 0;
  if (programs !== true) return true;
  if (!(await build())) return false;
  // These are no part of any cluster of ours, only of tests.
  if (project !== 'cluster') return true;
  for (const program of ['rollouts-controller', 'flagger', 'argocd'])
    if (!(await build('--path', program))) return false;
  return true;
};

const runSuite = async (suite: Suite): Promise<Counts> => {
  const name = nameOf(suite);
  const file = join(output, `${name}.json`);
  const started = Date.now();
  process.stdout.write(`\n== ${name} tests\n`);
  if (!(await prepare(suite))) return { passed: 0, failed: 1 };
  const code = await run(
    'npm',
    [
      'run',
      '--silent',
      'jest',
      '--',
      '--selectProjects',
      suite.project,
      ...(suite.only === undefined ? [] : ['--testPathPatterns', suite.only.paths]),
      // Tests of a database wait for it half of their time: a third worker makes use of that.
      ...(suite.serial === true ? ['--runInBand'] : [`--maxWorkers=${suite.project === 'database' ? 3 : 2}`]),
      '--json',
      `--outputFile=${file}`,
      '--forceExit',
    ],
    suite.major === undefined ? {} : { PG_MAJOR: String(suite.major) },
  );
  const counts = countsOf(file, code);
  process.stdout.write(`== ${name}: ${counts.passed} passed, ${counts.failed} failed, ${elapsed(started)}\n`);
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
    if (values.only !== undefined && !values.only.includes(suite.project)) continue;
    if (suite.obstacle !== undefined) {
      skipped.push(`${nameOf(suite)} (${suite.obstacle})`);
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
