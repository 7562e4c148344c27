/** The chart's ValidatingAdmissionPolicy on a real API server: what it refuses, and that it lets all else through. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';
import { runOrThrow, type CommandResult } from '../../dev/cluster/command.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { Code } from '../../src/api/phase.ts';
import { connect, type Cluster } from '../../src/kube/client.ts';
import { namespaces, schemaChanges } from '../../src/kube/resources.ts';
import { startApiServer, type PrivateApiServer } from '../support/api-server.ts';
import { applyRolloutCrds } from '../support/argo-rollouts.ts';
import { eventually } from '../support/eventually.ts';
import { places, shortSpec } from '../support/places.ts';

const root = join(import.meta.dirname, '../..');
const namespace = 'shop';
const setupTimeoutMs = 30 * 60_000;
const testTimeoutMs = 120_000;

let api: PrivateApiServer;
let cluster: Cluster;
let home: string;

const kinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob', 'Rollout'] as const;
type Kind = (typeof kinds)[number];

const apiVersions: Readonly<Record<Kind, string>> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  ReplicaSet: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Rollout: 'argoproj.io/v1alpha1',
};

const template = (labels: object, image = 'shop:1') => ({
  metadata: { labels: { app: 'shop', ...labels } },
  spec: { containers: [{ name: 'app', image }], restartPolicy: 'Always' },
});

const specOf = (kind: Kind, labels: object, image?: string): object => {
  const made = template(labels, image);
  const once = { ...made, spec: { ...made.spec, restartPolicy: 'Never' } };
  const selector = { matchLabels: { app: 'shop' } };
  switch (kind) {
    case 'Job':
      return { template: once };
    case 'CronJob':
      return { schedule: '0 3 * * *', jobTemplate: { spec: { template: once } } };
    case 'StatefulSet':
      return { selector, serviceName: 'shop', template: made };
    case 'Deployment':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Rollout':
      return { selector, template: made };
  }
};

const label = (change: string, code: string) => ({ [`change.segue.dev/${change}`]: code });

const manifestOf = (
  kind: Kind,
  labels: object,
  over: { image?: string; metadata?: object } = {},
): object => ({
  apiVersion: apiVersions[kind],
  kind,
  metadata: { name: 'shop', namespace, ...over.metadata },
  spec: specOf(kind, labels, over.image),
});

/** Asks whether it would be taken; the policy is asked as it is for a write. */
const dryRun = (manifest: object, ...flags: readonly string[]): Promise<CommandResult> =>
  api.kubectl(['create', '--dry-run=server', '-f', '-', ...flags], stringify(manifest));

const refusedAs = async (manifest: object, ...flags: readonly string[]): Promise<string> => {
  const { code, stderr } = await dryRun(manifest, ...flags);
  expect(code).not.toBe(0);
  return stderr;
};

const expectTaken = async (manifest: object, ...flags: readonly string[]): Promise<void> => {
  expect(await dryRun(manifest, ...flags)).toMatchObject({ code: 0 });
};

const succeed = async (args: readonly string[], input?: string): Promise<string> => {
  const { code, stdout, stderr } = await api.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

const renderPolicy = async (...flags: readonly string[]): Promise<string> => {
  const { helm } = await ensurePrograms(['helm']);
  const text = await runOrThrow(
    helm,
    [
      'template',
      'segue',
      join(root, 'charts/segue'),
      '--namespace=segue',
      '--kube-version=1.36',
      '--set=admissionPolicy.enabled=true',
      '--show-only=templates/admission-policy.yaml',
      ...flags,
    ],
    { env: { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home } },
  );
  return text;
};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'segue-helm-'));
  api = await startApiServer();
  cluster = connect({ kubeconfig: api.kubeconfig });
  for (const name of [namespace, 'elsewhere']) await cluster.create({ resource: namespaces, name }, {});
  await succeed(['apply', '--server-side', '-f', join(root, 'crds/schemachanges.segue.dev.yaml')]);
  await succeed(['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=60s']);
  await applyRolloutCrds(api);
  await succeed(['apply', '-f', '-'], await renderPolicy());
  for (const { name, status } of places) {
    const ref = { resource: schemaChanges, namespace, name };
    await cluster.create(ref, { spec: shortSpec });
    if (status !== undefined) await cluster.apply(ref, { status }, { force: true, subresource: 'status' });
  }
  // The API server looks at the SchemaChanges through a cache of its own, and learns of policies by and by.
  for (const { name, allows } of places)
    await eventually(async () => {
      const probe = await dryRun(manifestOf('Deployment', label(name, 'new-only')));
      if ((probe.code === 0) !== (allows === 'new-only')) throw new Error(`${name}: ${probe.stderr}`);
    }, 60_000);
}, setupTimeoutMs);

afterAll(async () => {
  await cluster?.close();
  await api?.stop();
  rmSync(home, { recursive: true, force: true });
});

const ranks: readonly Code[] = ['old', 'writes-both', 'reads-new', 'new-only'];

describe('what a phase allows', () => {
  test.each(places)(
    '$name: at most $allows',
    async ({ name, allows }) => {
      for (const code of ranks) {
        const manifest = manifestOf('Deployment', label(name, code));
        if (ranks.indexOf(code) <= ranks.indexOf(allows)) await expectTaken(manifest);
        else
          expect(await refusedAs(manifest)).toContain(
            `Deployment shop/shop would run ${code} code (label change.segue.dev/${name} of its pod template), but SchemaChange ${name} is in `,
          );
      }
    },
    testTimeoutMs,
  );

  test('says when the code may come', async () => {
    expect(await refusedAs(manifestOf('Deployment', label('in-backfill', 'reads-new')))).toContain(
      'is in Backfill and allows at most writes-both. It may come once condition Backfilled is True: kubectl wait schange/in-backfill -n shop --for=condition=Backfilled --timeout=24h',
    );
    expect(await refusedAs(manifestOf('Deployment', label('in-add-column', 'writes-both')))).toContain(
      '--for=condition=ColumnsAdded',
    );
    expect(await refusedAs(manifestOf('Deployment', label('back-in-backfill', 'new-only')))).toContain(
      'The change is walked back: this code may come when it has been applied anew.',
    );
  });
});

describe('of each kind', () => {
  test.each(kinds)(
    '%s',
    async (kind) => {
      expect(await refusedAs(manifestOf(kind, label('in-backfill', 'new-only')))).toContain(
        `${kind} shop/shop would run new-only code`,
      );
      await expectTaken(manifestOf(kind, label('in-backfill', 'writes-both')));
      await expectTaken(manifestOf(kind, label('in-quarantine', 'new-only')));
      await expectTaken(manifestOf(kind, {}));
      // One of several changes is enough.
      expect(
        await refusedAs(
          manifestOf(kind, { ...label('in-quarantine', 'new-only'), ...label('pending', 'writes-both') }),
        ),
      ).toContain('SchemaChange pending is in Pending');
    },
    testTimeoutMs,
  );
});

describe('lets through', () => {
  test('a label for a SchemaChange that is not there, or of another namespace, and values that nobody knows', async () => {
    await expectTaken(manifestOf('Deployment', label('unheard-of', 'new-only')));
    await expectTaken(manifestOf('Deployment', label('in-backfill', 'newest')));
    const elsewhere = manifestOf('Deployment', label('in-backfill', 'new-only'), {
      metadata: { namespace: 'elsewhere' },
    });
    await expectTaken(elsewhere);
  });

  test('a Rollout that takes its template from elsewhere', async () => {
    await expectTaken({
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Rollout',
      metadata: { name: 'referring', namespace },
      spec: { workloadRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' } },
    });
  });

  test('the ReplicaSet that a Deployment makes', async () => {
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop', uid: 'u', controller: true };
    const labels = label('in-backfill', 'new-only');
    await expectTaken(manifestOf('ReplicaSet', labels, { metadata: { ownerReferences: [owner] } }));
  });

  test('what the operator itself rolls out', async () => {
    await succeed([
      'create',
      'clusterrolebinding',
      'segue-all',
      '--clusterrole=cluster-admin',
      '--serviceaccount=segue:segue',
    ]);
    const green = manifestOf('Deployment', label('in-backfill', 'new-only'), {
      metadata: { name: 'shop-green' },
    });
    await expectTaken(green, '--as=system:serviceaccount:segue:segue');
    expect(await refusedAs(green)).toContain('would run new-only code');
  });

  test(
    'scaling, annotations, status and deletion of what claims too much already, but no other template',
    async () => {
      const labels = label('late', 'reads-new');
      for (const kind of ['Deployment', 'CronJob'] as const)
        await succeed(['create', '-f', '-'], stringify(manifestOf(kind, labels)));
      // The SchemaChange comes only now.
      await cluster.create({ resource: schemaChanges, namespace, name: 'late' }, { spec: shortSpec });
      await eventually(async () => {
        const probe = await dryRun(manifestOf('Deployment', labels, { metadata: { name: 'probe' } }));
        if (probe.code === 0) throw new Error('The policy does not see the SchemaChange.');
      }, 60_000);
      for (const kind of ['Deployment', 'CronJob'] as const)
        await succeed(['annotate', kind, 'shop', '-n', namespace, 'note=1']);
      await succeed(['scale', 'deployment/shop', '-n', namespace, '--replicas=5']);
      await succeed(['patch', 'deployment', 'shop', '-n', namespace, '-p', '{"spec":{"replicas":2}}']);
      await succeed([
        'patch',
        'deployment',
        'shop',
        '-n',
        namespace,
        '--subresource=status',
        '-p',
        '{"status":{"replicas":0}}',
      ]);
      for (const kind of ['Deployment', 'CronJob'] as const) {
        const edited = stringify(manifestOf(kind, labels, { image: 'shop:2' }));
        const refused = await api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], edited);
        expect(refused.stderr).toContain('would run reads-new code');
        const back = stringify(manifestOf(kind, label('late', 'old'), { image: 'shop:2' }));
        await succeed(['apply', '--server-side', '--force-conflicts', '-f', '-'], back);
        await succeed(['delete', kind, 'shop', '-n', namespace, '--wait=false']);
      }
    },
    testTimeoutMs,
  );
});

test('for some namespaces it looks at no others', async () => {
  const [, binding] = parseAllDocuments(await renderPolicy('--set=watchNamespaces={shop,billing}')).map(
    (document) => document.toJS() as { readonly spec: { readonly matchResources?: object } },
  );
  expect(binding?.spec.matchResources).toEqual({
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['shop', 'billing'] }],
    },
  });
});
