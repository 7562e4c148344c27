/** The dashboard and the alerts that the chart brings, as tests look at them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

const files = path.join(import.meta.dirname, '..', '..', 'charts', 'segue', 'files');

/** Path of the file of alerts. */
export const alertsFile = path.join(files, 'alerts.yaml');

/** A rule, as Prometheus reads it. */
interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** All alerts, in their order. */
export const alerts = (): readonly Alert[] =>
  (
    parse(readFileSync(alertsFile, 'utf8')) as { readonly groups: readonly { readonly rules: Alert[] }[] }
  ).groups.flatMap(({ rules }) => rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: unknown;
  readonly targets?: readonly { readonly expr: string; readonly datasource: unknown }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

/** The dashboard, as Grafana imports it. */
export const dashboard = () =>
  JSON.parse(readFileSync(path.join(files, 'dashboard.json'), 'utf8')) as {
    readonly schemaVersion: number;
    readonly templating: { readonly list: readonly Variable[] };
    readonly panels: readonly Panel[];
  };

/** Each query of the dashboard under the title of its panel. */
export const queries = (): readonly (readonly [panel: string, expr: string])[] =>
  dashboard().panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const));

/** The metrics that a query names; of a histogram its own name. */
export const metricsIn = (expr: string): readonly string[] =>
  [...expr.matchAll(/\b(?:segue|process|nodejs)_\w+/g)].map(([name]) =>
    name.replace(/(_seconds)_(bucket|sum|count)$/, '$1'),
  );
