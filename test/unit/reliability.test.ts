/** Every promise of docs/reliability.md names a test that is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { faultRows, readFaultRows } from '../../dev/fault-table.ts';

const checkout = join(import.meta.dirname, '..', '..');
const rows = readFaultRows();

test('each row names a fault, a promise and at least one test', () => {
  expect(rows.length).toBeGreaterThan(25);
  for (const { fault, promise, tests } of rows) {
    expect(promise).not.toBe('');
    expect([fault, tests.length > 0]).toEqual([fault, true]);
  }
});

test('each test that is named is in the file that is named', () => {
  const missing = rows
    .flatMap(({ tests }) => tests)
    .filter(({ file, name = '' }) => {
      const path = join(checkout, file);
      return !existsSync(path) || !readFileSync(path, 'utf8').includes(name);
    });
  expect(missing).toEqual([]);
});

test('a row is read with its tests, of a whole file or by name', () => {
  const table =
    '| fault | promise | test |\n| --- | --- | --- |\n| a fault | a promise | `unit/x`, `e2e/y: so: and so` |\n';
  expect(faultRows(table)).toEqual([
    {
      fault: 'a fault',
      promise: 'a promise',
      tests: [
        { project: 'unit', file: 'test/unit/x.test.ts', name: undefined },
        { project: 'e2e', file: 'test/e2e/y.test.ts', name: 'so: and so' },
      ],
    },
  ]);
});
