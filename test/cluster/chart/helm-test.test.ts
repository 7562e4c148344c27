/** What `helm test` runs, taken from the rendered pod and run against the operator's own server. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { run } from '../../../dev/cluster/command.ts';
import { freePorts } from '../../../dev/cluster/ports.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { startServer, type Readiness, type TelemetryServer } from '../../../src/telemetry/server.ts';
import { Helm, only, type PodSpec } from '../../support/helm.ts';

const setupTimeoutMs = 30 * 60_000; // the first time on a machine helm is built
const testTimeoutMs = 60_000;

let command: readonly string[];
let script: string;
let metrics: Metrics;
let server: TelemetryServer;
let readiness: Readiness;

beforeAll(async () => {
  const helm = await Helm.find();
  const [container] = (only(await helm.render(), 'Pod').spec as PodSpec).containers;
  helm.dispose();
  [, ...command] = container?.command ?? [];
  const [rendered = '', ...rest] = container?.args ?? [];
  expect(rest).toEqual(['segue-metrics.segue.svc', '8080', '120']);
  script = rendered;
  const registry = new Registry();
  metrics = createMetrics(registry);
  server = await startServer({ port: 0, host: '127.0.0.1', metrics: registry, ready: () => readiness });
}, setupTimeoutMs);

afterAll(async () => {
  metrics.stop();
  await server.close();
});

test.each([
  { ready: { ready: true }, leads: true, code: 0, says: /^1 ready, one of them leads\n$/ },
  {
    ready: { ready: false, reason: 'caches have not synced' },
    leads: true,
    code: 1,
    says: /\/readyz answers 503: caches have not synced\n$/,
  },
  { ready: { ready: true }, leads: false, code: 1, says: /^of 1 ready pods 0 lead, and not one\n$/ },
] as const)(
  'one pod, $ready, leads: $leads',
  async ({ ready, leads, code, says }) => {
    readiness = ready;
    metrics.setLeading(leads);
    const args = [...command, script, '127.0.0.1', String(server.port), '0'];
    const result = await run(process.execPath, args, { timeoutMs: testTimeoutMs });
    expect(result.stdout + result.stderr).toMatch(says);
    expect(result.code).toBe(code);
  },
  testTimeoutMs,
);

test(
  'nobody there is said, too',
  async () => {
    const [port = 0] = await freePorts(1);
    const args = [...command, script, '127.0.0.1', String(port), '0'];
    const result = await run(process.execPath, args, { timeoutMs: testTimeoutMs });
    expect(result).toMatchObject({ code: 1, stderr: '' });
    expect(result.stdout).toMatch(/\/readyz does not answer: .*ECONNREFUSED/);
  },
  testTimeoutMs,
);
