import { describe, expect, test } from '@jest/globals';
import { complete, forShell } from '../../../src/cli/complete.ts';
import { verbs } from '../../../src/cli/verbs.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';
import { runVerb } from '../../support/verb-run.ts';

let asked = 0;
const names = (): Promise<readonly string[]> => {
  asked += 1;
  return Promise.resolve(['customers', 'orders']);
};

const words = async (line: string): Promise<string> =>
  (await complete(line.split(' '), verbs, names)).map(({ word }) => word).join(' ');

describe('completion', () => {
  test.each([
    ['re', 'resume retry repair report'],
    ['-n shop stat', 'status'],
    ['status ', 'customers orders'],
    ['status or', 'orders'],
    ['-n shop status -w ', 'customers orders'],
    ['status customers ', ''],
    ['status -n ', ''],
    ['status -o ', 'json yaml'],
    ['status --output j', 'json'],
    ['status --all', '--all-namespaces'],
    ['status --names', '--namespace'],
    ['completion ', ''],
    ['nonsense ', ''],
  ])('"%s" may go on with: %s', async (line, expected) => {
    expect(await words(line)).toBe(expected);
  });

  test('asks the cluster only where a name may come', async () => {
    asked = 0;
    for (const line of ['', 'sta', 'status --', 'status -o ', 'version ']) await words(line);
    expect(asked).toBe(0);
  });

  test('is told as kubectl reads it', () => {
    expect(forShell([{ word: 'status', says: 'Shows' }, { word: 'x' }])).toBe('status\tShows\nx\n:4\n');
    expect(forShell([])).toBe(':4\n');
  });

  test('has a script for each shell', async () => {
    const cluster = new MemoryCluster();
    for (const shell of ['kubectl', 'bash', 'zsh', 'fish'])
      expect((await runVerb(['completion', shell], { cluster })).out).toContain('segue __complete');
    expect(await runVerb(['completion', 'toString'], { cluster })).toMatchObject({ code: 2, out: '' });
  });
});
