/** Prometheus' own tool takes the alerts, and each fires when it should and not otherwise. */
import path from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { run } from '../../../dev/cluster/command.ts';
import { alertsFile } from '../../support/charted.ts';
import { prometheusProgram } from '../../support/prometheus.ts';

const cases = path.join(import.meta.dirname, '../../fixtures/alerts.test.yaml');

let promtool: string;
beforeAll(async () => {
  promtool = await prometheusProgram('promtool');
}, 10 * 60_000);

test.each([
  ['check', alertsFile],
  ['test', cases],
])(
  'promtool %s rules',
  async (verb, file) => {
    const { code, stdout, stderr } = await run(promtool, [verb, 'rules', file], { timeoutMs: 5 * 60_000 });
    expect([code, stdout, stderr]).toEqual([0, expect.stringContaining('SUCCESS'), expect.anything()]);
  },
  6 * 60_000,
);
