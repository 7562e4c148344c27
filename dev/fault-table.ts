/** The table of docs/reliability.md: which test shows what becomes of which fault. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A test, or all tests of a file. */
export interface FaultTest {
  /** Jest's project, the first folder below `test`. */
  readonly project: string;
  /** From the checkout's root. */
  readonly file: string;
  /** A part of the test's full name as it stands in the file; undefined: all of the file. */
  readonly name: string | undefined;
}

/** A line of the table. */
export interface FaultRow {
  readonly fault: string;
  readonly promise: string;
  readonly tests: readonly FaultTest[];
}

const testOf = (reference: string): FaultTest => {
  const [file = '', ...name] = reference.split(': ');
  return {
    project: file.split('/')[0] ?? '',
    file: join('test', `${file}.test.ts`),
    name: name.length === 0 ? undefined : name.join(': '),
  };
};

/** The rows of every table with columns fault, promise and test; the last one holds tests as code alone. */
export const faultRows = (markdown: string): readonly FaultRow[] =>
  markdown.split('\n').flatMap((line) => {
    const [, fault = '', promise = '', tests = '', end] = line.split('|').map((cell) => cell.trim());
    if (end !== '' || fault === 'fault' || /^-+$/.test(fault)) return [];
    const references = [...tests.matchAll(/`([^`]+)`/g)].map(([, reference = '']) => reference);
    return [{ fault, promise, tests: references.map(testOf) }];
  });

/** The rows as the checkout has them. */
export const readFaultRows = (): readonly FaultRow[] =>
  faultRows(readFileSync(join(import.meta.dirname, '..', 'docs', 'reliability.md'), 'utf8'));
