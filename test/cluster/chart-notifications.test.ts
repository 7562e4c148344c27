/** How the chart hands the gate and the notifications to the operator. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { runOrThrow } from '../../dev/cluster/command.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import { readConfig } from '../../src/config.ts';

const chart = join(import.meta.dirname, '../../charts/segue');
const setupTimeoutMs = 30 * 60_000;
const testTimeoutMs = 60_000;

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template?: {
      readonly spec: { readonly containers: readonly { readonly env: readonly Variable[] }[] };
    };
    readonly selector?: object;
    readonly ports?: readonly object[];
  };
}

let home: string;
let helm: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'segue-helm-'));
  ({ helm } = await ensurePrograms(['helm']));
}, setupTimeoutMs);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const render = async (...flags: readonly string[]): Promise<readonly Manifest[]> => {
  const text = await runOrThrow(helm, ['template', 'segue', chart, '--kube-version=1.36', ...flags], {
    env: { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home },
  });
  return parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
};

const environment = (manifests: readonly Manifest[]): readonly Variable[] =>
  manifests.find(({ kind }) => kind === 'Deployment')?.spec.template?.spec.containers[0]?.env ?? [];

/** As the operator reads it, with a Secret's value in its place. */
const configured = (variables: readonly Variable[]) =>
  readConfig(
    Object.fromEntries(
      variables.map(({ name, value }) => [
        name,
        value ?? (name === 'SEGUE_NOTIFY_URL' ? 'https://receiver/x' : ''),
      ]),
    ),
  );

test(
  'by default there is no gate, and nobody is told',
  async () => {
    const manifests = await render();
    expect(configured(environment(manifests))).toMatchObject({ gate: false, notify: undefined });
    expect(manifests.map(({ metadata }) => metadata.name)).not.toContain('segue-gate');
  },
  testTimeoutMs,
);

test(
  'a gate comes with its Service, to every pod of the operator',
  async () => {
    const manifests = await render('--set=gate.enabled=true');
    expect(configured(environment(manifests)).gate).toBe(true);
    const service = manifests.find(({ metadata }) => metadata.name === 'segue-gate');
    expect(service).toMatchObject({ kind: 'Service', spec: { ports: [{ port: 80, targetPort: 'http' }] } });
    const deployment = manifests.find(({ kind }) => kind === 'Deployment');
    expect(deployment?.spec.selector).toEqual({ matchLabels: service?.spec.selector });
  },
  testTimeoutMs,
);

test(
  'the address of notifications comes from a Secret',
  async () => {
    const variables = environment(
      await render(
        '--set=notifications.urlFrom.name=segue-notify',
        '--set=notifications.format=Slack',
        '--set=notifications.occasions={Held,Completed}',
      ),
    );
    expect(variables).toContainEqual({
      name: 'SEGUE_NOTIFY_URL',
      valueFrom: { secretKeyRef: { name: 'segue-notify', key: 'url' } },
    });
    expect(configured(variables).notify).toMatchObject({ format: 'Slack', on: ['Held', 'Completed'] });
  },
  testTimeoutMs,
);

test(
  'what the operator would not take is refused',
  async () => {
    for (const [flag, says] of [
      ['--set=notifications.occasions={Hold}', "value must be one of 'AwaitingApproval'"],
      ['--set=notifications.format=Email', "value must be one of 'CloudEvents', 'Slack'"],
      ['--set=notifications.url=https://receiver', "additional properties 'url' not allowed"],
      ['--set=gate.enable=true', "additional properties 'enable' not allowed"],
    ] as const)
      await expect(render(flag)).rejects.toThrow(says);
  },
  testTimeoutMs,
);
