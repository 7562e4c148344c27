/** What the chart renders, by the real helm; no cluster is asked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { Helm, chart, only, type DeploymentSpec, type Manifest } from '../../support/helm.ts';

const crdFile = join(import.meta.dirname, '../../../crds/schemachanges.segue.dev.yaml');
const setupTimeoutMs = 30 * 60_000; // the first time on a machine helm is built
const testTimeoutMs = 120_000;

let helm: Helm;

const render = (...flags: readonly string[]): Promise<readonly Manifest[]> => helm.render(flags);

const kindsOf = (manifests: readonly Manifest[]): readonly string[] =>
  manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? '-'}/${metadata.name}`).sort();

const deploymentOf = (manifests: readonly Manifest[]): DeploymentSpec =>
  only(manifests, 'Deployment').spec as DeploymentSpec;

beforeAll(async () => {
  helm = await Helm.find();
}, setupTimeoutMs);

afterAll(() => helm.dispose());

test(
  'helm lint finds nothing',
  async () => {
    const result = await helm.run('lint', '--strict', '--kube-version=1.36', chart);
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('1 chart(s) linted, 0 chart(s) failed');
    expect(result.stdout).not.toMatch(/WARNING|ERROR/);
  },
  testTimeoutMs,
);

describe('by default', () => {
  let manifests: readonly Manifest[];
  beforeAll(async () => {
    manifests = await render();
  }, testTimeoutMs);

  test('for all namespaces, with the CRD and a test', () => {
    expect(kindsOf(manifests)).toEqual([
      'ClusterRole -/segue',
      'ClusterRole -/segue-edit',
      'ClusterRole -/segue-view',
      'ClusterRoleBinding -/segue',
      'CustomResourceDefinition -/schemachanges.segue.dev',
      'Deployment segue/segue',
      'Pod segue/segue-test',
      'PodDisruptionBudget segue/segue',
      'Role segue/segue-leader',
      'RoleBinding segue/segue-leader',
      'Service segue/segue-metrics',
      'ServiceAccount segue/segue',
    ]);
  });

  test('the CRD is that of the sources, and stays on uninstall', () => {
    const crd = only(manifests, 'CustomResourceDefinition');
    expect(crd.spec).toEqual((parse(readFileSync(crdFile, 'utf8')) as Manifest).spec);
    expect(crd.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
  });

  test('two replicas, of which a drain takes one at a time, on two nodes where there are two', () => {
    const { replicas, selector, template } = deploymentOf(manifests);
    expect(replicas).toBe(2);
    expect(only(manifests, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1, selector });
    expect(template.spec.affinity).toEqual({
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 100,
            podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: selector },
          },
        ],
      },
    });
  });

  test('what helm test runs is none of the pods that Deployment, Service and budget select', () => {
    const { selector, template } = deploymentOf(manifests);
    const own = { labels: only(manifests, 'Pod').metadata.labels ?? {} };
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    expect(Object.entries(selector.matchLabels).every(([key, value]) => own.labels[key] === value)).toBe(
      false,
    );
    expect(only(manifests, 'Service').spec).toMatchObject({
      clusterIP: 'None',
      selector: selector.matchLabels,
    });
  });
});

test(
  'for some namespaces: a Role in each, nothing for the cluster where that is asked for',
  async () => {
    const manifests = await render(
      '--set=watchNamespaces={shop,billing}',
      '--set=crds.enabled=false',
      '--set=rbac.aggregateClusterRoles=false',
    );
    expect(manifests.filter(({ metadata }) => metadata.namespace === undefined)).toEqual([]);
    expect(kindsOf(manifests.filter(({ kind }) => kind.startsWith('Role')))).toEqual([
      'Role billing/segue',
      'Role segue/segue-leader',
      'Role shop/segue',
      'RoleBinding billing/segue',
      'RoleBinding segue/segue-leader',
      'RoleBinding shop/segue',
    ]);
    expect(deploymentOf(manifests).template.spec.containers[0]?.env).toContainEqual({
      name: 'SEGUE_WATCH_NAMESPACES',
      value: 'shop,billing',
    });
  },
  testTimeoutMs,
);

test(
  'two releases of one name in two namespaces share nothing of the cluster but the CRD',
  async () => {
    const ours = (manifests: readonly Manifest[]): readonly string[] =>
      kindsOf(manifests.filter(({ kind }) => kind.startsWith('ClusterRole')));
    const first = ours(await render('--namespace=blue'));
    expect(first).toHaveLength(4);
    const second = ours(await render('--namespace=green'));
    expect(first.filter((name) => second.includes(name))).toEqual([]);
  },
  testTimeoutMs,
);

test(
  'the CRD goes with the release only where that is asked for',
  async () => {
    const crd = only(await render('--set=crds.keep=false'), 'CustomResourceDefinition');
    expect(crd.metadata.name).toBe('schemachanges.segue.dev');
    expect(crd.metadata.annotations).toBeUndefined();
  },
  testTimeoutMs,
);

const digest = `sha256:${'0'.repeat(64)}`;
const { appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')) as { appVersion: string };
test.each([
  ['the appVersion', [], `segue:${appVersion}`],
  ['a tag', ['--set=image.tag=dev'], 'segue:dev'],
  ['a digest before a tag', ['--set=image.tag=dev', `--set=image.digest=${digest}`], `segue@${digest}`],
])(
  'the image by %s, in the test as well',
  async (_, flags, image) => {
    const manifests = await render(...flags);
    const tested = only(manifests, 'Pod').spec as DeploymentSpec['template']['spec'];
    expect(deploymentOf(manifests).template.spec.containers[0]?.image).toBe(image);
    expect(tested.containers[0]?.image).toBe(image);
  },
  testTimeoutMs,
);

test(
  'labels of the user are on every object, and never go before those that select',
  async () => {
    const manifests = await render(
      '--set=commonLabels.team=data',
      '--set=commonLabels.app\\.kubernetes\\.io/instance=other',
      '--set=podLabels.zone=a',
      '--set=podLabels.app\\.kubernetes\\.io/name=other',
    );
    const teams = manifests.map(({ metadata }) => metadata.labels?.['team']);
    expect(teams).toHaveLength(12);
    expect(new Set(teams)).toEqual(new Set(['data']));
    const { selector, template } = deploymentOf(manifests);
    expect(selector.matchLabels).toEqual({
      'app.kubernetes.io/name': 'segue',
      'app.kubernetes.io/instance': 'segue',
    });
    expect(template.metadata.labels).toMatchObject({ ...selector.matchLabels, team: 'data', zone: 'a' });
  },
  testTimeoutMs,
);

test(
  'an anti-affinity of the user takes the place of the chart’s, and other affinity is kept beside it',
  async () => {
    const affinityBy = async (flag: string): Promise<unknown> =>
      deploymentOf(await render(flag)).template.spec.affinity;
    expect(await affinityBy('--set-json=affinity={"podAntiAffinity":{}}')).toEqual({ podAntiAffinity: {} });
    expect(await affinityBy('--set-json=affinity={"nodeAffinity":{}}')).toEqual({
      nodeAffinity: {},
      podAntiAffinity: expect.anything() as unknown,
    });
  },
  testTimeoutMs,
);
