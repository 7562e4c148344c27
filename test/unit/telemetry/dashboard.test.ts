/** Grafana's dashboard and the alerts rest on what there is; test/cluster/telemetry runs them against a real Prometheus. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { reasons } from '../../../src/api/reasons.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { alerts, dashboard, metricsIn, queries } from '../../support/charted.ts';

const registry = new Registry();
const metrics = createMetrics(registry);
afterAll(() => metrics.stop());
const known = registry.getMetricsAsArray().map(({ name }) => name);

const textOf = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** Reasons that an expression names, alone or as alternatives. */
const reasonsIn = (expr: string): readonly string[] =>
  [...expr.matchAll(/reason=~?"([^"]+)"/g)].flatMap(([, names = '']) => names.split('|'));

describe('the dashboard', () => {
  const { panels, templating, schemaVersion } = dashboard();
  const shown = panels.filter(({ type }) => type !== 'row');

  test('names metrics that there are, and shows nearly all of them', () => {
    const named = new Set(queries().flatMap(([, expr]) => metricsIn(expr)));
    expect([...named].filter((name) => !known.includes(name))).toEqual([]);
    expect(known.filter((name) => !named.has(name))).toEqual([]);
  });

  test('goes by its variables alone', () => {
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'namespace', 'name']);
    for (const { datasource, targets = [] } of shown)
      for (const asked of [datasource, ...targets.map((target) => target.datasource)])
        expect(asked).toEqual({ type: 'prometheus', uid: '${datasource}' });
    const variables = queries().flatMap(([, expr]) => expr.match(/\$\w+/g) ?? []);
    expect([...new Set(variables)].toSorted()).toEqual(['$__rate_interval', '$name', '$namespace']);
    for (const [panel, expr] of queries())
      for (const [, about = ''] of expr.matchAll(
        /segue_(?:schemachange|backfill|blocked|stalled|rollout)\w*(\{[^}]*\})/g,
      ))
        expect([panel, about]).toEqual([
          panel,
          expect.stringContaining('namespace=~"$namespace", name=~"$name"'),
        ]);
  });

  test('has panels that ask something, say what it is, and do not lie on each other', () => {
    // Grafana 10.
    expect(schemaVersion).toBeLessThanOrEqual(39);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, description, type, gridPos, targets = [] } of panels) {
      if (type !== 'row')
        expect([title, targets.length > 0, description]).toEqual([title, true, expect.stringMatching(/\.$/)]);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false]);
          taken.add(`${x},${y}`);
        }
    }
  });

  test('knows the reasons that it names', () => {
    for (const reason of queries().flatMap(([, expr]) => reasonsIn(expr)))
      expect(Object.keys(reasons)).toContain(reason);
  });
});

describe('the alerts', () => {
  test('name metrics and reasons that there are', () => {
    for (const { alert, expr } of alerts()) {
      expect([alert, metricsIn(expr).filter((name) => !known.includes(name))]).toEqual([alert, []]);
      expect([alert, reasonsIn(expr).filter((reason) => !(reason in reasons))]).toEqual([alert, []]);
    }
  });

  test('say how bad it is, what it is, and where to read on: a section of the runbook of their own', () => {
    const sections = [...textOf('docs/runbook.md').matchAll(/^### (\w+)$/gm)].map(([, name = '']) => name);
    expect(alerts().map(({ alert }) => alert)).toEqual(sections);
    for (const { alert, labels, annotations } of alerts())
      expect([labels, annotations]).toEqual([
        { severity: expect.stringMatching(/^(info|warning|critical)$/) },
        {
          summary: expect.stringMatching(/\.$/),
          description: expect.stringMatching(/\S/),
          runbook_url: `__RUNBOOK__#${alert.toLowerCase()}`,
        },
      ]);
  });

  test('are each tried where they fire and where they do not', () => {
    const { tests } = parse(textOf('test/fixtures/alerts.test.yaml')) as {
      readonly tests: readonly {
        readonly promql_expr_test?: readonly {
          readonly expr: string;
          readonly exp_samples: readonly unknown[];
        }[];
      }[];
    };
    const tried = tests.flatMap(({ promql_expr_test: asked = [] }) => asked);
    for (const { alert } of alerts()) {
      const about = tried.filter(({ expr }) => expr.includes(`alertname="${alert}"`));
      expect([
        alert,
        about.some((one) => one.exp_samples.length > 0),
        about.some((one) => one.exp_samples.length === 0),
      ]).toEqual([alert, true, true]);
    }
  });
});
