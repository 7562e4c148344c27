import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { run, type CommandResult } from '../../dev/cluster/command.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import { startApiServer, type PrivateApiServer } from '../support/api-server.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
}

interface DeploymentSpec {
  readonly template: {
    readonly spec: {
      readonly containers: readonly { readonly image: string; readonly env: readonly object[] }[];
    };
  };
}

const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/segue');
const readYaml = (path: string): unknown => parse(readFileSync(join(root, path), 'utf8'));

const setupTimeoutMs = 30 * 60_000; // the first time on a machine the programs are built
const testTimeoutMs = 120_000;

let api: PrivateApiServer;
let helmProgram: string;
let home: string;

/** Runs helm against the test's own API server, with nothing of the user's settings. */
const helm = (...args: readonly string[]): Promise<CommandResult> =>
  run(helmProgram, args, {
    env: {
      KUBECONFIG: api.kubeconfig,
      HELM_CACHE_HOME: join(home, 'cache'),
      HELM_CONFIG_HOME: join(home, 'config'),
      HELM_DATA_HOME: join(home, 'data'),
    },
  });

const succeed = async (result: Promise<CommandResult>): Promise<string> => {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(stderr || stdout);
  return stdout;
};

const render = async (...flags: readonly string[]): Promise<readonly Manifest[]> => {
  const text = await succeed(
    helm('template', 'segue', chart, '--namespace=segue', '--kube-version=1.36', ...flags),
  );
  return parseAllDocuments(text).flatMap((document) => {
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
};

const kindsOf = (manifests: readonly Manifest[]): readonly string[] =>
  manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? '-'}/${metadata.name}`).sort();

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'segue-helm-'));
  api = await startApiServer();
  ({ helm: helmProgram } = await ensurePrograms(['helm']));
}, setupTimeoutMs);

afterAll(async () => {
  await api.stop();
  rmSync(home, { recursive: true, force: true });
});

test(
  'helm lint finds nothing',
  async () => {
    const result = await helm('lint', '--strict', '--kube-version=1.36', chart);
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('1 chart(s) linted, 0 chart(s) failed');
    expect(result.stdout).not.toMatch(/WARNING|ERROR/);
  },
  testTimeoutMs,
);

describe('rendered', () => {
  test(
    'by default: for all namespaces, with the CRD',
    async () => {
      const manifests = await render();
      expect(kindsOf(manifests)).toEqual([
        'ClusterRole -/segue',
        'ClusterRoleBinding -/segue',
        'CustomResourceDefinition -/schemachanges.segue.dev',
        'Deployment segue/segue',
        'Role segue/segue-leader',
        'RoleBinding segue/segue-leader',
        'ServiceAccount segue/segue',
      ]);
      const crd = manifests.find(({ kind }) => kind === 'CustomResourceDefinition');
      const source = readYaml('crds/schemachanges.segue.dev.yaml') as Manifest;
      expect(crd?.spec).toEqual(source.spec);
      expect(crd?.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    },
    testTimeoutMs,
  );

  test(
    'for some namespaces: a Role in each, nothing for the cluster',
    async () => {
      const manifests = await render('--set=watchNamespaces={shop,billing}', '--set=crds.enabled=false');
      expect(kindsOf(manifests)).toEqual([
        'Deployment segue/segue',
        'Role billing/segue',
        'Role segue/segue-leader',
        'Role shop/segue',
        'RoleBinding billing/segue',
        'RoleBinding segue/segue-leader',
        'RoleBinding shop/segue',
        'ServiceAccount segue/segue',
      ]);
      const deployment = manifests.find(({ kind }) => kind === 'Deployment')?.spec as DeploymentSpec;
      expect(deployment.template.spec.containers[0]?.env).toContainEqual({
        name: 'SEGUE_WATCH_NAMESPACES',
        value: 'shop,billing',
      });
    },
    testTimeoutMs,
  );

  test(
    'two releases of one name in two namespaces share nothing of the cluster',
    async () => {
      const ours = (manifests: readonly Manifest[]): readonly string[] =>
        kindsOf(manifests.filter(({ kind }) => kind.startsWith('ClusterRole')));
      const first = ours(await render('--namespace=blue'));
      expect(first).toHaveLength(2);
      const second = ours(await render('--namespace=green'));
      expect(first.filter((name) => second.includes(name))).toEqual([]);
    },
    testTimeoutMs,
  );

  test(
    'the CRD goes with the release only where that is asked for',
    async () => {
      const crd = (await render('--set=crds.keep=false')).find(
        ({ kind }) => kind === 'CustomResourceDefinition',
      );
      expect(crd?.metadata.name).toBe('schemachanges.segue.dev');
      expect(crd?.metadata.annotations).toBeUndefined();
    },
    testTimeoutMs,
  );

  const digest = `sha256:${'0'.repeat(64)}`;
  test.each([
    [
      'the appVersion',
      [],
      `segue:${(readYaml('charts/segue/Chart.yaml') as { appVersion: string }).appVersion}`,
    ],
    ['a tag', ['--set=image.tag=dev'], 'segue:dev'],
    ['a digest before a tag', ['--set=image.tag=dev', `--set=image.digest=${digest}`], `segue@${digest}`],
  ])(
    'the image by %s',
    async (_, flags, image) => {
      const deployment = (await render(...flags)).find(({ kind }) => kind === 'Deployment')?.spec;
      expect((deployment as DeploymentSpec).template.spec.containers[0]?.image).toBe(image);
    },
    testTimeoutMs,
  );
});

describe('a value that is wrong is refused', () => {
  test.each([
    ['--set=replica=2', "additional properties 'replica' not allowed"],
    ['--set=image.tags=dev', "additional properties 'tags' not allowed"],
    ['--set=crds.install=true', "additional properties 'install' not allowed"],
    ['--set=metrics.enabled=true', "additional properties 'enabled' not allowed"],
    ['--set=resources.limit.memory=1Gi', "additional properties 'limit' not allowed"],
    ['--set=networkPolicy.port=1', "additional properties 'port' not allowed"],
    ['--set=watchNamespaces=shop', 'got string, want array'],
    ['--set=watchNamespaces={shop/a}', "'shop/a' does not match pattern"],
    ['--set=logLevel=verbose', "value must be one of 'debug', 'info', 'warn', 'error'"],
    ['--set=workers=0', 'minimum: got 0, want 1'],
    ['--set-string=replicas=2', 'got string, want integer'],
    ['--set=image.pullPolicy=Sometimes', "value must be one of 'Always', 'IfNotPresent', 'Never'"],
  ])(
    '%s',
    async (flag, says) => {
      const result = await helm('template', 'segue', chart, '--kube-version=1.36', flag);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(says);
    },
    testTimeoutMs,
  );
});

test('the README and the versions agree with the chart', () => {
  const readme = readFileSync(join(chart, 'README.md'), 'utf8');
  const leaves = (value: unknown, path: readonly string[]): readonly string[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
      ? Object.entries(value).flatMap(([key, member]) =>
          path[0] === 'resources' ? ['resources'] : leaves(member, [...path, key]),
        )
      : [path.join('.')];
  const values = leaves(readYaml('charts/segue/values.yaml'), []);
  expect(values).toContain('crds.keep');
  expect(values.filter((value) => !readme.includes(`\`${value}\``))).toEqual([]);

  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(readYaml('charts/segue/Chart.yaml')).toMatchObject({ version, appVersion: version });
});

describe('installed', () => {
  const account = 'system:serviceaccount:ops:segue';
  /** Whether the operator may; `leases segue` is one object, `pods/log` a subresource. */
  const mayI = async (verb: string, what: string, namespace: string): Promise<string> => {
    const [type = '', subresource = ''] = what.replace(' ', ':').split('/');
    const target = type.replace(':', '/');
    const as = [`--as=${account}`, `--namespace=${namespace}`];
    const { stdout } = await api.kubectl([
      'auth',
      'can-i',
      verb,
      target,
      `--subresource=${subresource}`,
      ...as,
    ]);
    return stdout.trim();
  };

  /** All that the operator is allowed where it works, and what it must never be. */
  const rights: readonly (readonly [string, string, 'yes' | 'no'])[] = [
    ['get', 'schemachanges.segue.dev', 'yes'],
    ['watch', 'schemachanges.segue.dev', 'yes'],
    ['patch', 'schemachanges.segue.dev', 'yes'],
    ['patch', 'schemachanges.segue.dev/status', 'yes'],
    ['create', 'schemachanges.segue.dev', 'no'],
    ['update', 'schemachanges.segue.dev', 'no'],
    ['delete', 'schemachanges.segue.dev', 'no'],
    ['get', 'secrets', 'yes'],
    ['list', 'secrets', 'no'],
    ['watch', 'secrets', 'no'],
    ['patch', 'secrets', 'no'],
    ['create', 'deployments.apps', 'yes'],
    ['patch', 'deployments.apps', 'yes'],
    ['delete', 'deployments.apps', 'yes'],
    ['deletecollection', 'deployments.apps', 'no'],
    ['list', 'replicasets.apps', 'yes'],
    ['patch', 'replicasets.apps', 'no'],
    ['list', 'pods', 'yes'],
    ['create', 'pods', 'no'],
    ['delete', 'pods', 'no'],
    ['get', 'pods/log', 'no'],
    ['create', 'pods/exec', 'no'],
    ['patch', 'services', 'yes'],
    ['create', 'services', 'yes'],
    ['delete', 'services', 'yes'],
    ['create', 'events.events.k8s.io', 'yes'],
    ['get', 'configmaps', 'yes'],
    ['patch', 'configmaps', 'yes'],
    ['list', 'configmaps', 'no'],
    ['create', 'configmaps', 'no'],
    ['delete', 'configmaps', 'no'],
    ['create', 'rolebindings.rbac.authorization.k8s.io', 'no'],
  ];

  beforeAll(async () => {
    for (const namespace of ['shop', 'elsewhere']) {
      await succeed(api.kubectl(['create', 'namespace', namespace]));
    }
    await succeed(api.kubectl(['create', 'namespace', 'ops']));
    const level = 'pod-security.kubernetes.io/enforce=restricted';
    await succeed(api.kubectl(['label', 'namespace', 'ops', level]));
    await succeed(helm('install', 'segue', chart, '--namespace=ops', '--set=watchNamespaces={shop}'));
  }, testTimeoutMs);

  test(
    'in a namespace that it looks after it may do its work and nothing else',
    async () => {
      const found = [];
      for (const [verb, resource] of rights) found.push([verb, resource, await mayI(verb, resource, 'shop')]);
      expect(found).toEqual(rights);
    },
    testTimeoutMs,
  );

  test(
    'elsewhere it may do nothing',
    async () => {
      for (const namespace of ['elsewhere', 'ops']) {
        for (const [verb, resource] of rights) {
          const answer = await mayI(verb, resource, namespace);
          expect(`${verb} ${resource} in ${namespace}: ${answer}`).toBe(
            `${verb} ${resource} in ${namespace}: no`,
          );
        }
      }
    },
    testTimeoutMs,
  );

  test(
    'it may hold its own Lease in its own namespace',
    async () => {
      const lease = 'leases.coordination.k8s.io';
      const answers = async (verb: string, name: string, namespace: string): Promise<string> =>
        mayI(verb, name === '' ? lease : `${lease} ${name}`, namespace);
      expect(await answers('create', '', 'ops')).toBe('yes');
      expect(await answers('get', 'segue', 'ops')).toBe('yes');
      expect(await answers('patch', 'segue', 'ops')).toBe('yes');
      expect(await answers('patch', 'somebody-else', 'ops')).toBe('no');
      expect(await answers('list', '', 'ops')).toBe('no');
      expect(await answers('create', '', 'shop')).toBe('no');
    },
    testTimeoutMs,
  );

  test(
    'its pod passes the restricted Pod Security Standard, and is what the schema says',
    async () => {
      const deployment = JSON.parse(
        await succeed(api.kubectl(['get', 'deployment', 'segue', '--namespace=ops', '--output=json'])),
      ) as { readonly spec: DeploymentSpec };
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'probe', namespace: 'ops' },
        spec: deployment.spec.template.spec,
      };
      const result = await api.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod));
      expect(result).toMatchObject({ code: 0, stdout: 'pod/probe created (server dry run)\n' });
    },
    testTimeoutMs,
  );

  test(
    'the pods of the demo’s shop pass it, too',
    async () => {
      const [, shop] = parseAllDocuments(readFileSync(join(root, 'demo/manifests/shop.yaml'), 'utf8')).map(
        (document) => document.toJS() as { readonly kind: string; readonly spec: DeploymentSpec },
      );
      expect(shop?.kind).toBe('Deployment');
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'shop', namespace: 'ops' },
        // No controller makes the account `default` here.
        spec: { ...shop?.spec.template.spec, serviceAccountName: 'segue' },
      };
      const result = await api.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod));
      expect(result).toMatchObject({ code: 0, stdout: 'pod/shop created (server dry run)\n' });
    },
    testTimeoutMs,
  );

  test(
    'a NetworkPolicy lets its pods be reached at one port, and reach what it names',
    async () => {
      const flags = [
        '--set=networkPolicy.enabled=true',
        '--set=networkPolicy.ports={6443,5433}',
        '--set=networkPolicy.to[0].ipBlock.cidr=10.0.0.0/8',
        '--set=networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring',
      ];
      await succeed(
        helm('upgrade', 'segue', chart, '--namespace=ops', '--set=watchNamespaces={shop}', ...flags),
      );
      const get = async (what: string): Promise<unknown> =>
        JSON.parse(await succeed(api.kubectl(['get', what, 'segue', '--namespace=ops', '--output=json'])));
      const policy = (await get('networkpolicy')) as { readonly spec: { readonly podSelector: unknown } };
      const { spec } = (await get('deployment')) as { readonly spec: { readonly selector: unknown } };
      expect(policy.spec.podSelector).toEqual(spec.selector);
      expect(policy.spec).toMatchObject({
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          {
            ports: [{ port: 'http', protocol: 'TCP' }],
            from: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
          },
        ],
        egress: [
          {
            ports: [
              { port: 53, protocol: 'UDP' },
              { port: 53, protocol: 'TCP' },
            ],
          },
          { ports: [{ port: 6443 }, { port: 5433 }], to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
        ],
      });
    },
    testTimeoutMs,
  );

  test(
    'an upgrade reaches all namespaces, and uninstalling leaves the SchemaChanges',
    async () => {
      await succeed(helm('upgrade', 'segue', chart, '--namespace=ops', '--set=replicas=2'));
      expect(await mayI('patch', 'deployments.apps', 'elsewhere')).toBe('yes');
      await succeed(
        api.kubectl(['create', '--namespace=shop', '-f', join(root, 'examples/customers-full-name.yaml')]),
      );
      await succeed(helm('uninstall', 'segue', '--namespace=ops'));
      expect(await succeed(api.kubectl(['get', 'schange', '--namespace=shop', '--output=name']))).toBe(
        'schemachange.segue.dev/customers-full-name\n',
      );
      expect(await mayI('patch', 'deployments.apps', 'shop')).toBe('no');

      await succeed(helm('install', 'segue', chart, '--namespace=ops'));
      expect(await mayI('patch', 'schemachanges.segue.dev', 'shop')).toBe('yes');
    },
    testTimeoutMs,
  );
});
