/**
 * Installed, upgraded from the chart before, rolled back and uninstalled by the real helm on a real API server with
 * its controllers; no node runs the pods.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { runOrThrow } from '../../../dev/cluster/command.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { Helm, chart, only, type DeploymentSpec, type Manifest, type PodSpec } from '../../support/helm.ts';
import { copyChart, everything, rulesWith } from '../../support/whole-chart.ts';

const root = join(import.meta.dirname, '../../..');
const setupTimeoutMs = 30 * 60_000; // the first time on a machine the programs are built
const testTimeoutMs = 240_000;
const untilMs = 120_000;

const crd = 'crd/schemachanges.segue.dev';
/** The chart of commit c578aa7: `git archive --prefix=segue/ c578aa7:charts/segue | gzip -9n`. */
const former = join(root, 'test/fixtures/charts/segue-0.1.0.tgz');

let api: PrivateApiServer;
let helm: Helm;
let home: string;

const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
  const { code, stdout, stderr } = await api.kubectl(args, input);
  if (code !== 0) throw new Error(stderr);
  return stdout;
};

/** An object, as it stands on the API server. */
const get = async (what: string, namespace = 'ops'): Promise<Manifest> =>
  JSON.parse(
    await kubectl(['get', ...what.split(' '), `--namespace=${namespace}`, '--output=json']),
  ) as Manifest;

const isThere = async (...what: readonly string[]): Promise<boolean> =>
  (await kubectl(['get', ...what, '--ignore-not-found', '--output=name'])) !== '';

/** What becomes of a pod here: `created`, or the API server's refusal. */
const admit = async (name: string, spec: PodSpec | undefined): Promise<string> => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'ops' }, spec };
  const { stdout, stderr } = await api.kubectl(
    ['create', '--dry-run=server', '-f', '-'],
    JSON.stringify(pod),
  );
  return stdout + stderr;
};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'segue-chart-'));
  api = await startApiServer({ controllerManager: true });
  helm = await Helm.find(api.kubeconfig);
  for (const namespace of ['ops', 'shop']) await kubectl(['create', 'namespace', namespace]);
  const levels = ['enforce', 'warn'].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);
  await kubectl(['label', 'namespace', 'ops', ...levels]);
}, setupTimeoutMs);

afterAll(async () => {
  helm.dispose();
  await api.stop();
  rmSync(home, { recursive: true, force: true });
});

test.each([
  {
    flags: [],
    says: [
      'in all namespaces',
      'kubectl --namespace segue rollout status deployment/segue',
      'helm --namespace segue test segue',
      'kubectl --namespace <namespace> get schange --watch',
      'The roles edit and admin of a namespace may write them',
    ],
    silent: /replicas is 0|crds\.keep|crds\.enabled/,
  },
  {
    flags: [
      '--set=watchNamespaces={shop,billing}',
      '--set=replicas=0',
      '--set=crds.enabled=false',
      '--set=metrics.service.enabled=false',
      '--set=rbac.aggregateClusterRoles=false',
    ],
    says: [
      'in the namespaces shop, billing.',
      'No operator runs, because replicas is 0',
      'kubectl --namespace shop create secret generic',
      'must be installed, in the version of this chart',
    ],
    silent: /helm --namespace|roles edit and admin|<namespace>/,
  },
])(
  'the notes name the next step with $flags',
  async ({ flags, says, silent }) => {
    const install = ['install', 'segue', chart, '--namespace=segue', '--dry-run=client'];
    const notes = await helm.succeed(...install, ...flags);
    const text = notes.slice(notes.indexOf('\nNOTES:'));
    for (const sentence of says) expect(text).toContain(sentence);
    expect(text).not.toMatch(silent);
  },
  testTimeoutMs,
);

describe('with all that the chart has, in a namespace of the restricted Pod Security Standard', () => {
  let rendered: readonly Manifest[];
  const flags = [...everything, '--set=metrics.serviceMonitor.interval=30s'];

  beforeAll(async () => {
    await kubectl(['apply', '-f', join(root, 'test/fixtures/crds/prometheus-operator.yaml')]);
    const names = ['servicemonitors', 'prometheusrules'].map((name) => `crd/${name}.monitoring.coreos.com`);
    await kubectl(['wait', '--for=condition=Established', ...names, '--timeout=60s']);
    const whole = copyChart(join(home, 'whole'));
    rendered = await helm.render(['--namespace=ops', ...flags], whole);
    const { code, stderr } = await helm.run('install', 'segue', whole, '--namespace=ops', ...flags);
    // Warnings of the API server would be there.
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  }, testTimeoutMs);

  afterAll(async () => {
    await helm.succeed('uninstall', 'segue', '--namespace=ops');
    await kubectl(['delete', crd]);
  }, testTimeoutMs);

  test(
    'both of the operator’s pods are let in',
    async () => {
      await eventually(async () => {
        const pods = JSON.parse(await kubectl(['get', 'pods', '--namespace=ops', '--output=json'])) as {
          readonly items: readonly Manifest[];
        };
        expect(pods.items.map(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'])).toEqual([
          'segue',
          'segue',
        ]);
      }, untilMs);
    },
    testTimeoutMs,
  );

  test(
    'so is that of helm test, and none that asks for more',
    async () => {
      const spec = only(rendered, 'Pod').spec as PodSpec;
      expect(await admit('probe', spec)).toBe('pod/probe created (server dry run)\n');
      const [container] = spec.containers;
      const bolder = { ...spec, containers: [{ ...container, securityContext: { privileged: true } }] };
      expect(await admit('bolder', bolder as PodSpec)).toContain('violates PodSecurity "restricted:latest"');
    },
    testTimeoutMs,
  );

  test(
    'the pods of the demo’s shop pass it, too',
    async () => {
      const [, shop] = parseAllDocuments(readFileSync(join(root, 'demo/manifests/shop.yaml'), 'utf8')).map(
        (document) => document.toJS() as Manifest & { readonly spec: DeploymentSpec },
      );
      expect(shop?.kind).toBe('Deployment');
      expect(await admit('shop', shop?.spec.template.spec)).toBe('pod/shop created (server dry run)\n');
    },
    testTimeoutMs,
  );

  test(
    'the API server keeps every field of what it is given',
    async () => {
      for (const kind of ['ServiceMonitor', 'PrometheusRule', 'NetworkPolicy', 'PodDisruptionBudget']) {
        const { spec } = await get(`${kind} segue`);
        expect(spec).toMatchObject(only(rendered, kind).spec as object);
      }
      expect((await get('PrometheusRule segue')).spec).toEqual(rulesWith());
    },
    testTimeoutMs,
  );

  test(
    'a NetworkPolicy lets its pods be reached at one port, and reach what it names',
    async () => {
      const policy = await get('NetworkPolicy segue');
      const { spec } = (await get('deployment segue')) as Manifest & { readonly spec: DeploymentSpec };
      const dns = ['UDP', 'TCP'].map((protocol) => ({ port: 53, protocol }));
      const ports = [443, 6443, 5432, 6432].map((port) => ({ port, protocol: 'TCP' }));
      expect(policy.spec).toEqual({
        podSelector: spec.selector,
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ ports: [{ port: 'http', protocol: 'TCP' }] }],
        egress: [{ ports: dns }, { ports }],
      });
    },
    testTimeoutMs,
  );
});

describe('from the chart before', () => {
  const columns = (of: Manifest): unknown =>
    (of.spec as { readonly versions: readonly { readonly additionalPrinterColumns?: unknown }[] }).versions[0]
      ?.additionalPrinterColumns;
  const change = 'schange customers-full-name';
  let uid: unknown;
  let wanted: unknown;

  const deployment = async (): Promise<DeploymentSpec> =>
    (await get('deployment segue')).spec as DeploymentSpec;
  const uidOf = async (): Promise<unknown> => (await get(change, 'shop')).metadata['uid' as 'name'];
  /** The release `segue`, as the arguments have it. */
  const release = (verb: string, ...args: readonly string[]): Promise<string> =>
    helm.succeed(verb, 'segue', ...args, '--namespace=ops');

  beforeAll(async () => {
    await runOrThrow('tar', ['--extract', '--gzip', `--file=${former}`, `--directory=${home}`]);
    const file = join(home, 'segue/files/crds/schemachanges.segue.dev.yaml');
    const older = parse(readFileSync(file, 'utf8')) as Manifest;
    wanted = columns(
      parse(readFileSync(join(root, 'crds/schemachanges.segue.dev.yaml'), 'utf8')) as Manifest,
    );
    // That today's CRD differs from the one before is seen whether or not it has been changed since.
    const { versions } = older.spec as { readonly versions: readonly Record<string, unknown>[] };
    delete versions[0]?.['additionalPrinterColumns'];
    writeFileSync(file, stringify(older));
    await release('install', join(home, 'segue'), '--set=podLabels.zone=a', '--set=workers=2');
    await kubectl(['wait', '--for=condition=Established', crd, '--timeout=60s']);
    await kubectl(['create', '--namespace=shop', '-f', join(root, 'examples/customers-full-name.yaml')]);
    uid = await uidOf();
  }, testTimeoutMs);

  test(
    'values of then alone are too few, and that is said',
    async () => {
      const { code, stderr } = await helm.run('upgrade', 'segue', chart, '--namespace=ops', '--reuse-values');
      expect(code).toBe(1);
      expect(stderr).toMatch(/missing propert(y|ies) 'podDisruptionBudget'/);
    },
    testTimeoutMs,
  );

  test(
    'an upgrade brings the CRD up to date and keeps SchemaChanges and the user’s values',
    async () => {
      expect(columns(await get(crd))).toBeUndefined();
      const before = await deployment();
      await release('upgrade', chart, '--reset-then-reuse-values', '--set=logLevel=debug');
      expect(columns(await get(crd))).toEqual(wanted);
      expect(await uidOf()).toBe(uid);
      const after = await deployment();
      expect([before.replicas, after.replicas]).toEqual([1, 2]);
      expect(after.selector).toEqual(before.selector);
      expect(after.template.metadata.labels).toMatchObject({ zone: 'a' });
      expect(after.template.spec.containers[0]?.env).toContainEqual({ name: 'SEGUE_WORKERS', value: '2' });
      expect(await isThere('poddisruptionbudget', 'segue', '--namespace=ops')).toBe(true);
    },
    testTimeoutMs,
  );

  test(
    'a rollback takes back what the upgrade brought, and no SchemaChange',
    async () => {
      await release('rollback', '1');
      expect((await deployment()).replicas).toBe(1);
      expect(columns(await get(crd))).toBeUndefined();
      expect(await isThere('poddisruptionbudget', 'segue', '--namespace=ops')).toBe(false);
      expect(await isThere('clusterrole', 'ops-segue-edit')).toBe(false);
      expect(await uidOf()).toBe(uid);
    },
    testTimeoutMs,
  );

  test(
    'a CRD that the release gives up stays, and may be taken back',
    async () => {
      await release('upgrade', chart, '--set=crds.enabled=false');
      expect(await uidOf()).toBe(uid);
      await release('upgrade', chart, '--reset-values');
      expect(columns(await get(crd))).toEqual(wanted);
      expect(await uidOf()).toBe(uid);
    },
    testTimeoutMs,
  );

  test(
    'uninstalling leaves the SchemaChanges and nothing else',
    async () => {
      await release('uninstall');
      const own =
        'deployments,services,serviceaccounts,poddisruptionbudgets,configmaps,secrets,roles,rolebindings';
      const ofTheCluster = 'clusterroles,clusterrolebindings,customresourcedefinitions';
      const selector = '--selector=app.kubernetes.io/instance=segue';
      const left = await kubectl([
        'get',
        `${own},${ofTheCluster}`,
        '--all-namespaces',
        selector,
        '--output=name',
      ]);
      expect(left.trim()).toBe('customresourcedefinition.apiextensions.k8s.io/schemachanges.segue.dev');
      expect(await uidOf()).toBe(uid);
    },
    testTimeoutMs,
  );

  test(
    'another release takes the CRD over where it is told to; with crds.keep=false all goes with it',
    async () => {
      const install = ['install', 'other', chart, '--namespace=ops', '--set=crds.keep=false'];
      const refused = await helm.run(...install);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(
        '"schemachanges.segue.dev" in namespace "" exists and cannot be imported',
      );
      const said = await helm.succeed(...install, '--take-ownership');
      expect(said).toContain('deletes the CRD and with it every SchemaChange (crds.keep is false)');
      expect(await uidOf()).toBe(uid);
      await helm.succeed('uninstall', 'other', '--namespace=ops');
      await kubectl(['wait', '--for=delete', crd, '--timeout=120s']);
    },
    testTimeoutMs,
  );
});
