import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { chart } from './helm.ts';

/** Rules as they may stand in files/alerts.yaml, with braces that Helm must not take for its own. */
const sampleRules = {
  groups: [
    {
      name: 'segue',
      rules: [
        {
          alert: 'SegueSample',
          expr: 'segue_blocked == 1',
          for: '5m',
          labels: { severity: 'warning' },
          annotations: {
            summary: '{{ $labels.namespace }}/{{ $labels.name }} waits',
            runbook_url: '__RUNBOOK__#seguesample',
          },
        },
      ],
    },
  ],
};

/** The same as a PrometheusRule has them: with the address of the runbook, or without the annotation. */
export function rulesWith(runbook?: string): typeof sampleRules {
  const text = JSON.stringify(sampleRules);
  const link = ',"runbook_url":"__RUNBOOK__#seguesample"';
  const wanted = runbook === undefined ? text.replace(link, '') : text.replace('__RUNBOOK__', runbook);
  return JSON.parse(wanted) as typeof sampleRules;
}

export const sampleDashboard = `${JSON.stringify({ title: 'Segue', legend: '{{phase}}' }, undefined, 2)}\n`;

/** Values that switch on everything that the chart can render. */
export const everything: readonly string[] = [
  '--set=admissionPolicy.enabled=true',
  '--set=networkPolicy.enabled=true',
  '--set=metrics.serviceMonitor.enabled=true',
  '--set=metrics.prometheusRule.enabled=true',
  '--set=metrics.grafanaDashboard.enabled=true',
];

/** A copy of the chart at `directory`, with rules and a dashboard of the test's own. */
export function copyChart(directory: string): string {
  cpSync(chart, directory, { recursive: true });
  writeFileSync(join(directory, 'files/alerts.yaml'), stringify(sampleRules));
  writeFileSync(join(directory, 'files/dashboard.json'), sampleDashboard);
  return directory;
}
