/** Runs tests of faults alone, by words of their line in docs/reliability.md or of their name; without words it lists them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readFaultRows, type FaultTest } from './fault-table.ts';

const rows = readFaultRows();

const titleOf = ({ file, name }: FaultTest): string => (name === undefined ? file : `${file}: ${name}`);

const list = (): number => {
  for (const { fault, tests } of rows)
    process.stdout.write(`${fault}\n${tests.map((test) => `    ${titleOf(test)}\n`).join('')}`);
  process.stdout.write("\nRun one with: make test-faults NAME='words of its line or of its name'\n");
  return 0;
};

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** One run of jest for a file, of the tests of these names, or of all. */
const runFile = (file: string, names: readonly (string | undefined)[]): number => {
  const only = names.includes(undefined) ? [] : ['-t', names.map((name = '') => literally(name)).join('|')];
  const project = file.split('/')[1] ?? '';
  const directory = mkdtempSync(join(tmpdir(), 'segue-test-faults-'));
  const report = join(directory, 'report.json');
  const args = [
    '--selectProjects',
    project,
    '--runInBand',
    '--forceExit',
    '--testPathPatterns',
    literally(file),
    '--json',
    `--outputFile=${report}`,
  ];
  try {
    const { status } = spawnSync('npm', ['run', '--silent', 'jest', '--', ...args, ...only], {
      stdio: 'inherit',
    });
    if (status !== 0) return status ?? 1;
    const { numPassedTests } = JSON.parse(readFileSync(report, 'utf8')) as { numPassedTests: number };
    if (numPassedTests > 0) return 0;
    // Jest calls it a success.
    process.stderr.write(`No test of ${file} is named so; make test-faults lists them.\n`);
    return 1;
  } finally {
    rmSync(directory, { recursive: true });
  }
};

/** Tests whose line or reference has the words; else whatever is named so in a file of the table. */
const chosen = (words: string): readonly FaultTest[] => {
  const has = (text: string): boolean => text.toLowerCase().includes(words.toLowerCase());
  const found = rows.flatMap(({ fault, tests }) =>
    has(fault) ? tests : tests.filter((test) => has(titleOf(test))),
  );
  if (found.length > 0) return found;
  return rows
    .flatMap(({ tests }) => tests)
    .filter(({ file }) => readFileSync(file, 'utf8').includes(words))
    .map((test) => ({ ...test, name: words }));
};

const main = (): number => {
  const { values } = parseArgs({ options: { name: { type: 'string' } } });
  if (values.name === undefined || values.name === '') return list();
  const tests = chosen(values.name);
  if (tests.length === 0) {
    process.stderr.write(`No test has the words "${values.name}"; make test-faults lists them.\n`);
    return 1;
  }
  const byFile = Map.groupBy(tests, ({ file }) => file);
  let worst = 0;
  for (const [file, found] of byFile)
    worst = Math.max(
      worst,
      runFile(
        file,
        found.map(({ name }) => name),
      ),
    );
  return worst;
};

process.exitCode = main();
