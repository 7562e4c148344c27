/** ServiceMonitor, PrometheusRule and dashboard, as the real helm renders them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Helm, only, type Manifest } from '../../support/helm.ts';
import { copyChart, everything, rulesWith, sampleDashboard } from '../../support/whole-chart.ts';

const setupTimeoutMs = 30 * 60_000; // the first time on a machine helm is built
const testTimeoutMs = 120_000;

let helm: Helm;
let home: string;
let whole: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'segue-chart-'));
  whole = copyChart(join(home, 'whole'));
  helm = await Helm.find();
}, setupTimeoutMs);

afterAll(() => {
  helm.dispose();
  rmSync(home, { recursive: true, force: true });
});

test(
  'they hold what the files hold, untouched by Helm',
  async () => {
    const manifests = await helm.render(everything, whole);
    expect(only(manifests, 'PrometheusRule').spec).toEqual(rulesWith());
    expect(only(manifests, 'ConfigMap').data).toEqual({ 'segue.json': sampleDashboard });
    expect(only(manifests, 'ConfigMap').metadata.labels).toMatchObject({ grafana_dashboard: '1' });
  },
  testTimeoutMs,
);

test(
  'alerts link to the runbook where its address is known',
  async () => {
    const runbook = 'https://wiki.example.com/segue/runbook';
    const manifests = await helm.render(
      [...everything, `--set=metrics.prometheusRule.runbook=${runbook}`],
      whole,
    );
    expect(only(manifests, 'PrometheusRule').spec).toEqual(rulesWith(runbook));
  },
  testTimeoutMs,
);

test(
  'the ServiceMonitor selects the Service, one port, and leaves the metrics their namespace',
  async () => {
    const manifests = await helm.render(
      [
        ...everything,
        '--set=metrics.serviceMonitor.interval=30s',
        '--set-json=metrics.serviceMonitor.metricRelabelings=[{"action":"labeldrop","regex":"pod"}]',
      ],
      whole,
    );
    const { labels = {} } = only(manifests, 'Service').metadata;
    const { spec } = only(manifests, 'ServiceMonitor') as unknown as {
      readonly spec: { readonly selector: { readonly matchLabels: Readonly<Record<string, string>> } };
    };
    expect(labels).toMatchObject(spec.selector.matchLabels);
    expect(spec.selector.matchLabels['app.kubernetes.io/component']).toBe('metrics');
    expect(spec).toMatchObject({
      endpoints: [
        {
          port: 'http',
          path: '/metrics',
          honorLabels: true,
          interval: '30s',
          metricRelabelings: [{ action: 'labeldrop', regex: 'pod' }],
        },
      ],
    });
  },
  testTimeoutMs,
);

test(
  'labels, annotations and the dashboard’s namespace are the user’s to choose',
  async () => {
    const manifests = await helm.render(
      [
        ...everything,
        '--set=metrics.serviceMonitor.labels.release=prometheus',
        '--set=metrics.prometheusRule.labels.release=prometheus',
        '--set=metrics.grafanaDashboard.labels.grafana_dashboard=null',
        '--set-string=metrics.grafanaDashboard.labels.dashboards=1',
        '--set=metrics.grafanaDashboard.annotations.grafana_folder=Segue',
        '--set=metrics.grafanaDashboard.namespace=monitoring',
      ],
      whole,
    );
    for (const kind of ['ServiceMonitor', 'PrometheusRule']) {
      expect(only(manifests, kind).metadata.labels).toMatchObject({ release: 'prometheus' });
    }
    const { metadata } = only(manifests, 'ConfigMap');
    expect(metadata).toMatchObject({ namespace: 'monitoring', annotations: { grafana_folder: 'Segue' } });
    expect(metadata.labels).toMatchObject({ dashboards: '1' });
    expect(metadata.labels).not.toHaveProperty('grafana_dashboard');
  },
  testTimeoutMs,
);

test(
  'who scrapes may be limited without shutting out helm test',
  async () => {
    const peer = '--set=networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring';
    const manifests = await helm.render([...everything, peer], whole);
    const test = only(manifests, 'Pod', 'segue-test').metadata.labels ?? {};
    const { ingress } = only(manifests, 'NetworkPolicy').spec as {
      readonly ingress: readonly [{ readonly from: readonly object[] }];
    };
    expect(ingress[0].from).toEqual([
      { namespaceSelector: { matchLabels: { name: 'monitoring' } } },
      {
        podSelector: {
          matchLabels: {
            'app.kubernetes.io/name': test['app.kubernetes.io/name'],
            'app.kubernetes.io/instance': test['app.kubernetes.io/instance'],
          },
        },
      },
    ]);
  },
  testTimeoutMs,
);

const unusable: readonly (readonly [string, string, (directory: string) => void, string])[] = [
  [
    'rules that are missing',
    'prometheusRule',
    (directory) => rmSync(join(directory, 'files/alerts.yaml')),
    'metrics.prometheusRule.enabled: files/alerts.yaml is missing from this chart',
  ],
  [
    'rules that are none',
    'prometheusRule',
    (directory) => writeFileSync(join(directory, 'files/alerts.yaml'), 'rules: []\n'),
    'metrics.prometheusRule.enabled: files/alerts.yaml has no groups of rules: {"rules":[]}',
  ],
  [
    'a dashboard that is missing',
    'grafanaDashboard',
    (directory) => rmSync(join(directory, 'files/dashboard.json')),
    'metrics.grafanaDashboard.enabled: files/dashboard.json is missing from this chart',
  ],
];

test.each(unusable)(
  '%s: said, and nothing is rendered',
  async (name, value, spoil, says) => {
    const directory = copyChart(join(home, name.replaceAll(' ', '-')));
    spoil(directory);
    const flag = `--set=metrics.${value}.enabled`;
    const refused = await helm.run('template', 'segue', directory, '--kube-version=1.36', `${flag}=true`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(says);
    const without: readonly Manifest[] = await helm.render([`${flag}=false`], directory);
    expect(only(without, 'Deployment').metadata.name).toBe('segue');
  },
  testTimeoutMs,
);

test(
  'a ServiceMonitor without the Service that it would select is refused',
  async () => {
    const flags = ['--set=metrics.serviceMonitor.enabled=true', '--set=metrics.service.enabled=false'];
    const { code, stderr } = await helm.run('template', 'segue', whole, '--kube-version=1.36', ...flags);
    expect(code).toBe(1);
    expect(stderr).toContain('set metrics.service.enabled=true, too');
  },
  testTimeoutMs,
);
