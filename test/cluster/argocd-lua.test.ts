/**
 * Health and actions of SchemaChanges in Argo CD's own program, from the settings that users install: every case of
 * health_test.yaml and action_test.yaml, which have the form of Argo CD's own tests of such Lua.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import { argocd, settings } from '../support/argo-cd.ts';

const home = join(import.meta.dirname, '../../gitops/argo-cd/segue.dev/SchemaChange');
const read = (...path: readonly string[]): unknown => parse(readFileSync(join(home, ...path), 'utf8'));

const { tests: healthTests } = read('health_test.yaml') as {
  readonly tests: readonly {
    readonly inputPath: string;
    readonly healthStatus: { readonly status: string; readonly message: string };
  }[];
};
const { discoveryTests, actionTests } = read('actions/action_test.yaml') as {
  readonly discoveryTests: readonly {
    readonly inputPath: string;
    readonly result: readonly { readonly name: string; readonly disabled: boolean }[];
  }[];
  readonly actionTests: readonly {
    readonly action: string;
    readonly inputPath: string;
    readonly expectedOutputPath?: string;
    readonly expectedErrorMessage?: string;
  }[];
};

// It prints what an action makes by a program for differences; this one shows the second file alone.
const env = { KUBECTL_EXTERNAL_DIFF: "awk 'FNR==1{files++} files==2'" };

const overrides = (...args: readonly string[]) =>
  argocd(['admin', 'settings', 'resource-overrides', ...args, '--argocd-cm-path', settings], env);

beforeAll(async () => {
  await ensurePrograms(['argocd']);
}, 40 * 60_000);

describe('health', () => {
  test.each(healthTests)(
    '$inputPath: $healthStatus.status',
    async ({ inputPath, healthStatus: { status, message } }) => {
      const { stdout } = await overrides('health', join(home, inputPath));
      expect(stdout).toBe(`STATUS: ${status}\nMESSAGE: ${message}\n`);
    },
    60_000,
  );
});

describe('actions that are offered', () => {
  test.each(discoveryTests)(
    '$inputPath',
    async ({ inputPath, result }) => {
      const { stdout } = await overrides('list-actions', join(home, 'actions', inputPath));
      const [, ...lines] = stdout.trim().split('\n');
      const offered = lines.map((line) => {
        const [name, disabled] = line.split(/\s+/);
        return { name, disabled: disabled === 'true' };
      });
      const sorted = result
        .map(({ name, disabled }) => ({ name, disabled }))
        .sort((a, b) => a.name.localeCompare(b.name));
      expect(offered).toEqual(sorted);
    },
    60_000,
  );
});

describe('actions', () => {
  test.each(actionTests)(
    '$action of $inputPath',
    async ({ action, inputPath, expectedOutputPath, expectedErrorMessage }) => {
      const { stdout, stderr } = await overrides('run-action', join(home, 'actions', inputPath), action);
      if (expectedOutputPath === undefined) {
        expect(stderr).toContain(expectedErrorMessage);
        return;
      }
      const made: unknown = parse(stdout.replace('Following fields have been changed:\n', ''));
      expect(made).toEqual(read('actions', expectedOutputPath));
      expect(made).not.toEqual(read('actions', inputPath));
    },
    60_000,
  );
});

describe('the policy in the guide', () => {
  const directory = mkdtempSync(join(tmpdir(), 'segue-argo-cd-policy-'));
  const file = join(directory, 'policy.csv');
  const guide = readFileSync(join(import.meta.dirname, '../../docs/argo-cd.md'), 'utf8');
  writeFileSync(file, /^```csv\n(.*?)^```$/ms.exec(guide)?.[1] ?? '');
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    ['role:developer', 'suspend', 'Yes'],
    ['role:developer', 'approve', 'No'],
    ['role:dba', 'approve', 'Yes'],
    ['role:dba', 'rollback', 'Yes'],
  ])(
    'lets %s %s: %s',
    async (role, action, answer) => {
      const asked = [role, `action/segue.dev/SchemaChange/${action}`, 'applications', 'shop/shop'];
      // It wants the address of a cluster, which it has no need of.
      const given = ['--policy-file', file, '--server=http://127.0.0.1:1'];
      const { stdout } = await argocd(['admin', 'settings', 'rbac', 'can', ...asked, ...given]);
      expect(stdout.trim()).toBe(answer);
    },
    60_000,
  );
});
