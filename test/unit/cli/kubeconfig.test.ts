import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { kubeconfigFiles } from '../../../src/cli/kubeconfig.ts';
import { Connection } from '../../../src/kube/connection.ts';
import { readKubeconfig } from '../../../src/kube/kubeconfig.ts';

describe('the files', () => {
  const sources = { option: undefined, variable: undefined, home: '/home/me', exists: () => true };

  test('are the option, else the variable, else the one at home', () => {
    expect(kubeconfigFiles({ ...sources, option: '/a', variable: '/b' })).toEqual(['/a']);
    expect(kubeconfigFiles({ ...sources, variable: '/b' })).toEqual(['/b']);
    expect(kubeconfigFiles({ ...sources, variable: '' })).toEqual(['/home/me/.kube/config']);
    expect(kubeconfigFiles({ ...sources, exists: () => false })).toEqual([]);
  });

  test('of a list that are not there are passed over, as by kubectl; one alone must be there', () => {
    const exists = (file: string): boolean => file !== '/gone';
    expect(kubeconfigFiles({ ...sources, variable: '/b:/gone::/c', exists })).toEqual(['/b', '/c']);
    expect(kubeconfigFiles({ ...sources, variable: '/gone', exists })).toEqual(['/gone']);
  });
});

describe('several files', () => {
  let directory: string;
  const file = (name: string): string => join(directory, name);
  const write = (
    name: string,
    current: string | undefined,
    entries: Readonly<Record<string, string>>,
  ): string => {
    writeFileSync(
      file(name),
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        ...(current === undefined ? {} : { 'current-context': current }),
        clusters: Object.entries(entries).map(([name, server]) => ({ name, cluster: { server } })),
        users: Object.keys(entries).map((name) => ({ name, user: { token: `token-${name}` } })),
        contexts: Object.keys(entries).map((name) => ({
          name,
          context: { cluster: name, user: name, namespace: `in-${name}` },
        })),
      }),
    );
    return file(name);
  };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'segue-kubeconfig-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('are merged, and the first one counts where two say the same', () => {
    const one = write('one', undefined, { a: 'https://a.first' });
    const two = write('two', 'b', { a: 'https://a.second', b: 'https://b' });
    const three = write('three', 'c', { c: 'https://c' });
    const config = readKubeconfig([one, two, three]);
    expect(config.getCurrentContext()).toBe('b');
    expect(config.getClusters().map(({ server }) => server)).toEqual([
      'https://a.first',
      'https://b',
      'https://c',
    ]);
    expect(config.getUsers().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(new Connection({ kubeconfig: [one, two, three] })).toMatchObject({
      server: 'https://b',
      namespace: 'in-b',
    });
    expect(new Connection({ kubeconfig: [one, two], context: 'a' }).server).toBe('https://a.first');
  });

  test('a context that none of them has is answered with those there are', () => {
    const one = write('one', 'a', { a: 'https://a', b: 'https://b' });
    expect(() => new Connection({ kubeconfig: [one], context: 'c' })).toThrow(
      /names no cluster for the context "c"; choose one of its contexts: a, b\./,
    );
  });

  test('one that can’t be read is named', () => {
    expect(() => readKubeconfig([file('missing')])).toThrow(/The kubeconfig .*missing can't be read: ENOENT/);
    expect(() => readKubeconfig([])).toThrow('No kubeconfig was given.');
  });
});
